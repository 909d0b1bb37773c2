"""A simulated count night as KPU would have served it: the document of any moment, and a night's captures.

Jakarta's governor contest of 27 November 2024 with its real tree and, at 10:00:05 WIB the next morning, KPU's real
figures for every district; on request with revisions, misread digits, exchanged pairs, late files, the withdrawal.
A pure function of options and moment. Captures say `simulated:<seed>`, form images lie on `simulated.invalid`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

import msgspec

from extract.bodies import Body, figures, listed, region, station
from extract.capture import Capture, capture
from extract.endpoints import LEVELS, NATIONAL, ContestType, DocumentKind, Endpoint, level_of
from extract.jakarta import PAIRS, SEEDED, Votes, tree
from extract.mistakes import RULES, Flaw, place, rules_of, spoil
from extract.night import WITHDRAWAL, FlawKind, Kind, Night, Report, form, publications, reports
from extract.rows import History, Row, histories

Depth = Literal["regency", "district", "village", "tps"]
"""The finest level whose own count documents are asked for; their rows reach one level further down."""

FIRST_ANSWER = timedelta(seconds=8)  # a polite observer asks a little after a publication
BETWEEN_ANSWERS = timedelta(milliseconds=20)  # the deepest night's 15,473 documents take a third of a cycle


class Mistake(msgspec.Struct, frozen=True):
    """A unit that was shown wrong from `since` until `until` (None: for good), and the rules that this breaks.

    Of a station whose first figures were wrong: the votes that were shown, and the right ones.
    """

    kind: Kind | FlawKind
    unit: str
    since: datetime
    until: datetime | None
    rules: tuple[str, ...]
    wrong: dict[str, int] = {}
    right: dict[str, int] = {}


class Counted(msgspec.Struct, frozen=True):
    """What was really counted in a unit: stations that reported, and their right votes by candidate id."""

    stations: int
    votes: dict[str, int]


class Simulation:
    """One night, worked out when it is first asked for. Every answer depends on the question alone."""

    def __init__(self, night: Night) -> None:
        self.night = night

    @property
    def label(self) -> str:
        """What captures of this night say of their source, for ever."""
        return f"simulated:{self.night.seed}"

    @cached_property
    def publications(self) -> list[datetime]:
        """The moments (WIB) at which KPU published, in order."""
        return publications(self.night)

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """What is wrong in this night: stations' first figures in order of stations, then single documents."""
        at = self.publications
        return [
            Mistake(
                first.blunder,
                code,
                at[first.cycle],
                at[right.cycle],
                rules_of(first.blunder, first.votes, right.votes),
                _votes(first.votes),
                _votes(right.votes),
            )
            for code, (first, *corrections) in sorted(self._reports.items())
            for right in corrections
            if first.blunder
        ] + [
            Mistake(flaw.kind, flaw.unit, at[flaw.since], at[flaw.until] if flaw.until else None, (RULES[flaw.kind],))
            for _, flaws in sorted(self._flaws.items())
            for flaw in flaws
        ]

    def endpoints(self, depth: Depth) -> Iterator[Endpoint]:
        """All documents to a depth, from the top down: the pairs, the region lists, the count documents."""
        longest = next(length for length, level in LEVELS.items() if level == depth)
        codes = [code for code in sorted(tree(), key=len) if len(code) <= longest]
        yield _endpoint("paslon", NATIONAL)
        yield from (_endpoint("wilayah", code) for code in codes if tree()[code].children)
        yield from (_endpoint("hhcw", code) for code in codes if code != NATIONAL)

    def children(self, _: ContestType, code: str) -> Sequence[str]:
        """The regions right below one, in order of codes."""
        return tree()[code].children if code in tree() else ()

    def document(self, endpoint: Endpoint, at: datetime) -> bytes | None:
        """What KPU would serve at that moment, as compact JSON; None (404) if it had no such document then."""
        code = endpoint.region
        if code not in tree() or endpoint != _endpoint(endpoint.document, code):
            return None
        match endpoint.document:
            case "paslon":
                return msgspec.json.encode({"31": PAIRS})
            case "wilayah" if tree()[code].children:
                below = tree()[code].children
                return msgspec.json.encode(listed((tree()[unit].name, unit, tree()[unit].number) for unit in below))
            case "hhcw" if code != NATIONAL and at >= SEEDED:
                cycle = bisect_right(self.publications, at) - 1
                version = self._version(code, cycle)
                body = (self._station_body if level_of(code) == "tps" else self._region_body)(code, version)
                for flaw in self._flaws.get(code, ()):
                    if flaw.is_in(cycle if flaw.kind == "silent" else version):
                        spoil(flaw, body)
                return msgspec.json.encode(body)
        return None

    def captures(self, depth: Depth, within: Sequence[str] = ("31",)) -> Iterator[Capture]:
        """The night as an observer would have recorded it: everything once, then what each publication changed.

        `within` are the regions asked for, with all below them and all above.
        """
        asked = [
            (endpoint, endpoint.url())
            for endpoint in self.endpoints(depth)
            if endpoint.region == NATIONAL
            or any(endpoint.region.startswith(area) or area.startswith(endpoint.region) for area in within)
        ]
        for cycle, moment in enumerate(self.publications):
            observed_at = moment + FIRST_ANSWER
            for endpoint, url in asked:
                body = self.document(endpoint, moment) if cycle == 0 or self._is_new(endpoint, cycle) else None
                if body is not None:
                    yield capture(url, body, observed_at, self.label)
                    observed_at += BETWEEN_ANSWERS

    def truth(self, at: datetime) -> dict[str, Counted]:
        """What the stations really counted by then, by unit code: no blunder, no lag, no withdrawal."""
        cycle = bisect_right(self.publications, at) - 1
        rows = {code: history.row(cycle) for code, history in self._right.items()}
        return {code: Counted(row[0], _votes(row[1:])) for code, row in rows.items()}

    @cached_property
    def _reports(self) -> dict[str, tuple[Report, ...]]:
        return reports(self.night)

    @cached_property
    def _shown(self) -> dict[str, History]:
        return histories(self._reports, is_withdrawn=self.night.withdrawal)

    @cached_property
    def _right(self) -> dict[str, History]:
        right = {code: [msgspec.structs.replace(own[-1], cycle=own[0].cycle)] for code, own in self._reports.items()}
        return histories(right, is_withdrawn=False)

    @cached_property
    def _flaws(self) -> dict[str, list[Flaw]]:
        """What is wrong in single documents."""
        return place(self.night, self._reports, self._changes_of_rows) if self.night.flaws else {}

    @cached_property
    def _changes_of_rows(self) -> dict[str, list[int]]:
        return {
            code: sorted({cycle for unit in tree()[code].children or [code] for cycle in self._shown[unit].cycles})
            for code in self._shown
        }

    @cached_property
    def _changes(self) -> dict[str, list[int]]:
        """The cycles in which each count document changed: one of its rows did, or a flaw came or went."""
        changes = dict(self._changes_of_rows)
        for code, flaws in self._flaws.items():
            dated = [flaw for flaw in flaws if flaw.kind not in ("silent", "stale")]
            ends = [flaw.until for flaw in dated if flaw.until is not None]
            changes[code] = sorted({*changes[code], *(flaw.since for flaw in dated), *ends})
        return changes

    def _version(self, code: str, cycle: int) -> int:
        """The cycle in which the file was made that is served during this one; -1 is the empty file from before.

        A late file is an older file, with its own `ts`. The withdrawal rewrote all files at once.
        """
        if not (self.night.withdrawal and cycle >= WITHDRAWAL):
            cycle -= self.night.lag * {"province": 2, "regency": 1}.get(level_of(code), 0)
        stale = next((flaw for flaw in self._flaws.get(code, ()) if flaw.kind == "stale" and flaw.is_in(cycle)), None)
        step = bisect_right(self._changes[code], stale.since - 1 if stale else cycle) - bool(stale)
        return self._changes[code][step - 1] if step > 0 else -1

    def _is_new(self, endpoint: Endpoint, cycle: int) -> bool:
        code = endpoint.region
        return endpoint.document == "hhcw" and (
            self._version(code, cycle) != self._version(code, cycle - 1)
            or any(flaw.kind == "silent" and flaw.until == cycle for flaw in self._flaws.get(code, ()))
        )

    def _made_at(self, version: int) -> datetime:
        return self.publications[version] if version >= 0 else SEEDED

    def _region_body(self, code: str, version: int) -> Body:
        rows = {unit: self._shown[unit].row(version) for unit in (code, *tree()[code].children)}
        chart, *table = (_figures(unit, row) for unit, row in rows.items())
        return region(chart, dict(zip(tree()[code].children, table, strict=True)), self._made_at(version))

    def _station_body(self, code: str, version: int) -> Body:
        """A station's own document. The withdrawal took the votes; that it spared the forms is a guess."""
        report = next((own for own in reversed(self._reports.get(code, ())) if own.cycle <= version), None)
        votes = _votes(self._shown[code].row(version)[1:]) if report else None
        return station(code, votes, form(self.night, code, report) if report else None, self._made_at(version))


def _endpoint(document: DocumentKind, code: str) -> Endpoint:
    return Endpoint("pilkada-2024", document, "pkwkp", code)


def _votes(votes: Votes) -> dict[str, int]:
    return dict(zip(PAIRS, votes, strict=True))


def _figures(code: str, row: Row) -> Body:
    return figures(tree()[code].stations, row[0], _votes(row[1:]))
