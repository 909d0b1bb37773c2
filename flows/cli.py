"""The command line. It decides what is wanted and in which form; it knows no rule about elections.

Reading commands must start in under half a second: what is slow to import is imported where it is needed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Env

from extract.endpoints import WIB
from extract.errors import RealcountError, UsageError
from extract.night import Night
from extract.simulator import Depth
from flows import crawling
from flows import replay as replays
from flows.exporting import export
from flows.findings import findings
from flows.output import Format, emit, printable, say
from flows.reporting import report
from flows.settings import Here, Moment, Settings, in_wib
from load.loader import Progress, quiet

app = App(
    name="realcount",
    help="The flight recorder of an Indonesian vote count.",
    version=lambda: version("realcount"),
    config=Env("REALCOUNT_", command=False),
    default_parameter=Parameter(negative=()),  # no --no-… and --empty-… beside every option
)
replay = App(name="replay", help="Read what others kept, or a simulated night, into the archive and the database.")
archive = App(name="archive", help="Look into the archive, and check it.")
archive_export = App(name="export", help="Write the archive in the form of other archives.")
app.command(replay)
app.command(archive)
app.command(export)
app.command(findings)
app.command(report)
archive.command(archive_export)
for command in (crawling.poll, crawling.follow, crawling.serve, crawling.serve_archive):
    app.command(command)
app.meta.suppress_keyboard_interrupt = False  # main says what a stop means for the archive


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    data_dir: Annotated[Path, Parameter(help="Where archive and database lie.")] = Path("data"),
    parquet: Annotated[str | None, Parameter(help="Where loads put Parquet files; off: nowhere.")] = None,
    report: Annotated[str | None, Parameter(help="Where cycles put the page for people; off: nowhere.")] = None,
) -> int:
    command, bound, given = app.parse_args(tokens, exit_on_error=False, print_error=False)
    if "settings" in given:
        bound.arguments["settings"] = Settings(data_dir, parquet, report)
    return command(*bound.args, **bound.kwargs) or 0


@replay.command
def git(place: Path, /, *, pattern: list[str] | None = None, settings: Here) -> int:
    """Replay a scraper's git repository, or a bundle of one: only what a commit changed is an observation.

    Parameters
    ----------
    place
        The repository or bundle.
    pattern
        How its files are named: 'TEMPLATE=ELECTION/DOCUMENT[/TYPE]', for example
        'counts/{region}.json=pilkada-2024/hhcw/pkwkp'. Known layouts need none. May be given several times.
    """
    with _progress("captures") as step:
        report = replays.replay_git(settings, place, pattern or (), step)
    return _tell_replay(report, settings)


@replay.command
def folder(
    place: Path, /, *, pattern: list[str] | None = None, observed_at: Moment | None = None, settings: Here
) -> int:
    """Replay a folder of files named like KPU's addresses, and of saved pages.

    Parameters
    ----------
    place
        The folder.
    pattern
        How its files are named, as for 'replay git'.
    observed_at
        When they were fetched; else each file's own time counts.
    """
    with _progress("captures") as step:
        report = replays.replay_folder(settings, place, pattern or (), in_wib(observed_at), step)
    return _tell_replay(report, settings)


@replay.command
def warc(place: Path, /, *others: Path, settings: Here) -> int:
    """Replay WARC files, such as those of wget, browsertrix or 'archive export warc', packed or not.

    Parameters
    ----------
    place
        A file.
    others
        More files; what repeats an answer may lie in another one than the answer.
    """
    with _progress("captures") as step:
        report = replays.replay_warc(settings, [place, *others], step)
    return _tell_replay(report, settings)


@replay.command
def wayback(
    *patterns: str,
    since: Annotated[Moment, Parameter(name="--from")],
    until: Annotated[Moment, Parameter(name="--to")],
    rate: float = 4.0,
    contact: str | None = None,
    wayback_url: str | None = None,
    settings: Here,
) -> int:
    """Replay what the Internet Archive's Wayback Machine captured of KPU's data, slowly; go on where it was stopped.

    Exit code 75: the Archive is failing, or asks to be left alone for a while; what came is archived and loaded.

    Parameters
    ----------
    patterns
        Addresses, or beginnings of them with *; without any, everything on KPU's two data hosts.
    since
        The first moment of capture.
    until
        The last one.
    rate
        Bodies a second, at most.
    contact
        An address at which the Archive can reach you; it travels in the User-Agent.
    wayback_url
        Another Wayback Machine than https://web.archive.org.
    """
    from flows import web_archives

    span = (since.replace(tzinfo=since.tzinfo or WIB), until.replace(tzinfo=until.tzinfo or WIB))
    manners = web_archives.manners(wayback_url, rate, contact)
    with _progress("captures") as step:
        report = web_archives.replay_wayback(settings, patterns, span, manners, wayback_url, step)
    code = _tell_replay(report, settings)
    if report.source_down:
        raise report.source_down
    return code


@replay.command
def simulated(
    *,
    seed: int = 2024,
    depth: Depth = "district",
    revisions: float = 0.01,
    slips: float = 0.0,
    swaps: float = 0.0,
    lag: int = 0,
    withdrawal: bool = False,
    settings: Here,
) -> int:
    """Replay a simulated count night of Jakarta: real tree, real stations, KPU's real figures at its end.

    Parameters
    ----------
    seed
        Same seed, same night.
    depth
        The finest level whose documents are made.
    revisions
        Share of stations whose first figures are revised.
    slips
        Share of stations whose first figure has a misread digit.
    swaps
        Share of stations where two pairs were exchanged at first.
    lag
        Publications by which each level above the districts is late.
    withdrawal
        End the night as KPU did: every vote becomes 0.
    """
    night = Night(seed=seed, revisions=revisions, slips=slips, swaps=swaps, lag=lag, withdrawal=withdrawal)
    with _progress("captures") as step:
        report = replays.replay_simulated(settings, night, depth, step)
    say("These captures are simulated, and say so for ever.")
    return _tell_replay(report, settings)


@app.command
def rebuild(*, settings: Here) -> int:
    """Build the database again from the archive alone."""
    with _progress("captures") as step:
        report = replays.rebuild(settings, step)
    say(f"Rebuilt {settings.database} from {report.runs:,} runs, {report.captures:,} captures.")
    return 0


@app.command
def results(
    region: str | None = None,
    /,
    *,
    contest: str | None = None,
    stage: str | None = None,
    children: bool = False,
    at: Moment | None = None,
    known: Moment | None = None,
    format: Format = "table",  # noqa: A002 (the option is called --format)
    settings: Here,
) -> int:
    """Show who leads: in a region, or in every contest.

    Parameters
    ----------
    region
        A code such as 31, or a name that only one region has.
    contest
        Only this type: pkwkp (governor), pkwkk (regent or mayor) or ppwp (president).
    stage
        Only hhcw (the stations' forms) or hr (recapitulation).
    children
        With a region: also the regions below it.
    at
        What KPU had reported by this moment.
    known
        What we had fetched by this moment.
    """
    from flows import views

    with _reading(settings) as connection:
        return views.results(connection, region, contest, stage, children, in_wib(at), in_wib(known), format)


@app.command
def timeline(
    region: str,
    /,
    *,
    contest: str | None = None,
    stage: str | None = None,
    format: Format = "table",  # noqa: A002 (the option is called --format)
    settings: Here,
) -> int:
    """Show how a region's count grew, version by version.

    Parameters
    ----------
    region
        A code such as 31, or a name that only one region has.
    contest
        Only this type: pkwkp, pkwkk or ppwp.
    stage
        Only hhcw or hr.
    """
    from flows import views

    with _reading(settings) as connection:
        return views.timeline(connection, region, contest, stage, format)


@app.command
def prove(
    region: str,
    /,
    *,
    candidate: str | None = None,
    at: Moment | None = None,
    contest: str | None = None,
    bundle: Path | None = None,
    format: Format = "table",  # noqa: A002 (the option is called --format)
    settings: Here,
) -> int:
    """Prove a region's numbers: show the captures they came from, and compute every link again.

    Exit code 0: proven; 1: something contradicts them, and is named.

    Parameters
    ----------
    region
        A code such as 31, or a name that only one region has.
    candidate
        Only this pair: its number on the ballot, or its id.
    at
        What KPU had reported by this moment.
    contest
        Only this type: pkwkp, pkwkk or ppwp.
    bundle
        Also write the evidence to this zip file, which anybody with Python can check.
    """
    from flows.proof import tell
    from flows.proving import prove as proven

    return tell(settings, proven(settings, region, candidate, in_wib(at), contest), bundle, format)


@app.command
def status(*, format: Format = "table", settings: Here) -> int:  # noqa: A002 (the option is called --format)
    """Show what archive and database hold, and how fresh it is."""
    from flows import views

    with _reading(settings) as connection:
        return views.status(connection, settings, format)


@app.command
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


@app.command
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


@archive.command(name="list")
def list_(*, format: Format = "table", settings: Here) -> int:  # noqa: A002 (the option is called --format)
    """List the runs: what each asked, and what it got."""
    columns = ("sequence", "run", "kind", "outcome", "started_at", "captures", "bodies", "bytes", "digest")
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
            manifest.digest,
        )
        for manifest in settings.archive.manifests()
    ]
    if not rows:
        say(f"The archive at {settings.archive.directory} is empty; load something first: realcount replay --help")
    if rows or format != "table":
        emit(columns, rows, format)
    return 0


@archive.command
def verify(*, settings: Here) -> int:
    """Compute every digest, count and link of the archive again; exit code 1 if anything differs."""
    from extract.verification import verify as check

    verdict = check(settings.archive)
    for problem in verdict.problems:
        run = f"run {problem.run}" if problem.run else "no run"
        print(printable(f"{problem.file} ({run}): {problem.what}"))
    checked = f"{verdict.runs:,} runs, {verdict.captures:,} captures, {verdict.bodies:,} bodies"
    if verdict.problems:
        say(f"The archive is damaged: {len(verdict.problems):,} problems in {checked}. Restore the files named above.")
        return 1
    say(f"The archive is intact: {checked}.")
    return 0


@archive.command(name="show")
def show_(what: str, /, *, settings: Here) -> int:
    """Print the bytes of a capture, exactly as they were served.

    Parameters
    ----------
    what
        A digest (sha256:... or its beginning), or an address or its end, such as hhcw/pkwkp/31.json: the newest.
    """
    from flows import views

    return views.show_capture(settings.archive, what)


@archive_export.command(name="warc")
def export_warc(
    place: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    since: Annotated[Moment | None, Parameter(name="--from")] = None,
    until: Annotated[Moment | None, Parameter(name="--to")] = None,
    url: list[str] | None = None,
    settings: Here,
) -> int:
    """Write captures as WARC 1.1, which web archives' tools read; the same captures give the same bytes.

    Parameters
    ----------
    place
        The file, such as night.warc.gz; packed unless its name ends in .warc. A dash writes to stdout.
    since
        Only what was fetched at this moment or later.
    until
        Only what was fetched at this moment or earlier.
    url
        Only these addresses; * stands for anything. May be given several times.
    """
    from flows.web_archives import export_warc as write

    written = write(settings, place, (in_wib(since), in_wib(until)), url or ())
    if not written.captures:
        say("No captures match; nothing was written.")
        return crawling.NOTHING_NEW
    say(f"Wrote {written.captures:,} captures, {written.bodies:,} with their bodies, in {written.length:,} bytes.")
    return 0


@app.command
def demo(*, settings: Here) -> int:
    """Play a simulated count night of Jakarta and show the standings growing."""
    from flows.demo import play

    return play(settings)


def main() -> None:
    """Run a command; every error of ours is one line and an exit code."""
    try:
        code = app.meta(exit_on_error=False, print_error=False)
    except CycloptsError as error:
        code = _complain(UsageError(f"{' '.join(str(error).split())} See: realcount --help"))
    except RealcountError as error:
        code = _complain(error)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        say("Stopped. What was archived is safe; the same command goes on from there.")
        code = 130
    except Exception as error:
        if "REALCOUNT_DEBUG" in os.environ:
            raise
        code = _complain(
            RealcountError(
                f"internal error, not your fault: {type(error).__name__}: {' '.join(str(error).split())}; "
                "the archive is safe; please report what REALCOUNT_DEBUG=1 prints"
            )
        )
    sys.exit(code)


def _complain(error: RealcountError) -> int:
    say(f"realcount: {error}")
    return error.exit_code


def _tell_replay(report: replays.ReplayReport, settings: Settings) -> int:
    """What a replay did, for the person who started it."""
    for path, count in sorted(report.left_out.items()):
        say(f"Left out {path}, {count:,} version{'s' if count > 1 else ''}: not a KPU document.")
    for reason, count in sorted(report.passed_over.items()):
        say(f"Left out {count:,}: {reason}.")
    if not report.is_new:
        say("Nothing new.")
        return crawling.NOTHING_NEW
    say(f"Archived {report.archived:,} of {report.read:,} captures; the others were there already."
        if report.archived < report.read else f"Archived {report.archived:,} captures.")  # fmt: skip
    say(f"Loaded {report.load.captures:,} captures: {report.load.changes:,} changes.")
    for reason, count in sorted(report.load.quarantined.items()):
        say(f"Quarantined {count:,}: {reason}. See the view captures, quarantine_reason.")
    say(f"Database: {settings.published}")
    return 0


@contextmanager
def _reading(settings: Settings) -> Iterator[Any]:
    from warehouse.connection import reading

    with reading(settings.published) as connection:
        yield connection


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
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
