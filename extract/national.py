"""A simulated count night of the whole country, in both contest types: any document of any moment, on demand.

As `extract.simulator` for Jakarta, and with Jakarta's real tree, pairs and final figures in it; everything else about
the count is made up and says so. Nothing is kept per document: a body is a pure function of options, address and
moment, summed over districts (`extract.counting`) and looked up in the arrays of `extract.country`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property

import msgspec

from extract.bodies import Body, figures, listed, region, station
from extract.capture import Capture, capture
from extract.contests import TYPES, SimulatedType, area_of, contests, pairs_in
from extract.country import country
from extract.endpoints import LEVELS, NATIONAL, ContestType, DocumentKind, Endpoint, Level, level_of
from extract.jakarta import SEEDED
from extract.national_figures import NationalFigures
from extract.national_night import NationalNight, publications
from extract.simulator import FIRST_ANSWER, Counted, Depth

__all__ = ["NationalNight", "NationalSimulation"]

_BETWEEN_ANSWERS = timedelta(microseconds=500)  # the country's 1.2 million documents fit into one cycle
_LAGS: dict[Level, int] = {"national": 3, "province": 2, "regency": 1}
_ORDER: tuple[Level, ...] = tuple(LEVELS.values())


class NationalSimulation:
    """One night of the country. Every answer depends on the question alone."""

    def __init__(self, night: NationalNight) -> None:
        self.night = night
        self._figures = NationalFigures(night)

    @property
    def label(self) -> str:
        """What captures of this night say of their source, for ever."""
        return f"simulated:{self.night.seed}"

    @cached_property
    def publications(self) -> list[datetime]:
        """The moments (WIB) at which KPU published, in order."""
        return publications(self.night)

    def provinces(self, contest_type: SimulatedType) -> tuple[str, ...]:
        """The provinces that take part in the contests of a type, in order."""
        return tuple(self._figures.children(contest_type, NATIONAL))

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
        if contest_type == "ppwp" or not self._figures.has(contest_type, code):
            return []
        return self._figures.children(contest_type, code)

    def document(self, endpoint: Endpoint, at: datetime) -> bytes | None:
        """What KPU would serve at that moment, as compact JSON; None (404) if it had no such document then."""
        kind, code = endpoint.contest_type, endpoint.region
        if kind == "ppwp" or not self._figures.has(kind, code):
            return None
        match endpoint.document:
            case "paslon":
                held = {
                    area: contest.pairs for area, contest in contests(kind).items() if self._figures.has(kind, area)
                }
                return msgspec.json.encode(held)
            case "wilayah" if level_of(code) != "tps":
                return msgspec.json.encode(
                    listed(
                        (country().name(unit), unit, country().number(unit))
                        for unit in self._figures.children(kind, code)
                    )
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
                    observed_at += _BETWEEN_ANSWERS

    def truth(self, at: datetime, within: Sequence[str] = ()) -> Iterator[tuple[str, str, Counted]]:
        """What was really counted by then, as contest, unit and figures: no revision, no lag, no withdrawal.

        Every unit of both contest types, from the top down; where there are several contests, stations and no votes.
        """
        cycle = min(bisect_right(self.publications, at), self.night.cycles) - 1
        for kind in TYPES:
            for level in _ORDER:
                for code in self._codes(kind, level, within):
                    yield self._counted_in(kind, code, cycle)

    def _codes(self, kind: SimulatedType, level: Level, within: Sequence[str], top: str = NATIONAL) -> Iterator[str]:
        """The codes of a level in order, of those regions that are asked for."""
        if not _is_asked(top, within):
            return
        if level_of(top) == level:
            yield from [top] if self.provinces(kind) else []
        else:
            for child in self._figures.children(kind, top):
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
            if level == "district":
                yield from [code] if self._figures.changes(kind, code) >> cycle & 1 else []
            elif self._figures.changes(kind, code) >> cycle & 1:
                below = self._figures.renewed(kind, code, level, cycle)
                yield from (unit for unit in below if _is_asked(unit, within))

    def _version(self, kind: SimulatedType, code: str, cycle: int) -> int:
        """The cycle in which the file was made that is served during this one; -1 is the empty file from before.

        A late file is an older file, with its own `ts`. The withdrawal rewrote all files at once.
        """
        if not (self.night.withdrawal and cycle >= self.night.withdrawn):
            cycle -= self.night.lag * _LAGS.get(level_of(code), 0)
        return (self._figures.changes(kind, code) & ((2 << cycle) - 1)).bit_length() - 1 if cycle >= 0 else -1

    def _body(self, kind: SimulatedType, code: str, version: int) -> Body:
        since = self.publications[version] if version >= 0 else SEEDED
        if level_of(code) == "tps":
            form = self._figures.form(kind, code, version)
            return station(code, self._votes(kind, code, version) if form else None, form, since)
        rows = {unit: self._shown(kind, unit, version) for unit in self._figures.children(kind, code)}
        return region(self._shown(kind, code, version), rows, since)

    def _shown(self, kind: SimulatedType, code: str, version: int) -> Body:
        reported, votes = self._figures.row(kind, code, version)
        return figures(self._figures.size(kind, code), reported, dict(zip(pairs_in(kind, code), votes, strict=True)))

    def _votes(self, kind: SimulatedType, code: str, version: int) -> dict[str, int]:
        return dict(zip(pairs_in(kind, code), self._figures.row(kind, code, version)[1], strict=True))

    def _counted_in(self, kind: SimulatedType, code: str, cycle: int) -> tuple[str, str, Counted]:
        reported, votes = self._figures.row(kind, code, cycle, is_true=True)
        return (
            f"{kind}:{area_of(kind, code)}",
            code,
            Counted(reported, dict(zip(pairs_in(kind, code), votes, strict=True))),
        )


def _endpoint(document: DocumentKind, kind: SimulatedType, code: str) -> Endpoint:
    return Endpoint("pilkada-2024", document, kind, code)


def _is_asked(code: str, within: Sequence[str]) -> bool:
    """Whether a region lies in one of these, or one of these in it."""
    return not within or code == NATIONAL or any(code.startswith(area) or area.startswith(code) for area in within)
