"""The provinces that take part in each contest of November 2024, from the public figures of the election."""

import csv
from functools import cache
from pathlib import Path

import msgspec

from extract.endpoints import ContestType

_FIGURES = Path(__file__).parent / "figures" / "provinces.csv"


class Province(msgspec.Struct, frozen=True):
    """A province: regencies and cities, those that are cities, stations; hours that its clocks are ahead of UTC.

    `districts` and `villages` are about right: the country has 7,288 and some 83,000.
    """

    code: str
    name: str
    regencies: int
    cities: int
    districts: int
    villages: int
    stations: int
    utc_offset: int


@cache
def provinces(contest_type: ContestType) -> tuple[str, ...]:
    """Codes of the provinces with stations in this contest: Yogyakarta elects no governor, Jakarta no mayors."""
    return tuple(row["code"] for row in _rows() if row.get(f"{contest_type}_tps"))


@cache
def all_provinces() -> tuple[Province, ...]:
    """The 38 provinces in order of codes; where both contests are held, they are held at the same stations."""
    return tuple(
        Province(
            code=row["code"],
            name=row["name"],
            regencies=int(row["pkwkp_regencies"] or row["pkwkk_regencies"]),
            stations=int(row["pkwkp_tps"] or row["pkwkk_tps"]),
            **{name: int(row[name]) for name in ("cities", "districts", "villages", "utc_offset")},
        )
        for row in _rows()
    )


def _rows() -> list[dict[str, str]]:
    with _FIGURES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
