"""What an archive holds, small enough to keep in memory: 2 million captures of a national night take some 100 MB.

Captures and bodies are known by the first 16 bytes of a SHA-256: among 2 million, two share one with a chance of 10⁻²⁶.
Sets and dicts of Python objects took seven times the room.
"""

import hashlib
from datetime import UTC, datetime
from struct import Struct
from typing import NamedTuple

_HEAD = 2  # bytes of a key that choose its bucket: 65,536 of them, each some hundred bytes when there are millions
_KEY = 16
_SHA256 = 32
_PLACE = Struct("<IQI")  # segment, offset, line


class Place(NamedTuple):
    """Where a capture lies: segment, first byte of its frame, line within the frame."""

    segment: str
    offset: int
    line: int


class Table:
    """Keys of 16 bytes with values of one size. Adding is final: what is known is never forgotten or changed."""

    def __init__(self, size: int = 0) -> None:
        self._rest = _KEY - _HEAD
        self._record = self._rest + size  # bytes
        self._buckets: dict[bytes, bytearray] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def find(self, key: bytes) -> bytes | None:
        """The key's value, or None."""
        bucket, rest, at = self._buckets.get(key[:_HEAD], b""), key[_HEAD:], -1
        while (at := bucket.find(rest, at + 1)) >= 0:
            if at % self._record == 0:  # else it lies across two records
                return bytes(bucket[at + self._rest : at + self._record])
        return None

    def add(self, key: bytes, value: bytes = b"") -> None:
        """Add a key that is not there yet."""
        bucket = self._buckets.get(key[:_HEAD])
        if bucket is None:
            bucket = self._buckets[key[:_HEAD]] = bytearray()
        bucket += key[_HEAD:] + value
        self._length += 1


class Captures:
    """The captures of an archive, or of a run, by address, moment and digest."""

    def __init__(self) -> None:
        self._table = Table()

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, key: tuple[str, datetime, str]) -> bool:
        return self._table.find(_capture_key(key)) is not None

    def add(self, key: tuple[str, datetime, str]) -> None:
        """This capture is there."""
        hashed = _capture_key(key)
        if self._table.find(hashed) is None:
            self._table.add(hashed)


class Digests:
    """The digests that a run has met."""

    def __init__(self) -> None:
        self._table = Table()

    def __contains__(self, digest: str) -> bool:
        return self._table.find(_body_key(digest)) is not None

    def add(self, digest: str) -> None:
        """This digest was met."""
        if digest not in self:
            self._table.add(_body_key(digest))


class Bodies:
    """The bodies of an archive by their digest, and where each lies: where it was found first."""

    def __init__(self) -> None:
        self._table = Table(_PLACE.size)
        self._segments: list[str] = []

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, digest: str) -> bool:
        return self._table.find(_body_key(digest)) is not None

    def get(self, digest: str) -> Place | None:
        """Where the body lies, if it is there."""
        if (found := self._table.find(_body_key(digest))) is None:
            return None
        segment, offset, line = _PLACE.unpack(found)
        return Place(self._segments[segment], offset, line)

    def add(self, digest: str, place: Place) -> None:
        """The body lies there, unless it was found elsewhere before."""
        hashed = _body_key(digest)
        if self._table.find(hashed) is None:
            if not self._segments or self._segments[-1] != place.segment:  # segments are read one after another
                self._segments.append(place.segment)
            self._table.add(hashed, _PLACE.pack(len(self._segments) - 1, place.offset, place.line))


class Index:
    """What an archive holds: captures by their key, bodies by their digest."""

    def __init__(self) -> None:
        self.keys = Captures()
        self.bodies = Bodies()


def _capture_key(key: tuple[str, datetime, str]) -> bytes:
    url, moment, digest = key
    return _hashed(f"{url}\n{moment.astimezone(UTC).isoformat()}\n{digest}")  # a moment is one in any zone


def _body_key(digest: str) -> bytes:
    """A digest is a hash already, unless a stranger's archive has something else there."""
    try:
        key = bytes.fromhex(digest.removeprefix("sha256:"))
    except ValueError:
        key = b""
    return key[:_KEY] if len(key) == _SHA256 else _hashed(digest)


def _hashed(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_KEY]
