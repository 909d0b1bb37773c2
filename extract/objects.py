"""An archive on an object store, where nothing can be appended: a run writes on the disk and hands over what is done.

    spool/        what the store has not: segments being written, or that it did not take; losing it loses captures
    cache/        copies of what the store has, the newest 2 GiB of them; it may be removed at any time

A segment is closed and put into the store when it has 4 MiB or is 10 seconds old: that much is lost at most if the
machine dies for good while the store answers. It is then asked for again, since what is stale follows from what is
known. The manifest comes last, under its place in the chain, which only one writer can take.
"""

import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec

from extract import leases
from extract.buckets import PATIENCE, AlreadyThereError, Bucket
from extract.caches import Cache
from extract.errors import BusyError, StorageError
from extract.files import alone, refusals, write_whole
from extract.manifests import Manifest, OpenRun
from extract.segments import SUFFIX
from extract.stores import SHARDS, Listed, Spool, is_shard

PART_BYTES = 4 << 20
PART_SECONDS = 10.0
_AT_ONCE = 8  # objects fetched together: readers take segments in order
_SEGMENT = re.compile(rf"\w[\w.-]*{re.escape(SUFFIX)}")  # a stranger's bucket must not lead to a file elsewhere
_MANIFEST = re.compile(r"[0-9][\w.-]*\.json")


class Objects:
    """An archive below a prefix of a bucket."""

    grows = False

    def __init__(
        self,
        url: str,
        local: Path,
        credentials: Mapping[str, str],
        shard: str | None = None,
        *,
        patience: timedelta = PATIENCE,
        clock: Callable[[], datetime] = leases.utc,
    ) -> None:
        """`local` has room for spool and cache. Nothing is asked and nothing touched yet."""
        self.shard = shard
        self._bucket = Bucket(f"{url.rstrip('/')}/{SHARDS}/{shard}" if shard else url, credentials, patience)
        self.place = self._bucket.url
        self._clock = clock
        name = f"{re.sub('[^a-z0-9]+', '-', self.place.lower())}-{sha256(self.place.encode()).hexdigest()[:8]}"
        self._spool = local / "spool" / name
        self.spool = Spool(self._spool, self._spool, PART_BYTES, PART_SECONDS)
        self._cache = Cache(local / "cache" / name)
        self._listed: list[str] = []
        self._noted: OpenRun | None = None

    def segments(self) -> list[str]:
        """Also those that no manifest names yet."""
        self._listed = [name for name, _ in self._bucket.names("segments") if _SEGMENT.fullmatch(name)]
        return self._listed

    def manifests(self) -> list[Listed]:
        """A version is what the store calls ETag."""
        return [Listed(name, tag) for name, tag in self._bucket.names("manifests") if _MANIFEST.fullmatch(name)]

    def shards(self) -> list[str]:
        """Prefixes with a shard's name."""
        return [name for name in self._bucket.folders(SHARDS) if is_shard(name)]

    def segment(self, name: str) -> Path:
        """The copy in the cache; fetched, with those after it, if there is none."""
        if (file := self._cache.get(name)) is not None:
            return file
        at = self._listed.index(name) if name in self._listed else None
        wanted = [name] if at is None else self._listed[at : at + _AT_ONCE]
        missing = [one for one in wanted if one == name or self._cache.get(one) is None]
        with ThreadPoolExecutor(_AT_ONCE) as fetching:
            first, *others = [fetching.submit(self._fetch, one) for one in missing]
        for other in others:
            other.exception()  # whoever needs it will ask for it, and be told
        return first.result()

    def _fetch(self, name: str) -> Path:
        content, _ = self._bucket.read(f"segments/{name}")
        return self._cache.put(name, content)

    @contextmanager
    def original(self, name: str) -> Iterator[Path]:
        """A copy for this once."""
        with tempfile.TemporaryDirectory(prefix="realcount-") as directory:
            file = Path(directory) / name
            with suppress(FileNotFoundError):  # a file that is not there says the same
                content, _ = self._bucket.read(f"segments/{name}")
                file.write_bytes(content)
            yield file

    def contents(self, manifests: Sequence[str]) -> list[bytes]:
        """The objects' contents."""
        with ThreadPoolExecutor(_AT_ONCE) as reading:
            return list(reading.map(lambda name: self._bucket.read(f"manifests/{name}")[0], manifests))

    @contextmanager
    def hold(self, opened: OpenRun) -> Iterator[Callable[[], None]]:
        """The spool is locked on this machine, the lease among all."""
        with alone(self._spool / ".lock", "the archive", self.place):
            mark = self._spool / ".id"
            if not mark.exists():
                write_whole(mark, secrets.token_hex(8).encode())
            with refusals(mark):
                spool = mark.read_text()
            with leases.lease(self._bucket, spool, opened, self._clock) as (held, self._noted):
                yield held.check

    def leftovers(self) -> list[Path]:
        """What a killed run wrote here, or what the store would not take."""
        return sorted(self._spool.glob(f"*{SUFFIX}"))

    def note(self, run: str) -> bytes | None:
        """From the spool; of a run on another machine from its lease."""
        with suppress(FileNotFoundError):
            return (self._spool / f"{run}.open").read_bytes()
        return msgspec.json.encode(self._noted) if self._noted and self._noted.run == run else None

    def forget_notes(self) -> None:
        """Those of this machine."""
        for leftover in (*self._spool.glob("*.open"), *self._spool.glob(".*.part")):
            leftover.unlink()

    def keep(self, file: Path) -> None:
        """Into the store, and from the spool into the cache: the next load reads it there."""
        with refusals(file):
            content = file.read_bytes()
        try:
            self._bucket.create(f"segments/{file.name}", content)
        except AlreadyThereError:
            raise StorageError(file, "the store has another segment of this name", "move one of them away") from None
        try:
            self._cache.take(file)
        except StorageError:  # the store has it, which is enough
            file.unlink()

    def add(self, manifest: Manifest) -> None:
        """Under its number alone, so that the store refuses a second one."""
        try:
            self._bucket.create(f"manifests/{manifest.sequence:06d}.json", manifest.encoded())
        except AlreadyThereError:
            raise BusyError(self.place, f"manifest {manifest.sequence} of the archive") from None
