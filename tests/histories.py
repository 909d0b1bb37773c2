"""Small histories for the tests of the database: documents at moments, archived, loaded and asked about."""

import shutil
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
from answers import Answer, taken, wib

from extract.archive import Archive
from extract.capture import Capture
from extract.endpoints import Endpoint, level_of
from extract.recording import record
from load.loader import LoadReport, load
from load.staging import capture_id
from transform.model import Candidate, Document, ReportingUnit, StationForm, Tally
from warehouse import queries
from warehouse.connection import reading, writing
from warehouse.migrate import migrate

Rows = list[tuple[Any, ...]]


class History:
    """An archive and its database, in a directory. Every run is a second later than the one before."""

    def __init__(self, directory: Path, empty: Path | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.archive = Archive(directory / "archive")
        self.database = directory / "warehouse.duckdb"
        if empty:  # an hundred COMMENTs take longer than the load of a small history
            shutil.copy(empty, self.database)

    def archived(self, captures: Iterable[Capture]) -> None:
        """Keep captures as one run."""
        with record(self.archive, "test", {}, lambda: datetime(2024, 12, 1, tzinfo=UTC), {}) as run:
            for one in captures:
                run.append(one)

    def load(self) -> LoadReport:
        """Take what is archived into the database."""
        return load(self.archive, self.database)

    def loaded(self, captures: Iterable[Capture]) -> LoadReport:
        """Keep captures as one run and load it."""
        self.archived(captures)
        return self.load()

    def seen(self, time: str, *answers: Answer) -> LoadReport:
        """These answers were fetched at this time of 28 November 2024, and loaded at once."""
        return self.loaded(taken(answer, wib(time)) for answer in answers)

    def asking(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """The database, for questions."""
        return reading(self.database)

    def ask(self, sql: str, **parameters: Any) -> Rows:
        """The rows that SQL answers."""
        with self.asking() as connection:
            return list(queries.query(connection, sql, parameters).rows)

    def fingerprint(self) -> list[dict[str, Any]]:
        """Rows and hash of every table."""
        with self.asking() as connection:
            return queries.fingerprint(connection)


def empty_database(path: Path) -> Path:
    """A database with its schema and no rows."""
    with writing(path) as connection:
        migrate(connection, path)
    return path


class Position(NamedTuple):
    """A capture's place in its document's history: KPU's time (else when it was seen), when it was seen, its id."""

    position_at: datetime
    observed_at: datetime
    capture_id: int

    @classmethod
    def of(cls, capture: Capture, reported_at: datetime | None) -> "Position":
        """The place of a capture that says this time."""
        return cls(reported_at or capture.observed_at, capture.observed_at, capture_id(capture))


Told = ReportingUnit | Candidate | Tally
Series = dict[tuple[Any, ...], list[tuple[Position, Told | None]]]


class Memory:
    """What the change rows of a database say of every document at any position, read back without its views."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._series: dict[Endpoint, Series] = defaultdict(lambda: defaultdict(list))
        for row in _records(connection, "unit"):
            self._keep("wilayah", row, (row["unit_code"],), _unit(row))
        for row in _records(connection, "candidate"):
            self._keep(row["document"], row, (row["contest_code"], row["candidate_id"]), _candidate(row))
        for row in _records(connection, "tally"):
            document = "page" if row["witness"] == "page" else row["stage"]
            self._keep(document, row, (row["contest_code"], row["unit_code"], row["witness"]), _tally(row))
        for document in self._series.values():
            for changes in document.values():
                changes.sort(key=_position_of)

    def _keep(self, document: Any, row: dict[str, Any], series: tuple[Any, ...], told: Told) -> None:
        endpoint = Endpoint(row["election"], document, row["contest_type"], row["region_code"])
        position = Position(row.get("reported_at") or row["observed_at"], row["observed_at"], row["capture_id"])
        self._series[endpoint][series].append((position, told if row["is_listed"] else None))

    def changes(self) -> Iterable[list[Told | None]]:
        """Every series, as the values of its change rows in order."""
        return ([told for _, told in changes] for document in self._series.values() for changes in document.values())

    def told(self, endpoint: Endpoint, position: Position) -> set[Told]:
        """All that a document said as of a position."""
        standing = set()
        for changes in self._series[endpoint].values():
            number = bisect_right(changes, position, key=_position_of)
            standing |= {told for _, told in changes[max(number - 1, 0) : number] if told is not None}
        return standing


def told_by(document: Document) -> set[Told]:
    """All that a document says, in a form that Memory gives it back."""
    return {*document.units, *document.candidates, *map(_hashable, document.tallies)}


def _hashable(tally: Tally) -> Tally:
    return msgspec.structs.replace(tally, votes=tuple(sorted(tally.votes.items())))


def _position_of(change: tuple[Position, Told | None]) -> Position:
    return change[0]


def _records(connection: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    return queries.query(connection, f"FROM core.{table}").records()


def _unit(row: dict[str, Any]) -> ReportingUnit:
    return ReportingUnit(row["unit_code"], level_of(row["unit_code"]), row["unit_name"], row["kpu_id"])


def _candidate(row: dict[str, Any]) -> Candidate:
    return Candidate(**{field: row[field] for field in Candidate.__struct_fields__})


def _tally(row: dict[str, Any]) -> Tally:
    form = row["form"]
    if form is not None:
        form = StationForm(**form | {"images": None if form["images"] is None else tuple(form["images"])})
    fields = {field: row[field] for field in Tally.__struct_fields__}
    return _hashable(Tally(**fields | {"form": form, "votes": row["votes"] or {}}))
