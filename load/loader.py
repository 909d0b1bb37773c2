"""From the archive into the database: set-based, idempotent, and blind to the order of arrival."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import msgspec
import stamina

from extract.archive import Holdings
from extract.errors import BusyError, RealcountError, WarehouseError
from extract.manifests import Manifest
from load.staging import Progress, Staging, quiet, staging
from warehouse.connection import Place, alone, reading, replanned, writing
from warehouse.lake import Lake, commit
from warehouse.migrate import is_current, migrate

_SQL = Path(__file__).parent / "sql"
_SCRIPTS = sorted(_SQL.glob("[0-9]_*.sql"))
_ATTEMPTS, _PATIENCE = 10, 240.0  # s
_TURN = "BEGIN; UPDATE core.gate SET loads = loads + 1"
_encoder = msgspec.json.Encoder()


class LoadReport(msgspec.Struct, frozen=True):
    """What a load took in: runs and captures new to the database, how many change rows they made, and the
    captures quarantined, by reason, and how many have keys that nobody reads."""

    runs: int = 0
    captures: int = 0
    changes: int = 0
    quarantined: dict[str, int] = {}
    with_unknown_keys: int = 0


def load(archive: Holdings, place: Place, progress: Progress = quiet, *, anew: bool = False) -> LoadReport:
    """Take every run of the archive that the database does not have yet into it, all or nothing.

    More than a night's busiest cycle is taken in portions: memory stays bounded, and a later load goes on where one
    failed. `anew` takes all runs in again, in a lake in place of what it had.

    Raises WarehouseError, BusyError or StorageError; the database is then as it was before the portion.
    """
    manifests = archive.manifests()
    if isinstance(place, Lake):
        return (_refill if anew else _load_into_lake)(archive, manifests, place, progress)
    return replanned(lambda plain: _load_into_file(archive, manifests, place, progress, plain=plain))


@contextmanager
def preparing(place: Place) -> Iterator[None]:
    """Make the database in a thread while the block fills the archive, if there is none: its 700 statements take 0.2 s.

    Whatever is in the way is told by the load that follows.
    """

    def make(path: Path) -> None:
        with suppress(RealcountError), alone(path), writing(path) as connection:
            migrate(connection, path)

    with ThreadPoolExecutor(1) as thread:
        if isinstance(place, Path) and not place.exists():
            thread.submit(make, place)
        yield


def _load_into_file(
    archive: Holdings, manifests: list[Manifest], place: Path, progress: Progress, *, plain: bool
) -> LoadReport:
    """A portion is a transaction; what was committed before one failed is there when it is tried again."""
    with writing(place, plain=plain) as connection:
        migrate(connection, place)
        new = _unknown(connection, manifests)
        if not new:
            return LoadReport()
        parts = []
        with staging(archive, new, progress) as staged:
            while (ended := staged.take()) is not None:
                connection.execute("BEGIN")
                parts.append(_apply(connection, staged, ended))
                connection.execute("COMMIT")
        return _total(parts, staged)


def _load_into_lake(archive: Holdings, manifests: list[Manifest], lake: Lake, progress: Progress) -> LoadReport:
    """Bodies are read beside other loaders; one after another then takes its turn with the tables.

    A transaction that failed is begun anew, and sees what the others did. Nobody knows whether one that lost its server
    was committed: the next passes over what is there already.
    """
    new = _new_to_lake(lake, manifests)
    if not new:
        return LoadReport()
    parts = []
    with staging(archive, new, progress) as staged:
        while (ended := staged.take()) is not None:
            parts.append(_take_turn(lake, staged, ended))
    return _total(parts, staged)


def _take_turn(lake: Lake, staged: Staging, ended: list[Manifest]) -> LoadReport:
    """One portion, in one transaction."""
    done = LoadReport()
    for attempt in _attempts():
        with attempt, writing(lake) as connection:
            connection.execute(_TURN)
            part = _apply(connection, staged, _unknown(connection, ended))
            if part.runs or part.captures:  # else the attempt before was committed, and only its answer lost
                done = part
            commit(connection, lake)
    return done


def _refill(archive: Holdings, manifests: list[Manifest], lake: Lake, progress: Progress) -> LoadReport:
    """All runs again, in place of what the lake had: one transaction, so that its readers see the old or the new."""
    _new_to_lake(lake, manifests)
    done = LoadReport()
    for attempt in _attempts():
        with attempt, writing(lake) as connection, staging(archive, manifests, progress) as staged:
            connection.execute(_TURN)
            connection.execute((_SQL / "empty.sql").read_text("utf-8"))
            parts = []
            while (ended := staged.take()) is not None:
                parts.append(_apply(connection, staged, ended))
            commit(connection, lake)
            done = _total(parts, staged)
    return done


def _total(parts: list[LoadReport], staged: Staging) -> LoadReport:
    """What all portions of a load did."""
    return LoadReport(
        sum(part.runs for part in parts),
        sum(part.captures for part in parts),
        sum(part.changes for part in parts),
        dict(staged.quarantined),
        staged.with_unknown_keys,
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


def _apply(connection: duckdb.DuckDBPyConnection, staged: Staging, manifests: list[Manifest]) -> LoadReport:
    """Run the load scripts over the staged files, in the caller's transaction."""
    before = _changes(connection)
    connection.execute("SET VARIABLE staged_captures = ?", [str(staged.captures)])
    connection.execute("SET VARIABLE staged_documents = ?", [str(staged.documents)])
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
