"""Views as files: one a view, with datapackage.json beside them. A set appears whole or not at all."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb

from extract import files
from extract.endpoints import WIB
from extract.errors import StorageError, UsageError, WarehouseError
from warehouse import queries
from warehouse.connection import beside
from warehouse.datapackage import FILE, File, describe
from warehouse.plain import csv_line
from warehouse.surface import View, views

Form = Literal["csv", "parquet"]

_HISTORIES = {"changes", "lead_changes", "leads", "new_vs_revised", "timeline"}
"""Views whose rows stay as they are when later ones follow: as of a moment they are those up to it."""

_AS_OF = {"results": "results_as_of", "findings": "findings_as_of"}
"""Views that a macro gives as of a moment of KPU's clock."""

_BATCH = 10_000  # rows in memory at a time
_AT_ONCE = 2  # views written side by side: DuckDB spends much of a small one's time on one core


def choose(
    connection: duckdb.DuckDBPyConnection, wanted: list[str] | None = None, at: datetime | None = None
) -> list[View]:
    """The views to export: those wanted, or all; as of a moment, those that can be told as of one.

    Raises UsageError for one that is not there, or that was wanted and knows no moment.
    """
    chosen = views(connection, wanted)
    if at is None:
        return chosen
    timed = _HISTORIES | _AS_OF.keys()
    for view in chosen:
        if wanted and view.name not in timed:
            knowing = ", ".join(view.name for view in views(connection) if view.name in timed)
            raise UsageError(f"{view.name} tells of now, not as of a moment; as of a moment there are {knowing}")
    return [view for view in chosen if view.name in timed]


def write_set(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    form: Form,
    chosen: list[View],
    at: datetime | None = None,
) -> list[File]:
    """Write views and their description into a directory that is there.

    A view that finds no memory beside another is written again when it has it for itself, as Parquet then in parts.
    Raises WarehouseError if that is not enough either.
    """
    write = {"csv": write_csv, "parquet": _write_parquet}[form]

    def written(view: View, session: duckdb.DuckDBPyConnection) -> File:
        path = directory / f"{view.name}.{form}"
        return File(view, path, write(session, view, path, at))

    def tried(view: View, session: duckdb.DuckDBPyConnection) -> File | None:
        with contextlib.suppress(duckdb.OutOfMemoryException):
            return written(view, session)
        return None

    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(beside(connection)) for _ in chosen]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            attempts = list(threads.map(tried, chosen, sessions))

    def alone(view: View) -> File:
        try:
            return written(view, connection)
        except duckdb.OutOfMemoryException:
            if form == "csv" or at or [column.name for column in view.columns[:2]] != ["election", "contest_type"]:
                raise
            path = directory / f"{view.name}.{form}"
            return File(view, path, _write_in_parts(connection, view, path))

    try:
        files = [file or alone(view) for file, view in zip(attempts, chosen, strict=True)]
    except duckdb.OutOfMemoryException as error:
        raise WarehouseError("writing the views needs more memory than there is; choose some with --view") from error
    about = f"As of {at.astimezone(WIB).isoformat()} on KPU's clock, from all captures known. " if at else ""
    (directory / FILE).write_bytes(describe(connection, files, about))
    return files


def write_csv(connection: duckdb.DuckDBPyConnection, view: View, path: Path, at: datetime | None = None) -> int:
    """Write one view as CSV by RFC 4180; returns its rows."""
    count = 0
    relation = _rows(connection, view, at)
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write(csv_line(relation.columns) + "\r\n")
        connection.execute(relation.sql_query())
        while batch := connection.fetchmany(_BATCH):
            out.writelines(csv_line(row) + "\r\n" for row in batch)
            count += len(batch)
    return count


@contextlib.contextmanager
def draft_directory(place: Path, names: list[str], *, force: bool) -> Iterator[Path]:
    """A directory to fill with files of these names, which then becomes `place`, or goes into it if it is there.

    Raises UsageError if files would be replaced and `force` does not say so; other files in `place` are left alone.
    Raises StorageError if the disk refuses.
    """
    if place.exists() and not place.is_dir():
        raise UsageError(f"{str(place)!r} is a file; name a directory")
    _expect_free([place / name for name in (*names, FILE)], force)
    draft = place.with_name(f".{place.name}.part")
    with refusals(place):
        shutil.rmtree(draft, ignore_errors=True)  # of a run that was killed
        draft.mkdir(parents=True)
        try:
            yield draft
            if not place.exists():
                draft.replace(place)
            else:
                for path in sorted(draft.iterdir(), key=lambda path: path.name == FILE):  # what describes them last
                    path.replace(place / path.name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


@contextlib.contextmanager
def draft_file(place: Path, *, force: bool) -> Iterator[Path]:
    """A file to write, which then becomes `place`. Raises as draft_directory does."""
    if place.is_dir():
        raise UsageError(f"{str(place)!r} is a directory; name a file")
    _expect_free([place], force)
    with refusals(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with files.whole(place) as draft:
            yield draft


@contextlib.contextmanager
def refusals(place: Path) -> Iterator[None]:
    """What a disk refuses as StorageError, whether we or DuckDB met it."""
    try:
        with files.refusals(place):
            yield
    except duckdb.IOException as error:
        raise StorageError(place, " ".join(str(error).split())) from error


def _expect_free(places: list[Path], force: bool) -> None:
    there = [str(place) for place in places if place.exists()]
    if there and not force:
        raise UsageError(f"{there[0]!r} is there already; choose another place, or say --force to replace it")


def _rows(connection: duckdb.DuckDBPyConnection, view: View, at: datetime | None) -> duckdb.DuckDBPyRelation:
    """A view's rows in an order that depends on nothing but them."""
    if at is None:
        return connection.view(view.name).order("ALL")
    if macro := _AS_OF.get(view.name):
        return connection.table_function(macro, [at]).order("ALL")
    before = duckdb.ColumnExpression("reported_at") <= duckdb.ConstantExpression(at)
    return connection.view(view.name).filter(before).order("ALL")


def _write_parquet(connection: duckdb.DuckDBPyConnection, view: View, path: Path, at: datetime | None) -> int:
    if at is None:  # after every load: a relation would understand the view twice
        connection.execute(queries.text("copy_view"), {"view": view.name, "file": str(path)})
    else:
        _rows(connection, view, at).write_parquet(str(path), compression="snappy")
        connection.execute(queries.text("parquet_rows"), {"file": str(path)})
    ((rows,),) = connection.fetchall()
    return int(rows)


def _write_in_parts(connection: duckdb.DuckDBPyConnection, view: View, path: Path) -> int:
    """A view that begins with election and contest type, one type after another: the same rows in the same order."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as directory:
        parts = []
        for election, contest_type in list(queries.ask(connection, "contest_types").rows):
            parts.append(str(Path(directory) / f"{election}-{contest_type}.parquet"))
            kind = {"election": election, "contest_type": contest_type}
            connection.execute(queries.text("copy_view_part"), {"view": view.name, "file": parts[-1], **kind})
        connection.execute(queries.text("join_parts"), {"parts": parts, "file": str(path)})
        ((rows,),) = connection.fetchall()
        return int(rows)
