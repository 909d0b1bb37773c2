"""What happens in a simulated night of the country: who stands where to win what, which district counts how fast."""

from datetime import datetime, timedelta

import msgspec

from extract import jakarta
from extract.contests import SimulatedType, area_of, pairs_in
from extract.counting import Count, counted, reached
from extract.country import country
from extract.draws import draw, key, uniform
from extract.errors import UsageError
from extract.jakarta import OFFICIAL
from extract.night import CYCLE, FINAL, FINAL_SECOND, OPENING, WITHDRAWAL, WITHDRAWAL_SECOND
from extract.provinces import all_provinces

LEVELS_BEHIND = 3  # the regencies' files, the provinces' and the country's can each be late

_TURNOUT = 1.5  # registered voters per valid vote
_BEHIND = {7: (0.0, 0.002), 8: (2.0, 0.005), 9: (4.0, 0.02)}  # by UTC offset: quarters of an hour early, share missing
_OFFSETS = {province.code: province.utc_offset for province in all_provinces()}
_REAL = {district.code: district for district in jakarta.districts()}


class NationalNight(msgspec.Struct, frozen=True, kw_only=True):
    """Which night: its seed, how many publications it lasts (77 is the night of 2024), and what goes wrong in it.

    `within` are the provinces that take part; none named is all. `revisions` is the share (0 to 1) of stations whose
    first figures are revised. `lag` is how many publications a regency's file is behind its districts', the
    province's behind its regencies', the country's behind its provinces'. `withdrawal` turns every vote into 0 three
    publications after the last.
    """

    seed: int = 1
    cycles: int = FINAL + 1
    within: tuple[str, ...] = ()
    revisions: float = 0.0
    lag: int = 0
    withdrawal: bool = False

    def __post_init__(self) -> None:
        known = {province.code for province in all_provinces()}
        if unknown := sorted(set(self.within) - known):
            raise UsageError(f"the night is simulated for whole provinces, which {', '.join(unknown)} is not")
        if not 3 <= self.cycles <= 2_000:
            raise UsageError(f"a night lasts 3 to 2,000 publications, not {self.cycles}")
        if not 0 <= self.revisions <= 1:
            raise UsageError(f"revisions is a share of all stations, 0 to 1, not {self.revisions}")
        if self.lag < 0:
            raise UsageError(f"lag is a number of publications, 0 or more, not {self.lag}")

    @property
    def withdrawn(self) -> int:
        """The cycle from which every vote is 0, if the night ends so."""
        return self.cycles - 1 + WITHDRAWAL - FINAL


def publications(night: NationalNight) -> list[datetime]:
    """When KPU published: each quarter of an hour and up to six seconds, until nothing changes any more."""
    stream = key(night.seed, "publications")
    last = night.withdrawn if night.withdrawal else night.cycles - 1 + LEVELS_BEHIND * night.lag
    seconds = [draw(stream, cycle) % 7 for cycle in range(last + 1)]
    seconds[night.cycles - 1] = FINAL_SECOND
    if night.withdrawal:
        seconds[last] = WITHDRAWAL_SECOND
    return [OPENING + cycle * CYCLE + timedelta(seconds=second) for cycle, second in enumerate(seconds)]


def count_of(night: NationalNight, contest_type: SimulatedType, district: int) -> Count:
    """What will have been counted in a district, and how fast: Jakarta's real figures, others drawn."""
    code = f"{country().districts[district]}"
    stream, size = key(night.seed, contest_type, code), country().size(code)
    early, missing_share = _BEHIND[_OFFSETS[code[:2]]]
    if not (is_city := country().is_city(code)):
        early -= uniform(stream, -7, 0, 4)
    pace = uniform(stream, -2, 0.85, 1.05) if is_city else uniform(stream, -2, 1.0, 1.75)
    totals: tuple[int, ...]
    if code in _REAL:
        valid, invalid, voters, in_regency = OFFICIAL[code[:4]]
        missing, totals = _REAL[code].missing, _REAL[code].votes
        registered, share = voters / in_regency, invalid / valid
    else:
        missing = int(size * missing_share * 2 * uniform(stream, -3) + uniform(stream, -4))
        mean = uniform(stream, -5, 240, 380)  # valid votes at a station
        strengths = _strengths(night, contest_type, code)
        weights = [strength * uniform(stream, -10 - pair, 0.6, 1.4) for pair, strength in enumerate(strengths)]
        totals = tuple(round((size - missing) * mean * weight / sum(weights)) for weight in weights)
        registered, share = mean * _TURNOUT, uniform(stream, -6, 0.03, 0.07)
    arrived = reached(stream, size - missing, night.cycles, early, pace)
    return counted(Count(stream, size, size - missing, totals, share, registered, arrived), night.revisions)


def _strengths(night: NationalNight, contest_type: SimulatedType, code: str) -> list[float]:
    """How strong a contest's pairs are on the whole."""
    stream = key(night.seed, "strengths", contest_type, area_of(contest_type, code))
    return [uniform(stream, pair, 0.5, 1.5) for pair in range(len(pairs_in(contest_type, code)))]
