"""Several archives read as one: an archive and its shards, which several machines write side by side.

Each has a chain and a memory of its own. A body is stored once in each, and may be looked up in any.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import msgspec

from extract.archive import Archive
from extract.capture import Capture
from extract.errors import ArchiveError
from extract.index import Place
from extract.manifests import Manifest

_AT_ONCE = 8  # archives

_Answer = TypeVar("_Answer")


class Archives:
    """An archive and its shards as they are found, in the order of their names."""

    def __init__(self, root: Archive, shard: Callable[[str], Archive]) -> None:
        """`shard` opens one by its name. Nothing is asked yet."""
        self.root = root
        self.place = root.place
        self._open = shard
        self._shards: dict[str, Archive] = {}
        self._members: list[Archive] = []  # when they were last looked for
        self._holders: dict[str, Archive] = {}

    def members(self) -> Sequence[Archive]:
        """The archive itself and the shards that there are now."""
        self._members = [self.root, *map(self.shard, self.root.store.shards())]
        return self._members

    def shard(self, name: str) -> Archive:
        """The shard of this name, which need not be there yet."""
        if name not in self._shards:
            self._shards[name] = self._open(name)
        return self._shards[name]

    def manifests(self) -> list[Manifest]:
        """The finished runs of one after another, in the order of each chain."""
        found = []
        for archive, manifests in self._asked(Archive.manifests):
            self._holders |= {segment.name: archive for manifest in manifests for segment in manifest.segments}
            found += manifests
        return found

    def segment_names(self) -> list[str]:
        """Every segment of all, oldest first."""
        self._holders = {name: archive for archive, names in self._asked(Archive.segment_names) for name in names}
        return sorted(self._holders)

    def _asked(self, question: Callable[[Archive], _Answer]) -> list[tuple[Archive, _Answer]]:
        """What each answers; several are asked at once, since a store may be far away."""
        members = self.members()
        with ThreadPoolExecutor(_AT_ONCE) as asking:
            return list(zip(members, asking.map(question, members), strict=True))

    def segment(self, name: str) -> Path:
        """A file to read a segment from. Raises ArchiveError if it is gone."""
        return self._holder(name).segment(name)

    def original(self, name: str) -> AbstractContextManager[Path]:
        """The same as it is there now. The file may be missing."""
        return self._holder(name).original(name)

    def captures(self, segment: str) -> Iterator[tuple[Place, Capture]]:
        """The captures of a segment in the order they were written; revisits come without their body."""
        return self._holder(segment).captures(segment)

    def body(self, digest: str) -> bytes:
        """The bytes of this digest. Raises ArchiveError if no capture holds them."""
        for archive in self._members or self.members():
            if digest in archive.index.bodies:
                return archive.body(digest)
        for archive in self.members():  # another process may have written since
            archive.look_again()
            if digest in archive.index.bodies:
                return archive.body(digest)
        raise ArchiveError(f"{self.place}: no capture holds the body {digest}")

    def with_body(self, capture: Capture) -> Capture:
        """The capture with its bytes, looked up if it was a revisit."""
        if capture.body is not None:
            return capture
        return msgspec.structs.replace(capture, body=self.body(capture.digest))

    def _holder(self, segment: str) -> Archive:
        if segment not in self._holders:
            self.segment_names()
        return self._holders.get(segment, self.root)
