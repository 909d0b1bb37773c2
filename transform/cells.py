"""Checking one cell of KPU's JSON: is it what stands there, and if not, exactly where is it wrong?"""

import re
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from extract.endpoints import WIB, level_of, parent_of
from extract.errors import EndpointError
from transform.model import Quarantine, Reason

MOST_VOTERS = 210_000_000  # 204,807,222 registered in February 2024 and the 2 % reserve: no figure can be larger
_LONGEST = 200  # letters of a place or detail: a key of a hostile body may have a million
_YEARS = (datetime(2024, 1, 1, tzinfo=WIB), datetime(2026, 1, 1, tzinfo=WIB))  # both elections, and long after
_TS = re.compile(r"\d{4}-\d\d-\d\d ([01]\d|2[0-3]):\d\d:\d\d", re.ASCII)  # Python 3.14 would take 24:00:00 too

T = TypeVar("T")


class UnfitError(Exception):
    """Carries a Quarantine out of nested readers; never leaves transform/."""

    def __init__(self, reason: Reason, place: str, detail: str) -> None:
        super().__init__(detail)
        self.quarantine = Quarantine(reason, place[:_LONGEST], detail[:_LONGEST])


def require_child(code: str, region: str, place: str) -> None:
    """A list or table of another region's children is another region's document."""
    if parent_of(region_code(code, place)) != region:
        raise UnfitError("wrong_region", place, f"{code} does not lie in {region}")


def region_code(code: str, place: str) -> str:
    """A code that some region could have."""
    try:
        level_of(code)
    except EndpointError as error:
        raise UnfitError("wrong_shape", place, str(error)) from error
    return code


def whole(cell: Any, place: str, key: str) -> int:
    """A count of votes, people or stations: a whole number that Indonesia can hold."""
    if type(cell) is not int:
        raise UnfitError(
            "wrong_shape", f"{place}.{key}", f"expected a whole number, found {kind_of(cell)} {cell!r:.40}"
        )
    if not 0 <= cell <= MOST_VOTERS:
        raise UnfitError("absurd_value", f"{place}.{key}", f"{cell!s:.40} cannot be a count in Indonesia")
    return cell


def number(cell: Any, place: str, key: str) -> int | None:
    """A count, or None where it is not given."""
    return None if cell is None else whole(cell, place, key)


def percent(cell: Any, place: str) -> float | None:
    """KPU's `persen`, an int or a float, or None."""
    if cell is None:
        return None
    if type(cell) not in (int, float):
        raise UnfitError("wrong_shape", place, f"expected a percentage, found {kind_of(cell)} {cell!r:.40}")
    if not 0 <= cell <= 1000:  # KPU has shown more than 100 when stations were added late
        raise UnfitError("absurd_value", place, f"{cell!s:.40} cannot be a percentage")
    return float(cell)


def expect(cell: Any, kind: type, place: str) -> Any:
    """A cell of this kind, or None."""
    if cell is not None and type(cell) is not kind:
        raise UnfitError("wrong_shape", place, f"expected {kind.__name__}, found {kind_of(cell)} {cell!r:.40}")
    return cell


def moment(text: str, place: str) -> datetime:
    """KPU's `YYYY-MM-DD HH:MM:SS`, always WIB and never saying so."""
    if not _TS.fullmatch(text):
        raise UnfitError("wrong_shape", place, f"expected YYYY-MM-DD HH:MM:SS, found {text!r:.40}")
    try:
        reported_at = datetime.fromisoformat(text).replace(tzinfo=WIB)
    except ValueError as error:
        raise UnfitError("absurd_value", place, f"{text} is no time: {error}") from error
    if not _YEARS[0] <= reported_at < _YEARS[1]:
        raise UnfitError("absurd_value", place, f"{text} is not a time of these elections")
    return reported_at


def convert(item: Any, kind: type[T], place: str) -> T:
    """One object as a wire struct, its place prefixed to what is wrong in it."""
    try:
        return msgspec.convert(item, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise UnfitError("wrong_shape", place + where.strip("`").removeprefix("$"), what) from error


def kind_of(value: Any) -> str:
    """What JSON calls this value."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")
