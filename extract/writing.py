"""The segments of one run while they are written, and what each of them really holds once it is closed."""

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from extract.archive import blaming
from extract.capture import Capture, digest_of_file
from extract.manifests import Segment
from extract.merkle import leaf, root
from extract.segments import SUFFIX, SegmentWriter, frames
from extract.stores import Store

Clock = Callable[[], datetime]


class Written(NamedTuple):
    """A closed segment: its entry in the manifest, its captures by status, and how many hold their body."""

    segment: Segment
    answered: Counter[str]
    bodies: int


def written(file: Path) -> Written:
    """What a segment's file holds, whoever wrote it and however it ended."""
    answered: Counter[str] = Counter()
    bodies = intact = 0
    leaves: list[bytes] = []
    for frame in frames(file):
        intact = frame.offset + frame.length
        leaves += map(leaf, frame.texts())
        with blaming(file.name):
            lines = frame.lines()
        for line in lines:
            answered[str(line.statuscode)] += 1
            bodies += not line.is_revisit
    length = file.stat().st_size
    segment = Segment(file.name, digest_of_file(file), length, answered.total(), length - intact, root(leaves))
    return Written(segment, answered, bodies)


def segment_name(run: str, number: int) -> str:
    """The name of a run's only segment (number 0), or of one of several (from 1)."""
    return f"{run}.{number:04d}{SUFFIX}" if number else f"{run}{SUFFIX}"


def run_of(segment: str) -> str:
    """The run that a segment is named after."""
    return segment.removesuffix(SUFFIX).partition(".")[0]


class Segments:
    """Appends captures to the segments of a run: to one in a folder, one after another for an object store.

    Closed segments go to the store while the run goes on. What it does not take waits in the spool: it is tried again
    with the next one, and at the end.
    """

    def __init__(self, store: Store, run: str, clock: Clock) -> None:
        self._store, self._run, self._clock = store, run, clock
        self._spool = store.spool
        self._number = 1 if self._spool.most_bytes else 0
        self._writer: SegmentWriter | None = None
        self._opened_at: datetime | None = None
        self._waiting: deque[Path] = deque()
        self._kept: list[Written] = []
        self._keeper: ThreadPoolExecutor | None = None
        self._keeping: Future[None] | None = None

    def append(self, capture: Capture, *, revisit: bool) -> None:
        """Add a capture to the open segment."""
        now = self._clock()
        if self._writer is None:
            self._writer = SegmentWriter(self._spool.segments / segment_name(self._run, self._number))
            self._opened_at = now
        self._writer.append(capture, now, revisit=revisit)
        self._close_if_done(now)

    def tick(self) -> None:
        """Flush what has waited for a second, and hand over what is old."""
        now = self._clock()
        if self._writer is not None:
            self._writer.flush_if_old(now)
            self._close_if_done(now)

    def finish(self) -> list[Written]:
        """Flush and close; everything is the store's then, or StorageError says why not."""
        try:
            self._close()
        finally:
            if self._keeper is not None:
                self._keeper.shutdown()
        self._keep()
        return self._kept

    def _close_if_done(self, now: datetime) -> None:
        if self._writer is None or self._opened_at is None or not self._spool.most_bytes:
            return
        age = (now - self._opened_at).total_seconds()
        if self._writer.length < self._spool.most_bytes and 0 <= age < self._spool.most_seconds:  # or it was set back
            return
        self._close()
        if self._keeping is None or self._keeping.done():
            self._keeper = self._keeper or ThreadPoolExecutor(1, thread_name_prefix="archive")
            self._keeping = self._keeper.submit(self._keep)

    def _close(self) -> None:
        """Close the open segment; the next capture opens another one."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.flush()
        finally:
            writer.close()
            if writer.path.exists():  # also by a frame that the disk refused half-way
                self._number += 1
                self._waiting.append(writer.path)

    def _keep(self) -> None:
        """Hand over what is closed, in its order."""
        while self._waiting:
            found = written(self._waiting[0])
            self._store.keep(self._waiting[0])
            self._kept.append(found)
            self._waiting.popleft()
