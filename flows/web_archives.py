"""Giving captures to web archives, and taking them from the Wayback Machine."""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from fnmatch import translate
from importlib.metadata import version
from pathlib import Path

import msgspec

from extract.capture import Capture
from extract.endpoints import CONTEST_TYPES, Endpoint
from extract.errors import SourceDownError, StorageError, UsageError
from extract.politeness import Manners, authority
from extract.recording import Run, record
from extract.warc_export import Exported, export
from extract.wayback import WAYBACK_URL, WaybackSource
from flows.replay import ReplayReport, bring_up_to_date, now
from flows.settings import Settings, recorded, versions
from load.staging import Progress, quiet


def manners(base_url: str | None = None, rate: float = 4.0, contact: str | None = None) -> Manners:
    """How to ask the Archive: few connections, patiently, following nothing, saying who asks."""
    manners = Manners(
        frozenset({authority(base_url or WAYBACK_URL)}),
        rate=rate,
        connections=2,
        request_timeout=60.0,  # it fetches from tape-like storage; half a minute is nothing unusual
        total_timeout=180.0,
        redirects=0,
        site="",
    )
    return msgspec.structs.replace(manners, contact=contact) if contact else manners


def replay_wayback(
    settings: Settings,
    patterns: Sequence[str],
    span: tuple[datetime, datetime],
    manners: Manners,
    base_url: str | None = None,
    progress: Progress = quiet,
    clock: Callable[[], datetime] = now,
) -> ReplayReport:
    """Replay what the Archive captured from one moment to another. What is archived already is not asked for again."""
    if span[0] > span[1]:
        raise UsageError(f"nothing can have been captured from {span[0]} to {span[1]}; the first comes first")
    wanted = sorted(patterns) or _everything()
    base_url = base_url or WAYBACK_URL
    source = WaybackSource(settings.archive, wanted, span, clock, manners, base_url)
    asked = {"archive": authority(base_url), "patterns": wanted, "from": span[0], "to": span[1]}
    down: SourceDownError | None = None
    with record(settings.archive, "replay wayback", asked, clock, versions(), recorded(manners)) as run:
        try:
            read = asyncio.run(_take(source, run, progress))
        except SourceDownError as error:  # what came until then is worth loading
            run.outcome, read, down = "failed", run.captures, error
    loaded, is_published = bring_up_to_date(settings)
    return ReplayReport(read, run.captures, {}, loaded, is_published, +source.passed_over, down)


def export_warc(
    settings: Settings,
    place: str,
    span: tuple[datetime | None, datetime | None],
    patterns: Iterable[str] = (),
) -> Exported:
    """Write captures of a span of time as WARC: to a file, whole or not at all, or to stdout (`-`).

    Raises StorageError if the file cannot be written, ArchiveError if the archive is damaged.
    """
    software = f"realcount/{version('realcount')}"
    wanted = _filter(span, [re.compile(translate(pattern)) for pattern in patterns])
    if place == "-":
        if sys.stdout.isatty():
            raise UsageError("a WARC would garble the terminal; name a file, or pipe it somewhere")
        written = export(settings.archives, sys.stdout.buffer.write, wanted, software=software)
        sys.stdout.buffer.flush()
        return written
    target = Path(place)
    draft = target.with_name(f".{target.name}.part")
    try:
        with draft.open("wb") as file:
            packed = not place.endswith(".warc")
            written = export(settings.archives, file.write, wanted, software=software, is_packed=packed)
            file.flush()
            os.fsync(file.fileno())
        if written.captures:
            draft.replace(target)
    except OSError as error:
        raise StorageError(place, error.strerror or str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
    return written


async def _take(source: WaybackSource, run: Run, progress: Progress) -> int:
    read = 0
    async with aclosing(source.captures()) as captures:
        async for capture in captures:
            run.append(capture)
            read += 1
            progress(1)
    return read


def _everything() -> list[str]:
    """All that lies on KPU's data hosts."""
    return [f"{authority(Endpoint(election, 'paslon', types[0]).url())}/*" for election, types in CONTEST_TYPES.items()]


def _filter(
    span: tuple[datetime | None, datetime | None], patterns: Sequence[re.Pattern[str]]
) -> Callable[[Capture], bool]:
    since, until = span

    def is_wanted(capture: Capture) -> bool:
        return (
            (since is None or capture.observed_at >= since)
            and (until is None or capture.observed_at <= until)
            and (not patterns or any(pattern.match(capture.url) for pattern in patterns))
        )

    return is_wanted
