"""Opening the database, a file or a lake: as its one writer, or as one of many readers.

While a writer has a DuckDB file open no other process can even read it. So the writer's file is opened for
seconds, and readers get a copy that is replaced in one step after every load. Readers of a lake get its state of now.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from extract import files
from extract.errors import BusyError, QueryError, StorageError, WarehouseError
from warehouse import lake
from warehouse.frozen import frozen
from warehouse.lake import Lake

log = logging.getLogger(__name__)

_Done = TypeVar("_Done")

WRITER_FILE = "warehouse.duckdb"
PUBLISHED_FILE = "realcount.duckdb"

Place = Path | Lake
"""Where a database is."""

_STORAGE = "v1.5.0"  # so that DuckDB 1.5 can open what 2.0 wrote
_DAMAGE = (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException)
_TIME_ZONE = "Asia/Jakarta"  # moments are shown as KPU shows them
_SPILL = "2GB"  # what a query may put on the disk while it runs; else it would be all the room the archive needs
# Bytes; with the crawler, the country stays below 4 GB. DuckDB would take 80 % of the machine
_MEMORY = 2_000_000_000  # of a load
_MEMORY_OF_VIEWS = 3_000_000_000  # rollup of the country takes most; a load is over by then
# DuckDB 2.0.0 loses dictionaries where it swaps an outer join's sides (its issue 24807); for all sessions
_PLAIN = "SET GLOBAL disabled_optimizers = 'build_side_probe_side'"
_LOAD_SPILL = "20GB"  # what does not fit goes to the disk: far less for a portion of captures, this much for all views


def replanned(work: Callable[[bool], _Done]) -> _Done:
    """Do the work with False; if DuckDB finds a plan of its own wrong, once more with True, for plainer plans.

    Such an error ends the whole database instance, so that the work has to open its own.
    """
    try:
        return work(False)
    except (duckdb.InternalException, WarehouseError) as error:
        if not isinstance(cause := error.__cause__ or error, duckdb.InternalException):
            raise
        log.warning("once more with plainer plans, because DuckDB says: %s", _first_line(cause))
        return work(True)


def alone(path: Path) -> AbstractContextManager[None]:
    """Nobody else loads, publishes or rebuilds this database meanwhile: the file itself is closed in between, when
    a copy is made of it.

    Raises BusyError if another process does, StorageError if the disk refuses.
    """
    return files.alone(path.with_name(f".{path.name}.lock"), "the database", path)


def forget_log(path: Path) -> None:
    """Remove the write-ahead log that a killed load left beside a database that is gone or about to be replaced:
    DuckDB refuses a database with another one's log, and what was in it is in the archive."""
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


@contextmanager
def writing(path: Place, *, plain: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database as its only writer, checkpointed when it is left; a lake as `warehouse.lake.writing` says. `plain`
    is for `replanned`.

    Raises BusyError if another process has it open, WarehouseError if it is no DuckDB file,
    StorageError if the disk refuses.
    """
    if isinstance(path, Lake):
        with lake.writing(path) as connection:
            connection.execute(f"SET TimeZone = '{_TIME_ZONE}'")
            yield connection
        return
    with files.refusals(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
    connection = _open(path, storage_compatibility_version=_STORAGE)
    try:
        with _explained(path):
            connection.execute(f"SET TimeZone = '{_TIME_ZONE}'")
            _bound(connection, path, _MEMORY, plain=plain)
            with _interruptible():
                yield connection
            connection.execute("CHECKPOINT")  # a write-ahead log is where DuckDB's recovery bugs have been
    finally:
        connection.close()


@contextmanager
def reading(path: Place, *, plain: bool = False, memory: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published copy, or a lake as it is now: read-only and shut off from files and network.

    `plain` is for `replanned`; `memory`, such as 1GB, is the most that a question may take before it uses the disk,
    else it is DuckDB's usual 80 % of the machine.

    Raises WarehouseError if there is none yet, QueryError for SQL the database refuses.
    """
    with frozen(path) if isinstance(path, Lake) else _published(path) as connection:
        try:
            connection.execute(f"SET TimeZone = '{_TIME_ZONE}'; SET max_temp_directory_size = '{_SPILL}'")
            if plain:
                connection.execute(_PLAIN)
            if memory:
                connection.execute(f"SET memory_limit = {duckdb.ConstantExpression(memory)}")  # SET takes no parameters
            connection.execute("SET enable_external_access = false; SET lock_configuration = true")
            with _interruptible():
                yield connection
        except duckdb.Error as error:
            raise refusal(error) from error


@contextmanager
def _published(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    _expect(path)
    connection = _open(
        path,
        access_mode="READ_ONLY",
        python_enable_replacements=False,  # or a query could name the variables of the functions around it
    )
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def copying(path: Place, *, plain: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published copy, or a lake as it is now, for writing its views into files: never for SQL from outside.

    It is attached to a database of its own, so that it does not share what `reading` in the same process shuts off.
    `plain` is for `replanned`. Raises WarehouseError if there is none yet.
    """
    if isinstance(path, Lake):
        with frozen(path) as connection:
            connection.execute(f"SET TimeZone = '{_TIME_ZONE}'")
            yield connection
        return
    _expect(path)
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    try:
        with _explained(path):  # ATTACH takes no parameters (DuckDB 1.5)
            connection.execute(f"ATTACH {duckdb.ConstantExpression(str(path))} AS published (READ_ONLY)")
        connection.execute(f"USE published; SET TimeZone = '{_TIME_ZONE}'")
        _bound(connection, path, _MEMORY_OF_VIEWS, plain=plain)
        with _interruptible():
            yield connection
    finally:
        connection.close()


def state_of(path: Place) -> int:
    """A number that grows whenever what readers see is another."""
    if isinstance(path, Path):
        return path.stat().st_mtime_ns
    with frozen(path) as connection:
        ((snapshot,),) = connection.execute("SELECT id FROM ducklake_current_snapshot(current_database())").fetchall()
        return int(snapshot)


@contextmanager
def beside(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Another session of the same database, for another thread: a new one knows neither its USE nor its time zone."""
    ((name,),) = connection.execute("SELECT current_database()").fetchall()
    with connection.cursor() as session:
        session.execute(f"USE {duckdb.ColumnExpression(name)}; SET TimeZone = '{_TIME_ZONE}'")
        yield session


def _bound(connection: duckdb.DuckDBPyConnection, path: Path, memory: int, *, plain: bool) -> None:
    """Keep to a share of the memory, and put what does not fit beside the database."""
    ((most,),) = connection.execute(
        "SELECT least(parse_formatted_bytes(current_setting('memory_limit')), ?)", [memory]
    ).fetchall()
    spill = duckdb.ConstantExpression(f"{path}.tmp")  # SET takes no parameters
    connection.execute(f"SET memory_limit = '{most}B'; SET temp_directory = {spill}")
    connection.execute(f"SET max_temp_directory_size = '{_LOAD_SPILL}'")
    if plain:
        connection.execute(_PLAIN)


def _expect(path: Path) -> None:
    if not path.exists():
        raise WarehouseError(
            f"there is no database at {str(path)!r} yet; load something first: realcount replay --help"
        )


def refusal(error: duckdb.Error) -> QueryError | WarehouseError:
    """Why a question has no answer: its SQL, a mistake of DuckDB's, or a file that lost something."""
    said = " ".join(str(error).split())
    if isinstance(error, duckdb.InternalException):
        return WarehouseError(
            f"DuckDB failed at this question ({said}). Ask it in another way; "
            "if other questions fail too, the database is damaged: run realcount rebuild"
        )
    if isinstance(error, _DAMAGE):
        return WarehouseError(f"the database is damaged ({said}); run: realcount rebuild")
    return QueryError(said)


def _create(path: Path) -> None:
    """An empty database, there whole or not at all: what a full disk leaves of one, DuckDB does not open again."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    forget_log(draft)
    _open(draft, storage_compatibility_version=_STORAGE).close()
    forget_log(path)
    draft.replace(path)


def _open(path: Path, **config: Any) -> duckdb.DuckDBPyConnection:
    """The file, if it is a database; for other kinds DuckDB would ask the network for an extension."""
    try:
        with _explained(path):
            return duckdb.connect(str(path), config={"autoinstall_known_extensions": False, **config})
    except duckdb.Error as error:
        raise WarehouseError(_not_ours(path, error)) from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C while DuckDB is at work is a KeyboardInterrupt as anywhere; DuckDB now and then has its own error."""
    try:
        yield
    except (RuntimeError, duckdb.InterruptException) as error:
        if isinstance(error, duckdb.InterruptException) or str(error) == "Query interrupted":  # 2.0, or 1.5
            raise KeyboardInterrupt from error
        raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """DuckDB's errors about files, in words that say what to do."""
    try:
        yield
    except duckdb.Error as error:
        said = str(error)
        if "lock" in said and ("Conflicting" in said or "Could not set" in said):
            raise BusyError(path, "the database") from error
        if any(words in said for words in ("No space left", "File too large", "Permission denied", "Read-only")):
            raise StorageError(path, _first_line(error)) from error
        if isinstance(error, _DAMAGE):
            raise WarehouseError(_not_ours(path, error)) from error
        raise


def _not_ours(path: Path, error: duckdb.Error) -> str:
    return (
        f"{str(path)!r} is no database that this DuckDB ({duckdb.__version__}) can open: {_first_line(error)}; "
        "move it away and run: realcount rebuild"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
