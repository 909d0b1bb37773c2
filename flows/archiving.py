"""Commands about the archive: what is in it, whether it is whole, and as other archives have it."""

from datetime import datetime
from typing import Annotated

from cyclopts import App, Parameter

from flows.crawling import NOTHING_NEW
from flows.output import Format, emit, printable, say
from flows.settings import Here, in_wib

archive = App(name="archive", help="Look into the archive, and check it.")
export = App(name="export", help="Write the archive in the form of other archives.")
archive.command(export)


@archive.command(name="list")
def list_(*, format: Format = "table", settings: Here) -> int:  # noqa: A002 (the option is called --format)
    """List the runs: what each asked, and what it got."""
    columns = ("sequence", "run", "kind", "outcome", "started_at", "captures", "bodies", "bytes", "shard", "digest")
    rows = [
        (
            manifest.sequence,
            manifest.run,
            manifest.kind,
            manifest.outcome,
            manifest.started_at,
            manifest.captures,
            manifest.bodies,
            sum(segment.length for segment in manifest.segments),
            manifest.shard or None,
            manifest.digest,
        )
        for manifest in settings.archives.manifests()
    ]
    if not rows:
        say(f"The archive at {settings.archives.place} is empty; load something first: realcount replay --help")
    if rows or format != "table":
        emit(columns, rows, format)
    return 0


@archive.command
def verify(*, settings: Here) -> int:
    """Compute every digest, count and link of the archive again; exit code 1 if anything differs."""
    from extract.verification import verify as check

    damaged = 0
    for archive in settings.archives.members():
        verdict = check(archive)
        for problem in verdict.problems:
            run = f"run {problem.run}" if problem.run else "no run"
            place = f"{archive.store.shard}/{problem.file}" if archive.store.shard else problem.file
            print(printable(f"{place} ({run}): {problem.what}"))
        name = f"The shard {archive.store.shard}" if archive.store.shard else "The archive"
        checked = f"{verdict.runs:,} runs, {verdict.captures:,} captures, {verdict.bodies:,} bodies"
        if verdict.problems:
            damaged += 1
            say(f"{name} is damaged: {len(verdict.problems):,} problems in {checked}. Restore the files named above.")
        else:
            say(f"{name} is intact: {checked}.")
    return 1 if damaged else 0


@archive.command(name="show")
def show_(what: str, /, *, settings: Here) -> int:
    """Print the bytes of a capture, exactly as they were served.

    Parameters
    ----------
    what
        A digest (sha256:... or its beginning), or an address or its end, such as hhcw/pkwkp/31.json: the newest.
    """
    from flows import views

    return views.show_capture(settings.archives, what)


@export.command(name="warc")
def export_warc(
    place: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    since: Annotated[datetime | None, Parameter(name="--from")] = None,
    until: Annotated[datetime | None, Parameter(name="--to")] = None,
    url: list[str] | None = None,
    settings: Here,
) -> int:
    """Write captures as WARC 1.1, which web archives' tools read; the same captures give the same bytes.

    Parameters
    ----------
    place
        The file, such as night.warc.gz; packed unless its name ends in .warc. A dash writes to stdout.
    since
        Only what was fetched at this moment or later, such as 2024-11-28T10:00:05+07:00; without an offset: WIB.
    until
        Only what was fetched at this moment or earlier.
    url
        Only these addresses; * stands for anything. May be given several times.
    """
    from flows.web_archives import export_warc as write

    written = write(settings, place, (in_wib(since), in_wib(until)), url or ())
    if not written.captures:
        say("No captures match; nothing was written.")
        return NOTHING_NEW
    say(f"Wrote {written.captures:,} captures, {written.bodies:,} with their bodies, in {written.length:,} bytes.")
    return 0
