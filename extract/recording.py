"""Writing to the archive: one run at a time, safe against being killed at any byte."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from extract.archive import Archive, blaming
from extract.capture import Capture, digest_of
from extract.errors import ArchiveError
from extract.files import alone, refusals, write_whole
from extract.manifests import Manifest, OpenRun, Outcome, Segment
from extract.merkle import leaf, root
from extract.segments import SUFFIX, SegmentWriter, frames

Clock = Callable[[], datetime]


class Run:
    """A run being written: hand it captures, it decides what is a revisit."""

    def __init__(self, archive: Archive, opened: OpenRun, clock: Clock) -> None:
        self.name = opened.run
        self.captures = 0
        self.outcome: Outcome = "complete"  # unless an error, or whoever stops it early, says otherwise
        self._archive = archive
        self._opened = opened
        self._clock = clock
        self._writer = SegmentWriter(archive.segments_directory / f"{opened.run}{SUFFIX}")
        self._note = archive.manifests_directory / f"{opened.run}.open"
        self._keys: set[tuple[str, datetime, str]] = set()
        self._digests: set[str] = set()

    def append(self, capture: Capture) -> bool:
        """Archive a capture; False if the archive holds this very capture already.

        One without a body repeats bytes that the archive holds; raises ArchiveError if it does not.
        """
        known = self._archive.index
        if capture.key in self._keys or capture.key in known.keys:
            return False
        revisit = capture.digest in self._digests or capture.digest in known.bodies
        if capture.body is None and not revisit:
            raise ArchiveError(f"{capture.url} came without its body, and no capture holds {capture.digest}")
        if not self.captures:
            write_whole(self._note, msgspec.json.encode(self._opened))
        self._writer.append(capture, self._clock(), revisit=revisit)
        self._keys.add(capture.key)
        self._digests.add(capture.digest)
        self.captures += 1
        return True

    def tick(self) -> None:
        """Flush what has waited for a second: to be called now and then while answers are waited for."""
        self._writer.flush_if_old(self._clock())

    def finish(self, outcome: Outcome) -> Manifest | None:
        """Flush, close and seal. A run that wrote nothing leaves nothing."""
        try:
            self._writer.flush()
        finally:
            self._writer.close()
        written = self._writer.path.exists()  # also by a frame that the disk refused half-way
        manifest = _seal(self._archive, self._opened, self._clock(), outcome) if written else None
        self._note.unlink(missing_ok=True)
        return manifest


@contextmanager
def record(
    archive: Archive,
    kind: str,
    asked: dict[str, Any],
    clock: Clock,
    versions: dict[str, str],
    settings: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET,
) -> Iterator[Run]:
    """Write captures as one run. On leaving, its manifest joins the chain; a run without captures leaves none.

    `asked` and `settings` are kept for ever and shown to anybody: no secret may be in them.
    Raises BusyError if another process writes here, StorageError if the disk refuses.
    """
    with _lock(archive):
        recover(archive, clock)
        archive.look_again()  # another process may have written since this one last looked
        started_at = clock()
        name = f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        run = Run(archive, OpenRun(name, kind, asked, started_at, versions, settings), clock)
        try:
            yield run
        except BaseException as error:  # what was archived stays, also after Ctrl-C
            run.finish("failed" if isinstance(error, Exception) else "interrupted")
            raise
        else:
            run.finish(run.outcome)
        finally:
            archive.look_again()


@contextmanager
def _lock(archive: Archive) -> Iterator[None]:
    """One writer at a time, in an archive that has its directories."""
    with refusals(archive.directory):
        archive.segments_directory.mkdir(parents=True, exist_ok=True)
        archive.manifests_directory.mkdir(exist_ok=True)
    with alone(archive.directory / ".lock", "the archive", archive.directory):
        yield


def recover(archive: Archive, clock: Clock) -> None:
    """Give every segment that a killed run left behind its manifest. The writer's lock must be held."""
    named = {segment.name for manifest in archive.manifests() for segment in manifest.segments}
    for segment in archive.segment_names():
        if segment not in named:
            _seal(archive, _opened(archive, segment.removesuffix(SUFFIX), clock()), clock(), "interrupted")
    for leftover in (
        *archive.manifests_directory.glob("*.open"),
        *archive.manifests_directory.glob(".*.part"),
    ):
        leftover.unlink()


def _opened(archive: Archive, run: str, now: datetime) -> OpenRun:
    """What a killed run had noted; if even the note is lost, its name still tells the segment."""
    note = archive.manifests_directory / f"{run}.open"
    try:
        noted = msgspec.json.decode(note.read_bytes(), type=OpenRun)
        return msgspec.structs.replace(noted, run=run)  # it names files: never by what a stranger's note says
    except (FileNotFoundError, ValueError):  # ValueError: neither JSON nor UTF-8 after a power loss
        return OpenRun(run, "unknown", {}, now, {})


def _seal(archive: Archive, opened: OpenRun, ended_at: datetime, outcome: Outcome) -> Manifest:
    """Write the manifest of a run from what its segment really holds, and chain it to the last one."""
    path = archive.segments_directory / f"{opened.run}{SUFFIX}"
    answered: Counter[str] = Counter()
    bodies = intact = 0
    leaves: list[bytes] = []
    for frame in frames(path):
        intact = frame.offset + frame.length
        leaves += map(leaf, frame.texts())
        with blaming(path.name):
            lines = frame.lines()
        for line in lines:
            answered[str(line.statuscode)] += 1
            bodies += not line.is_revisit
    content = path.read_bytes()
    last = archive.manifests()[-1:]
    torn = len(content) - intact
    manifest = Manifest(
        sequence=last[0].sequence + 1 if last else 1,
        run=opened.run,
        kind=opened.kind,
        asked=opened.asked,
        outcome=outcome,
        started_at=opened.started_at,
        ended_at=ended_at,
        answered=dict(answered),
        captures=answered.total(),
        bodies=bodies,
        segments=(Segment(path.name, digest_of(content), len(content), answered.total(), torn, root(leaves)),),
        versions=opened.versions,
        settings=opened.settings,
        previous=last[0].digest if last else None,
    ).sealed()
    write_whole(archive.manifests_directory / manifest.file_name, manifest.encoded())
    return manifest
