"""A simulated count night of the whole country, in both contest types: any document of any moment, on demand.

As `extract.simulator` for Jakarta, and with Jakarta's real tree, pairs and final figures in it; everything else about
the count is made up and says so. Nothing is kept per document: a body is a pure function of options, address and
moment, summed over districts (`extract.counting`) and looked up in the arrays of `extract.country`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from random import Random

import msgspec

from extract import jakarta
from extract.bodies import Body, figures, listed, region, station
from extract.capture import Capture, capture
from extract.contests import TYPES, SimulatedType, contests
from extract.counting import Count, Stations, counted, reached, stations
from extract.country import country
from extract.draws import draw, key, uniform
from extract.endpoints import LEVELS, NATIONAL, ContestType, DocumentKind, Endpoint, Level, level_of
from extract.errors import UsageError
from extract.jakarta import OFFICIAL, SEEDED
from extract.night import CYCLE, FINAL, FINAL_SECOND, OPENING, WITHDRAWAL, WITHDRAWAL_SECOND, filled
from extract.provinces import all_provinces, provinces
from extract.simulator import BETWEEN_ANSWERS, FIRST_ANSWER, Counted, Depth

_LAGS: dict[Level, int] = {"national": 3, "province": 2, "regency": 1}
_ORDER: tuple[Level, ...] = tuple(LEVELS.values())
_DISTRICTS = 16_384  # more than both contest types have: their stations take 2 KB each once somebody asked
_TURNOUT = 1.5  # registered voters per valid vote
_BEHIND = {7: (0.0, 0.002), 8: (2.0, 0.005), 9: (4.0, 0.02)}  # by UTC offset: quarters of an hour early, share missing


_OFFSETS = {province.code: province.utc_offset for province in all_provinces()}
_REAL = {district.code: district for district in jakarta.districts()}

Row = tuple[int, tuple[int, ...]]
"""Stations that reported, and the votes of each pair; no pairs where there are several contests."""


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


class NationalSimulation:
    """One night of the country. Every answer depends on the question alone."""

    def __init__(self, night: NationalNight) -> None:
        self.night = night
        self._provinces = {
            kind: tuple(code for code in provinces(kind) if code in (night.within or (code,))) for kind in TYPES
        }
        self._count = lru_cache(_DISTRICTS)(self._counted)
        self._stations = lru_cache(_DISTRICTS)(self._stations_of)
        self._sum = lru_cache(_DISTRICTS)(self._summed)
        self._changes = lru_cache(_DISTRICTS)(self._joined)

    @property
    def label(self) -> str:
        """What captures of this night say of their source, for ever."""
        return f"simulated:{self.night.seed}"

    @cached_property
    def publications(self) -> list[datetime]:
        """The moments (WIB) at which KPU published, in order."""
        night, stream = self.night, key(self.night.seed, "publications")
        last = self._withdrawn if night.withdrawal else night.cycles - 1 + _LAGS["national"] * night.lag
        seconds = [draw(stream, cycle) % 7 for cycle in range(last + 1)]
        seconds[night.cycles - 1] = FINAL_SECOND
        if night.withdrawal:
            seconds[last] = WITHDRAWAL_SECOND
        return [OPENING + cycle * CYCLE + timedelta(seconds=second) for cycle, second in enumerate(seconds)]

    def provinces(self, contest_type: SimulatedType) -> tuple[str, ...]:
        """The provinces that take part in the contests of a type, in order."""
        return self._provinces[contest_type]

    def endpoints(self, depth: Depth, within: Sequence[str] = ()) -> Iterator[Endpoint]:
        """All documents to a depth, from the top down: the pairs, the region lists, the count documents.

        `within` are regions asked for, with all below them and all above; none named is all.
        """
        levels = _ORDER[: _ORDER.index(depth) + 1]
        yield from (_endpoint("paslon", kind, NATIONAL) for kind in TYPES if self.provinces(kind))
        for document in ("wilayah", "hhcw"):
            for level in levels:
                if (document, level) != ("wilayah", "tps"):
                    yield from (
                        _endpoint(document, kind, code)
                        for kind in TYPES
                        for code in self._codes(kind, level, within)
                        if (document, kind, level) != ("hhcw", "pkwkk", "national")
                    )

    def children(self, contest_type: ContestType, code: str) -> Sequence[str]:
        """The regions right below one that take part in a contest type, in order of codes; none below what is none."""
        if contest_type == "ppwp" or not self._exists(contest_type, code):
            return []
        return self._children(contest_type, code)

    def document(self, endpoint: Endpoint, at: datetime) -> bytes | None:
        """What KPU would serve at that moment, as compact JSON; None (404) if it had no such document then."""
        kind, code = endpoint.contest_type, endpoint.region
        if kind == "ppwp" or not self._exists(kind, code):
            return None
        match endpoint.document:
            case "paslon":
                held = {area: contest.pairs for area, contest in contests(kind).items() if self._exists(kind, area)}
                return msgspec.json.encode(held)
            case "wilayah" if level_of(code) != "tps":
                return msgspec.json.encode(
                    listed((country().name(unit), unit, country().number(unit)) for unit in self._children(kind, code))
                )
            case "hhcw" if at >= SEEDED and (kind, code) != ("pkwkk", NATIONAL):
                version = self._version(kind, code, bisect_right(self.publications, at) - 1)
                return msgspec.json.encode(self._body(kind, code, version))
        return None

    def changed(self, cycle: int, depth: Depth, within: Sequence[str] = ()) -> Iterator[Endpoint]:
        """The count documents that the publication of this cycle made anew, from the top down; cycle 0 is the first."""
        for level in _ORDER[: _ORDER.index(depth) + 1]:
            for kind in TYPES:
                yield from (_endpoint("hhcw", kind, code) for code in self._renewed(kind, level, cycle, within))

    def captures(self, depth: Depth, within: Sequence[str] = ()) -> Iterator[Capture]:
        """The night as an observer would have recorded it: everything once, then what each publication changed."""
        for cycle, moment in enumerate(self.publications):
            observed_at = moment + FIRST_ANSWER
            for endpoint in self.endpoints(depth, within) if cycle == 0 else self.changed(cycle, depth, within):
                body = self.document(endpoint, moment)
                if body is not None:
                    yield capture(endpoint.url(), body, observed_at, self.label)
                    observed_at += BETWEEN_ANSWERS

    def truth(self, at: datetime, within: Sequence[str] = ()) -> Iterator[tuple[str, str, Counted]]:
        """What was really counted by then, as contest, unit and figures: no revision, no lag, no withdrawal.

        Every unit of both contest types, from the top down; where there are several contests, stations and no votes.
        """
        cycle = min(bisect_right(self.publications, at), self.night.cycles) - 1
        for kind in TYPES:
            for level in _ORDER:
                for code in self._codes(kind, level, within):
                    yield self._counted_in(kind, code, cycle)

    @property
    def _withdrawn(self) -> int:
        """The cycle from which every vote is 0, if the night ends so."""
        return self.night.cycles - 1 + WITHDRAWAL - FINAL

    def _exists(self, kind: SimulatedType, code: str) -> bool:
        taking_part = self.provinces(kind)
        return bool(taking_part) if code == NATIONAL else code[:2] in taking_part and country().has(code)

    def _children(self, kind: SimulatedType, code: str) -> Sequence[str]:
        return self.provinces(kind) if code == NATIONAL else country().children(code)

    def _codes(self, kind: SimulatedType, level: Level, within: Sequence[str], top: str = NATIONAL) -> Iterator[str]:
        """The codes of a level in order, of those regions that are asked for."""
        if not _is_asked(top, within):
            return
        if level_of(top) == level:
            yield from [top] if self.provinces(kind) else []
        else:
            for child in self._children(kind, top):
                yield from self._codes(kind, level, within, child)

    def _renewed(self, kind: SimulatedType, level: Level, cycle: int, within: Sequence[str]) -> Iterator[str]:
        """The codes of a level whose documents this publication made anew."""
        if (kind, level) == ("pkwkk", "national"):
            return
        if level in _LAGS:
            for code in self._codes(kind, level, within):
                if self._version(kind, code, cycle) != self._version(kind, code, cycle - 1):
                    yield code
            return
        for code in self._codes(kind, "district", within):
            if self._changes(kind, code) >> cycle & 1:
                yield from [code] if level == "district" else self._renewed_below(kind, code, level, cycle, within)

    def _renewed_below(
        self, kind: SimulatedType, code: str, level: Level, cycle: int, within: Sequence[str]
    ) -> list[str]:
        """The same of the villages or stations in a district, from the stations that are new in this cycle."""
        (district,) = country().within(code)
        count, own = self._count(kind, district), self._stations(kind, district)
        is_end = cycle >= self.night.cycles
        ranks = range(count.counted) if is_end else count.renewed(cycle)  # at the end all votes are withdrawn at once
        codes = {country().code_at(district, own.order[rank], level) for rank in ranks}
        return sorted(code for code in codes if _is_asked(code, within))

    def _version(self, kind: SimulatedType, code: str, cycle: int) -> int:
        """The cycle in which the file was made that is served during this one; -1 is the empty file from before.

        A late file is an older file, with its own `ts`. The withdrawal rewrote all files at once.
        """
        if not (self.night.withdrawal and cycle >= self._withdrawn):
            cycle -= self.night.lag * _LAGS.get(level_of(code), 0)
        return (self._mask(kind, code) & ((2 << cycle) - 1)).bit_length() - 1 if cycle >= 0 else -1

    def _mask(self, kind: SimulatedType, code: str) -> int:
        """Bit n says that the document's content changed in cycle n."""
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

    def _joined(self, kind: SimulatedType, code: str) -> int:
        if len(code) == 6:
            (district,) = country().within(code)
            return self._with_withdrawal(self._count(kind, district).changes)
        mask = 0
        for child in self._children(kind, code):
            mask |= self._changes(kind, child)
        return mask

    def _with_withdrawal(self, mask: int) -> int:
        return mask | (1 << self._withdrawn if mask and self.night.withdrawal else 0)

    def _body(self, kind: SimulatedType, code: str, version: int) -> Body:
        since = self.publications[version] if version >= 0 else SEEDED
        if level_of(code) == "tps":
            return self._station_body(kind, code, version, since)
        rows = {unit: self._figures(kind, unit, version) for unit in self._children(kind, code)}
        return region(self._figures(kind, code, version), rows, since)

    def _station_body(self, kind: SimulatedType, code: str, version: int, since: datetime) -> Body:
        """A station's own document. The withdrawal took the votes; that it spared the forms is a guess."""
        if version < 0:
            return station(code, None, None, since)
        (district,) = country().within(code)
        count, own = self._count(kind, district), self._stations(kind, district)
        (place,) = country().places(code)
        rank = own.ranks[place]
        right = own.votes_of(rank)
        invalid = count.invalid_votes(rank, sum(right))
        moved = own.revised[rank].moved if rank in own.revised and own.revised[rank].is_in(version) else 0
        rng = Random(draw(count.stream ^ 5, rank))  # noqa: S311 - nothing is secret
        form = filled(rng, count.registered, sum(right) + moved, invalid - moved)
        _, votes = self._row(kind, code, version)
        return station(code, dict(zip(self._pairs(kind, code), votes, strict=True)), form, since)

    def _figures(self, kind: SimulatedType, code: str, version: int) -> Body:
        reported, votes = self._row(kind, code, version)
        total = sum(map(country().size, self.provinces(kind))) if code == NATIONAL else country().size(code)
        return figures(total, reported, dict(zip(self._pairs(kind, code), votes, strict=True)))

    def _pairs(self, kind: SimulatedType, code: str) -> Sequence[str]:
        """The candidate ids of the contest that is held in a region; none where there are several."""
        contest = contests(kind).get(_area(kind, code))
        return [*contest.pairs] if contest else []

    def _row(self, kind: SimulatedType, code: str, cycle: int, *, is_true: bool = False) -> Row:
        """Stations that reported by a cycle, and their votes: as shown, or as they were."""
        if cycle < 0:
            return 0, (0,) * len(self._pairs(kind, code))
        summed = self._sum if len(code) <= 6 else self._summed  # a village's row is not worth keeping
        reported, votes = summed(kind, code, min(cycle, self.night.cycles - 1), is_true)
        if self.night.withdrawal and cycle >= self._withdrawn and not is_true:
            return reported, (0,) * len(votes)
        return reported, votes

    def _summed(self, kind: SimulatedType, code: str, cycle: int, is_true: bool) -> Row:
        if len(code) < 6:
            rows = [self._sum(kind, child, cycle, is_true) for child in self._children(kind, code)]
            columns = zip(*(votes for _, votes in rows), strict=True) if self._pairs(kind, code) else ()
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

    def _counted_in(self, kind: SimulatedType, code: str, cycle: int) -> tuple[str, str, Counted]:
        reported, votes = self._row(kind, code, cycle, is_true=True)
        return (
            f"{kind}:{_area(kind, code)}",
            code,
            Counted(reported, dict(zip(self._pairs(kind, code), votes, strict=True))),
        )

    def _stations_of(self, kind: SimulatedType, district: int) -> Stations:
        return stations(self._count(kind, district), country().special_places(district))

    def _counted(self, kind: SimulatedType, district: int) -> Count:
        """What will have been counted in a district, and how fast: Jakarta's real figures, others drawn."""
        code = f"{country().districts[district]}"
        stream, size = key(self.night.seed, kind, code), country().size(code)
        offset = _OFFSETS[code[:2]]
        early, missing_share = _BEHIND[offset]
        if not country().is_city(code):
            early -= uniform(stream, -7, 0, 4)
        pace = uniform(stream, -2, 0.85, 1.05) if country().is_city(code) else uniform(stream, -2, 1.0, 1.75)
        totals: tuple[int, ...]
        if code in _REAL:
            valid, invalid, voters, in_regency = OFFICIAL[code[:4]]
            missing, totals = _REAL[code].missing, _REAL[code].votes
            registered, share = voters / in_regency, invalid / valid
        else:
            missing = int(size * missing_share * 2 * uniform(stream, -3) + uniform(stream, -4))
            mean = uniform(stream, -5, 240, 380)
            weights = [
                strength * uniform(stream, -10 - number, 0.6, 1.4)
                for number, strength in enumerate(self._strengths(kind, code))
            ]
            totals = tuple(round((size - missing) * mean * weight / sum(weights)) for weight in weights)
            registered, share = mean * _TURNOUT, uniform(stream, -6, 0.03, 0.07)
        arrived = reached(stream, size - missing, self.night.cycles, early, pace)
        return counted(Count(stream, size, size - missing, totals, share, registered, arrived), self.night.revisions)

    def _strengths(self, kind: SimulatedType, code: str) -> list[float]:
        """How strong a contest's pairs are on the whole."""
        stream = key(self.night.seed, "strengths", kind, _area(kind, code))
        return [uniform(stream, number, 0.5, 1.5) for number in range(len(self._pairs(kind, code)))]


def _endpoint(document: DocumentKind, kind: SimulatedType, code: str) -> Endpoint:
    return Endpoint("pilkada-2024", document, kind, code)


def _is_asked(code: str, within: Sequence[str]) -> bool:
    """Whether a region lies in one of these, or one of these in it."""
    return not within or code == NATIONAL or any(code.startswith(area) or area.startswith(code) for area in within)


def _area(kind: SimulatedType, code: str) -> str:
    """Where the contest is held that a region belongs to; the region itself where there are several."""
    return code[: 2 if kind == "pkwkp" else 4]
