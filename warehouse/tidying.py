"""Keeping a lake small: every load leaves Parquet files of its own, and what it replaced stays readable for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import duckdb

from warehouse import lake as lakes
from warehouse.connection import reading
from warehouse.lake import Lake
from warehouse.queries import ask

_DELETED = 0.2  # of a file's rows: from this share on it is written again without them


class Files(NamedTuple):
    """Parquet files of a lake's tables, and those that say which of their rows are gone."""

    data: int
    deletes: int


def tidy(lake: Lake, keep: timedelta) -> tuple[Files, Files]:
    """Merge small files, and remove those that nobody has needed for a time; how many there were, and are.

    Safe beside loaders, who wait for their turn, and beside readers who opened the lake within that time. Contents do
    not change. What a failed load or a tidying that was killed left behind is removed, too, when it is old enough.
    Raises BusyError and StorageError as loads do.
    """
    before = _files(lake)
    for step in (
        "CALL ducklake_rewrite_data_files(current_database(), delete_threshold => $threshold)",
        "CALL ducklake_merge_adjacent_files(current_database())",
    ):
        with lakes.writing(lake) as connection, _committed(connection, lake):
            connection.execute(step, {"threshold": _DELETED} if "$threshold" in step else None).fetchall()
    with lakes.writing(lake) as connection:
        for step in (
            "CALL ducklake_expire_snapshots(current_database(), older_than => now() - $keep)",
            "CALL ducklake_cleanup_old_files(current_database(), older_than => now() - $keep)",
            "CALL ducklake_delete_orphaned_files(current_database(), older_than => now() - $keep)",
        ):
            connection.execute(step, {"keep": keep}).fetchall()
    return before, _files(lake)


@contextmanager
def _committed(connection: duckdb.DuckDBPyConnection, lake: Lake) -> Iterator[None]:
    connection.execute("BEGIN")
    yield
    lakes.commit(connection, lake)


def _files(lake: Lake) -> Files:
    with reading(lake) as connection:
        return Files(**ask(connection, "lake_files").records()[0])
