"""The contests of a simulated country: who stands where. Jakarta's three pairs are real, all others made up.

KPU had 37 contests with a single pair against the blank column, among the governors' only West Papua's; in 14 of
them the blank column had number 1.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import msgspec

from extract import jakarta
from extract.country import country
from extract.draws import draw, key
from extract.endpoints import Level
from extract.provinces import provinces

SimulatedType = Literal["pkwkp", "pkwkk"]
TYPES: tuple[SimulatedType, ...] = ("pkwkp", "pkwkk")

ELECTING: dict[SimulatedType, Level] = {"pkwkp": "province", "pkwkk": "regency"}
"""The level whose regions each elect somebody."""

_SINGLE: dict[SimulatedType, int] = {"pkwkp": 1, "pkwkk": 36}
_BLANK_FIRST = 14  # all of them in the regencies
_BLANK = "KOLOM KOSONG - "
_WEST_PAPUA = "92"
_FIRST_ID: dict[SimulatedType, int] = {"pkwkp": 2_000_000, "pkwkk": 3_000_000}  # KPU's own began with 1,000,000
_COLOURS = ("#B67352", "#8CB9BD", "#C7B7A3", "#7A8B6F")


class Contest(msgspec.Struct, frozen=True):
    """One contest: where, and its pairs as KPU lists them, by candidate id."""

    code: str
    pairs: dict[str, dict[str, Any]]


@cache
def contests(contest_type: SimulatedType) -> dict[str, Contest]:
    """The contests of a type by the code of where they are held, in order: 37 governors, 508 regents and mayors."""
    areas = [code for province in provinces(contest_type) for code in country().codes(ELECTING[contest_type], province)]
    drawn = sorted(areas, key=lambda code: (code != _WEST_PAPUA, draw(key("single", contest_type), int(code))))
    single = {code: place for place, code in enumerate(drawn[: _SINGLE[contest_type]])}
    made_up = {}
    for number, code in enumerate(areas):
        first = _FIRST_ID[contest_type] + 10 * number
        if code in single:
            is_blank_first = contest_type == "pkwkk" and single[code] < _BLANK_FIRST
            names = [_BLANK, _made_up(code, 2)] if is_blank_first else [_made_up(code, 1), _BLANK]
            made_up[code] = _contest(code, first, names)
        else:
            pairs = 2 + draw(key("pairs", contest_type), int(code)) % 3
            made_up[code] = _contest(code, first, [_made_up(code, pair) for pair in range(1, pairs + 1)])
    return made_up | ({"31": Contest("31", jakarta.PAIRS)} if contest_type == "pkwkp" else {})


def area_of(contest_type: SimulatedType, code: str) -> str:
    """Where the contest is held that a region belongs to; the region itself where there are several."""
    return code[: 2 if contest_type == "pkwkp" else 4]


def pairs_in(contest_type: SimulatedType, code: str) -> Sequence[str]:
    """The candidate ids of the contest that a region belongs to; none where there are several."""
    contest = contests(contest_type).get(area_of(contest_type, code))
    return tuple(contest.pairs) if contest else ()


def _made_up(code: str, number: int) -> str:
    return f"CALON REKAAN {code}-{number} - WAKIL REKAAN {code}-{number}"


def _contest(code: str, first: int, names: list[str]) -> Contest:
    return Contest(
        code,
        {
            f"{first + number}": {
                "ts": jakarta.LISTED,
                "nama": name,
                "warna": _COLOURS[number - 1],
                "nomor_urut": number,
            }
            for number, name in enumerate(names, start=1)
        },
    )
