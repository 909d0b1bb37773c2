"""Commands that bring captures in: what others kept, a simulated night, and the database built again from them."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from extract.endpoints import WIB
from extract.simulator import Depth
from flows import replay as replays
from flows.crawling import NOTHING_NEW
from flows.nights import SimulatedNight
from flows.output import progress, say
from flows.settings import Here, Settings, in_wib

replay = App(name="replay", help="Read what others kept, or a simulated night, into the archive and the database.")


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
    with progress("captures") as step:
        report = replays.replay_git(settings, place, pattern or (), step)
    return _tell(report, settings)


@replay.command
def folder(
    place: Path, /, *, pattern: list[str] | None = None, observed_at: datetime | None = None, settings: Here
) -> int:
    """Replay a folder of files named like KPU's addresses, and of saved pages.

    Parameters
    ----------
    place
        The folder.
    pattern
        How its files are named, as for 'replay git'.
    observed_at
        When they were fetched, such as 2024-11-28T10:00:05+07:00 (without an offset: WIB); else each file's own time
        counts.
    """
    with progress("captures") as step:
        report = replays.replay_folder(settings, place, pattern or (), in_wib(observed_at), step)
    return _tell(report, settings)


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
    with progress("captures") as step:
        report = replays.replay_warc(settings, [place, *others], step)
    return _tell(report, settings)


@replay.command
def wayback(
    *patterns: str,
    since: Annotated[datetime, Parameter(name="--from")],
    until: Annotated[datetime, Parameter(name="--to")],
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
        The first moment of capture, such as 2024-11-28T10:00:05+07:00; without an offset: WIB.
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
    with progress("captures") as step:
        report = web_archives.replay_wayback(settings, patterns, span, manners, wayback_url, step)
    code = _tell(report, settings)
    if report.source_down:
        raise report.source_down
    return code


@replay.command
def simulated(
    *,
    depth: Depth = "district",
    night: SimulatedNight = SimulatedNight(),
    slips: float = 0.0,
    swaps: float = 0.0,
    settings: Here,
) -> int:
    """Replay a simulated count night of Jakarta: real tree, real stations, KPU's real figures at its end.

    With --country, a night of all provinces and both contest types: Jakarta's part as real, the rest made up.

    Parameters
    ----------
    depth
        The finest level whose documents are made.
    slips
        Of Jakarta's night: share of stations whose first figure has a misread digit.
    swaps
        Of Jakarta's night: share of stations where two pairs were exchanged at first.
    """
    played = night.night(slips=slips, swaps=swaps)
    with progress("captures") as step:
        report = replays.replay_simulated(settings, played, depth, step)
    say("These captures are simulated, and say so for ever.")
    return _tell(report, settings)


def rebuild(*, settings: Here) -> int:
    """Build the database again from the archive alone."""
    with progress("captures") as step:
        report = replays.rebuild(settings, step)
    say(f"Rebuilt {settings.database} from {report.runs:,} runs, {report.captures:,} captures.")
    return 0


def _tell(report: replays.ReplayReport, settings: Settings) -> int:
    """What a replay did, for the person who started it."""
    for path, count in sorted(report.left_out.items()):
        say(f"Left out {path}, {count:,} version{'s' if count > 1 else ''}: not a KPU document.")
    for reason, count in sorted(report.passed_over.items()):
        say(f"Left out {count:,}: {reason}.")
    if not report.is_new:
        say("Nothing new.")
        return NOTHING_NEW
    say(f"Archived {report.archived:,} of {report.read:,} captures; the others were there already."
        if report.archived < report.read else f"Archived {report.archived:,} captures.")  # fmt: skip
    say(f"Loaded {report.load.captures:,} captures: {report.load.changes:,} changes.")
    for reason, count in sorted(report.load.quarantined.items()):
        say(f"Quarantined {count:,}: {reason}. See the view captures, quarantine_reason.")
    if report.load.with_unknown_keys:
        say(f"{report.load.with_unknown_keys:,} have keys that are not known here. See: realcount status")
    say(f"Database: {settings.published}")
    return 0
