"""A copy of the database as one DuckDB file that needs nothing but DuckDB."""

from pathlib import Path

import duckdb

from warehouse.connection import Place, copying, writing
from warehouse.lake import text
from warehouse.migrate import migrate


def write_copy(place: Place, path: Path) -> int:
    """Copy all tables into a new file with the same views and macros; returns its captures.

    Raises WarehouseError if there is no database yet, StorageError if the disk refuses.
    """
    with writing(path) as connection:
        migrate(connection, path)
    with copying(place) as connection:
        connection.execute(f"ATTACH {text(str(path))} AS copy; BEGIN")
        for table in _tables(connection):
            if not connection.execute(f"FROM copy.core.{table} LIMIT 1").fetchall():  # a migration filled the others
                connection.query(f"FROM core.{table}").insert_into(f"copy.core.{table}")
        ((captures,),) = connection.execute("SELECT count(*) FROM copy.core.capture").fetchall()
        connection.execute("COMMIT; CHECKPOINT copy")
        return int(captures)


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of both."""
    sql = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'copy' AND table_name <> 'migration'"
    return [name for (name,) in connection.execute(sql).fetchall()]
