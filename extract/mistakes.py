"""What can be wrong in a simulated night, beside the blunders of stations: one document or another for a while.

Each kind breaks one rule that people hold KPU's figures against (E1 to E20), and as little else as it can.
"""

from collections import defaultdict
from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec

from extract.endpoints import parent_of
from extract.errors import UsageError
from extract.jakarta import CAPACITY, PAIRS, RESERVE, Votes, is_special
from extract.night import FINAL, MIDNIGHT, FlawKind, Kind, Night, Report

RULES: dict[FlawKind, str] = {
    "sum": "E1",  # the form's valid votes misread
    "total": "E2",  # its total misread
    "voters": "E3",  # fewer voters than votes
    "lists": "E4",  # a list of voters misread
    "reserve": "E5",  # too few registered voters for the votes
    "crowd": "E6",  # more voters than a station may have
    "sexes": "E7",  # men misread
    "own": "E8",  # the station's own document differs from its row above
    "chart": "E8",  # a region's chart differs from its table
    "progress": "E9",  # more stations reported than there are
    "flag": "E9",  # a row says that a station has not reported, which has
    "stale": "E11",  # an old file is served again
    "silent": "E13",  # content changes, the file's time does not
    "stranger": "E18",  # a candidate of another contest
    "unlisted": "E19",  # a station that no list has
    "image": "E20",  # votes, and no scans
    "scan": "E20",  # scans, and no votes yet
}
_PASSING = ("stale", "silent", "scan")  # what never ends cannot be told from what is right
PROVINCE, STATION = "31", 13  # the province's code, and how long a station's is
_MISREAD = 7  # votes or people; a single digit of tens or hundreds would be a slip
_CELLS: dict[FlawKind, dict[str, int]] = {  # by how much cells of a station's form are misread
    "sum": {"suara_sah": -_MISREAD, "suara_tidak_sah": _MISREAD},
    "total": {"suara_total": -_MISREAD},
    "lists": {"pengguna_dptb_j": _MISREAD, "pengguna_dptb_l": _MISREAD},
    "sexes": {"pengguna_total_l": _MISREAD},
}
_STRANGER = "1000099"

Body = dict[str, Any]


class Flaw(msgspec.Struct, frozen=True):
    """A document that is wrong from one cycle until another (None: for good), and the unit it is wrong about."""

    kind: FlawKind
    document: str
    unit: str
    since: int
    until: int | None

    def is_in(self, version: int) -> bool:
        """Whether a file made in this cycle has it."""
        return self.since <= version and (self.until is None or version < self.until)


def place(
    night: Night, reports: Mapping[str, tuple[Report, ...]], changes: Mapping[str, list[int]]
) -> dict[str, list[Flaw]]:
    """The night's flaws by document: as many of each kind as it asks for, each station having one at most.

    Two of three are corrected within four hours. Raises UsageError if the area is too small for so many.
    """
    rng = Random(f"{night.seed}:flaws")  # noqa: S311 - a text seeds alike in every process; nothing is secret
    stations = [
        code
        for code, own in reports.items()
        if code.startswith(night.flawed) and len(own) == 1 and 2 < own[0].cycle < FINAL and not is_special(code)
    ]
    regions = [code for code in changes if code.startswith(night.flawed) and 4 <= len(code) <= 10]
    rng.shuffle(stations)
    rng.shuffle(regions)
    placed: dict[str, list[Flaw]] = defaultdict(list)
    for kind in (kind for kind, count in sorted(night.flaws.items()) for _ in range(count)):
        try:
            document, unit, since = _spot(kind, rng, placed, stations, regions, reports, changes)
        except StopIteration:
            raise UsageError(f"{night.flawed} is too small for so many flaws: {dict(night.flaws)}") from None
        until = min(since + (1 if kind == "scan" else rng.randint(2, 16)), FINAL)
        is_corrected = kind in _PASSING or rng.random() < 2 / 3
        placed[document].append(Flaw(kind, document, unit, since, until if is_corrected else None))
    return dict(placed)


def _spot(
    kind: FlawKind,
    rng: Random,
    placed: Mapping[str, list[Flaw]],
    stations: list[str],
    regions: list[str],
    reports: Mapping[str, tuple[Report, ...]],
    changes: Mapping[str, list[int]],
) -> tuple[str, str, int]:
    """Document, unit and first cycle of a flaw; raises StopIteration if there is no place left."""

    def is_free(code: str) -> bool:
        return not any(flaw.kind in (kind, "stale") for flaw in placed.get(code, ()))

    if kind in ("chart", "progress"):  # the province has no row above that could tell better
        return PROVINCE, PROVINCE, rng.choice([cycle for cycle in changes[PROVINCE] if 4 < cycle < MIDNIGHT - 8])
    if kind in ("stale", "unlisted"):
        document = next(
            code for code in regions if (code not in placed if kind == "stale" else len(code) == 10 and is_free(code))
        )
        unit = f"{document}999" if kind == "unlisted" else document
        return document, unit, rng.choice([cycle for cycle in changes[document][2:] if cycle < FINAL - 2])
    unit = next(code for code in stations if kind != "flag" or is_free(str(parent_of(code))))
    stations.remove(unit)
    return (str(parent_of(unit)) if kind == "flag" else unit), unit, reports[unit][0].cycle - (kind == "scan")


def rules_of(kind: Kind, wrong: Votes, right: Votes) -> tuple[str, ...]:
    """The rules that a station breaks whose first figures are wrong, when they are shown or corrected."""
    rules = {"revision": (), "slip": ("E1", "E15"), "swap": ("E14",), "jump": ("E1", "E15")}[kind]
    fell = any(after < before for before, after in zip(wrong, right, strict=True))
    return (*rules, *(("E6",) if sum(wrong) > CAPACITY else ()), *(("E10",) if fell else ()))


def spoil(flaw: Flaw, body: Body) -> None:
    """Put the flaw into a body."""
    if flaw.kind in _CELLS:
        _add(body["tungsura"]["administrasi"], _CELLS[flaw.kind])
    elif flaw.kind in ("voters", "reserve", "crowd"):
        _spoil_voters(flaw.kind, body["tungsura"]["administrasi"])
    elif len(flaw.document) == STATION:
        _spoil_station(flaw, body)
    else:
        _spoil_region(flaw, body)


def _spoil_voters(kind: FlawKind, form: dict[str, int]) -> None:
    """Voters or registered voters that do not fit the votes; the form's own sums stay right."""
    if kind == "reserve":
        fewer = form["pemilih_dpt_j"] - int(form["suara_total"] / RESERVE) + _MISREAD
        _add(form, {"pemilih_dpt_j": -fewer, "pemilih_dpt_l": -(fewer // 2), "pemilih_dpt_p": fewer // 2 - fewer})
    else:
        voters = form["suara_total"] - _MISREAD if kind == "voters" else CAPACITY + _MISREAD
        more = voters - form["pengguna_total_j"]
        _add(form, {f"pengguna_{of}_{sex}": more for of in ("total", "dpt") for sex in "jl"})


def _spoil_station(flaw: Flaw, body: Body) -> None:
    """What a station's document shows beside its form."""
    match flaw.kind:
        case "own":
            body["tungsura"]["chart"][max(PAIRS)] -= _MISREAD
            _add(body["tungsura"]["administrasi"], _CELLS["sum"])
        case "stranger":
            body["tungsura"]["chart"][_STRANGER] = 0
        case "image":
            body["images"] = [None, None, None]
        case "scan":
            body["images"] = [f"https://simulated.invalid/{flaw.unit}-1.jpg", None, None]
        case "silent":
            body["images"] = [image.replace(".jpg", "-draft.jpg") for image in body["images"]]


def _spoil_region(flaw: Flaw, body: Body) -> None:
    """A region's chart, table or progress. A stale file is another file altogether."""
    nest = body["tungsura"]
    match flaw.kind:
        case "chart":
            nest["chart"][max(PAIRS)] -= _MISREAD
        case "progress":
            for progress in (body["progres"], nest["chart"]["progres"]):
                progress["total"] = progress["progres"] - 1
        case "flag":
            nest["table"][flaw.unit]["status_progress"] = False
        case "unlisted":
            progress = {"total": 1, "persen": 0.0, "progres": 0}
            nest["table"][flaw.unit] = {"psu": "Reguler", "progres": progress, "status_progress": False}


def _add(form: dict[str, int], amounts: Mapping[str, int]) -> None:
    for key, amount in amounts.items():
        form[key] += amount
