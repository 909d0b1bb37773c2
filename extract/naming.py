"""Which KPU document a file holds, by its path: in folders and in other people's repositories.

A pattern is `TEMPLATE=ELECTION/DOCUMENT[/TYPE]`. In the template `{type}` stands for a contest type,
`{region}` for a region code and `*` for any one folder; it must fit the end of the path:

    {type}/*/{region}.json=pilkada-2024/hhcw
    tps/{region}.json=pemilu-2024/hhcw/ppwp
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from extract.endpoints import CONTEST_TYPES, NATIONAL, Endpoint
from extract.errors import EndpointError, UsageError

KNOWN_LAYOUTS = (
    "{type}/*/{region}.json=pilkada-2024/hhcw",  # pkwkp/31/3171.json, the scrape of 28 November 2024
    "district/*/{region}.json=pilkada-2024/wilayah/pkwkp",  # the same scrape's region lists
    "paslon/{type}.json=pilkada-2024/paslon",  # and its pairs
    "tps/{region}.json=pemilu-2024/hhcw/ppwp",  # station files of February, kept in one folder
)
"""How archivists are known to name their files, beside paths that read like KPU's own."""

_SYNTAX = re.compile(r"(?P<template>[^=]+)=(?P<election>[\w-]+)/(?P<document>\w+)(?:/(?P<type>\w+))?")
_ADDRESSED = ("wilayah", "paslon", "hhcw", "hr")  # a page has no address to give
_PLACEHOLDERS = {r"\{type\}": r"(?P<type>\w+)", r"\{region\}": r"(?P<region>\w+)", r"\*": r"[^/]+"}


class Name(NamedTuple):
    """What a file is taken for: the address it was served at, and its media type."""

    url: str
    mimetype: str


class Pattern(NamedTuple):
    """A compiled pattern."""

    template: re.Pattern[str]
    election: str
    document: str
    contest_type: str | None

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Read `TEMPLATE=ELECTION/DOCUMENT[/TYPE]`; raises UsageError with the syntax."""
        found = _SYNTAX.fullmatch(text.strip())
        if not found or not _is_sound(found["template"], found["election"], found["document"], found["type"]):
            raise UsageError(
                f"cannot read the pattern {text!r}; write TEMPLATE=ELECTION/DOCUMENT[/TYPE], "
                "for example 'counts/{region}.json=pilkada-2024/hhcw/pkwkp'; each placeholder once, "
                f"ELECTION {' or '.join(CONTEST_TYPES)}, DOCUMENT {', '.join(_ADDRESSED)}, TYPE one of the election's"
            )
        template = re.escape(found["template"].strip())
        for placeholder, expression in _PLACEHOLDERS.items():
            template = template.replace(placeholder, expression)
        return cls(re.compile(rf"(?:^|/){template}\Z"), found["election"], found["document"], found["type"])

    def endpoint(self, path: str) -> Endpoint | None:
        """The document at this path, or None if the pattern does not fit or leads nowhere."""
        found = self.template.search(path)
        if not found:
            return None
        parts = {"contest_type": self.contest_type, "type": None, "region": NATIONAL, **found.groupdict()}
        try:
            return msgspec.convert(
                {
                    "election": self.election,
                    "document": self.document,
                    "contest_type": parts["contest_type"] or parts["type"],
                    "region": parts["region"],
                },
                Endpoint,
            )
        except (msgspec.ValidationError, EndpointError):
            return None


def namer(patterns: Iterable[str] = ()) -> Callable[[str], Name | None]:
    """A function from paths to names: the user's patterns first, then KPU's own paths, then known layouts.

    It answers None for a path that is no KPU document. A saved page (`.html`) is named by its file:
    which region it shows stands inside it.
    """
    own = [Pattern.parse(pattern) for pattern in patterns]
    known = [Pattern.parse(pattern) for pattern in KNOWN_LAYOUTS]

    @lru_cache(maxsize=1 << 16)  # a scrape commits the same few thousand paths again and again
    def name(path: str) -> Name | None:
        if path.endswith((".html", ".htm")):
            return Name(f"file:{path}", "text/html")
        endpoint = _first(own, path) or _by_address(path) or _first(known, path)
        return Name(endpoint.url(), "application/json") if endpoint else None

    return name


def _is_sound(template: str, election: str, document: str, contest_type: str | None) -> bool:
    """Whether the words of a pattern mean something, so that a slip is told at once and not by an empty import."""
    types: tuple[str, ...] = next((types for known, types in CONTEST_TYPES.items() if known == election), ())
    return (
        bool(types)
        and document in _ADDRESSED
        and ("{type}" in template if contest_type is None else "{type}" not in template and contest_type in types)
        and all(template.count(placeholder) <= 1 for placeholder in ("{type}", "{region}"))
    )


def _first(patterns: list[Pattern], path: str) -> Endpoint | None:
    return next((endpoint for pattern in patterns if (endpoint := pattern.endpoint(path))), None)


def _by_address(path: str) -> Endpoint | None:
    try:
        return Endpoint.from_url(path)
    except EndpointError:
        return None
