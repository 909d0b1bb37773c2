"""Values as plain text: lines of CSV that no spreadsheet runs, and what JSON can hold."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from types import NoneType
from typing import Any

import msgspec

_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # =, +, -, @ also full-width, as Excel reads them
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_QUOTED = re.compile(r'[",\r\n]')


def csv_line(cells: Iterable[Any]) -> str:
    """Cells as a line by RFC 4180, without its end. NULL is nothing, an empty text is "".

    Text that a spreadsheet would run gets an apostrophe before it: names come from outside. Numbers never do.
    Python's csv leaves a lone carriage return unquoted, and tells NULL from no empty text (3.11).
    """
    return ",".join([_CELLS.get(type(cell), _other)(cell) for cell in cells])


@lru_cache(maxsize=4096)  # names and codes come again and again
def _text(text: str) -> str:
    is_formula = _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return _quoted(f"'{text}" if is_formula else text)


@lru_cache(maxsize=256)
def _moment(value: datetime) -> str:
    return value.isoformat()


def _parts(value: Any) -> str:
    return _quoted(msgspec.json.encode(structured(value)).decode())


def _other(value: Any) -> str:
    return _quoted(str(value))


def _quoted(text: str) -> str:
    if not text or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


_CELLS: dict[type, Callable[[Any], str]] = {
    NoneType: lambda _: "",
    bool: lambda value: "true" if value else "false",
    int: str,
    float: str,
    str: _text,
    datetime: _moment,
    dict: _parts,
    list: _parts,
}


def structured(value: Any) -> Any:
    """A value that JSON can hold: moments by ISO 8601, decimals and the like as text."""
    match value:
        case dict():
            return {str(key): structured(part) for key, part in value.items()}
        case list() | tuple():
            return [structured(part) for part in value]
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.isoformat()
    return str(value)
