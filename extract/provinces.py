"""The provinces that take part in each contest of November 2024, from the public figures of the election."""

import csv
from functools import cache
from pathlib import Path

from extract.endpoints import ContestType

_FIGURES = Path(__file__).parent / "figures" / "provinces.csv"


@cache
def provinces(contest_type: ContestType) -> tuple[str, ...]:
    """Codes of the provinces with stations in this contest: Yogyakarta elects no governor, Jakarta no mayors."""
    with _FIGURES.open(encoding="utf-8", newline="") as file:
        return tuple(row["code"] for row in csv.DictReader(file) if row.get(f"{contest_type}_tps"))
