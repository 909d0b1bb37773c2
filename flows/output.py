"""Answers on stdout: aligned tables for people, CSV and JSON for programs. Everything else goes to stderr."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import IO, Any, Literal
from unicodedata import category

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from extract.endpoints import WIB
from load.staging import Progress, quiet
from warehouse.plain import csv_line, structured

Format = Literal["table", "csv", "json"]


def say(message: str) -> None:
    """A message for the person at the terminal, on stderr."""
    print(printable(message), file=sys.stderr, flush=True)


def emit(columns: Sequence[str], rows: Iterable[Sequence[Any]], form: Format, out: IO[str] | None = None) -> None:
    """Rows in the form asked for. Tables show NULL as nothing, moments in WIB, text without control characters; CSV
    and JSON have the text as it is, but for what would steer a terminal that shows them.
    """
    out = out or sys.stdout
    match form:
        case "csv":
            shown = printable if out.isatty() else str
            out.write(shown(csv_line(columns) + "\n"))
            out.writelines(shown(csv_line(row) + "\n") for row in rows)
        case "json":
            _emit_json(columns, rows, out)
        case "table":
            show(columns, ([readable(value) for value in row] for row in rows), out=out)


def _emit_json(columns: Sequence[str], rows: Iterable[Sequence[Any]], out: IO[str]) -> None:
    """A list with one object a line: a program reads it whole, a person and `grep` line by line."""
    opening = "["
    for row in rows:
        record = {column: structured(value) for column, value in zip(columns, row, strict=True)}
        out.write(f"{opening}\n  {escaped(msgspec.json.encode(record).decode())}")
        opening = ","
    out.write("[]\n" if opening == "[" else "\n]\n")


def show(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    left: Iterable[str] = (),
    out: IO[str] | None = None,
) -> None:
    """A table for people; columns of figures line up on the right, `left` names those that do not."""
    out = out or sys.stdout
    rows = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for position, column in enumerate(columns):
        figures = column not in left and all(_is_figure(row[position]) for row in rows)
        table.add_column(Text(printable(column)), justify="right" if figures else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(file=out, highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # a file has no width: nothing may be cut
    console.print(table)


def readable(value: Any) -> str:
    """A value as a person reads it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return str(value)
        case float():
            return rounded(value)
        case datetime():
            return moment(value)
    return printable(str(value))


def rounded(value: float, places: int = 2) -> str:
    """Rounded half up, as KPU rounds; Python and C round half to even."""
    return str(Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def moment(value: datetime) -> str:
    """A moment on the count's clock."""
    return f"{value.astimezone(WIB):%Y-%m-%d %H:%M:%S} WIB" if value.tzinfo else f"{value:%Y-%m-%d %H:%M:%S}"


def printable(text: str) -> str:
    """Text that cannot steer a terminal: names come from outside, some with no-break spaces or worse."""
    if text.isprintable():
        return text
    return "".join(map(_printable_letter, text))


def _printable_letter(letter: str) -> str:
    match category(letter):
        case "Zs":
            return " "
        case "Cc" | "Cf" | "Cs" | "Co" | "Cn" | "Zl" | "Zp" if letter != "\n":
            return "\N{REPLACEMENT CHARACTER}"
    return letter


def escaped(line: str) -> str:
    """JSON that says the same without letters that steer a terminal, such as marks of another direction."""
    return line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _is_figure(text: str) -> bool:
    return not text or text.lstrip("+-").replace(",", "").replace(".", "").removesuffix(" %").isdigit()


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A counter on stderr for as long as the work takes, if somebody is watching."""
    if not sys.stderr.isatty():
        yield quiet
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn(f"{{task.completed:,}} {what}"),
        TextColumn("{task.speed:,.0f}/s"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda steps: progress.advance(task, steps)
