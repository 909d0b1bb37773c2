"""The questions the commands ask, each a file in `queries/`, and the answers as columns and rows."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from extract.errors import QueryError, RegionError

_HERE = Path(__file__).parent / "queries"
_BATCH = 10_000  # rows in memory at a time


class Answer(NamedTuple):
    """Column names, and rows as they come. It must be read before the connection is used again."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """All rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def ask(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> Answer:
    """Run `queries/<name>.sql` with its named parameters."""
    return query(connection, _text(name), parameters)


def query(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None) -> Answer:
    """Run one statement. Raises QueryError for SQL that the database refuses, or that answers nothing."""
    try:
        connection.execute(sql, parameters)
    except duckdb.Error as error:
        raise QueryError(" ".join(str(error).split())) from error
    if connection.description is None:
        raise QueryError("it is empty; write one SELECT")
    return Answer(tuple(column[0] for column in connection.description), _rows(connection))


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


def next_sequence(connection: duckdb.DuckDBPyConnection) -> int:
    """The number that the next run will have in the chain."""
    return int(ask(connection, "next_sequence").records()[0]["sequence"])


def fingerprint(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Rows and sha256 of every table's contents: equal for equal sets of captures, whatever their order."""
    return ask(connection, "fingerprint").records()


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := connection.fetchmany(_BATCH):
        yield from batch


@cache
def _text(name: str) -> str:
    return (_HERE / f"{name}.sql").read_text("utf-8")
