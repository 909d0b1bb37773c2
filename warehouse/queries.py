"""The questions the commands ask, each a file in `queries/`, and the answers as columns and rows."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from extract.errors import QueryError, RegionError
from warehouse.connection import refusal

_HERE = Path(__file__).parent / "queries"
_BATCH = 10_000  # rows in memory at a time
_KIND = duckdb.StatementType
_QUESTIONS = (_KIND.SELECT, _KIND.EXPLAIN, _KIND.PRAGMA, _KIND.MULTI)
"""MULTI is PIVOT, which DuckDB 1.5 takes for a CREATE TYPE and a SELECT. CALL is none: 1.5 would begin a log by it."""


class Answer(NamedTuple):
    """Column names, and rows as they come. It must be read before the connection is used again."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """All rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def ask(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> Answer:
    """Run `queries/<name>.sql` with its named parameters."""
    return _run(connection, text(name), parameters)


def query(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None) -> Answer:
    """Run one question. Raises QueryError for SQL that the database refuses, or that is no question, or several."""
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise refusal(error) from error
    kinds = [_kind(statement) for statement in statements]
    others = [kind for kind in kinds if kind not in _QUESTIONS]
    if len(kinds) - len(others) != 1 or any(kind != _KIND.CREATE for kind in others):
        raise QueryError("write one question: SELECT, FROM, WITH, PIVOT, DESCRIBE, SUMMARIZE or EXPLAIN")
    return _run(connection, sql, parameters)


def _kind(statement: duckdb.Statement) -> duckdb.StatementType | None:
    try:
        return statement.type
    except ValueError:  # a kind that DuckDB's Python has no name for, such as UPDATE EXTENSIONS (2.0)
        return None


def _run(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None) -> Answer:
    try:
        connection.execute(sql, parameters)
    except duckdb.Error as error:
        raise refusal(error) from error
    return Answer(tuple(column[0] for column in connection.description or ()), _rows(connection))


def find_region(connection: duckdb.DuckDBPyConnection, wanted: str) -> tuple[str, str | None]:
    """Code and name of the region meant by a code or a name. Raises RegionError if none or several fit equally."""
    found = list(ask(connection, "region", wanted=wanted).rows)
    best = [(code, name) for code, name, closeness in found if closeness == found[0][2]]
    codes = dict(best)
    if len(codes) == 1 or (found and found[0][2] == 1):
        return best[0]
    # a province and its only namesake below it: the name alone means the larger one
    shortest = [code for code in codes if len(code) == min(map(len, codes))]
    if codes and found[0][2] < 4 and len(shortest) == 1:
        return shortest[0], codes[shortest[0]]
    raise RegionError(wanted, [f"{code} {name}" for code, name in sorted(codes.items())[:6]])


def results(
    connection: duckdb.DuckDBPyConnection,
    region: str | None = None,
    *,
    contest_type: str | None = None,
    stage: str | None = None,
    children: bool = False,
    reported_until: datetime | None = None,
    observed_until: datetime | None = None,
) -> Answer:
    """The contract columns of `results` as of both clocks: one region, with its children, or every contest's area."""
    return ask(
        connection,
        "results",
        region=region,
        contest_type=contest_type,
        stage=stage,
        children=children,
        reported_until=reported_until,
        observed_until=observed_until,
    )


def runs(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The names of the runs that are loaded."""
    return {run for (run,) in ask(connection, "loaded_runs").rows}


def fingerprint(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Rows and sha256 of every table's contents: equal for equal sets of captures, whatever their order."""
    return ask(connection, "fingerprint").records()


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := connection.fetchmany(_BATCH):
        yield from batch


@cache
def text(name: str) -> str:
    """The SQL of `queries/<name>.sql`."""
    return (_HERE / f"{name}.sql").read_text("utf-8")
