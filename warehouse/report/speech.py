"""The page's words, numbers and times, in Indonesian and English: what `templates/speech.js` does once it runs."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from extract.endpoints import WIB

Language = Literal["id", "en"]
LANGUAGES: tuple[Language, ...] = ("id", "en")

Words = Mapping[str, Mapping[Language, str]]

_MINUS = "\N{MINUS SIGN}"
_BLANK = re.compile(r"\{([\w/]+)(?::(\w+))?\}")


@cache
def words() -> Words:
    """Every phrase in both languages. A blank `{votes:number}` says how what fills it is written."""
    place = Path(__file__).parents[1] / "templates" / "words.json"
    return msgspec.json.decode(place.read_bytes(), type=dict[str, dict[Language, str]])


class Speech:
    """How one language says phrases, numbers and moments."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._thousands, self._decimals = (".", ",") if language == "id" else (",", ".")

    def say(self, phrase: str, **values: Any) -> str:
        """A phrase with its blanks filled."""

        def fill(blank: re.Match[str]) -> str:
            given = [values[name] for name in blank[1].split("/")]
            return str(getattr(self, blank[2])(*given)) if blank[2] else str(given[0])

        return _BLANK.sub(fill, words()[phrase][self.language])

    def number(self, value: int | None) -> str:
        """1.717.245 or 1,717,245; nothing for what is not given."""
        return "" if value is None else f"{value:,}".replace(",", self._thousands)

    def signed(self, value: int | None) -> str:
        """A difference with its sign, which is a real minus; nothing for what is not given."""
        if not value:
            return self.number(value)
        return f"{'+' if value > 0 else _MINUS}{self.number(abs(value))}"

    def percent(self, part: int | None, whole: int | None) -> str:
        """Part of a whole, rounded half up as KPU rounds, in exact arithmetic."""
        if part is None or not whole:
            return ""
        hundredths = (20_000 * part + whole) // (2 * whole)
        return f"{self.number(hundredths // 100)}{self._decimals}{hundredths % 100:02}%"

    def moment(self, seconds: int | None) -> str:
        """Seconds since 1970 as a moment in WIB."""
        if seconds is None:
            return ""
        at = datetime.fromtimestamp(seconds, WIB)
        month = self.say("months").split()[at.month - 1]
        return f"{at.day} {month} {at.year} {at:%H}{'.' if self.language == 'id' else ':'}{at:%M} WIB"
