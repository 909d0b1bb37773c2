"""The archive: every byte a source served, append-only, deduplicated and hash-chained; the only truth.

    archive/
      segments/20241128T030012Z-7f3a21.jsonl.zst     captures, written by one run and never rewritten
      manifests/000001-20241128T030012Z-7f3a21.json  what the run asked and got; names the manifest before it

It can be read without this project: `zstdcat segments/*.zst | grep 3171`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from extract.capture import Capture, Line, from_line
from extract.errors import ArchiveError
from extract.manifests import Manifest, read_manifests
from extract.segments import SUFFIX, frames

_CACHED_FRAMES = 32  # for look-ups by digest; a frame of 256 region documents is about 1 MB


class Place(NamedTuple):
    """Where a capture lies: segment, first byte of its frame, line within the frame."""

    segment: str
    offset: int
    line: int


class Index(NamedTuple):
    """What an archive holds: captures by their key, bodies by their digest."""

    keys: set[tuple[str, datetime, str]]
    bodies: dict[str, Place]


@contextmanager
def blaming(segment: str) -> Iterator[None]:
    """A line that no version of ours wrote is told with its segment."""
    try:
        yield
    except ValueError as error:  # JSON, UTF-8 and base64 alike
        what = f"{segment}: a line is no capture ({error}); run: realcount archive verify"
        raise ArchiveError(what) from error


class Archive:
    """An archive directory, for reading (`extract.recording` writes). Opening one touches nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.segments_directory = directory / "segments"
        self.manifests_directory = directory / "manifests"
        self._frames: OrderedDict[tuple[str, int], list[Line]] = OrderedDict()
        self._index = Index(set(), {})
        self._indexed: dict[str, int] = {}  # segments, as far as they were read
        self._is_current = False

    def manifests(self) -> list[Manifest]:
        """The finished runs, oldest first. Raises ArchiveError for a manifest that is none."""
        return read_manifests(self.manifests_directory)

    def segment_names(self) -> list[str]:
        """Every segment on disk, oldest first, also of a run that is open or was killed."""
        return sorted(path.name for path in self.segments_directory.glob(f"*{SUFFIX}"))

    def captures(self, segment: str) -> Iterator[tuple[Place, Capture]]:
        """The captures of a segment in the order they were written; revisits come without their body."""
        for frame in frames(self.segments_directory / segment):
            with blaming(segment):
                found = [from_line(line) for line in frame.lines()]
            for number, capture in enumerate(found):
                yield Place(segment, frame.offset, number), capture

    def history(self, clock: Callable[[Capture], Any] | None = None) -> Iterator[Capture]:
        """All captures with their bodies, ordered by a clock; without one, by when they were observed.

        The clock is asked once a capture and may read the body, such as KPU's own time in it.
        """
        order = []
        for segment in self.segment_names():
            for place, capture in self.captures(segment):
                moment = clock(self.with_body(capture)) if clock else capture.observed_at
                order.append((moment, capture.url, capture.digest, place))
        for *_, place in sorted(order):
            yield self.with_body(from_line(self._line(place)))

    @property
    def index(self) -> Index:
        """Everything the archive held when first asked, or after `look_again`."""
        if not self._is_current:
            self._read_on()
            self._is_current = True
        return self._index

    def look_again(self) -> None:
        """The archive may have grown: what was added to it belongs to the index too."""
        self._is_current = False

    def _read_on(self) -> None:
        """Index what was never read: segments only grow, so a crawl of many cycles reads each frame once."""
        segments = self.segment_names()
        if not self._indexed.keys() <= set(segments):  # somebody took segments away: their bodies are gone
            self._index, self._indexed = Index(set(), {}), {}
            self._frames.clear()
        for segment in segments:
            for frame in frames(self.segments_directory / segment, self._indexed.get(segment, 0)):
                with blaming(segment):
                    lines = frame.lines()
                for number, line in enumerate(lines):
                    self._index.keys.add((line.original, line.timestamp, line.digest))
                    if not line.is_revisit:
                        self._index.bodies.setdefault(line.digest, Place(segment, frame.offset, number))
                self._indexed[segment] = frame.offset + frame.length

    def body(self, digest: str) -> bytes:
        """The bytes of this digest. Raises ArchiveError if no capture holds them."""
        place = self.index.bodies.get(digest)
        body = from_line(self._line(place)).body if place else None
        if body is None:
            raise ArchiveError(f"{self.directory}: no capture holds the body {digest}")
        return body

    def with_body(self, capture: Capture) -> Capture:
        """The capture with its bytes, looked up if it was a revisit."""
        if capture.body is not None:
            return capture
        return msgspec.structs.replace(capture, body=self.body(capture.digest))

    def _line(self, place: Place) -> Line:
        at = (place.segment, place.offset)
        if at not in self._frames:
            self._frames[at] = next(frames(self.segments_directory / place.segment, place.offset)).lines()
            if len(self._frames) > _CACHED_FRAMES:
                self._frames.popitem(last=False)
        self._frames.move_to_end(at)
        return self._frames[at][place.line]
