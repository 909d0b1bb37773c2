"""What a cycle did, in a page of Markdown: for Prefect's artifact, a chat, a log."""

import re
from pathlib import Path
from typing import Any

from extract.errors import RateLimitError, SourceDownError
from flows.output import moment, printable, rounded
from flows.poll import CycleReport, Request
from flows.settings import Settings
from warehouse import queries
from warehouse.connection import reading

_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&])")
_MOST_CONTESTS = 20  # a page is for reading; the database has them all


def markdown(settings: Settings, request: Request, report: CycleReport) -> str:
    """Asked, changed, who leads, what is withdrawn, and where to look further."""
    with reading(settings.published) as connection:
        leaders = [line for line in queries.results(connection).records() if line["rank"] == 1]
        overall = queries.ask(connection, "status").records()[0]
    lines = [
        f"# Cycle of {moment(report.started_at)}{f', shard {settings.shard}' if settings.shard else ''}",
        *(["**SIMULATED: these figures are no record of a count.**"] if overall["is_simulated"] else []),
        *([f"**{_trouble(report.source_down)}:** {escaped(str(report.source_down))}"] if report.source_down else []),
        *(
            [
                f"**KPU has withdrawn votes** since {moment(overall['withdrawn_at'])}: "
                f"{overall['tallies_withdrawn']:,} tallies. The last votes it showed stay in the results."
            ]
            if overall["tallies_withdrawn"]
            else []
        ),
        _asked(report),
        "## Who leads",
        *_table(leaders[:_MOST_CONTESTS]),
        *([f"… and {len(leaders) - _MOST_CONTESTS:,} more contests."] if len(leaders) > _MOST_CONTESTS else []),
        f"KPU's newest time: {moment(overall['newest_reported_at']) if overall['newest_reported_at'] else 'none yet'}. "
        f"Quarantined so far: {overall['quarantined']:,} captures.",
        *([_link(place)] if (place := settings.report_file) and place.exists() else []),
        f"Source: {escaped(request.host)}. Database: `{settings.published}`, archive: `{settings.archive.place}`.",
    ]
    return "\n\n".join(lines)


def escaped(text: str) -> str:
    """Text from outside that Markdown and the page it ends in take as text."""
    return _MARKS.sub(r"\\\1", printable(text).replace("\n", " "))


def _trouble(why: SourceDownError) -> str:
    return "Nothing may be asked" if isinstance(why, RateLimitError) else "The source is failing"


def _link(page: Path) -> str:
    """The report, which lies on the machine that polls."""
    return f"Report: [{escaped(str(page))}]({page.absolute().as_uri()})"


def _asked(report: CycleReport) -> str:
    counts = report.counts
    levels = ", ".join(f"{name} {number:,}" for name, number in counts.asked.items() if number) or "nothing"
    answers = ", ".join(f"{status}: {number:,}" for status, number in sorted(counts.answered.items())) or "none"
    unfit = ", ".join(f"{reason} {number:,}" for reason, number in sorted(counts.unfit.items())) or "none"
    seconds = (report.ended_at - report.started_at).total_seconds()
    return "\n".join(
        (
            f"- Asked for {counts.asked.total():,} documents in {seconds:,.0f} s ({levels})",
            f"- Answers by status: {answers}; without an answer: {counts.failed:,}",
            f"- Changed: {counts.changed:,}, unchanged: {counts.unchanged:,}, not understood: {unfit}",
            f"- Loaded {report.load.captures:,} captures, {report.load.changes:,} changes",
        )
    )


def _table(leaders: list[dict[str, Any]]) -> list[str]:
    if not leaders:
        return ["No votes yet."]
    rows = [
        f"| {escaped(line['unit_name'] or line['unit_code'])} "
        f"| {escaped(line['candidate_name'] or line['candidate_id'])} "
        f"| {line['votes']:,} | {rounded(line['share_pct'])} % | {line['margin'] or 0:+,} "
        f"| {line['stations_reported'] or 0:,} of {line['stations_total'] or 0:,} |"
        for line in leaders
    ]
    return ["\n".join(("| contest | leads | votes | share | margin | stations |", "|---|---|--:|--:|--:|--:|", *rows))]
