"""A lake for readers: its catalog as it is at one moment, and no way back to its server.

The catalog of now is copied into a file, which a database attaches that never knew the server: one moment for all that
is asked, and SQL from outside meets no connection, no password, and no function that could open one.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb

from extract.errors import WarehouseError
from warehouse.lake import NAME, Lake, explained, give_credentials, session, text

_OF_NOW = {  # what is not dated by itself, and would grow with every load
    "ducklake_snapshot": "snapshot_id = (SELECT max(snapshot_id) FROM catalog.ducklake_snapshot)",
    "ducklake_snapshot_changes": "false",
    "ducklake_files_scheduled_for_deletion": "false",
    "ducklake_file_column_stats": "data_file_id IN (SELECT data_file_id FROM ducklake_data_file)",  # copied before
}


@contextmanager
def frozen(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """The lake as it is at this moment, read-only; `enable_external_access` then shuts off all files but its own.

    Raises WarehouseError if there is no lake yet, UncommittedError if its server is away.
    """
    with tempfile.TemporaryDirectory(prefix="realcount-") as directory:
        copy = Path(directory) / "catalog"
        lake = replace(lake, files=_copied(lake, copy))
        with session(lake, "ducklake") as connection, explained(lake):
            if lake.is_remote:
                give_credentials(connection, lake)
            connection.execute(f"ATTACH {text(f'ducklake:{copy}')} AS {NAME} (READ_ONLY); USE {NAME}")
            connection.execute(f"SET temp_directory = {text(directory)}")
            connection.execute(f"SET allowed_directories = [{text(str(lake.files))}]")
            yield connection


def _copied(lake: Lake, copy: Path) -> str:
    """Copy the catalog of now into a file, in one transaction; returns where the Parquet files lie."""
    with session(lake, *(["postgres_scanner"] if lake.is_shared else [])) as connection, explained(lake):
        source, kind = (lake.server, "TYPE postgres, ") if lake.is_shared else (lake.catalog, "")
        if not lake.is_shared and not Path(source).exists():
            raise _nothing(lake)
        connection.execute(
            f"ATTACH {text(source)} AS catalog ({kind}READ_ONLY); ATTACH {text(str(copy))} AS copy; USE copy"
        )
        connection.execute("BEGIN")
        for table, is_dated in _tables(connection):
            scope = _OF_NOW.get(table, "end_snapshot IS NULL" if is_dated else "true")
            connection.sql(f"FROM catalog.{table} WHERE {scope}").create(table)
        try:
            files = connection.execute("SELECT value FROM ducklake_metadata WHERE key = 'data_path'").fetchall()
        except duckdb.CatalogException as error:
            raise _nothing(lake) from error
        connection.execute("COMMIT; USE memory; DETACH copy")
        return str(files[0][0])


def _tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, bool]]:
    """The tables of the catalog by name, and whether their rows say from when to when they hold."""
    return connection.execute((Path(__file__).parent / "queries" / "catalog_tables.sql").read_text("utf-8")).fetchall()


def _nothing(lake: Lake) -> WarehouseError:
    return WarehouseError(f"there is no database at {str(lake)!r} yet; load something first: realcount replay --help")
