"""Writing to the archive: one run at a time, safe against being killed at any byte."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count, groupby
from typing import Any

import msgspec

from extract.archive import Archive
from extract.capture import Capture
from extract.errors import ArchiveError
from extract.files import write_whole
from extract.index import Captures, Digests
from extract.manifests import Manifest, OpenRun, Outcome
from extract.writing import Clock, Segments, Written, run_of, written


class Run:
    """A run being written: hand it captures, it decides what is a revisit."""

    def __init__(
        self, archive: Archive, opened: OpenRun, clock: Clock, check: Callable[[], None], before: Manifest | None
    ) -> None:
        self.name = opened.run
        self.captures = 0
        self.outcome: Outcome = "complete"  # unless an error, or whoever stops it early, says otherwise
        self._archive = archive
        self._opened = opened
        self._clock = clock
        self._check = check
        self._before = before  # what it must follow: if somebody else did meanwhile, the store refuses it
        self._segments = Segments(archive.store, opened.run, clock)
        self._note = archive.store.spool.notes / f"{opened.run}.open"
        self._keys = Captures()
        self._digests = Digests()

    def append(self, capture: Capture) -> bool:
        """Archive a capture; False if the archive holds this very capture already.

        One without a body repeats bytes that the archive holds; raises ArchiveError if it does not, and BusyError if
        the archive has become another process's.
        """
        self._check()
        known = self._archive.index
        if capture.key in self._keys or capture.key in known.keys:
            return False
        revisit = capture.digest in self._digests or capture.digest in known.bodies
        if capture.body is None and not revisit:
            raise ArchiveError(f"{capture.url} came without its body, and no capture holds {capture.digest}")
        if not self.captures:
            write_whole(self._note, msgspec.json.encode(self._opened))
        self._segments.append(capture, revisit=revisit)
        self._keys.add(capture.key)
        self._digests.add(capture.digest)
        self.captures += 1
        return True

    def tick(self) -> None:
        """Flush what has waited for a second: to be called now and then while answers are waited for."""
        self._segments.tick()

    def finish(self, outcome: Outcome) -> Manifest | None:
        """Flush, close and seal. A run that wrote nothing leaves nothing."""
        found = self._segments.finish()
        self._check()
        manifest = None
        if found:
            manifest = _seal(self._archive, self._opened, self._clock(), outcome, found, self._before)
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
    Raises BusyError if another process writes here, StorageError if the disk or the store refuses.
    """
    started_at = clock()
    shard = f"-{archive.store.shard}" if archive.store.shard else ""  # runs of shards that begin together must differ
    name = f"{started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}{shard}"
    opened = OpenRun(name, kind, asked, started_at, versions, settings)
    with archive.store.hold(opened) as check:
        run = Run(archive, opened, clock, check, recover(archive, clock))
        archive.look_again()  # another process may have written since this one last looked
        try:
            yield run
        except BaseException as error:  # what was archived stays, also after Ctrl-C
            run.finish("failed" if isinstance(error, Exception) else "interrupted")
            raise
        else:
            run.finish(run.outcome)
        finally:
            archive.look_again()


def recover(archive: Archive, clock: Clock) -> Manifest | None:
    """Give every segment that a killed run left behind its manifest. The writer's lock must be held.

    Returns the newest manifest, if there is any.
    """
    store = archive.store
    for file in store.leftovers():
        store.keep(file)
    manifests = archive.manifests()
    named = {segment.name for manifest in manifests for segment in manifest.segments}
    left = [segment for segment in archive.segment_names() if segment not in named]
    runs = {manifest.run for manifest in manifests}
    last = manifests[-1] if manifests else None
    for run, segments in groupby(left, run_of):
        found = [written(archive.segment(segment)) for segment in segments]
        opened = _opened(archive, run, clock())
        if run in runs:  # it lost its lease, was sealed by another process, and wrote on
            others = (f"{run}.{number}" for number in count(2))
            opened = msgspec.structs.replace(opened, run=next(other for other in others if other not in runs))
        last = _seal(archive, opened, clock(), "interrupted", found, last)
        runs.add(last.run)
    store.forget_notes()
    return last


def _opened(archive: Archive, run: str, now: datetime) -> OpenRun:
    """What a killed run had noted; if even the note is lost, its name still tells the segment."""
    try:
        noted = msgspec.json.decode(archive.store.note(run) or b"", type=OpenRun)
        return msgspec.structs.replace(noted, run=run)  # it names files: never by what a stranger's note says
    except ValueError:  # neither JSON nor UTF-8 after a power loss
        return OpenRun(run, "unknown", {}, now, {})


def _seal(
    archive: Archive,
    opened: OpenRun,
    ended_at: datetime,
    outcome: Outcome,
    found: Sequence[Written],
    before: Manifest | None,
) -> Manifest:
    """Write the manifest of a run from what its segments really hold, and chain it to the one before."""
    answered = sum((one.answered for one in found), Counter[str]())
    manifest = Manifest(
        sequence=before.sequence + 1 if before else 1,
        run=opened.run,
        kind=opened.kind,
        asked=opened.asked,
        outcome=outcome,
        started_at=opened.started_at,
        ended_at=ended_at,
        answered=dict(answered),
        captures=answered.total(),
        bodies=sum(one.bodies for one in found),
        segments=tuple(one.segment for one in found),
        versions=opened.versions,
        settings=opened.settings,
        previous=before.digest if before else None,
        shard=archive.store.shard or msgspec.UNSET,
    ).sealed()
    archive.store.add(manifest)
    return manifest
