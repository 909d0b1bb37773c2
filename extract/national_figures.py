"""The figures of every region and station over a simulated night of the country, summed when they are asked for."""

from collections.abc import Sequence
from functools import lru_cache
from random import Random

from extract.contests import TYPES, SimulatedType, pairs_in
from extract.counting import Count, Stations, stations
from extract.country import country
from extract.draws import draw
from extract.endpoints import NATIONAL, Level
from extract.national_night import NationalNight, count_of
from extract.night import filled
from extract.provinces import provinces

_KEPT = 16_384  # more than the districts, regencies and provinces of both contest types

Row = tuple[int, tuple[int, ...]]
"""Stations that reported, and the votes of each pair; no pairs where there are several contests."""


class NationalFigures:
    """The figures of one night. What is kept is bounded by the number of districts, whatever is asked."""

    def __init__(self, night: NationalNight) -> None:
        self.night = night
        self._provinces = {
            kind: tuple(code for code in provinces(kind) if code in (night.within or (code,))) for kind in TYPES
        }
        self._count = lru_cache(_KEPT)(self._counted)
        self._stations = lru_cache(_KEPT)(self._stations_of)
        self._sum = lru_cache(_KEPT)(self._summed)
        self._changes = lru_cache(_KEPT)(self._joined)

    def has(self, kind: SimulatedType, code: str) -> bool:
        """Whether there is such a region or station, and it takes part."""
        taking_part = self._provinces[kind]
        return bool(taking_part) if code == NATIONAL else code[:2] in taking_part and country().has(code)

    def children(self, kind: SimulatedType, code: str) -> Sequence[str]:
        """The codes right below a region that take part, in order. Raises KeyError if there is no such region."""
        return self._provinces[kind] if code == NATIONAL else country().children(code)

    def size(self, kind: SimulatedType, code: str) -> int:
        """How many stations of a region take part."""
        return sum(map(country().size, self._provinces[kind] if code == NATIONAL else [code]))

    def row(self, kind: SimulatedType, code: str, cycle: int, *, is_true: bool = False) -> Row:
        """Stations that reported by a cycle, and their votes: as shown, or as they were."""
        if cycle < 0:
            return 0, (0,) * len(pairs_in(kind, code))
        summed = self._sum if len(code) <= 6 else self._summed  # a village's row is not worth keeping
        reported, votes = summed(kind, code, min(cycle, self.night.cycles - 1), is_true)
        if self.night.withdrawal and cycle >= self.night.withdrawn and not is_true:
            return reported, (0,) * len(votes)
        return reported, votes

    def changes(self, kind: SimulatedType, code: str) -> int:
        """Bit n says that what a document shows changed in cycle n, if it is not late."""
        if len(code) <= 6:
            return self._changes(kind, code)
        (district,) = country().within(code)
        count, own = self._count(kind, district), self._stations(kind, district)
        mask = 0
        for place in country().places(code):
            if (rank := own.ranks[place]) < count.counted:
                mask |= 1 << count.cycle_of(rank)
                if rank in own.revised:
                    mask |= 1 << own.revised[rank].until
        return self._with_withdrawal(mask)

    def renewed(self, kind: SimulatedType, code: str, level: Level, cycle: int) -> list[str]:
        """The villages or stations in a district that show something new in this cycle."""
        (district,) = country().within(code)
        count, own = self._count(kind, district), self._stations(kind, district)
        is_end = cycle >= self.night.cycles
        ranks = range(count.counted) if is_end else count.renewed(cycle)  # at the end all votes are withdrawn at once
        return sorted({country().code_at(district, own.order[rank], level) for rank in ranks})

    def form(self, kind: SimulatedType, code: str, cycle: int) -> dict[str, int] | None:
        """A station's form by a cycle, as it is shown; None before it reports. It outlives a withdrawal."""
        (district,), (place,) = country().within(code), country().places(code)
        count, own = self._count(kind, district), self._stations(kind, district)
        rank = own.ranks[place]
        if cycle < 0 or rank >= count.reached[min(cycle, self.night.cycles - 1)]:
            return None
        valid = sum(own.votes_of(rank))
        invalid = count.invalid_votes(rank, valid)
        moved = own.revised[rank].moved if rank in own.revised and own.revised[rank].is_in(cycle) else 0
        rng = Random(draw(count.stream ^ 5, rank))  # noqa: S311 - nothing is secret
        return filled(rng, count.registered, valid + moved, invalid - moved)

    def _summed(self, kind: SimulatedType, code: str, cycle: int, is_true: bool) -> Row:
        if len(code) < 6:
            rows = [self._sum(kind, child, cycle, is_true) for child in self.children(kind, code)]
            columns = zip(*(votes for _, votes in rows), strict=True) if pairs_in(kind, code) else ()
            return sum(reported for reported, _ in rows), tuple(map(sum, columns))
        (district,) = country().within(code)
        count = self._count(kind, district)
        if len(code) == 6:
            return count.reached[cycle], tuple(count.first(count.reached[cycle]) if is_true else count.shown(cycle))
        own = self._stations(kind, district)
        ranks = [rank for place in country().places(code) if (rank := own.ranks[place]) < count.reached[cycle]]
        votes = [sum(column) for column in zip(*map(own.votes_of, ranks), strict=True)] or [0] * len(count.totals)
        for revision in (own.revised[rank] for rank in ranks if rank in own.revised and not is_true):
            votes[revision.pair] += revision.moved * revision.is_in(cycle)
        return len(ranks), tuple(votes)

    def _joined(self, kind: SimulatedType, code: str) -> int:
        if len(code) == 6:
            (district,) = country().within(code)
            return self._with_withdrawal(self._count(kind, district).changes)
        mask = 0
        for child in self.children(kind, code):
            mask |= self._changes(kind, child)
        return mask

    def _with_withdrawal(self, mask: int) -> int:
        return mask | (1 << self.night.withdrawn if mask and self.night.withdrawal else 0)

    def _counted(self, kind: SimulatedType, district: int) -> Count:
        return count_of(self.night, kind, district)

    def _stations_of(self, kind: SimulatedType, district: int) -> Stations:
        return stations(self._count(kind, district), country().special_places(district))
