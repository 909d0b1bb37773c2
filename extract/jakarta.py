"""What is real in a simulated night: Jakarta's regions and stations, its pairs, and KPU's figures for them.

Sources: KPU's live count of 28 November 2024, 10:00:05 WIB, and the official result of 8 December 2024.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from importlib.resources import files

import msgspec

from extract.endpoints import NATIONAL, WIB, parent_of

SEEDED = datetime(2024, 11, 26, 9, 54, 44, tzinfo=WIB)  # when KPU put up the empty files, measured
SPECIAL = 901  # prisons, hospitals and the like are numbered from here
CAPACITY = 600  # voters a station may have, regional elections of 2024
RESERVE = 1.025  # ballot papers per registered voter, likewise

Votes = tuple[int, int, int]
"""Votes of the three pairs, by ballot number."""

LISTED = "2024-11-21 21:55:15"  # when KPU put up its list of pairs; the colours are from there too
PAIRS = {
    "1000023": {"ts": LISTED, "nama": "RIDWAN KAMIL - SUSWONO", "warna": "#B67352", "nomor_urut": 1},
    "1000024": {"ts": LISTED, "nama": "DHARMA PONGREKUN - KUN WARDANA", "warna": "#8CB9BD", "nomor_urut": 2},
    "1000025": {"ts": LISTED, "nama": "PRAMONO ANUNG - RANO KARNO", "warna": "#C7B7A3", "nomor_urut": 3},
}

OFFICIAL = {  # regency: valid votes, invalid votes, registered voters, stations
    "3101": (14_687, 474, 20_908, 41),
    "3171": (417_472, 38_077, 813_721, 1_542),
    "3172": (666_975, 45_392, 1_345_815, 2_386),
    "3173": (997_075, 71_927, 1_909_774, 3_452),
    "3174": (956_702, 89_778, 1_748_961, 3_270),
    "3175": (1_307_718, 118_116, 2_374_828, 4_144),
}


class Region(msgspec.Struct, frozen=True):
    """A region or station: its name, a made-up number for KPU's internal one, its stations, the codes right below."""

    name: str
    number: int
    stations: int
    children: tuple[str, ...]


class District(msgspec.Struct, frozen=True):
    """A district in the live count: its votes, and how many of its stations were still missing."""

    code: str
    votes: Votes
    missing: int


@cache
def tree() -> dict[str, Region]:
    """Jakarta by code, in order of codes, from the country down to its 14,835 stations."""
    names = {NATIONAL: "INDONESIA", "31": "DKI JAKARTA"}
    for row in figures("dki-kelurahan.csv"):
        names |= {row[f"{level}_code"]: row[f"{level}_name"] for level in ("kab", "kec", "kel")}
        special = int(row["special_tps"])
        regular = int(row["tps"]) - special
        for number in (*range(1, regular + 1), *range(SPECIAL, SPECIAL + special)):
            names[f"{row['kel_code']}{number:03}"] = f"TPS {number:03}"
    children: dict[str | None, list[str]] = defaultdict(list)
    sizes: dict[str | None, int] = defaultdict(int)
    for code in sorted(names, key=lambda code: (-len(code), code)):  # stations first, so that sums are complete
        sizes[code] = sizes[code] or 1
        sizes[parent_of(code)] += sizes[code]
        children[parent_of(code)].append(code)
    return {
        code: Region(names[code], number, sizes[code], tuple(children[code]))
        for number, code in enumerate(sorted(names))
    }


@cache
def districts() -> tuple[District, ...]:
    """The 44 districts at 10:00:05: 1,717,245, 458,886 and 2,181,939 votes, ten stations missing."""
    return tuple(
        District(
            row["kec_code"],
            (int(row["1000023"]), int(row["1000024"]), int(row["1000025"])),
            int(row["tps_total"]) - int(row["tps_reported"]),
        )
        for row in figures("dki-kecamatan-votes.csv")
    )


def stations_in(code: str) -> list[str]:
    """The stations of a region, in order of codes."""
    children = tree()[code].children
    return [station for child in children for station in stations_in(child)] if children else [code]


def is_special(station: str) -> bool:
    """Whether a station is one of those outside the neighbourhoods."""
    return int(station[-3:]) >= SPECIAL


def figures(name: str) -> Iterator[dict[str, str]]:
    """The rows of a table of figures."""
    return csv.DictReader(files("extract").joinpath("figures", name).read_text("utf-8").splitlines())
