"""Commands that ask: each opens the published copy, and starts in under half a second."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.output import Format, emit
from flows.settings import ContestName, Here, RegionName, Settings, StageName, in_wib


def results(
    region: RegionName | None = None,
    /,
    *,
    contest: ContestName | None = None,
    stage: StageName | None = None,
    children: bool = False,
    at: datetime | None = None,
    known: datetime | None = None,
    format: Format = "table",  # noqa: A002 (the option is called --format)
    settings: Here,
) -> int:
    """Show who leads: in a region, or in every contest.

    Parameters
    ----------
    children
        With a region: also the regions below it.
    at
        What KPU had reported by this moment, such as 2024-11-28T10:00:05+07:00; without an offset: WIB.
    known
        What we had fetched by this moment, such as 2024-11-28T10:00:05+07:00; without an offset: WIB.
    """
    from flows import views

    with _reading(settings) as connection:
        return views.results(connection, region, contest, stage, children, in_wib(at), in_wib(known), format)


def timeline(
    region: RegionName,
    /,
    *,
    contest: ContestName | None = None,
    stage: StageName | None = None,
    format: Format = "table",  # noqa: A002 (the option is called --format)
    settings: Here,
) -> int:
    """Show how a region's count grew, version by version."""
    from flows import views

    with _reading(settings) as connection:
        return views.timeline(connection, region, contest, stage, format)


def prove(
    region: RegionName,
    /,
    *,
    candidate: str | None = None,
    at: datetime | None = None,
    contest: ContestName | None = None,
    bundle: Path | None = None,
    format: Format = "table",  # noqa: A002 (the option is called --format)
    settings: Here,
) -> int:
    """Prove a region's numbers: show the captures they came from, and compute every link again.

    Exit code 0: proven; 1: something contradicts them, and is named.

    Parameters
    ----------
    candidate
        Only this pair: its number on the ballot, or its id.
    at
        What KPU had reported by this moment, such as 2024-11-28T10:00:05+07:00; without an offset: WIB.
    bundle
        Also write the evidence to this zip file, which anybody with Python can check.
    """
    from flows.proof import tell
    from flows.proving import prove as proven

    return tell(settings, proven(settings, region, candidate, in_wib(at), contest), bundle, format)


def status(*, format: Format = "table", settings: Here) -> int:  # noqa: A002 (the option is called --format)
    """Show what archive and database hold, and how fresh it is."""
    from flows import views

    with _reading(settings) as connection:
        return views.status(connection, settings, format)


def sql(query: str, /, *, format: Format = "table", settings: Here) -> int:  # noqa: A002 (the option is called --format)
    """Ask the published database one question in SQL. It cannot be changed, nor read files or the network.

    Parameters
    ----------
    query
        For example "SELECT * FROM results WHERE unit_code = '31'".
    """
    from warehouse import queries

    with _reading(settings) as connection:
        answer = queries.query(connection, query)
        emit(answer.columns, answer.rows, format)
    return 0


def fingerprint(*, format: Format | None = None, settings: Here) -> int:  # noqa: A002 (the option is called --format)
    """Print one hash over all that the database says: equal for equal sets of captures, whatever their order."""
    import hashlib

    from warehouse import queries

    with _reading(settings) as connection:
        tables = queries.fingerprint(connection)
    if format:
        emit(tuple(tables[0]) if tables else (), [tuple(table.values()) for table in tables], format)
    else:
        print(hashlib.sha256("".join(table["name"] + table["sha256"] for table in tables).encode()).hexdigest())
    return 0


@contextmanager
def _reading(settings: Settings) -> Iterator[Any]:
    from warehouse.connection import reading

    with reading(settings.published) as connection:
        yield connection
