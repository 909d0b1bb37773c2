"""The stable surface as a thing to hand on: its views with their columns, comments and keys.

The list is the database's own, so that a new view is published and exported without being named here.
"""

from itertools import groupby

import duckdb
import msgspec

from extract.errors import UsageError
from warehouse import queries

_TALLY = ("election", "contest_code", "stage", "unit_code")
_KEYS: dict[str, tuple[str, ...]] = {  # a test proves them unique; a view that is not here has no key
    "captures": ("capture_id",),
    "changes": (*_TALLY, "version", "candidate_id"),
    "coverage": ("election", "contest_type", "stage", "region_code", "level"),
    "findings_by_rule": ("election", "contest_type", "stage", "rule", "area_code"),
    "freshness": ("election", "contest_type", "stage", "level"),
    "lead_changes": (*_TALLY, "capture_id"),
    "leads": (*_TALLY, "version"),
    "new_vs_revised": (*_TALLY, "version", "candidate_id"),
    "outlook": _TALLY,
    "progress": _TALLY,
    "results": (*_TALLY, "candidate_id"),
    "rollup": (*_TALLY, "candidate_id"),
    "rules": ("rule",),
    "runs": ("run",),
    "timeline": (*_TALLY, "version", "candidate_id"),
    "turnout": _TALLY,
    "units": ("election", "unit_code"),
    "withdrawal_waves": ("election", "contest_type", "stage", "level", "withdrawn_at"),
    "withdrawals": (*_TALLY, "version"),
}


class Column(msgspec.Struct, frozen=True):
    """A column: its name, DuckDB's name of its type, and what it means."""

    name: str
    type: str
    comment: str


class View(msgspec.Struct, frozen=True):
    """A public view: what it answers, its columns in order, and the columns that identify a row, where some do."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    def has(self, *names: str) -> bool:
        """Whether it has all these columns."""
        return set(names) <= {column.name for column in self.columns}


def views(connection: duckdb.DuckDBPyConnection, wanted: list[str] | None = None) -> list[View]:
    """The public views by name, all or those wanted. Raises UsageError for one that is not there."""
    lines = queries.ask(connection, "surface").records()
    kept = _kept_comments(connection)
    found = {
        name: View(
            name,
            lines[0]["comment"] or "",
            tuple(
                Column(
                    line["column_name"],
                    line["data_type"],
                    line["column_comment"] or kept.get((name, line["column_name"]), ""),
                )
                for line in lines
            ),
            _KEYS.get(name, ()),
        )
        for name, lines in ((name, list(columns)) for name, columns in groupby(lines, key=lambda line: line["name"]))
    }
    for name in wanted or ():
        if name not in found:
            raise UsageError(f"there is no view called {name!r}; there are {', '.join(found)}")
    return [view for view in found.values() if not wanted or view.name in wanted]


def _kept_comments(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """What a lake's columns mean, by view and column: DuckLake itself keeps no comments on them."""
    if not queries.ask(connection, "has_column_comments").records()[0]["has"]:
        return {}
    return {(view, column): comment for view, column, comment in queries.ask(connection, "column_comments").rows}
