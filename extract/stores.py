"""Where an archive lies: a folder, or a bucket of an object store (`extract.objects`). Both keep the same files.

segments/20241128T030012Z-7f3a21.jsonl.zst           captures; a run on an object store leaves several
manifests/000001-20241128T030012Z-7f3a21.json        what the run asked and got; there: 000001.json
shards/pkwkp-31/segments/…  shards/pkwkp-31/manifests/…   the same of a shard, with a chain of its own
"""

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from extract.errors import UsageError
from extract.files import alone, refusals, write_whole
from extract.manifests import Manifest, OpenRun
from extract.segments import SUFFIX

SHARDS = "shards"
_SHARD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def is_shard(name: str) -> bool:
    """Whether a shard can be called that: it is part of addresses and file names."""
    return _SHARD.fullmatch(name) is not None


def named(shard: str) -> str:
    """The name, if a shard can be called that. Raises UsageError if not."""
    if not is_shard(shard):
        raise UsageError(f"a shard is called by a-z, 0-9 and hyphens, such as pkwkp-31, and not {shard!r}")
    return shard


class Listed(NamedTuple):
    """A manifest's file, and something that changes when its content does."""

    name: str
    version: Hashable


class Spool(NamedTuple):
    """Where a run writes. A segment is closed when it has so many bytes or is so many seconds old (0: never), and is
    the store's from then on."""

    segments: Path
    notes: Path
    most_bytes: int = 0
    most_seconds: float = 0


class Store(Protocol):
    """Files that an archive is made of. Segments and manifests are never changed once they are there."""

    grows: bool
    """Whether a segment that is there may become longer, because its run is writing it."""

    @property
    def place(self) -> Path | str:
        """Where it is, for people."""

    @property
    def shard(self) -> str | None:
        """The shard it holds, or None for the archive itself."""

    @property
    def spool(self) -> Spool:
        """Where a run writes its segments before they are kept."""

    def segments(self) -> list[str]:
        """The names of all segments, oldest first."""

    def manifests(self) -> list[Listed]:
        """The manifests in the order of the chain."""

    def shards(self) -> list[str]:
        """The names of the shards beside it."""

    def segment(self, name: str) -> Path:
        """A file to read a segment from. Raises FileNotFoundError if it is gone."""

    def original(self, name: str) -> AbstractContextManager[Path]:
        """The same, as the store has it now and no copy kept here."""

    def contents(self, manifests: Sequence[str]) -> list[bytes]:
        """What is in these manifests, as the store has them now."""

    def hold(self, opened: OpenRun) -> AbstractContextManager[Callable[[], None]]:
        """Be the only writer. Gives a check that raises BusyError once somebody else has become it."""

    def leftovers(self) -> list[Path]:
        """Segments in the spool that a run before this one did not bring to the store."""

    def note(self, run: str) -> bytes | None:
        """What a killed run had noted of itself, as far as it can be found."""

    def forget_notes(self) -> None:
        """Every run is sealed: what was noted or half written is of no use."""

    def keep(self, file: Path) -> None:
        """Take a closed segment out of the spool. Raises StorageError if it cannot; it is then still there."""

    def add(self, manifest: Manifest) -> None:
        """Put a manifest at its place in the chain. Raises BusyError if another one stands there."""


class Folder:
    """An archive in a directory. Segments are written where they stay; the kernel keeps other writers out."""

    grows = True

    def __init__(self, directory: Path, shard: str | None = None) -> None:
        self.place = directory
        self.shard = shard
        self._segments = directory / "segments"
        self._manifests = directory / "manifests"
        self.spool = Spool(self._segments, self._manifests)

    def segments(self) -> list[str]:
        """Also those of a run that is open or was killed."""
        return sorted(path.name for path in self._segments.glob(f"*{SUFFIX}"))

    def manifests(self) -> list[Listed]:
        """A file's size and time say whether it was changed."""
        paths = sorted(self._manifests.glob("[0-9]*.json"))
        return [Listed(path.name, ((found := path.stat()).st_mtime_ns, found.st_size)) for path in paths]

    def shards(self) -> list[str]:
        """Folders with a shard's name."""
        return sorted(path.name for path in (self.place / SHARDS).glob("*") if is_shard(path.name))

    def segment(self, name: str) -> Path:
        """The file itself."""
        file = self._segments / name
        file.stat()
        return file

    @contextmanager
    def original(self, name: str) -> Iterator[Path]:
        """The file itself."""
        yield self._segments / name

    def contents(self, manifests: Sequence[str]) -> list[bytes]:
        """The files' contents."""
        return [(self._manifests / name).read_bytes() for name in manifests]

    @contextmanager
    def hold(self, opened: OpenRun) -> Iterator[Callable[[], None]]:  # noqa: ARG002 (an object store tells others)
        """In a folder that has its directories; nobody can take over from a process that lives."""
        with refusals(self.place):
            self._segments.mkdir(parents=True, exist_ok=True)
            self._manifests.mkdir(exist_ok=True)
        with alone(self.place / ".lock", "the archive", self.place):
            yield lambda: None

    def leftovers(self) -> list[Path]:
        """Nothing: segments are written where they stay."""
        return []

    def note(self, run: str) -> bytes | None:
        """What lies beside the manifests."""
        try:
            return (self._manifests / f"{run}.open").read_bytes()
        except FileNotFoundError:
            return None

    def forget_notes(self) -> None:
        """Notes, and manifests that were never finished."""
        for leftover in (*self._manifests.glob("*.open"), *self._manifests.glob(".*.part")):
            leftover.unlink()

    def keep(self, file: Path) -> None:
        """It is where it stays."""

    def add(self, manifest: Manifest) -> None:
        """Under its own name: the lock keeps its place free."""
        write_whole(self._manifests / manifest.file_name, manifest.encoded())
