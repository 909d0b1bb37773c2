"""The findings, for people: what does not agree in the figures, where, and whether it was corrected."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flows.output import Format, emit, printable, readable, say, show
from flows.settings import Here, in_wib

NEUTRAL = (
    "A finding is an inconsistency in the figures, not an accusation: most are slips of the pen or of a reader, "
    "and are corrected. What each rule compares: realcount sql 'FROM rules'"
)
_SHOWN = 60  # lines for a person; programs get all of them

Severity = Literal["error", "warning", "notice"]


def findings(
    region: str | None = None,
    /,
    *,
    rule: str | None = None,
    severity: Severity | None = None,
    everything: Annotated[bool, Parameter(name="--all", negative="--open")] = False,
    at: datetime | None = None,
    by_area: bool = False,
    format: Format = "table",  # noqa: A002 (the option is called --format)
    settings: Here,
) -> int:
    """Show where KPU's figures do not agree: with each other, with its lists, or with what was there before.

    Parameters
    ----------
    region
        A code such as 31, or a name that only one region has: what is found in it and below.
    rule
        Only this rule, E1 to E20.
    severity
        Only error, warning or notice.
    everything
        Also what the data has resolved since; else only what is open.
    at
        As of this moment of KPU's clock, such as 2024-11-28T10:00:05+07:00; without an offset: WIB.
    by_area
        Only count, by rule and by the regions right below.
    """
    from warehouse import queries
    from warehouse.connection import reading

    with reading(settings.published) as connection:
        code = queries.find_region(connection, region)[0] if region else None
        asked: dict[str, Any] = {
            "region": code,
            "rule": rule,
            "severity": severity,
            "resolved": everything,
            "at": in_wib(at),
        }
        answer = queries.ask(connection, "findings_by_area" if by_area else "findings", **asked)
        if format != "table":
            emit(answer.columns, answer.rows, format)
            return 0
        records = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    if not records:
        say("Nothing found for that choice.")
    elif by_area:
        _show_counts(records)
    else:
        _show_findings(records)
    say(NEUTRAL)
    return 0


def _show_counts(records: list[dict[str, Any]]) -> None:
    columns = ("rule", "severity", "what was found", "code", "area", "findings", "open", "units")
    fields = ("rule", "severity", "title", "area_code", "area_name", "findings", "still_open", "units")
    show(columns, ([readable(record[field]) for field in fields] for record in records), left=("code",))


def _show_findings(records: list[dict[str, Any]]) -> None:
    columns = ("rule", "code", "unit", "candidate", "expected", "found", "first seen", "resolved")
    show(columns, _lines(records[:_SHOWN]), left=("code", "candidate"))
    if len(records) > _SHOWN:
        say(f"and {len(records) - _SHOWN:,} more; choose with --rule and --severity, or ask with --format csv")


def _lines(records: list[dict[str, Any]]) -> Iterator[list[str]]:
    for record in records:
        yield [
            record["rule"],
            record["unit_code"],
            printable(record["unit_name"] or ""),
            printable(record["candidate_name"] or record["candidate_id"] or ""),
            printable(record["expected"]),
            printable(record["found"]),
            readable(record["first_seen_at"]),
            readable(record["resolved_at"]),
        ]
