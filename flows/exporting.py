"""Handing the database's views to other programs: files of CSV or Parquet, and election reports by NIST's standard."""

import sys
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter

from extract.endpoints import NATIONAL, ContestType, Level
from extract.errors import UsageError
from flows.output import escaped, say
from flows.replay import now
from flows.settings import Here, Settings, in_wib


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What goes into the files of a set."""

    view: list[str] | None = None
    """Only this view; may be given several times. Without it all, or for a single file: results."""

    at: datetime | None = None
    """As of this moment of KPU's clock, such as 2024-11-28T10:00:05+07:00; without an offset: WIB. Results,
    findings, and histories up to it."""

    force: bool = False
    """Replace files that are there."""


export = App(name="export", help="Write views as CSV or Parquet files, all as DuckDB, or a report by NIST SP 1500-100.")


@export.command
def csv(
    place: Path,
    /,
    *,
    chosen: Chosen = Chosen(),
    settings: Here,
) -> int:
    """Write views as CSV (UTF-8, RFC 4180). Text that a spreadsheet would run as a formula gets an apostrophe.

    Parameters
    ----------
    place
        A directory: one file a view, with datapackage.json. Or a file whose name ends in .csv: one view.
    """
    return _write(settings, place, "csv", chosen)


@export.command
def parquet(
    place: Path,
    /,
    *,
    chosen: Chosen = Chosen(),
    settings: Here,
) -> int:
    """Write views as Parquet (Snappy). Loads put the same files beside the database, see --parquet.

    Parameters
    ----------
    place
        A directory: one file a view, with datapackage.json.
    """
    return _write(settings, place, "parquet", chosen)


@export.command
def duckdb(place: Path, /, *, force: bool = False, settings: Here) -> int:
    """Write the whole database as one DuckDB file: with a lake, a copy that needs neither its server nor its store.

    Parameters
    ----------
    place
        The file to write.
    force
        Replace the file if it is there.
    """
    from warehouse.copies import write_copy
    from warehouse.export import draft_file

    with draft_file(place, force=force) as draft:
        captures = write_copy(settings.published, draft)
    say(f"Wrote {place}: {captures:,} captures.")
    return 0


@export.command
def nist(
    place: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    region: str | None = None,
    depth: Level = "district",
    contest: ContestType | None = None,
    stage: str = "hhcw",
    at: datetime | None = None,
    force: bool = False,
    settings: Here,
) -> int:
    """Write an election report by NIST SP 1500-100 version 2, as JSON.

    Parameters
    ----------
    place
        The file to write; - is standard output.
    region
        Only this region: a code such as 31, or a name that only one region has.
    depth
        The finest level whose votes are in it.
    contest
        Only this type: pkwkp (governor), pkwkk (regent or mayor) or ppwp (president).
    stage
        hhcw (the stations' forms) or hr (recapitulation).
    at
        As of this moment of KPU's clock, such as 2024-11-28T10:00:05+07:00 (without an offset: WIB); else the latest.
    force
        Replace a file that is there.
    """
    from warehouse.connection import reading
    from warehouse.export import draft_file
    from warehouse.nist import Choice, election_report
    from warehouse.queries import find_region

    with reading(settings.published) as connection:
        code = find_region(connection, region)[0] if region else NATIONAL
        choice = Choice(code, depth, stage, contest, in_wib(at))
        report = election_report(connection, choice, now(), f"realcount {version('realcount')}")
    content = msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
    if place == "-":
        sys.stdout.writelines(f"{escaped(line)}\n" for line in content.decode().splitlines())
        return 0
    with draft_file(Path(place), force=force) as draft:
        draft.write_bytes(content)
    say(f"Wrote {place}: {report['Status']}, publication {report['SequenceStart']:,} of {report['SequenceEnd']:,}.")
    return 0


def _write(settings: Settings, place: Path, form: Literal["csv", "parquet"], asked: Chosen) -> int:
    """A directory with a file a view, or one CSV file."""
    from warehouse.connection import copying, replanned
    from warehouse.export import choose, draft_directory, draft_file, write_csv, write_set
    from warehouse.surface import View

    is_file = form == "csv" and place.suffix == ".csv"
    if is_file and len(asked.view or ["results"]) > 1:
        raise UsageError(f"{str(place)!r} is one file and takes one view; name a directory for several")
    at = in_wib(asked.at)

    def written(plain: bool) -> tuple[list[View], int]:
        with copying(settings.published, plain=plain) as connection:
            chosen = choose(connection, asked.view or (["results"] if is_file else None), at)
            if is_file:
                with draft_file(place, force=asked.force) as draft:
                    return chosen, write_csv(connection, chosen[0], draft, at)
            with draft_directory(place, [f"{view.name}.{form}" for view in chosen], force=asked.force) as draft:
                return chosen, sum(file.rows for file in write_set(connection, draft, form, chosen, at))

    chosen, rows = replanned(written)
    say(f"Wrote {', '.join(view.name for view in chosen)} to {place}: {rows:,} rows.")
    return 0
