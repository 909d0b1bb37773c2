"""What a page holds: the answers of `queries/report_*.sql` about a region, as far as they fit."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import duckdb
import msgspec

from extract.endpoints import LEVELS, NATIONAL, Level, level_of
from extract.errors import UsageError
from warehouse import queries
from warehouse.report.colours import paints

LARGEST = 2_600_000  # bytes of figures; with words, scripts and tables a page stays below 3 MB

_LEVELS = tuple(LEVELS.values())
_LENGTHS = {level: length for length, level in LEVELS.items()}
_BELOW = 2  # levels that a page shows below its region unless told otherwise: a province with its districts
_MOST_FINDINGS = 500
_AROUND = 40  # bytes of code and keys around each tally
_COARSER = (0, 30, 60, 180, 720)  # minutes that may share a step, where all steps are too many
_CONTESTS = ("ppwp", "pkwkp", "pkwkk")  # the order of the page's choices

Record = dict[str, Any]


class Extent(msgspec.Struct, frozen=True):
    """A region, the finest level shown below it, and how many minutes share a step there (0: every step is kept)."""

    region: str
    depth: Level
    every: int = 0

    @property
    def asked(self) -> dict[str, Any]:
        """The parameters that all queries about a region have."""
        prefix = "" if self.region == NATIONAL else self.region
        return {"prefix": prefix, "longest_code": max(_LENGTHS[self.depth], len(NATIONAL))}


class Tally(msgspec.Struct):
    """How a unit stands in a contest and how it came there, as JSON that the page gets as it is."""

    standing: msgspec.Raw
    steps: msgspec.Raw = msgspec.Raw(b"null")


class Content(msgspec.Struct):
    """What a page shows. Series are called `election/contest_type/stage`, contests `election/contest_code`."""

    extent: Extent
    wanted_depth: Level
    units: dict[str, str]
    contests: dict[str, list[Record]]
    series: dict[str, dict[str, Tally]]
    findings: list[Record]
    rules: dict[str, Record]
    provenance: Record
    palette: list[tuple[str, str]]

    @property
    def size(self) -> int:
        """Bytes of the figures, nearly."""
        return self.size_without_steps + sum(len(tally.steps) for tally in self._tallies)

    @property
    def size_without_steps(self) -> int:
        """Bytes that are left however few steps there are."""
        return sum(len(tally.standing) + _AROUND for tally in self._tallies)

    @property
    def _tallies(self) -> Iterator[Tally]:
        return (tally for units in self.series.values() for tally in units.values())


def gather(connection: duckdb.DuckDBPyConnection, wanted: str | None, depth: Level | None) -> Content:
    """All there is about a region, or about what the database is mostly about; less detail where all is too much.

    Raises RegionError for a region that is not known, UsageError for a depth above it.
    """
    region = _region(connection, wanted)
    at = _LEVELS.index(level_of(region))
    finest = _LEVELS.index(depth) if depth else min(at + _BELOW, len(_LEVELS) - 1)
    if finest < at:
        raise UsageError(f"region {region} is a {_LEVELS[at]}; its report cannot end at the level above, {depth}")
    for level in range(finest, at - 1, -1):
        for every in _COARSER:
            content = _content(connection, Extent(region, _LEVELS[level], every), _LEVELS[finest])
            if content.size <= LARGEST:
                return content
            if content.size_without_steps > LARGEST:
                break
    return content


def _region(connection: duckdb.DuckDBPyConnection, wanted: str | None) -> str:
    if wanted == NATIONAL:
        return NATIONAL
    if wanted:
        return queries.find_region(connection, wanted)[0]
    return str(queries.ask(connection, "report_region").records()[0]["region"])


def _content(connection: duckdb.DuckDBPyConnection, extent: Extent, wanted_depth: Level) -> Content:
    ask = queries.ask
    contests: dict[str, list[Record]] = defaultdict(list)
    for pair in ask(connection, "report_pairs", **extent.asked).records():
        contests[f"{pair['election']}/{pair['contest_code']}"].append(pair)
    return Content(
        extent=extent,
        wanted_depth=wanted_depth,
        units=dict(ask(connection, "report_units", **extent.asked).rows),
        contests=contests,
        series=_series(connection, extent),
        findings=ask(connection, "report_findings", **extent.asked, most=_MOST_FINDINGS).records(),
        rules={rule["rule"]: rule for rule in ask(connection, "report_rules").records()},
        provenance=ask(connection, "report_provenance").records()[0],
        palette=_painted(contests),
    )


def _series(connection: duckdb.DuckDBPyConnection, extent: Extent) -> dict[str, dict[str, Tally]]:
    tallies: dict[str, dict[str, Tally]] = defaultdict(dict)
    for series, unit, standing in queries.ask(connection, "report_standings", **extent.asked).rows:
        tallies[series][unit] = Tally(msgspec.Raw(standing))
    for series, unit, steps in queries.ask(
        connection, "report_steps", **extent.asked, region=extent.region, every=extent.every
    ).rows:
        if tally := tallies[series].get(unit):
            tally.steps = msgspec.Raw(steps)
    return dict(sorted(tallies.items(), key=_place))


def _place(series: tuple[str, object]) -> tuple[str, bool, int]:
    """By election; the stations' forms, which all of the country has, before the recapitulation."""
    election, contest_type, stage = series[0].split("/")
    return (election, stage == "hr", _CONTESTS.index(contest_type))


def _painted(contests: dict[str, list[Record]]) -> list[tuple[str, str]]:
    """Give every pair the number of its paint, and return the paints by number."""
    numbers: dict[tuple[str, str], int] = {}
    for pairs in contests.values():
        for pair, paint in zip(pairs, paints([pair["color"] for pair in pairs]), strict=True):
            pair["paint"] = numbers.setdefault(paint, len(numbers))
    return list(numbers)
