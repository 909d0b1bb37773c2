"""The database as a DuckLake: a catalog in PostgreSQL (or a file), tables as Parquet in a folder or an object store.

Several loaders write, each in a transaction; readers get the catalog as it is at one moment, and the Parquet files.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from extract.errors import BusyError, StorageError, UncommittedError, UsageError, WarehouseError
from warehouse import extensions

_HERE = Path(__file__).parent

NAME = "lake"
"""What the catalog is called in a connection."""

_PREFIX, _POSTGRES = "ducklake:", "postgres:"
_SECRETIVE = re.compile(r"(password|sslkey)\w*\s*=|://[^/]*@", re.IGNORECASE)
_CONNECTION = "connect_timeout=10 application_name=realcount "  # the user's own settings come later, and win
_TURN = "SELECT pg_advisory_xact_lock(2124529729)"  # our number among the locks of the catalog's database
_PATIENCE = "90s"  # how long a loader waits for its turn: others' transactions take seconds
_LOST = ("server closed the connection", "terminating connection", "onnection refused", "could not connect",
         "starting up", "shutting down", "SSL SYSCALL", "Connection reset", "no connection to the server",
         "Broken pipe", "recovery mode", "timeout expired")  # fmt: skip


@dataclass(frozen=True)
class Lake:
    """Where a DuckLake's catalog and Parquet files lie. As text it holds no credentials.

    `catalog` is `postgres:<libpq's key=value string>` or a file's path, `files` a folder or `s3://…`; None for readers,
    whom the catalog tells. `credentials` are named as libpq and the object store's clients name them.
    """

    catalog: str
    files: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def named(cls, text: str, files: str | None, credentials: Mapping[str, str]) -> "Lake":
        """The lake that the settings name. Raises UsageError for another kind of name, and for one with a password."""
        if _SECRETIVE.search(f"{text} {files or ''}"):
            raise UsageError(
                "the warehouse's name holds a password, which would end in logs; take it out, and put it into "
                "PGPASSWORD, a PGPASSFILE, the AWS_… variables or the file that REALCOUNT_SECRETS names"
            )
        kind, colon, catalog = text.partition(":")
        other = re.match(r"(?!postgres:)\w+:", catalog)
        if f"{kind}{colon}" != _PREFIX or not catalog or other:
            raise UsageError(f"a warehouse is called ducklake:postgres:<key=value …> or ducklake:<file>, not {text!r}")
        return cls(catalog, files if files is None or "://" in files else str(Path(files).absolute()), credentials)

    def __str__(self) -> str:
        return f"{_PREFIX}{self.catalog}"

    @property
    def is_shared(self) -> bool:
        """Whether its catalog is a server, which several processes can ask at once."""
        return self.catalog.startswith(_POSTGRES)

    @property
    def is_remote(self) -> bool:
        """Whether its Parquet files lie in an object store."""
        return bool(self.files and self.files.startswith("s3://"))

    @property
    def server(self) -> str:
        """What libpq is told, without a password."""
        return _CONNECTION + self.catalog.removeprefix(_POSTGRES)


@contextmanager
def writing(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The lake as the one loader whose turn it is, made if there is none yet; transactions are the caller's.

    Turns keep loaders from working in vain. That two transactions never take the same thing in is not their doing:
    a lock is gone when PostgreSQL restarts. That is what DuckLake's conflicts are for (`core.gate`).
    Raises BusyError if no turn comes, UncommittedError if the server is away, WarehouseError, StorageError.
    """
    names = ["ducklake", *(["postgres_scanner"] if lake.is_shared else [])]
    with session(lake, *names) as connection, explained(lake), _turn(connection, lake):
        if lake.is_remote:
            give_credentials(connection, lake)
        place = f"{_PREFIX}{_POSTGRES}{lake.server}" if lake.is_shared else str(lake)
        files = f"DATA_PATH {text(lake.files)}, " if lake.files else ""
        # Rows inlined into the catalog make loaders conflict, and every reader copies them with it.
        connection.execute(f"ATTACH {text(place)} AS {NAME} ({files}DATA_INLINING_ROW_LIMIT 0); USE {NAME}")
        yield connection


def commit(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Commit the transaction; the connection is of no more use afterwards.

    Files are shut off before. If PostgreSQL commits and dies before it says so, DuckLake takes the transaction for
    failed and deletes its Parquet files, which the catalog names by then (DuckLake 1.0 in DuckDB 1.5.5, November 2026).
    What failed transactions leave lying about is removed by `tidy`.
    Raises UncommittedError if another transaction came first, or if nobody knows whether it was committed.
    """
    connection.execute("SET enable_external_access = false")
    try:
        connection.execute("COMMIT")
    except duckdb.Error as error:
        why = "another load was committed first, or the connection was lost on the way"
        raise UncommittedError(lake, why) from error


@contextmanager
def session(lake: Lake, *names: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory with these extensions, and nothing that fetches others."""
    for name in ("PGPASSWORD", "PGPASSFILE"):  # libpq knows them from the environment, or from text that gets shown
        if name in lake.credentials:
            os.environ[name] = lake.credentials[name]
    nothing = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    connection = duckdb.connect(config={**nothing, "python_enable_replacements": False})
    try:
        extensions.load(connection, *names)
        yield connection
    finally:
        connection.close()


@contextmanager
def explained(lake: Lake) -> Iterator[None]:
    """DuckDB's errors about server, catalog and files in words that say what to do."""
    try:
        yield
    except duckdb.Error as error:
        said = _line(error)
        if "Could not set lock" in said or "Conflicting lock" in said:
            raise BusyError(str(lake), "the warehouse") from error
        if any(words in said for words in _LOST):
            raise UncommittedError(lake, said) from error
        if any(words in said for words in ("No space left", "Permission denied", "Read-only")):
            raise StorageError(lake.files or str(lake), said) from error
        if isinstance(error, (duckdb.IOException, duckdb.HTTPException)):
            raise WarehouseError(f"{str(lake)!r} cannot be used: {said}") from error
        raise


def give_credentials(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Let a connection reach the object store. The secret lives in its memory; SQL that fails would be shown, so that
    its values go by variables, which are forgotten at once."""
    extensions.load(connection, "httpfs")
    address = urlsplit(lake.credentials.get("AWS_ENDPOINT_URL", ""))
    named = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    values = {
        **{name.lower(): lake.credentials.get(name, "") for name in named},
        "aws_region": lake.credentials.get("AWS_REGION", "us-east-1"),
        "endpoint": address.netloc or "s3.amazonaws.com",
        "url_style": "path" if address.netloc else "vhost",  # stand-ins and MinIO have no host a bucket
        "use_ssl": address.scheme != "http",
    }
    for name, value in values.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])
    connection.execute((_HERE / "queries" / "object_store.sql").read_text("utf-8"))
    for name in values:
        connection.execute(f"RESET VARIABLE {name}")


def text(value: str) -> str:
    """Text as SQL writes it, where SQL takes no parameters."""
    return str(duckdb.ConstantExpression(value))


@contextmanager
def _turn(connection: duckdb.DuckDBPyConnection, lake: Lake) -> Iterator[None]:
    """A lock of the server, held by a transaction of its own: it goes when its holder dies, however it dies."""
    if not lake.is_shared:  # DuckDB lets one process open a file
        yield
        return
    with connection.cursor() as waiting:
        waiting.execute(f"ATTACH {text(lake.server)} AS turn (TYPE postgres); BEGIN")
        waiting.execute("CALL postgres_execute('turn', ?)", [f"SET LOCAL lock_timeout = '{_PATIENCE}'"])
        try:
            waiting.execute("CALL postgres_execute('turn', ?)", [_TURN])
        except duckdb.Error as error:
            if "lock timeout" in str(error):
                raise BusyError(str(lake), "the warehouse") from error
            raise
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # if it is the connection that is gone, so is the lock
                waiting.execute("ROLLBACK")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
