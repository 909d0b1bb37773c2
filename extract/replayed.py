"""What the stand-in serves: a simulated night or an archive, at the moment that a virtual clock shows."""

import re
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import groupby
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from extract.archive import Archive
from extract.capture import digest_of
from extract.endpoints import WIB, Endpoint
from extract.errors import EndpointError, UsageError
from extract.jakarta import LISTED, SEEDED
from extract.simulator import Simulation

_KEPT = 32_768  # documents and answers at hand: Jakarta has 15,473
_TS = re.compile(rb'"ts":"([0-9: -]{19})"}\Z')


class Document(msgspec.Struct, frozen=True):
    """What is served at an address at a moment: the bytes, their digest, and since when it was so, if known."""

    body: bytes
    digest: str
    since: datetime | None
    mimetype: str = "application/json"
    status: int = 200


class Source(Protocol):
    """Something that has a document for an address (a path) at a moment, or none: 404."""

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From when until when the documents change."""

    @property
    def label(self) -> str:
        """What captures of its answers are to say of their source: `simulated:<seed>`, `replay`."""

    @property
    def paths(self) -> Sequence[str]:
        """Every address it ever has something for."""

    def document(self, path: str, at: datetime) -> Document | None:
        """What is served there then."""


class SimulatedSource:
    """A simulated night. A version began when its file was made, which is its own `ts`, as on a web server's disk."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._steps = [SEEDED, *simulation.publications]
        self._newest: dict[str, tuple[int, Document | None]] = {}  # no more than the night has addresses
        self.document("/pilkada/hhcw/pkwkp/31.json", SEEDED)  # works the night out: 0.4 s nobody should wait for later

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the first publication to a cycle after the last, when everybody has had time to see it."""
        return self._steps[1], self._steps[-1] + timedelta(minutes=15)

    @property
    def label(self) -> str:
        """Simulated, with the seed."""
        return f"simulated:{self._simulation.night.seed}"

    @cached_property
    def paths(self) -> Sequence[str]:
        """The night's addresses, down to every station."""
        return [endpoint.path for endpoint in self._simulation.endpoints("tps")]

    def document(self, path: str, at: datetime) -> Document | None:
        """What the simulator would serve; made anew only when something was published since the last question."""
        step = bisect_right(self._steps, at)
        asked, known = self._newest.get(path, (-1, None))
        if asked == step:
            return known
        try:
            endpoint = Endpoint.from_url(path)
        except EndpointError:
            return None
        body = self._simulation.document(endpoint, at) if endpoint.path == path else None  # no /other/place/31.json
        if body is None:
            return None
        if known is None or known.body != body:
            ts = _TS.search(body)
            since = datetime.fromisoformat(ts[1].decode() if ts else LISTED).replace(tzinfo=WIB)
            known = Document(body, digest_of(body), since)
        self._newest[path] = (step, known)
        return known


class Version(NamedTuple):
    """What an address answered from a moment on."""

    since: datetime
    digest: str
    status: int
    mimetype: str


class ArchivedSource:
    """What an archive holds: an address answers what it had last answered then, whatever its host was."""

    def __init__(
        self,
        archive: Archive,
        versions: dict[str, list[Version]],
        span: tuple[datetime, datetime],
        label: str = "replay",
    ) -> None:
        self.label = label
        self._archive = archive
        self._versions = versions
        self._span = span
        self._load = lru_cache(_KEPT)(self._loaded)

    @classmethod
    def of(cls, archive: Archive) -> "ArchivedSource":
        """The whole archive, read once. Raises UsageError if it holds nothing that could be served."""
        seen: dict[str, list[Version]] = defaultdict(list)
        label = "replay"
        for segment in archive.segment_names():
            for _, capture in archive.captures(segment):
                if capture.source.startswith("simulated"):
                    label = capture.source  # one simulated capture makes the whole a rehearsal
                if 200 <= capture.status <= 599 and capture.status != 304:  # 304 says that nothing changed
                    version = Version(capture.observed_at, capture.digest, capture.status, capture.mimetype)
                    seen[urlsplit(capture.url).path].append(version)
        if not seen:
            raise UsageError(f"{archive.directory} holds no captures to serve; import or poll some first")
        moments = [version.since for versions in seen.values() for version in versions]
        changes = {path: list(_changes(sorted(versions))) for path, versions in sorted(seen.items())}
        return cls(archive, changes, (min(moments), max(moments)), label)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the first capture to the last."""
        return self._span

    @property
    def paths(self) -> Sequence[str]:
        """The addresses that were captured."""
        return list(self._versions)

    def document(self, path: str, at: datetime) -> Document | None:
        """The newest capture observed by then. Raises ArchiveError if its body is not there.

        HTTP's dates have whole seconds, rounded up here: a version has none until then, so no two share theirs.
        """
        versions = self._versions.get(path, [])
        step = bisect_right(versions, at, key=lambda version: version.since)
        if not step:
            return None
        newest = versions[step - 1]
        second = newest.since.replace(microsecond=0) + timedelta(seconds=bool(newest.since.microsecond))
        return self._load(newest, second if second <= at else None)

    def _loaded(self, version: Version, since: datetime | None) -> Document:
        body = self._archive.body(version.digest)
        return Document(body, version.digest, since, version.mimetype, version.status)


def _changes(versions: Iterable[Version]) -> Iterator[Version]:
    """The versions that differ from the one before."""
    for _, same in groupby(versions, key=lambda version: version[1:]):
        yield next(same)


class VirtualClock(msgspec.Struct, frozen=True, kw_only=True):
    """Virtual time: `speed` virtual seconds a second from `start`; 0 stands still. It stops or loops at `end`."""

    start: datetime
    speed: float = 1.0
    end: datetime | None = None
    loops: bool = False
    started_s: float = msgspec.field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or (self.end and self.end.tzinfo is None):
            raise UsageError("virtual time needs a time zone, such as 2024-11-27T15:00+07:00")
        if not 0 <= self.speed <= 1e6:
            raise UsageError(f"speed is virtual seconds a second, 0 (stand still) to 1,000,000, not {self.speed}")
        if self.end and self.end <= self.start:
            raise UsageError(f"virtual time from {self.start} to {self.end} ends before it begins")
        if self.loops and not (self.end and self.speed):
            raise UsageError("a clock that begins again needs an end and a speed")

    def __call__(self) -> datetime:
        """The virtual time now."""
        passed = timedelta(seconds=(time.monotonic() - self.started_s) * self.speed)
        if self.end:
            span = self.end - self.start
            passed = passed % span if self.loops else min(passed, span)
        return self.start + passed
