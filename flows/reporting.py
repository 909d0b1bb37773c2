"""The report: the page that `realcount report` writes, and that every cycle leaves beside the database."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from extract.endpoints import Level
from extract.files import write_whole
from flows.output import say
from flows.replay import now
from flows.settings import Here, Settings
from warehouse.report import Language

_STDOUT = Path("-")
_MEMORY = "1GB"  # every cycle writes a page beside what it keeps in memory; the country's takes 1.3 times as long so


def report(
    region: str | None = None,
    /,
    *,
    output: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    depth: Level | None = None,
    lang: Language | None = None,
    settings: Here,
) -> int:
    """Write one HTML page with standings, charts, a map, changes and findings, which needs nothing but a browser.

    Parameters
    ----------
    region
        A code such as 31, or a name that only one region has; 0 is the country. Else the one province that the
        database is about, or the country if there are several.
    output
        The file to write, or - for stdout; else report.html beside the database.
    depth
        The finest level on the page; else two levels below the region.
    lang
        The language it begins in: id or en; else the browser's.
    """
    if output == _STDOUT:
        sys.stdout.write(rendered(settings, now(), region, depth, lang))
        return 0
    path = output or settings.report_file or settings.data_dir / "report.html"
    size = write_report(settings, path, now(), region, depth=depth, language=lang)
    say(f"Report: {path} ({size:,} bytes)")
    return 0


def write_report(
    settings: Settings,
    path: Path,
    written_at: datetime,
    region: str | None = None,
    *,
    depth: Level | None = None,
    language: Language | None = None,
) -> int:
    """Put the page in the place of the one before, in one step; the number of its bytes.

    Raises RegionError and UsageError for what cannot be shown, StorageError if the disk refuses.
    """
    page = rendered(settings, written_at, region, depth, language).encode()
    write_whole(path, page)
    return len(page)


def rendered(
    settings: Settings, written_at: datetime, region: str | None, depth: Level | None, language: Language | None
) -> str:
    """The page, from the published database."""
    from warehouse.connection import reading, replanned
    from warehouse.report import report as render

    def page(plain: bool) -> str:
        with reading(settings.published, plain=plain, memory=_MEMORY) as connection:
            return render(connection, region, depth=depth, language=language, written_at=written_at)

    return replanned(page)
