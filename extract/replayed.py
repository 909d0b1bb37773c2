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

from extract.archive import Holdings
from extract.capture import digest_of
from extract.endpoints import NATIONAL, WIB, ContestType, Endpoint, level_of
from extract.errors import EndpointError, UsageError
from extract.jakarta import LISTED, SEEDED
from extract.simulator import Depth

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

    def like(self, path: str, point: float) -> str | None:
        """An address whose document could be taken for this one's: the same kind and level, chosen by a draw of 0 to 1.

        None if there is no other.
        """

    def document(self, path: str, at: datetime) -> Document | None:
        """What is served there then."""


class Simulated(Protocol):
    """A simulated night, of Jakarta or of the country."""

    @property
    def label(self) -> str:
        """Simulated, with the seed."""

    @property
    def publications(self) -> list[datetime]:
        """When something was published."""

    def endpoints(self, depth: Depth) -> Iterator[Endpoint]:
        """All documents to a depth."""

    def children(self, contest_type: ContestType, code: str) -> Sequence[str]:
        """The regions right below one, in this contest."""

    def document(self, endpoint: Endpoint, at: datetime) -> bytes | None:
        """What was served at a moment."""


class SimulatedSource:
    """A simulated night. A version began when its file was made, which is its own `ts`, as on a web server's disk.

    Bodies and validators are functions of address and moment; what is kept is only kept to spare the work.
    """

    def __init__(self, simulation: Simulated) -> None:
        self._simulation = simulation
        self._steps = [SEEDED, *simulation.publications]
        self._make = lru_cache(_KEPT)(self._made)
        for endpoint in simulation.endpoints("regency"):  # works the night out: a second nobody should wait for later
            simulation.document(endpoint, self._steps[-1])

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the first publication to a cycle after the last, when everybody has had time to see it."""
        return self._steps[1], self._steps[-1] + timedelta(minutes=15)

    @property
    def label(self) -> str:
        """Simulated, with the seed."""
        return self._simulation.label

    def like(self, path: str, point: float) -> str | None:
        """Another region of the same level, found from the top down."""
        try:
            endpoint = Endpoint.from_url(path)
        except EndpointError:
            return None
        code, own = NATIONAL, endpoint.region
        while level_of(code) != level_of(own):
            below = self._simulation.children(endpoint.contest_type, code)
            if len(below) > 1 and len(below[0]) == len(own):
                below = [child for child in below if child != own]
            if not below:
                return None
            place, point = divmod(point * len(below), 1)
            code = below[int(place)]
        return msgspec.structs.replace(endpoint, region=code).path if code != own else None

    def document(self, path: str, at: datetime) -> Document | None:
        """What the simulator would serve; made anew only when something was published since the last question."""
        return self._make(path, bisect_right(self._steps, at))

    def _made(self, path: str, step: int) -> Document | None:
        try:
            endpoint = Endpoint.from_url(path)
        except EndpointError:
            return None
        if step == 0 or endpoint.path != path:  # no /other/place/31.json
            return None
        body = self._simulation.document(endpoint, self._steps[step - 1])
        if body is None:
            return None
        ts = _TS.search(body)
        since = datetime.fromisoformat(ts[1].decode() if ts else LISTED).replace(tzinfo=WIB)
        return Document(body, digest_of(body), since)


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
        archive: Holdings,
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
    def of(cls, archive: Holdings) -> "ArchivedSource":
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
            raise UsageError(f"{archive.place} holds no captures to serve; import or poll some first")
        moments = [version.since for versions in seen.values() for version in versions]
        changes = {path: list(_changes(sorted(versions))) for path, versions in sorted(seen.items())}
        return cls(archive, changes, (min(moments), max(moments)), label)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the first capture to the last."""
        return self._span

    def like(self, path: str, point: float) -> str | None:
        """Another address that was captured, of the same kind and level."""
        kin = self._kinship[_kin(path)]
        place = int(point * len(kin))
        other = kin[place] if kin[place] != path else kin[place - 1]
        return other if other != path else None

    @cached_property
    def _kinship(self) -> dict[tuple[str, ...], list[str]]:
        kinship: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for path in self._versions:
            kinship[_kin(path)].append(path)
        return kinship

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


def _kin(path: str) -> tuple[str, ...]:
    """What two addresses share if one's document could be taken for the other's."""
    try:
        endpoint = Endpoint.from_url(path)
    except EndpointError:
        return (path,)
    return (endpoint.election, endpoint.document, endpoint.contest_type, level_of(endpoint.region))


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
