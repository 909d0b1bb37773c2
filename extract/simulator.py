"""A simulated count night as KPU would have served it: the document of any moment, and a night's captures.

Jakarta's governor contest of 27 November 2024 with its real tree and, at 10:00:05 WIB the next morning, KPU's real
figures for every district; on request with revisions, misread digits, exchanged pairs, late files, the withdrawal.
A pure function of options and moment. Captures say `simulated:<seed>`, form images lie on `simulated.invalid`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import msgspec

from extract.capture import Capture, capture
from extract.endpoints import LEVELS, NATIONAL, DocumentKind, Endpoint, level_of, parent_of
from extract.jakarta import PAIRS, SEEDED, Votes, tree
from extract.night import WITHDRAWAL, Kind, Night, Report, form, publications, reports

Depth = Literal["regency", "district", "village", "tps"]
"""The finest level whose own count documents are asked for; their rows reach one level further down."""

Row = tuple[int, int, int, int]
"""What a count document says of a unit: stations reported, then the votes of the three pairs."""

NOTHING: Row = (0, 0, 0, 0)
FIRST_ANSWER = timedelta(seconds=8)  # a polite observer asks a little after a publication
BETWEEN_ANSWERS = timedelta(milliseconds=20)  # the deepest night's 15,473 documents take a third of a cycle


class Mistake(msgspec.Struct, frozen=True):
    """A station whose first figures were wrong: `wrong` was published at `since`, `right` at `until`."""

    kind: Kind
    station: str
    since: datetime
    until: datetime
    wrong: dict[str, int]
    right: dict[str, int]


class Counted(msgspec.Struct, frozen=True):
    """What was really counted in a unit: stations that reported, and their right votes by candidate id."""

    stations: int
    votes: dict[str, int]


class History(msgspec.Struct, frozen=True):
    """A unit's row over the night: the cycles in which it changed, ascending, and what it was from each on."""

    cycles: list[int]
    rows: list[Row]

    def row(self, cycle: int) -> Row:
        """The row as of a cycle."""
        step = bisect_right(self.cycles, cycle)
        return self.rows[step - 1] if step else NOTHING


class Simulation:
    """One night, worked out when it is first asked for. Every answer depends on the question alone."""

    def __init__(self, night: Night) -> None:
        self.night = night

    @cached_property
    def publications(self) -> list[datetime]:
        """The moments (WIB) at which KPU published, in order."""
        return publications(self.night)

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The wrong first figures put into this night, in order of stations."""
        at = self.publications
        return [
            Mistake(first.blunder, code, at[first.cycle], at[right.cycle], _votes(first.votes), _votes(right.votes))
            for code, (first, *corrections) in sorted(self._reports.items())
            for right in corrections
            if first.blunder
        ]

    def endpoints(self, depth: Depth) -> Iterator[Endpoint]:
        """All documents to a depth, from the top down: the pairs, the region lists, the count documents."""
        longest = next(length for length, level in LEVELS.items() if level == depth)
        codes = [code for code in sorted(tree(), key=len) if len(code) <= longest]
        yield _endpoint("paslon", NATIONAL)
        yield from (_endpoint("wilayah", code) for code in codes if tree()[code].children)
        yield from (_endpoint("hhcw", code) for code in codes if code != NATIONAL)

    def document(self, endpoint: Endpoint, at: datetime) -> bytes | None:
        """What KPU would serve at that moment, as compact JSON; None (404) if it had no such document then."""
        code = endpoint.region
        if code not in tree() or endpoint != _endpoint(endpoint.document, code):
            return None
        match endpoint.document:
            case "paslon":
                return msgspec.json.encode({"31": PAIRS})
            case "wilayah" if tree()[code].children:
                return msgspec.json.encode(_listed(tree()[code].children))
            case "hhcw" if code != NATIONAL and at >= SEEDED:
                version = self._version(code, bisect_right(self.publications, at) - 1)
                body = self._station_body if level_of(code) == "tps" else self._region_body
                return msgspec.json.encode(body(code, version))
        return None

    def captures(self, depth: Depth) -> Iterator[Capture]:
        """The night as an observer would have recorded it: everything once, then what each publication changed."""
        asked = [(endpoint, endpoint.url()) for endpoint in self.endpoints(depth)]
        for cycle, moment in enumerate(self.publications):
            observed_at = moment + FIRST_ANSWER
            for endpoint, url in asked:
                body = self.document(endpoint, moment) if cycle == 0 or self._is_new(endpoint, cycle) else None
                if body is not None:
                    yield capture(url, body, observed_at, f"simulated:{self.night.seed}")
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
        return _histories(self._reports, is_withdrawn=self.night.withdrawal)

    @cached_property
    def _right(self) -> dict[str, History]:
        right = {code: [msgspec.structs.replace(own[-1], cycle=own[0].cycle)] for code, own in self._reports.items()}
        return _histories(right, is_withdrawn=False)

    @cached_property
    def _changes(self) -> dict[str, list[int]]:
        """The cycles in which each count document changed: those in which one of its rows did."""
        return {
            code: sorted({cycle for unit in tree()[code].children or [code] for cycle in self._shown[unit].cycles})
            for code in self._shown
        }

    def _version(self, code: str, cycle: int) -> int:
        """The cycle in which the file was made that is served during this one; -1 is the empty file from before.

        A late file is an older file, with its own `ts`. The withdrawal rewrote all files at once.
        """
        if not (self.night.withdrawal and cycle >= WITHDRAWAL):
            cycle -= self.night.lag * {"province": 2, "regency": 1}.get(level_of(code), 0)
        step = bisect_right(self._changes[code], cycle)
        return self._changes[code][step - 1] if step else -1

    def _is_new(self, endpoint: Endpoint, cycle: int) -> bool:
        code = endpoint.region
        return endpoint.document == "hhcw" and self._version(code, cycle) != self._version(code, cycle - 1)

    def _ts(self, version: int) -> str:
        return (self.publications[version] if version >= 0 else SEEDED).strftime("%Y-%m-%d %H:%M:%S")

    def _region_body(self, code: str, version: int) -> dict[str, Any]:
        chart = _figures(code, self._shown[code].row(version))
        rows = {unit: self._shown[unit].row(version) for unit in tree()[code].children}
        table = {
            unit: {"psu": "Reguler", **_figures(unit, row), "status_progress": row[0] > 0} for unit, row in rows.items()
        }
        return {
            "mode": "hhcw",
            "tungsura": {"chart": chart, "table": table},
            "psu": "Reguler",
            "progres": {key: chart["progres"][key] for key in ("total", "progres")},
            "ts": self._ts(version),
        }

    def _station_body(self, code: str, version: int) -> dict[str, Any]:
        """A station's own document. The withdrawal took the votes; that it spared the forms is a guess."""
        report = next((own for own in reversed(self._reports.get(code, ())) if own.cycle <= version), None)
        chart = report and {"null": None, **_votes(self._shown[code].row(version)[1:])}
        return {
            "mode": "hhcw",
            "tungsura": {"chart": chart, "administrasi": report and form(self.night, code, report)},
            "psu": None,
            "status_suara": report is not None,
            "status_adm": report is not None,
            "images": [report and f"https://simulated.invalid/{code}-{page}.jpg" for page in (1, 2, 3)],
            "ts": self._ts(version),
        }


def _histories(reported: Mapping[str, Sequence[Report]], *, is_withdrawn: bool) -> dict[str, History]:
    """Every unit's row over the night: changes are summed from the stations up, then from the evening on."""
    changes: dict[str, dict[int, Row]] = {code: {} for code in sorted(tree(), key=len, reverse=True)}
    del changes[NATIONAL]  # the country has more provinces than this one
    for station, own in reported.items():
        before = NOTHING
        for report in own:
            now = (1, *report.votes)
            changes[station][report.cycle] = _add(now, before, -1)
            before = now
    for code, steps in changes.items():
        above = changes.get(parent_of(code) or NATIONAL, {})
        for cycle, change in steps.items():
            above[cycle] = _add(above.get(cycle, NOTHING), change)
    return {code: _history(steps, is_withdrawn=is_withdrawn) for code, steps in changes.items()}


def _history(changes: Mapping[int, Row], *, is_withdrawn: bool) -> History:
    history, total = History([], []), NOTHING
    for cycle in sorted(changes.keys() | ({WITHDRAWAL} if is_withdrawn else set())):
        total = _add(total, changes.get(cycle, NOTHING))
        row = (total[0], 0, 0, 0) if is_withdrawn and cycle >= WITHDRAWAL else total
        if row != history.row(cycle):
            history.cycles.append(cycle)
            history.rows.append(row)
    return history


def _add(row: Row, other: Row, sign: int = 1) -> Row:
    return (row[0] + sign * other[0], row[1] + sign * other[1], row[2] + sign * other[2], row[3] + sign * other[3])


def _endpoint(document: DocumentKind, code: str) -> Endpoint:
    return Endpoint("pilkada-2024", document, "pkwkp", code)


def _votes(votes: Votes) -> dict[str, int]:
    return dict(zip(PAIRS, votes, strict=True))


def _figures(code: str, row: Row) -> dict[str, Any]:
    """A unit's figures in chart or table: no votes before its first station reports, `persen` rounded half up."""
    total = tree()[code].stations
    persen = (20_000 * row[0] + total) // (2 * total) / 100
    return (_votes(row[1:]) if row[0] else {}) | {"progres": {"total": total, "persen": persen, "progres": row[0]}}


def _listed(codes: Sequence[str]) -> list[dict[str, str | int]]:
    """A region list, sorted by name as KPU does it; `tingkat` counts the levels from the province down."""
    return [
        {"nama": name, "id": tree()[code].number, "kode": code, "tingkat": list(LEVELS).index(len(code))}
        for name, code in sorted((tree()[code].name, code) for code in codes)
    ]
