"""How answers look to a person: one question each, from the published database to a table."""

import sys
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any

from extract.archive import Holdings
from extract.errors import UsageError
from flows.output import Format, emit, moment, printable, readable, rounded, say, show
from flows.settings import Settings
from warehouse import queries

Record = dict[str, Any]

SIMULATED = "SIMULATED: these figures were made by the simulator; they are no record of a count."

_OFFICES = {"pkwkp": "Governor", "pkwkk": "Regent or mayor", "ppwp": "President"}
_STAGES = {"hhcw": "stations' forms", "hr": "recapitulation"}


def results(
    connection: Any,
    region: str | None,
    contest: str | None,
    stage: str | None,
    children: bool,
    at: datetime | None,
    known: datetime | None,
    form: Format,
) -> int:
    """Standings: of one region with all its pairs, or the leader of many."""
    code = queries.find_region(connection, region)[0] if region else None
    answer = queries.results(
        connection,
        code,
        contest_type=contest,
        stage=stage,
        children=children,
        reported_until=at,
        observed_until=known,
    )
    if form != "table":
        emit(answer.columns, answer.rows, form)
        return 0
    print_results(answer.records(), leaders_only=code is None or children)
    _mark_simulated(connection)
    return 0


def print_results(records: list[Record], *, leaders_only: bool) -> None:
    """Rows of `results` as tables: every pair of each unit, or only who leads in it."""
    if not records:
        say("No results for that choice.")
    elif leaders_only:
        _leaders(records)
    else:
        for _, unit in groupby(records, key=_tally_of):
            _standing(list(unit))


def timeline(connection: Any, region: str, contest: str | None, stage: str | None, form: Format) -> int:
    """Every version of one region's tally, a line each."""
    code, _ = queries.find_region(connection, region)
    answer = queries.ask(connection, "timeline", region=code, contest_type=contest, stage=stage)
    if form != "table":
        emit(answer.columns, answer.rows, form)
        return 0
    records = answer.records()
    if not records:
        say("No pair has votes there, as far as we know.")
    for _, lines in groupby(records, key=_tally_of):
        _grown(list(lines))
    _mark_simulated(connection)
    return 0


def status(connection: Any, settings: Settings, form: Format) -> int:
    """What there is, how far the count is, and what could not be understood."""
    overall = queries.ask(connection, "status").records()[0]
    if form != "table":
        emit(tuple(overall), [tuple(overall.values())], form)
        return 0
    stored = sum(segment.length for manifest in settings.archives.manifests() for segment in manifest.segments)
    lines = {
        "archive": f"{settings.archive.place}: {overall['runs']:,} runs, {overall['captures']:,} captures, "
        f"{overall['bodies']:,} bodies in {stored:,} bytes",
        "database": f"{settings.published}: {overall['contests']:,} contests, {overall['units']:,} units, "
        f"{overall['tally_rows']:,} tally changes",
        "KPU's newest": readable(overall["newest_reported_at"]),
        "fetched last": readable(overall["newest_observed_at"]),
        "quarantined": f"{overall['quarantined']:,} captures",
    }
    if overall["tallies_withdrawn"]:
        lines["withdrawn"] = (
            f"the votes of {overall['tallies_withdrawn']:,} tallies since {moment(overall['withdrawn_at'])}"
        )
    if overall["with_unknown_keys"]:
        lines["unknown keys"] = (
            f"in {overall['with_unknown_keys']:,} captures, listed below: KPU's documents have something that is kept "
            "and not read; look whether it matters"
        )
    for name, text in lines.items():
        print(f"{name:>13}  {printable(text)}")
    rows = [
        (
            record["election"],
            record["contest_type"],
            record["stage"],
            record["level"],
            f"{record['units']:,}",
            _stations(record),
            readable(record["newest_reported_at"]),
            f"{record['units_withdrawn']:,}",
        )
        for record in queries.ask(connection, "status_progress").records()
    ]
    show(("election", "contest", "stage", "level", "units", "stations reported", "newest", "withdrawn"), rows)
    unread = queries.ask(connection, "quarantined")
    if overall["quarantined"]:
        emit(unread.columns, unread.rows, "table")
    if overall["with_unknown_keys"]:
        unknown = queries.ask(connection, "unknown_keys")
        emit(unknown.columns, unknown.rows, "table")
    _mark_simulated(connection)
    return 0


def show_capture(archive: Holdings, what: str) -> int:
    """The bytes of one capture on stdout; where they come from on stderr."""
    found = None
    for segment in archive.segment_names():
        for _, capture in archive.captures(segment):
            named = capture.digest.startswith((what, f"sha256:{what}")) or capture.url.endswith(what)
            if named and (found is None or capture.observed_at >= found.observed_at):
                found = capture
    if found is None:
        raise UsageError(f"no capture is called {what!r}; name one by its digest, or by the end of its address")
    say(f"{found.url}  {found.status}  {moment(found.observed_at)}  {found.source}  {found.digest}")
    sys.stdout.flush()
    sys.stdout.buffer.write(archive.with_body(found).body or b"")
    sys.stdout.flush()
    return 0


def print_hints(settings: Settings) -> None:
    """Where the database lies, and two questions to try."""
    print(f"Database: {settings.published}")
    print("Try:")
    for query in (
        "SELECT unit_name, candidate_name, votes, margin FROM results WHERE level = 'regency' AND rank = 1",
        "SELECT kind, count(*) AS steps, sum(votes_delta) AS votes FROM changes GROUP BY kind ORDER BY steps DESC",
    ):
        print(f'  .venv/bin/realcount --data-dir {settings.data_dir} sql "{query}"')


def last_changes(connection: Any, region: str, latest: int = 9) -> None:
    """The latest steps of a region's votes that were a count and no withdrawal."""
    rows = [
        (
            readable(step["reported_at"]),
            printable(step["candidate_name"] or step["candidate_id"]),
            count(step["votes_before"]),
            count(step["votes_after"]),
            _signed(step["votes_delta"]),
            _signed(step["stations_delta"]),
            step["kind"],
        )
        for step in queries.ask(connection, "changes", region=region, contest_type=None, latest=latest).records()
    ]
    show(("reported", "pair", "before", "after", "change", "new stations", "kind"), rows, left=("pair",))


def _standing(unit: list[Record]) -> None:
    """One contest in one unit: a headline, then its pairs."""
    first = unit[0]
    print(headline(first))
    rows = [
        (
            readable(pair["rank"]),
            readable(pair["ballot_number"]),
            printable(pair["candidate_name"] or pair["candidate_id"]),
            count(pair["votes"]),
            percent(pair["share_pct"]),
            _signed(pair["margin"]),
        )
        for pair in unit
    ]
    show(("rank", "no.", "pair", "votes", "share", "margin"), rows, left=("pair",))
    if first["withdrawn_at"]:
        print(f"KPU withdrew these votes at {moment(first['withdrawn_at'])}; shown are the last it published.\n")


def _leaders(records: Iterable[Record]) -> None:
    """Many units: who leads in each."""
    rows = []
    for _, lines in groupby(records, key=_tally_of):
        unit = list(lines)
        first = unit[0]
        rows.append(
            (
                first["contest_code"],
                first["unit_code"],
                printable(first["unit_name"] or ""),
                printable(first["candidate_name"] or first["candidate_id"]) if first["rank"] else "(no votes yet)",
                count(first["votes"]),
                percent(first["share_pct"]),
                _signed(first["margin"]),
                _stations(first),
                readable(first["reported_at"]),
                "withdrawn" if first["withdrawn_at"] else "",
            )
        )
    columns = ("contest", "code", "unit", "leader", "votes", "share", "margin", "stations", "reported", "")
    show(columns, rows, left=("code", "unit", "leader"))


def _grown(lines: list[Record]) -> None:
    """One unit's versions, a column for each pair."""
    print(headline(lines[-1]))
    pairs = sorted({(line["ballot_number"] or 0, line["candidate_id"], line["candidate_name"] or "") for line in lines})
    rows = []
    for _, group in groupby(lines, key=lambda line: line["version"]):
        version = list(group)
        votes = {line["candidate_id"]: line["votes"] for line in version}
        first = version[0]
        rows.append(
            (
                readable(first["reported_at"] or first["observed_at"]),
                _stations(first),
                *(count(votes.get(candidate_id)) for _, candidate_id, _ in pairs),
                "withdrawn" if first["withdrawn_at"] else "",
            )
        )
    names = [f"{number}. {printable(name)[:24]}" if number else candidate_id for number, candidate_id, name in pairs]
    show(("reported", "stations", *names, ""), rows)


def headline(line: Record) -> str:
    """What a tally is about, how far it is, and of when its votes are."""
    office = _OFFICES.get(line["contest_type"], line["contest_type"])
    where = printable(f"{line['unit_name'] or line['level']} ({line['unit_code']})")
    stage = _STAGES.get(line["stage"], line["stage"])
    return f"{office}, {where}, {stage}: stations {_stations(line)}, votes of {readable(line['reported_at'])}"


def _tally_of(record: Record) -> tuple[str, ...]:
    """What one tally is about: contest, stage and unit."""
    return (record["election"], record["contest_code"], record["stage"], record["unit_code"])


def _stations(record: Record) -> str:
    reported, total = record["stations_reported"], record["stations_total"]
    if reported is None or not total:
        return ""
    return f"{reported:,} of {total:,} ({rounded(100 * reported / total)} %)"


def count(votes: int | None) -> str:
    """A number of votes; nothing for votes not given."""
    return "" if votes is None else f"{votes:,}"


def percent(share: float | None) -> str:
    """A share as KPU rounds it."""
    return "" if share is None else f"{rounded(share)} %"


def _signed(margin: int | None) -> str:
    return "" if margin is None else f"{margin:+,}"


def _mark_simulated(connection: Any) -> None:
    """Nobody may take a rehearsal for a count."""
    if queries.ask(connection, "is_simulated").records()[0]["is_simulated"]:
        print(SIMULATED)
