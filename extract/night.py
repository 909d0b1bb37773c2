"""What happened at Jakarta's stations in a simulated count night: who reported what, and when.

Districts' votes, missing stations and the shares of invalid votes are real (`extract.jakarta`). Drawn from the seed:
how a district's votes spread over its stations, when each reported, and who blundered. Every draw comes from a
stream named by seed and purpose, so nothing depends on the order of questions.
"""

import math
from datetime import datetime, timedelta
from itertools import accumulate, combinations, pairwise
from random import Random
from typing import Literal

import msgspec

from extract.endpoints import NATIONAL, WIB
from extract.errors import UsageError
from extract.jakarta import CAPACITY, OFFICIAL, RESERVE, Votes, districts, is_special, stations_in

OPENING = datetime(2024, 11, 27, 15, tzinfo=WIB)  # the polls closed at 13:00, the first forms came two hours later
CYCLE = timedelta(minutes=15)  # KPU's rhythm, measured
MIDNIGHT = 36  # the cycle of 00:00
FINAL, FINAL_SECOND = 76, 5  # the cycle of 10:00:05, whose figures are known
WITHDRAWAL, WITHDRAWAL_SECOND = 79, 4  # the cycle of 10:45:04, when every vote became 0
LATECOMERS = 3  # stations that report after the withdrawal, one a cycle: KPU had counted one more by 10:45:04

Kind = Literal["revision", "slip", "swap", "jump"]
"""How a station's first figures were wrong: by a few votes, a misread digit, two pairs exchanged, thousands."""

FlawKind = Literal[
    "sum", "total", "voters", "lists", "reserve", "crowd", "sexes", "image", "scan", "own", "stranger", "silent",
    "flag", "unlisted", "chart", "progress", "stale",
]  # fmt: skip
"""How one document can be wrong; `extract.mistakes` says what each is."""


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """Which night: its seed, and what goes wrong in it.

    `revisions`, `slips`, `swaps` and `jumps` are shares (0 to 1) of the stations whose first figures are wrong and
    corrected later. `flaws` says how many documents are wrong for a while, by kind (`extract.mistakes`), in the part
    of the province whose code is `flawed`. `lag` is how many publications a regency's file is behind its districts',
    and the province's behind its regencies'. `withdrawal` turns every vote into 0 at 10:45:04 WIB on 28 November, as
    KPU did.
    """

    seed: int = 1
    revisions: float = 0.0
    slips: float = 0.0
    swaps: float = 0.0
    jumps: float = 0.0
    flaws: dict[FlawKind, int] = {}
    flawed: str = "31"
    lag: int = 0
    withdrawal: bool = False

    def __post_init__(self) -> None:
        shares = (self.revisions, self.slips, self.swaps, self.jumps)
        if not (min(shares) >= 0 and sum(shares) <= 1):
            raise UsageError(
                f"revisions, slips, swaps, jumps are shares of all stations, together 0 to 1, not {shares}"
            )
        if self.lag < 0:
            raise UsageError(f"lag is a number of publications, 0 or more, not {self.lag}")


class Report(msgspec.Struct, frozen=True):
    """What is shown of a station from a cycle on: votes as read, valid and invalid ones as on the form.

    A misread or exchanged figure leaves the form's own sums alone, as in KPU's files of February 2024.
    """

    cycle: int
    votes: Votes
    valid: int
    invalid: int
    blunder: Kind | None = None


def publications(night: Night) -> list[datetime]:
    """When KPU published: each quarter of an hour and up to six seconds, until nothing changes any more."""
    last = WITHDRAWAL + LATECOMERS - 1 if night.withdrawal else FINAL + 2 * night.lag  # two levels are behind
    rng = _stream(night, "publications")
    seconds = [rng.randint(0, 6) for _ in range(last + 1)]
    seconds[FINAL] = FINAL_SECOND
    if night.withdrawal:
        seconds[WITHDRAWAL] = WITHDRAWAL_SECOND
    return [OPENING + cycle * CYCLE + timedelta(seconds=second) for cycle, second in enumerate(seconds)]


def reports(night: Night) -> dict[str, tuple[Report, ...]]:
    """What each station reported, by its code: the last report is right, one before it was a blunder.

    Stations that missed the night are not in it. The right votes of a district add up to KPU's figures for it.
    """
    missing = _missing(night)
    ballots = _ballots(night, missing)
    right = {}
    for code, cycle in _cycles(night, missing).items():
        votes, invalid = ballots[code]
        right[code] = Report(cycle, votes, sum(votes), invalid)
    return {code: (report,) for code, report in right.items()} | _corrected(night, right)


def form(night: Night, code: str, report: Report) -> dict[str, int]:
    """The administration part of a station's form."""
    _, _, registered, stations = OFFICIAL[code[:4]]
    return filled(_stream(night, f"form:{code}"), registered / stations, report.valid, report.invalid)


def filled(rng: Random, registered: float, valid: int, invalid: int) -> dict[str, int]:
    """A form with KPU's 18 keys, where stations have so many registered voters; `j` = `l` (men) + `p` (women)."""
    voters = valid + invalid
    moved_in, with_card = rng.randint(0, 6), rng.randint(0, 12)  # voters not on the station's list: a handful
    from_list = voters - moved_in - with_card
    listed = max(round(registered * rng.uniform(0.88, 1.06)), math.ceil(voters / RESERVE), from_list)
    listed = min(listed, CAPACITY)
    men = [round(people * rng.uniform(0.42, 0.54)) for people in (from_list, moved_in, with_card, listed - from_list)]
    both = {
        "pemilih_dpt": (listed, men[0] + men[3]),
        "pengguna_dpt": (from_list, men[0]),
        "pengguna_dptb": (moved_in, men[1]),
        "pengguna_non_dpt": (with_card, men[2]),
        "pengguna_total": (voters, sum(men[:3])),
    }
    keys = {"suara_sah": valid, "suara_tidak_sah": invalid, "suara_total": voters}
    for name, (everyone, male) in both.items():
        keys |= {f"{name}_j": everyone, f"{name}_l": male, f"{name}_p": everyone - male}
    return {key: keys[key] for key in sorted(keys, key=lambda key: (len(key), key))}  # KPU's order, by length


def _stream(night: Night, purpose: str) -> Random:
    return Random(f"{night.seed}:{purpose}")  # noqa: S311 - a text seeds alike in every process; nothing is secret


def _missing(night: Night) -> list[str]:
    """The ten ordinary stations that had not reported by 10:00:05."""
    rng = _stream(night, "missing")
    codes: list[str] = []
    for district in districts():
        ordinary = [code for code in stations_in(district.code) if not is_special(code)]
        codes += rng.sample(ordinary, district.missing)
    return codes


def _cycles(night: Night, missing: list[str]) -> dict[str, int]:
    """The cycle in which each station is first counted, without those that never are.

    S-shaped, half by 18:00 and 99.7 % by 01:00 as KPU showed then; specials between midnight and 10:00:05.
    """
    rng = _stream(night, "cycles")
    cycles = {code: 1 + int((FINAL - 1) * rng.betavariate(3, 15)) for code in stations_in(NATIONAL)}
    specials = [code for code in cycles if is_special(code)]
    rng.shuffle(specials)
    for rank, code in enumerate(specials, start=1):
        cycles[code] = MIDNIGHT + (FINAL - MIDNIGHT) * rank // len(specials)
    for rank, code in enumerate(missing):
        if night.withdrawal and rank < LATECOMERS:
            cycles[code] = WITHDRAWAL + rank
        else:
            del cycles[code]
    return cycles


def _ballots(night: Night, missing: list[str]) -> dict[str, tuple[Votes, int]]:
    """The votes and the invalid ones in each station's box. A missing station's are like its neighbours'."""
    ballots: dict[str, tuple[Votes, int]] = {}
    for district in districts():
        rng = _stream(night, f"ballots:{district.code}")
        valid, invalid, _, _ = OFFICIAL[district.code[:4]]
        codes = stations_in(district.code)
        counted = [code for code in codes if code not in missing]
        for some in (counted, [code for code in codes if code in missing]):
            totals = [votes * len(some) // len(counted) for votes in district.votes]
            for code, votes in zip(some, _spread(rng, totals, len(some)), strict=True):
                ballots[code] = (votes, round(sum(votes) * invalid / valid * rng.uniform(0.4, 1.6)))
    return ballots


def _spread(rng: Random, totals: list[int], count: int) -> list[Votes]:
    """Totals over so many stations, in whole numbers that add up exactly.

    Stations differ in size by up to 42 %, and lean to one of the two large pairs without changing size: with the
    largest district's mean of 371 votes and its invalid ones this stays below 600.
    """
    sizes, leans, extras = (_deviations(rng, count, width) for width in (0.42, 0.45, 0.4))
    tilt = totals[0] / max(totals[2], 1)
    weights = [
        (1 + size + lean, 1 + size + extra, 1 + size - lean * tilt)
        for size, lean, extra in zip(sizes, leans, extras, strict=True)
    ]
    columns = []
    for total, column in zip(totals, zip(*weights, strict=True), strict=False):
        ends = [0, *(round(total * part / sum(column)) for part in accumulate(column))]
        columns.append([end - start for start, end in pairwise(ends)])
    return list(zip(*columns, strict=True))


def _deviations(rng: Random, count: int, width: float) -> list[float]:
    """Deviations from the mean that cancel out, each having its mirror image, mostly small."""
    half = [rng.triangular(-width, width) for _ in range(count // 2)]
    both = half + [-deviation for deviation in half] + [0.0] * (count % 2)
    rng.shuffle(both)
    return both


def _corrected(night: Night, right: dict[str, Report]) -> dict[str, tuple[Report, ...]]:
    """The stations whose first figures are wrong, each corrected within four hours and by 10:00:05."""
    rng = _stream(night, "blunders")
    codes = [code for code, report in right.items() if report.cycle < FINAL]
    rng.shuffle(codes)
    shares: dict[Kind, float] = {
        "revision": night.revisions,
        "slip": night.slips,
        "swap": night.swaps,
        "jump": night.jumps,
    }
    kinds = [kind for kind, share in shares.items() for _ in range(round(share * len(codes)))]
    corrected: dict[str, tuple[Report, ...]] = {}
    for code, kind in zip(codes, kinds, strict=False):
        first, cycle = right[code], min(right[code].cycle + rng.randint(1, 16), FINAL)
        corrected[code] = (_blunder(rng, kind, first), msgspec.structs.replace(first, cycle=cycle))
    return corrected


def _blunder(rng: Random, kind: Kind, right: Report) -> Report:
    """The first figures that such a blunder makes of a station's right ones."""
    votes, pair, moved = list(right.votes), rng.randrange(3), 0
    if kind == "swap":
        one, other = rng.choice([(i, k) for i, k in combinations(range(3), 2) if votes[i] != votes[k]])
        votes[one], votes[other] = votes[other], votes[one]
    elif kind == "slip":
        place = rng.choice((10, 100))
        digit = votes[pair] // place % 10
        votes[pair] += place * rng.choice([misread - digit for misread in range(10) if misread != digit])
    elif kind == "jump":  # a digit in front, to a small pair
        votes[1] += 3000
    else:  # a few invalid votes taken for valid, or the reverse: as many ballots as before
        moved = rng.choice([few for few in range(-5, 6) if few and -votes[pair] <= few <= right.invalid])
        votes[pair] += moved
    return Report(right.cycle, (votes[0], votes[1], votes[2]), right.valid + moved, right.invalid - moved, kind)
