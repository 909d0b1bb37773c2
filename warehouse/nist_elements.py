"""The small elements that an election report is made of, and how things are named in it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from extract.endpoints import LEVELS, NATIONAL, WIB

Line = dict[str, Any]
"""A row of queries/nist_lines.sql: a pair's votes in a unit, and how far the unit is."""

Element = dict[str, Any]
"""An element of the standard as JSON has it."""

_FIRST_CITY = "71"  # Kemendagri numbers a province's regencies from 01 and its cities from 71


def typed(kind: str, identity: str | None = None, **fields: Any) -> Element:
    """An element of the standard; what is not known is left out."""
    named = {"@id": identity} if identity else {}
    given = {name: value for name, value in fields.items() if value is not None and value != []}
    return {"@type": f"ElectionResults.{kind}", **named, **given}


def texts(**by_language: str) -> Element:
    """A text in one or several languages, by their ISO 639 codes."""
    return typed(
        "InternationalizedText",
        Text=[typed("LanguageString", Language=code, Content=text) for code, text in by_language.items()],
    )


def identifier(kind: str, value: str, what: str) -> Element:
    """A name that something has elsewhere, and what kind of name that is."""
    named = {"OtherType": what} if kind == "other" else {"Label": what}
    return typed("ExternalIdentifier", Type=kind, Value=value, **named)


def unit_id(code: str) -> str:
    """The report's id of a region or station."""
    return f"unit-{code}"


def contest_id(code: str) -> str:
    """The report's id of a contest."""
    return f"contest-{code.replace(':', '-')}"


def candidate_id(contest: str, candidate: str) -> str:
    """The report's id of a pair: KPU's, made unique by the contest, as pages know only ballot numbers."""
    return f"candidate-{contest.replace(':', '-')}-{candidate}"


def moment(value: datetime) -> str:
    """To the second, with KPU's offset: the standard allows no fractions."""
    return value.astimezone(WIB).replace(microsecond=0).isoformat()


def statuses(progress: set[tuple[int | None, int | None]], lines: Iterable[Line]) -> list[Element]:
    """How far the count is, and whether votes in it are withdrawn: then it says since when, and for how many units."""
    found = []
    for reported, total in progress:
        if reported is None or not total:
            status = "unknown"
        elif reported >= total:
            status = "completed"
        else:
            status = "in-process" if reported else "not-processed"
        found.append(typed("CountStatus", Type="total", Status=status))
    units = {line["unit_code"]: line["withdrawn_at"] for line in lines if line["withdrawn_at"]}
    if units:
        said = f"votes withdrawn by KPU since {moment(min(units.values()))}, in {len(units):,} units of this report"
        found.append(typed("CountStatus", Type="other", OtherType=said, Status="unknown"))
    return found


def lineage(code: str) -> list[str]:
    """A unit and all above it, from the country down."""
    if code == NATIONAL:
        return [NATIONAL]
    return [NATIONAL, *(code[:length] for length in LEVELS if 0 < length <= len(code))]


def is_city(code: str) -> bool:
    """Whether a regency's code, or one below it, is a city's (kota)."""
    return code[2:4] >= _FIRST_CITY


def one_each(lines: Iterable[Line], field: str) -> list[Line]:
    """The first line of each value of a field, in order."""
    return list({line[field]: line for line in reversed(list(lines))}.values())[::-1]
