"""The questions KPU's data hosts can answer, and their addresses, both ways.

Source: the public front ends of pilkada2024.kpu.go.id (27 November 2024) and pemilu2024.kpu.go.id
(14 February 2024). Region codes are Kemendagri's, as text; a code begins with its parent's code.
"""

import re
from datetime import timedelta, timezone
from typing import Literal, get_args

import msgspec

from extract.errors import EndpointError

ElectionId = Literal["pilkada-2024", "pemilu-2024"]
DocumentKind = Literal["wilayah", "paslon", "hhcw", "hr", "page"]
ContestType = Literal["pkwkp", "pkwkk", "ppwp"]
Level = Literal["national", "province", "regency", "district", "village", "tps"]

WIB = timezone(timedelta(hours=7), "WIB")
"""KPU's clock, for the whole country: every `ts`, and whatever a person says without an offset."""

NATIONAL = "0"
"""The code of the whole country: KPU's own `0.json`."""

LEVELS: dict[int, Level] = {
    0: "national",
    2: "province",
    4: "regency",
    6: "district",
    10: "village",
    13: "tps",
}
"""Level by length of code; the country's own code counts as length 0."""

CONTEST_TYPES: dict[ElectionId, tuple[ContestType, ...]] = {
    "pilkada-2024": ("pkwkp", "pkwkk"),
    "pemilu-2024": ("ppwp",),
}

_LENGTHS = tuple(LEVELS)
_CODE = re.compile(r"[0-9]{2}[0-9A-Z]{0,11}")  # letters: overseas codes of February 2024, e.g. 99BE
_HOSTS: dict[ElectionId, tuple[str, str]] = {  # data host, first path segment
    "pilkada-2024": ("https://sirekappilkada-obj-data.kpu.go.id", "pilkada"),
    "pemilu-2024": ("https://sirekap-obj-data.kpu.go.id", "pemilu"),
}
_ELECTIONS: dict[str, ElectionId] = {prefix: election for election, (_, prefix) in _HOSTS.items()}


_PATHS = tuple(
    re.compile(rf"(?:^|/){shape}\.json\Z")
    for shape in (
        r"(?P<document>wilayah)/(?P<prefix>pilkada|pemilu)/(?P<kind>\w+)/(?P<regions>[\w/]+)",
        r"(?P<prefix>pilkada|pemilu)/(?P<document>hhcw|hr)/(?P<kind>\w+)(?:/(?P<regions>[\w/]+))?",
        r"(?P<prefix>pilkada)/paslon/(?P<kind>\w+)",
        r"(?P<prefix>pemilu)/(?P<kind>ppwp)",
    )
)


def level_of(code: str) -> Level:
    """The level of a region code, by its length."""
    if code == NATIONAL:
        return "national"
    if len(code) not in LEVELS or not _CODE.fullmatch(code):
        raise EndpointError(code, "a region code has 2, 4, 6, 10 or 13 characters, digits first")
    return LEVELS[len(code)]


def parent_of(code: str) -> str | None:
    """The code one level up; a province's parent is the country, which has none."""
    if level_of(code) == "national":
        return None
    shorter = _LENGTHS[_LENGTHS.index(len(code)) - 1]
    return code[:shorter] or NATIONAL


def lineage(code: str) -> list[str]:
    """The codes from the province down to this region: `3171` gives `31`, `3171`; the country gives none."""
    return [code[:n] for n in _LENGTHS if 0 < n <= len(code)] if code != NATIONAL else []


class Endpoint(msgspec.Struct, frozen=True, order=True):
    """One question: election, document kind, contest type and region (`0` is the country).

    A `page` is a rendered page of the public site: it has a region but no address on a data host.
    """

    election: ElectionId
    document: DocumentKind
    contest_type: ContestType
    region: str = NATIONAL

    def __post_init__(self) -> None:
        level_of(self.region)
        if self.contest_type not in CONTEST_TYPES[self.election]:
            raise EndpointError(self.contest_type, f"{self.election} has {', '.join(CONTEST_TYPES[self.election])}")
        if self.document == "paslon" and self.region != NATIONAL:
            raise EndpointError(self.region, "there is one list of pairs for the whole country")

    @property
    def path(self) -> str:
        """The path on the data host, with its leading slash."""
        prefix = _HOSTS[self.election][1]
        regions = "/".join(lineage(self.region))
        match self.document:
            case "wilayah":
                return f"/wilayah/{prefix}/{self.contest_type}/{regions or NATIONAL}.json"
            case "paslon":
                kind = "paslon/" if self.election == "pilkada-2024" else ""  # February kept it one level higher
                return f"/{prefix}/{kind}{self.contest_type}.json"
            case "hhcw" | "hr":
                return "/".join(filter(None, (f"/{prefix}/{self.document}/{self.contest_type}", regions))) + ".json"
            case "page":
                raise EndpointError(self.region, "a rendered page has no address on a data host")

    def url(self, base_url: str | None = None) -> str:
        """The address on KPU's host, or on another one that serves the same paths."""
        return (base_url or _HOSTS[self.election][0]).rstrip("/") + self.path

    @classmethod
    def from_url(cls, url: str) -> "Endpoint":
        """The question an address asks; the host does not matter, so stand-ins and folders work.

        Raises EndpointError for anything that is not a document of one of the two elections.
        """
        path = url.split("://", 1)[-1].split("?", 1)[0]
        for shape in _PATHS:
            if found := shape.search(path):
                part = found.groupdict()
                regions = [code for code in (part.get("regions") or "").split("/") if code not in ("", NATIONAL)]
                return cls._checked(url, part["prefix"], part.get("document") or "paslon", part["kind"], regions)
        raise EndpointError(url, "no wilayah, paslon, hhcw or hr path")

    @classmethod
    def _checked(cls, url: str, prefix: str, document: str, kind: str, regions: list[str]) -> "Endpoint":
        region = regions[-1] if regions else NATIONAL
        if kind not in get_args(ContestType):
            raise EndpointError(url, f"unknown contest type {kind!r}")
        level_of(region)
        if regions != lineage(region):
            raise EndpointError(url, "the region codes do not nest")
        return msgspec.convert(
            {"election": _ELECTIONS[prefix], "document": document, "contest_type": kind, "region": region},
            cls,
        )
