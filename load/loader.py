"""From the archive into the database: set-based, idempotent, and blind to the order of arrival."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import duckdb
import msgspec
import stamina

from extract.archive import Holdings
from extract.capture import Capture
from extract.endpoints import Endpoint
from extract.errors import ArchiveError, BusyError, EndpointError, StorageError, WarehouseError
from extract.manifests import Manifest
from transform.model import Document, Quarantine
from transform.normalise import read
from warehouse.connection import Place, reading, writing
from warehouse.lake import Lake, commit
from warehouse.migrate import is_current, migrate

_SQL = Path(__file__).parent / "sql"
_SCRIPTS = sorted(_SQL.glob("[0-9]_*.sql"))
_ATTEMPTS, _PATIENCE = 10, 240.0  # s
_TURN = "BEGIN; UPDATE core.gate SET loads = loads + 1"
_AT_ONCE = 100_000  # captures in a transaction; a cycle of the country at village depth has up to 54,000
_encoder = msgspec.json.Encoder()

Progress = Callable[[int], None]
"""Called now and then with the number of captures read since the last call."""


def quiet(captures: int) -> None:
    """Progress for nobody."""


class LoadReport(msgspec.Struct, frozen=True):
    """What a load took in: runs and captures new to the database, how many change rows they made, and the
    captures quarantined, by reason, and how many have keys that nobody reads."""

    runs: int = 0
    captures: int = 0
    changes: int = 0
    quarantined: dict[str, int] = {}
    with_unknown_keys: int = 0


class Staged(msgspec.Struct):
    """A capture as the staging file has it: column names of core.capture."""

    capture_id: int
    run: str
    url: str
    observed_at: Any
    status: int
    mimetype: str
    digest: str
    length: int
    source: str
    etag: str | None = None
    last_modified: str | None = None
    unknown_keys: tuple[str, ...] | None = None
    document_number: int | None = None
    election: str | None = None
    document: str | None = None
    contest_type: str | None = None
    region_code: str | None = None
    reported_at: Any = None
    quarantine_reason: str | None = None
    quarantine_place: str | None = None
    quarantine_detail: str | None = None


def load(archive: Holdings, place: Place, progress: Progress = quiet, *, anew: bool = False) -> LoadReport:
    """Take every run of the archive that the database does not have yet into it, all or nothing.

    More than a night's busiest cycle is taken in portions: memory stays bounded, and a later load goes on where one
    failed. `anew` takes all runs in again, in a lake in place of what it had.

    Raises WarehouseError, BusyError or StorageError; the database is then as it was before the portion.
    """
    manifests = archive.manifests()
    if isinstance(place, Lake):
        return (_refill if anew else _load_into_lake)(archive, manifests, place, progress)
    with writing(place) as connection:
        migrate(connection, place)
        new = _unknown(connection, manifests)
        if not new:
            return LoadReport()
        parts = []
        with _staging(archive, new, progress) as staging:
            while (ended := staging.take()) is not None:
                connection.execute("BEGIN")
                parts.append(_apply(connection, staging, ended))
                connection.execute("COMMIT")
        return _total(parts, staging)


def _load_into_lake(archive: Holdings, manifests: list[Manifest], lake: Lake, progress: Progress) -> LoadReport:
    """Bodies are read beside other loaders; one after another then takes its turn with the tables.

    A transaction that failed is begun anew, and sees what the others did. Nobody knows whether one that lost its server
    was committed: the next passes over what is there already.
    """
    new = _new_to_lake(lake, manifests)
    if not new:
        return LoadReport()
    parts = []
    with _staging(archive, new, progress) as staging:
        while (ended := staging.take()) is not None:
            parts.append(_take_turn(lake, staging, ended))
    return _total(parts, staging)


def _take_turn(lake: Lake, staging: "Staging", ended: list[Manifest]) -> LoadReport:
    """One portion, in one transaction."""
    done = LoadReport()
    for attempt in _attempts():
        with attempt, writing(lake) as connection:
            connection.execute(_TURN)
            part = _apply(connection, staging, _unknown(connection, ended))
            if part.runs or part.captures:  # else the attempt before was committed, and only its answer lost
                done = part
            commit(connection, lake)
    return done


def _refill(archive: Holdings, manifests: list[Manifest], lake: Lake, progress: Progress) -> LoadReport:
    """All runs again, in place of what the lake had: one transaction, so that its readers see the old or the new."""
    _new_to_lake(lake, manifests)
    done = LoadReport()
    for attempt in _attempts():
        with attempt, writing(lake) as connection, _staging(archive, manifests, progress) as staging:
            connection.execute(_TURN)
            connection.execute((_SQL / "empty.sql").read_text("utf-8"))
            parts = []
            while (ended := staging.take()) is not None:
                parts.append(_apply(connection, staging, ended))
            commit(connection, lake)
            done = _total(parts, staging)
    return done


def _total(parts: list[LoadReport], staging: "Staging") -> LoadReport:
    """What all portions of a load did."""
    return LoadReport(
        sum(part.runs for part in parts),
        sum(part.captures for part in parts),
        sum(part.changes for part in parts),
        dict(staging.quarantined),
        staging.with_unknown_keys,
    )


def _new_to_lake(lake: Lake, manifests: list[Manifest]) -> list[Manifest]:
    """The runs that the lake does not have; it is made, or brought to this version's schema, if that is not done."""
    with suppress(WarehouseError), reading(lake) as connection:
        if is_current(connection, lake):
            return _unknown(connection, manifests)
    for attempt in _attempts():
        with attempt, writing(lake) as connection:
            connection.execute("BEGIN")
            migrate(connection, lake)
            commit(connection, lake)
    with reading(lake) as connection:
        return _unknown(connection, manifests)


def _attempts() -> Iterable[stamina.Attempt]:
    """A PostgreSQL that restarts is back within seconds; who has failed for minutes leaves it to the next cycle."""
    return stamina.retry_context(
        on=BusyError,
        attempts=_ATTEMPTS,
        timeout=_PATIENCE,
        wait_initial=0.5,
        wait_max=15,
        wait_jitter=2,
    )


def _unknown(connection: duckdb.DuckDBPyConnection, manifests: list[Manifest]) -> list[Manifest]:
    """The runs that the database does not have."""
    known = {run for (run,) in connection.execute("SELECT run FROM core.run").fetchall()}
    return [manifest for manifest in manifests if manifest.run not in known]


@contextmanager
def _staging(archive: Holdings, manifests: list[Manifest], progress: Progress) -> Iterator["Staging"]:
    """A place for the staging files. Raises StorageError when that disk is full: it may be another one than ours."""
    try:
        with tempfile.TemporaryDirectory(prefix="realcount-") as directory:
            yield Staging(Path(directory), archive, manifests, progress)
    except OSError as error:
        raise StorageError(error.filename or tempfile.gettempdir(), error.strerror or str(error)) from error


class Staging:
    """Two files of JSON lines, the quickest way into DuckDB: captures, and the documents they hold."""

    def __init__(self, directory: Path, archive: Holdings, manifests: list[Manifest], progress: Progress) -> None:
        self._archive = archive
        self._rest = _archived(archive, manifests)
        self._progress = progress
        self.captures = directory / "captures.jsonl"
        self.documents = directory / "documents.jsonl"
        self.quarantined: Counter[str] = Counter()
        self.with_unknown_keys = 0
        self._readings: dict[tuple[str, str, int, str | None], tuple[int | None, Document | Quarantine]] = {}

    def take(self) -> list[Manifest] | None:
        """Stage the next captures in place of those before; returns the runs that end with them, None after the last.

        The same bytes under the same address are understood once.
        """
        taken, ended = 0, []
        self._readings.clear()
        with self.captures.open("wb") as captures, self.documents.open("wb") as documents:
            for manifest, capture in self._rest:
                if capture is None:
                    ended.append(manifest)
                    continue
                staged = self._stage(manifest.run, capture, documents)
                captures.write(_encoder.encode(staged) + b"\n")
                self._progress(1)
                taken += 1
                if taken == _AT_ONCE:
                    break
        return ended if taken or ended else None

    def _stage(self, run: str, capture: Capture, documents: IO[bytes]) -> Staged:
        staged = Staged(
            capture_id(capture),
            run,
            capture.url,
            capture.observed_at,
            capture.status,
            capture.mimetype,
            capture.digest,
            capture.length,
            capture.source,
            capture.headers.get("etag"),
            capture.headers.get("last-modified"),
        )
        same = (capture.url, capture.digest, capture.status, capture.truncated)
        if same not in self._readings:
            self._readings[same] = self._read(self._archive.with_body(capture), documents)
        staged.document_number, said = self._readings[same]
        if isinstance(said, Quarantine):
            self.quarantined[said.reason] += 1
            staged.quarantine_reason, staged.quarantine_place = said.reason, said.place
            staged.quarantine_detail = said.detail
        else:
            staged.reported_at, staged.unknown_keys = said.reported_at, said.unknown_keys or None
            self.with_unknown_keys += bool(said.unknown_keys)
        if endpoint := _asked(capture.url) if isinstance(said, Quarantine) else said.endpoint:
            staged.election, staged.document = endpoint.election, endpoint.document
            staged.contest_type, staged.region_code = endpoint.contest_type, endpoint.region
        return staged

    def _read(self, capture: Capture, documents: IO[bytes]) -> tuple[int | None, Document | Quarantine]:
        said = read(capture)
        if isinstance(said, Quarantine):
            return None, said
        number = len(self._readings)
        documents.write(
            _encoder.encode(
                {
                    "document_number": number,
                    "units": said.units,
                    "candidates": said.candidates,
                    "tallies": said.tallies,
                }
            )
            + b"\n"
        )
        return number, msgspec.structs.replace(said, units=(), candidates=(), tallies=())


def _archived(archive: Holdings, manifests: list[Manifest]) -> Iterator[tuple[Manifest, Capture | None]]:
    """The captures of the runs, each run followed by None. Raises ArchiveError if they are not what a manifest says."""
    for manifest in manifests:
        for segment in manifest.segments:
            found = 0
            for _, capture in archive.captures(segment.name):
                found += 1
                yield manifest, capture
            if found != segment.captures:
                raise ArchiveError(
                    f"{segment.name} has {found:,} captures, its manifest says {segment.captures:,}; "
                    "run: realcount archive verify"
                )
        yield manifest, None


def capture_id(capture: Capture) -> int:
    """First 63 bits of the sha256 of a capture's key: the same on every machine, in every rebuild."""
    key = f"{capture.url}\n{capture.observed_at.isoformat()}\n{capture.digest}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def _asked(url: str) -> Endpoint | None:
    """What was asked for when the answer says nothing."""
    try:
        return Endpoint.from_url(url)
    except EndpointError:
        return None


def _apply(connection: duckdb.DuckDBPyConnection, staging: Staging, manifests: list[Manifest]) -> LoadReport:
    """Run the load scripts over the staged files, in the caller's transaction."""
    before = _changes(connection)
    connection.execute("SET VARIABLE staged_captures = ?", [str(staging.captures)])
    connection.execute("SET VARIABLE staged_documents = ?", [str(staging.documents)])
    for script in _SCRIPTS:
        connection.execute(script.read_text("utf-8"))
    for manifest in manifests:
        connection.execute(
            "INSERT INTO core.run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                manifest.run,
                manifest.sequence,
                manifest.kind,
                _encoder.encode(manifest.asked).decode(),
                manifest.outcome,
                manifest.started_at,
                manifest.ended_at,
                manifest.captures,
                manifest.bodies,
                _encoder.encode(manifest.answered).decode(),
                _encoder.encode(manifest.versions).decode(),
                manifest.digest,
                manifest.shard or None,
            ],
        )
    (captures,) = connection.execute("SELECT count(*) FROM staged_capture").fetchone() or (0,)
    changes = _changes(connection) - before
    return LoadReport(len(manifests), captures, changes)


def _changes(connection: duckdb.DuckDBPyConnection) -> int:
    """Change rows of the database."""
    (rows,) = connection.execute((_SQL / "count_changes.sql").read_text("utf-8")).fetchone() or (0,)
    return int(rows)
