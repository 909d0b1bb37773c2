"""Bringing a database to this version's schema: numbered migrations, then all macros and views.

Migrations live in `schema/NNNN_name.sql` and run once each; macros and views are one object a file and are
replaced as a whole whenever any of them differs from what the database was given last.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import duckdb

from extract.errors import WarehouseError
from warehouse.connection import Place
from warehouse.lake import Lake

_HERE = Path(__file__).parent
_COLUMN_COMMENT = re.compile(r"^COMMENT ON COLUMN (\S+)\.(\w+) IS '((?:[^']|'')*)';$", re.MULTILINE)
_NO_COMMENT = re.compile(r"^COMMENT ON (?:COLUMN|MACRO|MACRO TABLE) .*;$", re.MULTILINE)  # what a lake refuses
_SURFACE = (  # in the order in which they need each other
    "macros/core.level_of.sql",
    "macros/core.parent_of.sql",
    "macros/core.spelled.sql",
    "macros/core.bare_name.sql",
    "macros/core.endpoint.sql",
    "macros/core.document_of.sql",
    "macros/core.ladder.sql",
    "macros/core.holder_of.sql",
    "macros/core.rank_in.sql",
    "macros/core.margin_in.sql",
    "macros/core.share_pct.sql",
    "macros/core.position.sql",
    "macros/core.votes_total.sql",
    "macros/core.is_blank.sql",
    "macros/core.lineage.sql",
    "macros/core.regions_around.sql",
    "macros/core.name_above.sql",
    "macros/core.area_length.sql",
    "macros/core.contest_of.sql",
    "macros/core.grid_from.sql",
    "views/core.unit_packed.sql",
    "views/core.candidate_packed.sql",
    "views/core.tally_packed.sql",
    "views/core.capture_packed.sql",
    "macros/core.standing_order.sql",
    "macros/core.standings_of.sql",
    "macros/core.standings_as_known.sql",
    "macros/core.versions_of.sql",
    "views/core.part.sql",
    "views/core.step.sql",
    "views/core.expected.sql",
    "macros/core.results_at.sql",
    "macros/results_as_of.sql",
    "macros/results_as_known.sql",
    "views/results.sql",
    "views/timeline.sql",
    "views/changes.sql",
    "macros/core.new_vs_revised_in.sql",
    "views/new_vs_revised.sql",
    "views/leads.sql",
    "views/lead_changes.sql",
    "views/units.sql",
    "macros/find_units.sql",
    "macros/timeline_every.sql",
    "views/progress.sql",
    "views/coverage.sql",
    "views/freshness.sql",
    "macros/freshness_at.sql",
    "views/turnout.sql",
    "views/withdrawals.sql",
    "views/withdrawal_waves.sql",
    "views/outlook.sql",
    "views/rollup.sql",
    "views/rules.sql",
    "views/findings.sql",
    "macros/findings_as_of.sql",
    "views/findings_by_rule.sql",
    "views/captures.sql",
    "views/runs.sql",
)


def migrate(connection: duckdb.DuckDBPyConnection, place: Place) -> None:
    """Create or upgrade the schema. In a lake that is one transaction, which the caller begins and commits.

    Raises WarehouseError for a foreign or newer database, and touches neither.
    """
    migrations = {int(file.name[:4]): file for file in sorted((_HERE / "schema").glob("[0-9]*.sql"))}
    done = _version(connection, place)
    if done > max(migrations):
        raise WarehouseError(
            f"{str(place)!r} was written by a newer realcount (schema {done}, this one knows {max(migrations)}); "
            "upgrade realcount, or set --data-dir to another place"
        )
    is_lake = isinstance(place, Lake)
    for number in range(done + 1, max(migrations) + 1):
        with nullcontext() if is_lake else _transaction(connection):
            if number == 1:
                _create_bookkeeping(connection, is_lake)
            connection.execute(migrations[number].read_text("utf-8"))
            connection.execute("INSERT INTO core.migration VALUES (?, ?, NULL)", [number, migrations[number].stem])
    surface = "".join(_surface())
    if _surface_digest(connection) != _digest(surface):
        with nullcontext() if is_lake else _transaction(connection):
            for statements in _surface():
                connection.execute(_NO_COMMENT.sub("", statements) if is_lake else statements)
            if is_lake:
                _keep_comments(connection, surface)
            connection.execute("UPDATE core.migration SET surface_digest = ?", [_digest(surface)])
        if not is_lake:
            connection.execute("CHECKPOINT")  # write-ahead log bugs cluster on DDL


def is_current(connection: duckdb.DuckDBPyConnection, place: Place) -> bool:
    """Whether `migrate` would find nothing to do."""
    newest = max(int(file.name[:4]) for file in (_HERE / "schema").glob("[0-9]*.sql"))
    return _version(connection, place) == newest and _surface_digest(connection) == _digest("".join(_surface()))


def _surface() -> list[str]:
    return [(_HERE / name).read_text("utf-8") for name in _SURFACE]


def _digest(surface: str) -> str:
    return hashlib.sha256(surface.encode()).hexdigest()


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("BEGIN")
    yield
    connection.execute("COMMIT")


def _keep_comments(connection: duckdb.DuckDBPyConnection, surface: str) -> None:
    """Put the comments on the columns of views into a table: DuckLake 1.0 takes them for tables only."""
    found = [(view, column, comment.replace("''", "'")) for view, column, comment in _COLUMN_COMMENT.findall(surface)]
    connection.execute("DELETE FROM core.column_comment")
    connection.execute(
        "INSERT INTO core.column_comment SELECT unnest(?), unnest(?), unnest(?)",
        [list(each) for each in zip(*found, strict=True)],
    )


def _version(connection: duckdb.DuckDBPyConnection, place: Place) -> int:
    """The newest migration that ran; 0 for an empty database."""
    tables = {
        f"{schema}.{table}"
        for schema, table in connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() "
            "WHERE database_name = current_database() AND NOT internal"
        ).fetchall()
    }
    if "core.migration" in tables:
        (version,) = connection.execute("SELECT max(version) FROM core.migration").fetchone() or (0,)
        return int(version)
    if tables:
        raise WarehouseError(
            f"{str(place)!r} is a database, but not realcount's (it has {', '.join(sorted(tables)[:3])}); "
            "set --data-dir to another place"
        )
    return 0


def _create_bookkeeping(connection: duckdb.DuckDBPyConnection, is_lake: bool) -> None:
    for name in ["bookkeeping", *(["lake"] if is_lake else [])]:
        connection.execute((_HERE / "schema" / f"{name}.sql").read_text("utf-8"))


def _surface_digest(connection: duckdb.DuckDBPyConnection) -> str | None:
    (digest,) = connection.execute("SELECT max(surface_digest) FROM core.migration").fetchone() or (None,)
    return None if digest is None else str(digest)
