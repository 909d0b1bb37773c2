"""docs/sql.md and README's table of views, made from the database itself: its objects, columns, keys and COMMENTs.

Only the order is stated here. A view or macro that no chapter names is not lost: it comes last, under More.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import duckdb
import msgspec

from warehouse import surface
from warehouse.surface import Column, View

CHAPTERS = {
    "Results": ("results", "results_as_of", "results_as_known", "rollup", "outlook"),
    "Change": (
        "timeline", "timeline_every", "changes", "new_vs_revised", "leads", "lead_changes",
        "withdrawals", "withdrawal_waves",
    ),
    "Progress": ("progress", "coverage", "freshness", "freshness_at", "turnout"),
    "Findings": ("findings", "findings_as_of", "findings_by_rule", "rules"),
    "Regions": ("units", "find_units"),
    "Provenance": ("captures", "runs"),
}  # fmt: skip
EXAMPLES = {  # a value for every parameter, by its name
    "reported_until": "TIMESTAMPTZ '2024-11-28 10:00:00+07'",
    "observed_until": "TIMESTAMPTZ '2024-11-28 10:00:00+07'",
    "moment": "now()",
    "step": "INTERVAL 30 MINUTE",
    "wanted": "'jakarta pusat'",
}
INTRODUCTION = """\
# What the database says

Every view and table macro of `data/realcount.duckdb`, written by `make docs` from the `COMMENT`s in the database:
`SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'results'` says the same. Names and columns are a
contract, to which more may be added. The [cookbook](cookbook.md) asks real questions, the [glossary](glossary.md)
explains KPU's words.

Three rules hold everywhere. `reported_at` and the count's other moments, such as `withdrawn_at`, are KPU's clock;
`observed_at` is ours. `stage` keeps the stations' forms (`hhcw`) and the recapitulation (`hr`) apart: filter by one,
never add them. `NULL` is "not given", which is not 0.

## What a row is

Views whose rows are told apart by the same columns stand in one line; a line below adds columns to the one above it.

"""
REFERENCES = """\

A row leads on to others by the columns that it shares with them:

"""
CORE = """\
## Tables

What the views are made of, in schema `core`. They may change with any version: ask the views.

"""


class Macro(msgspec.Struct, frozen=True):
    """A table macro: what it answers, its parameters, the columns of its rows, and the view most like it.

    Its columns carry no COMMENTs; those of the view hold, and the macro's own tells of the rest.
    """

    name: str
    comment: str
    parameters: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    like: View | None = None

    @property
    def example(self) -> str:
        """How it is asked."""
        return f"{self.name}({', '.join(EXAMPLES[name] for name in self.parameters)})"


Chapter = tuple[str, list[View | Macro]]


def chapters(connection: duckdb.DuckDBPyConnection) -> list[Chapter]:
    """All views and macros of the surface, each once."""
    views = surface.views(connection)
    objects: list[View | Macro] = [*views, *_macros(connection, views)]
    found = {one.name: one for one in objects}
    told = [(title, [found.pop(name) for name in names if name in found]) for title, names in CHAPTERS.items()]
    return told + ([("More", list(found.values()))] if found else [])


def surface_table(connection: duckdb.DuckDBPyConnection) -> str:
    """The views and macros as a table of name and answer."""
    objects = [one for _, members in chapters(connection) for one in members]
    return table(("view or macro", "answers"), [(f"`{_title(one)}`", one.comment) for one in objects])


def page(connection: duckdb.DuckDBPyConnection) -> str:
    """docs/sql.md."""
    told = chapters(connection)
    views = [one for _, members in told for one in members if isinstance(one, View)]
    parts = [INTRODUCTION, "```text\n", *_picture(views), "```\n", REFERENCES, _references(views), "\n"]
    for title, members in told:
        parts.append(f"## {title}\n\n")
        parts += [_described(one) for one in members]
        parts += [_rules(connection)] * (title == "Findings")
    return "".join(parts) + CORE + _core(connection)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _macros(connection: duckdb.DuckDBPyConnection, views: list[View]) -> Iterator[Macro]:
    listed = connection.execute(
        "SELECT function_name, comment, parameters FROM duckdb_functions() "
        "WHERE schema_name = 'main' AND function_type = 'table_macro' AND NOT internal ORDER BY ALL"
    ).fetchall()
    for name, comment, parameters in listed:
        macro = Macro(name, comment or "", tuple(parameters))
        described = connection.execute(f"DESCRIBE FROM {macro.example}").fetchall()
        columns = tuple(Column(column, kind, "") for column, kind, *_ in described)
        like = max(views, key=lambda one: len(_names(one.columns) & _names(columns)))
        yield msgspec.structs.replace(macro, columns=columns, like=like)


def _names(columns: Iterable[Column]) -> set[str]:
    return {column.name for column in columns}


def _title(one: View | Macro) -> str:
    return f"{one.name}({', '.join(one.parameters)})" if isinstance(one, Macro) else one.name


def _described(one: View | Macro) -> str:
    text = f"### `{_title(one)}`\n\n{one.comment}."
    if isinstance(one, View):
        rows = [(f"`{column.name}`", _type(column), column.comment) for column in one.columns]
        key = f" One row per {_listed(one.key)}." if one.key else ""
        return f"{text}{key}\n\n{table(('column', 'type', 'meaning'), rows)}\n"
    assert one.like
    own = [f"`{column.name}` ({_type(column)})" for column in one.columns if not one.like.has(column.name)]
    missing = [f"`{column.name}`" for column in one.like.columns if column.name not in _names(one.columns)]
    without = f" without {_and(missing)}" if missing else ""
    added = f"; it adds {_and(own)}" if own else ""
    columns = f"Its columns are those of `{one.like.name}`{without}{added}."
    return f"{text}\n\n{columns}\n\n```sql\nFROM {one.example}\n```\n\n"


def _type(column: Column) -> str:
    return column.type.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")


def _listed(names: Iterable[str]) -> str:
    return _and([f"`{name}`" for name in names])


def _and(words: list[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])


# The picture of what a row is: keys, each below the largest that it contains


def _picture(views: list[View]) -> Iterator[str]:
    keys = {view.key: [one.name for one in views if one.key == view.key] for view in views}
    unkeyed = keys.pop((), [])
    roots = [list(_branch(key, keys, "", "")) for key in keys if _above(key, keys) is None]
    lines = [line for branch in sorted(roots, key=len, reverse=True) for line in branch]
    lines += [("(no key)", unkeyed)] if unkeyed else []
    width = max(len(columns) for columns, _ in lines) + 3
    for columns, names in lines:
        yield f"{columns} {'.' * (width - len(columns))} {', '.join(names)}\n"


def _branch(
    key: tuple[str, ...], keys: dict[tuple[str, ...], list[str]], stem: str, fork: str
) -> Iterator[tuple[str, list[str]]]:
    above = _above(key, keys) or ()
    added = [column for column in key if column not in above]
    yield f"{stem}{fork}{'+ ' if above else ''}{', '.join(added)}", keys[key]
    below = [one for one in keys if _above(one, keys) == key]
    stem += {"": "", "├─ ": "│  ", "└─ ": "   "}[fork]
    for one in below:
        yield from _branch(one, keys, stem, "└─ " if one == below[-1] else "├─ ")


def _above(key: tuple[str, ...], keys: Iterable[tuple[str, ...]]) -> tuple[str, ...] | None:
    return max((one for one in keys if set(one) < set(key)), key=len, default=None)


def _references(views: list[View]) -> str:
    rows = []
    for target in views:
        if 0 < len(target.key) <= 2:
            sources = [one.name for one in views if one is not target and one.has(*target.key)]
            rows.append((_listed(target.key), f"`{target.name}`", ", ".join(f"`{name}`" for name in sources)))
    return table(("by", "to", "from"), rows)


def _rules(connection: duckdb.DuckDBPyConnection) -> str:
    found = connection.execute("SELECT rule, severity, title, explanation FROM rules ORDER BY substr(rule, 2)::INTEGER")
    return f"### The rules\n\n{table(('rule', 'severity', 'title', 'explanation'), found.fetchall())}\n"


def _core(connection: duckdb.DuckDBPyConnection) -> str:
    found = connection.execute(
        "SELECT t.table_name, t.comment, column_name FROM duckdb_tables() AS t "
        "JOIN duckdb_columns() AS c ON c.table_oid = t.table_oid AND c.database_name = t.database_name "
        "WHERE t.schema_name = 'core' ORDER BY t.table_name, column_index"
    ).fetchall()
    rows = []
    for (name, comment), lines in groupby(found, key=lambda line: line[:2]):
        rows.append((f"`core.{name}`", comment, ", ".join(f"`{column}`" for *_, column in lines)))
    return table(("table", "holds", "columns"), rows)
