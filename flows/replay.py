"""Replaying what others kept: source to archive, archive to database, database to readers."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from extract.capture import Capture, digest_of_file
from extract.errors import SourceDownError, UsageError
from extract.national import NationalNight
from extract.night import Night
from extract.recording import record
from extract.simulator import Depth
from extract.sources import FolderSource, GitSource
from extract.warc import WarcSource
from flows.nights import simulation_of
from flows.settings import Settings, versions
from load.loader import LoadReport, load, preparing
from load.parquet import publish_parquet
from load.publish import publish
from load.staging import Progress, quiet
from warehouse.connection import alone, forget_log
from warehouse.lake import Lake


class ReplayReport(msgspec.Struct, frozen=True):
    """What a replay did: captures read from the source, new in the archive, left out (path to versions), loaded.

    `passed_over` counts what else the source had, by the reason why it was not taken; `source_down` says why it ended
    early, if it did.
    """

    read: int
    archived: int
    left_out: dict[str, int]
    load: LoadReport
    is_published: bool
    passed_over: dict[str, int] = {}
    source_down: SourceDownError | None = None

    @property
    def is_new(self) -> bool:
        """Whether the archive has more, or readers see more, than before."""
        return bool(self.archived) or self.is_published


def now() -> datetime:
    """The one clock of a run."""
    return datetime.now(UTC)


def replay_git(
    settings: Settings, place: Path, patterns: Iterable[str] = (), progress: Progress = quiet
) -> ReplayReport:
    """Replay a scraper's repository or bundle. Commits that an earlier run read to the end are passed over."""
    patterns = sorted(patterns)
    source = GitSource(place, patterns, known=_known_heads(settings, patterns))
    asked = {"place": place.name, "heads": list(source.heads), "patterns": patterns}
    with source:
        return _replay(settings, "replay git", asked, source.captures(), source.left_out, progress)


def replay_folder(
    settings: Settings,
    place: Path,
    patterns: Iterable[str] = (),
    observed_at: datetime | None = None,
    progress: Progress = quiet,
) -> ReplayReport:
    """Replay a tree of files named like KPU's addresses, observed at a given time or at each file's own."""
    patterns = sorted(patterns)
    source = FolderSource(place, patterns, observed_at)
    asked = {"place": place.name, "patterns": patterns, "observed_at": observed_at}
    return _replay(settings, "replay folder", asked, source.captures(), source.left_out, progress)


def replay_warc(settings: Settings, places: Sequence[Path], progress: Progress = quiet) -> ReplayReport:
    """Replay WARC files, of ours or of other tools: captures at the times that their records say."""
    source = WarcSource(places, settings.archive)
    asked = {
        "files": [{"name": place.name, "digest": digest_of_file(place)} for place in places],
        "warcinfo": source.infos,  # filled while the files are read; the manifest is written after that
    }
    report = _replay(settings, "replay warc", asked, source.captures(), source.left_out, progress)
    return msgspec.structs.replace(report, passed_over=dict(source.passed_over))


def replay_simulated(
    settings: Settings, night: Night | NationalNight, depth: Depth, progress: Progress = quiet
) -> ReplayReport:
    """Replay a simulated count night, of Jakarta or of the country."""
    asked = {"depth": depth, **msgspec.structs.asdict(night)}
    return _replay(settings, "replay simulated", asked, simulation_of(night).captures(depth), Counter(), progress)


def rebuild(settings: Settings, progress: Progress = quiet) -> LoadReport:
    """Build the database again from the archive alone, and put it in the old one's place when it is whole.

    A lake is emptied and filled in one transaction: until then its readers have what was there.
    """
    if isinstance(place := settings.database, Lake):
        if settings.shard:
            raise UsageError("a lake is rebuilt from all shards; unset REALCOUNT_SHARD, then run: realcount rebuild")
        report = load(settings.archives, place, progress, anew=True)
        write_parquet(settings)
        return report
    with alone(place):
        draft = place.with_name(f".{place.name}.part")
        for leftover in settings.data_dir.glob(f"{draft.name}*"):
            leftover.unlink()
        report = load(settings.archives, draft, progress)
        forget_log(place)
        draft.replace(place)
        _publish(settings, report)
        write_parquet(settings)
        return report


def bring_up_to_date(
    settings: Settings, progress: Progress = quiet, *, parquet: bool = True
) -> tuple[LoadReport, bool]:
    """Load what the archive has and the database has not; publish if readers would see anything new, with or without
    Parquet, which may cost more than all else.
    """
    with alone_with(settings):
        report = load(settings.archives, settings.database, progress)
        is_new = _publish(settings, report)
        return report, (parquet and write_parquet(settings)) or is_new


def write_parquet(settings: Settings, *, may_wait: bool = False, clock: Callable[[], datetime] = now) -> bool:
    """Write the Parquet set if it is wanted and would say anything new; whether it was written. A costly one
    `may_wait` for a later cycle."""
    if not (place := settings.parquet_files):
        return False
    return publish_parquet(settings.published, place, may_wait=may_wait, clock=lambda: clock().timestamp())


def alone_with(settings: Settings) -> AbstractContextManager[object]:
    """No other process writes the database file and what is published of it. Loaders of a lake see to that themselves.

    Raises BusyError if one does.
    """
    return nullcontext() if isinstance(settings.database, Lake) else alone(settings.database)


def _publish(settings: Settings, report: LoadReport) -> bool:
    """Hand what was loaded to readers; whether they see anything new. Who reads a lake has it already."""
    source, target = settings.database, settings.published
    if isinstance(source, Path) and isinstance(target, Path):
        return publish(source, target)
    return bool(report.runs)


def _replay(
    settings: Settings,
    kind: str,
    asked: dict[str, Any],
    captures: Iterable[Capture],
    left_out: Counter[str],
    progress: Progress,
) -> ReplayReport:
    """Archive first, understand later."""
    read = 0
    with preparing(settings.database), record(settings.archive, kind, asked, now, versions()) as run:
        for capture in captures:
            run.append(capture)
            read += 1
            progress(1)
    loaded, is_published = bring_up_to_date(settings)
    return ReplayReport(read, run.captures, dict(left_out), loaded, is_published)


def _known_heads(settings: Settings, patterns: list[str]) -> set[str]:
    """The heads that a complete run with the same patterns has read."""
    return {
        head
        for manifest in settings.archive.manifests()
        if manifest.kind == "replay git" and manifest.outcome == "complete" and manifest.asked["patterns"] == patterns
        for head in manifest.asked["heads"]
    }
