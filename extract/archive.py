"""The archive: every byte a source served, append-only, deduplicated and hash-chained; the only truth.

    segments/     captures, written by one run and never changed
    manifests/    what the run asked and got; names the manifest before it

It lies in a folder or on an object store (see `extract.stores`) and can be read without this project:
`zstdcat segments/*.zst | grep 3171`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from extract.capture import Capture, Line, from_line
from extract.errors import ArchiveError
from extract.index import Index, Place
from extract.manifests import Manifest, decode_manifest
from extract.segments import frames
from extract.stores import Folder, Listed, Store

_CACHED_FRAMES = 32  # for look-ups by digest; a frame of 256 region documents is about 1 MB


class Holdings(Protocol):
    """What can be read: an archive, or several as one (`extract.shards`)."""

    @property
    def place(self) -> Path | str:
        """Where it is, for people."""

    def members(self) -> "Sequence[Archive]":
        """The archives that are read as one, each with a chain of its own."""

    def manifests(self) -> list[Manifest]:
        """The finished runs; those of a chain oldest first. Raises ArchiveError for a manifest that is none."""

    def segment_names(self) -> list[str]:
        """Every segment, oldest first, also of a run that is open or was killed."""

    def segment(self, name: str) -> Path:
        """A file to read a segment from. Raises ArchiveError if it is gone."""

    def original(self, name: str) -> AbstractContextManager[Path]:
        """The same as it is there now, for who trusts no copy."""

    def captures(self, segment: str) -> Iterator[tuple[Place, Capture]]:
        """The captures of a segment in the order they were written; revisits come without their body."""

    def body(self, digest: str) -> bytes:
        """The bytes of this digest. Raises ArchiveError if no capture holds them."""

    def with_body(self, capture: Capture) -> Capture:
        """The capture with its bytes, looked up if it was a revisit."""


@contextmanager
def blaming(segment: str) -> Iterator[None]:
    """A line that no version of ours wrote is told with its segment."""
    try:
        yield
    except ValueError as error:  # JSON, UTF-8 and base64 alike
        what = f"{segment}: a line is no capture ({error}); run: realcount archive verify"
        raise ArchiveError(what) from error


class Archive:
    """An archive in a store or a folder, for reading (`extract.recording` writes). Opening one touches nothing."""

    def __init__(self, place: Path | Store) -> None:
        self.store: Store = Folder(place) if isinstance(place, Path) else place
        self.place = self.store.place
        self._manifests: dict[Listed, Manifest] = {}
        self._frames: OrderedDict[tuple[str, int], list[Line]] = OrderedDict()
        self._index = Index()
        self._indexed: dict[str, int] = {}  # segments, as far as they were read
        self._is_current = False

    @property
    def directory(self) -> Path:
        """The folder of an archive that lies in one."""
        return Path(self.place)

    @property
    def segments_directory(self) -> Path:
        """Where such an archive has its segments."""
        return self.directory / "segments"

    @property
    def manifests_directory(self) -> Path:
        """Where it has its manifests."""
        return self.directory / "manifests"

    def members(self) -> "Sequence[Archive]":
        """The archives that are read as one: here this one."""
        return [self]

    def manifests(self) -> list[Manifest]:
        """The finished runs, oldest first. Raises ArchiveError for a manifest that is none.

        One that was read before is read again only if its file changed: a cycle does not pay for all those before it.
        """
        listed = self.store.manifests()
        known = {one.name: self._manifests[one] for one in listed if one in self._manifests}
        new = [one.name for one in listed if one.name not in known]
        for name, content in zip(new, self.store.contents(new), strict=True):
            known[name] = decode_manifest(content, f"{self.place}/manifests/{name}")
        self._manifests = {one: known[one.name] for one in listed}
        return list(self._manifests.values())

    def segment_names(self) -> list[str]:
        """Every segment, oldest first, also of a run that is open or was killed."""
        return self.store.segments()

    def segment(self, name: str) -> Path:
        """A file to read a segment from. Raises ArchiveError if it is gone."""
        try:
            return self.store.segment(name)
        except FileNotFoundError as error:
            raise ArchiveError(f"{self.place}: {name} is gone; restore it from a copy of the archive") from error

    def original(self, name: str) -> AbstractContextManager[Path]:
        """The same as it is there now, for who trusts no copy. The file may be missing."""
        return self.store.original(name)

    def captures(self, segment: str) -> Iterator[tuple[Place, Capture]]:
        """The captures of a segment in the order they were written; revisits come without their body."""
        for frame in frames(self.segment(segment)):
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
            self._index, self._indexed = Index(), {}
            self._frames.clear()
        for segment in segments:
            if segment in self._indexed and not self.store.grows:
                continue
            for frame in frames(self.segment(segment), self._indexed.setdefault(segment, 0)):
                with blaming(segment):
                    lines = frame.lines()
                for number, line in enumerate(lines):
                    self._index.keys.add((line.original, line.timestamp, line.digest))
                    if not line.is_revisit:
                        self._index.bodies.add(line.digest, Place(segment, frame.offset, number))
                self._indexed[segment] = frame.offset + frame.length

    def body(self, digest: str) -> bytes:
        """The bytes of this digest. Raises ArchiveError if no capture holds them."""
        if digest not in self.index.bodies:
            self.look_again()  # another process may have written since
        place = self.index.bodies.get(digest)
        line = self._line(place) if place else None
        body = from_line(line).body if line and line.digest == digest else None
        if body is None:
            raise ArchiveError(f"{self.place}: no capture holds the body {digest}")
        return body

    def with_body(self, capture: Capture) -> Capture:
        """The capture with its bytes, looked up if it was a revisit."""
        if capture.body is not None:
            return capture
        return msgspec.structs.replace(capture, body=self.body(capture.digest))

    def _line(self, place: Place) -> Line:
        at = (place.segment, place.offset)
        if at not in self._frames:
            self._frames[at] = next(frames(self.segment(place.segment), place.offset)).lines()
            if len(self._frames) > _CACHED_FRAMES:
                self._frames.popitem(last=False)
        self._frames.move_to_end(at)
        return self._frames[at][place.line]
