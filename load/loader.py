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

    `anew` takes all runs in again, in a lake in place of what it had.

    Raises WarehouseError, BusyError or StorageError; the database is then as it was.
    """
    manifests = archive.manifests()
    if isinstance(place, Lake):
        return _load_into_lake(archive, manifests, place, progress, anew)
    with writing(place) as connection:
        migrate(connection, place)
        new = _unknown(connection, manifests)
        if not new:
            return LoadReport()
        with _temporary_directory() as directory:
            staging = Staging(directory)
            staging.take(archive, new, progress)
            connection.execute("BEGIN")
            report = _apply(connection, staging, new)
            connection.execute("COMMIT")
            return report


def _load_into_lake(
    archive: Holdings, manifests: list[Manifest], lake: Lake, progress: Progress, anew: bool
) -> LoadReport:
    """Bodies are read beside other loaders; one after another then takes its turn with the tables.

    A transaction that failed is begun anew, and sees what the others did. Nobody knows whether one that lost its server
    was committed: if the next finds its runs loaded, it was.
    """
    new = _new_to_lake(lake, manifests)
    if anew:
        new = manifests
    elif not new:
        return LoadReport()
    with _temporary_directory() as directory:
        staging = Staging(directory)
        staging.take(archive, new, progress)
        report = LoadReport()
        for attempt in _attempts():
            with attempt, writing(lake) as connection:
                connection.execute("BEGIN; UPDATE core.gate SET loads = loads + 1")
                if anew:
                    connection.execute((_SQL / "empty.sql").read_text("utf-8"))
                if still := _unknown(connection, new):
                    report = _apply(connection, staging, still)
                    commit(connection, lake)
        return report


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
def _temporary_directory() -> Iterator[Path]:
    """A place for the staging files. Raises StorageError when that disk is full: it may be another one than ours."""
    try:
        with tempfile.TemporaryDirectory(prefix="realcount-") as directory:
            yield Path(directory)
    except OSError as error:
        raise StorageError(error.filename or tempfile.gettempdir(), error.strerror or str(error)) from error


class Staging:
    """Two files of JSON lines, the quickest way into DuckDB: captures, and the documents they hold."""

    def __init__(self, directory: Path) -> None:
        self.captures = directory / "captures.jsonl"
        self.documents = directory / "documents.jsonl"
        self.quarantined: Counter[str] = Counter()
        self.with_unknown_keys = 0
        self._readings: dict[tuple[str, str, int, str | None], tuple[int | None, Document | Quarantine]] = {}

    def take(self, archive: Holdings, manifests: list[Manifest], progress: Progress) -> None:
        """Read the runs' captures; the same bytes under the same address are understood once."""
        with self.captures.open("wb") as captures, self.documents.open("wb") as documents:
            for manifest in manifests:
                for segment in manifest.segments:
                    found = 0
                    for _, capture in archive.captures(segment.name):
                        found += 1
                        staged = self._stage(archive, manifest.run, capture, documents)
                        captures.write(_encoder.encode(staged) + b"\n")
                        progress(1)
                    if found != segment.captures:
                        raise ArchiveError(
                            f"{segment.name} has {found:,} captures, its manifest says {segment.captures:,}; "
                            "run: realcount archive verify"
                        )

    def _stage(self, archive: Holdings, run: str, capture: Capture, documents: IO[bytes]) -> Staged:
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
            self._readings[same] = self._read(archive.with_body(capture), documents)
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
    return LoadReport(len(manifests), captures, changes, dict(staging.quarantined), staging.with_unknown_keys)


def _changes(connection: duckdb.DuckDBPyConnection) -> int:
    """Change rows of the database."""
    (rows,) = connection.execute((_SQL / "count_changes.sql").read_text("utf-8")).fetchone() or (0,)
    return int(rows)
