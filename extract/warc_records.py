"""The records of a WARC file, one by one: what may be hostile or broken is read within bounds and passed over.

warcio would read them too, but takes lines, chunks and packed bodies of any length into memory and ends at the first
damage; evidence that somebody else kept is often damaged.
"""

import io
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import msgspec

from extract.capture import is_possible
from extract.errors import SourceError
from extract.messages import MOST_BYTES

if TYPE_CHECKING:
    from typing_extensions import Buffer  # the standard library has it from 3.12

_MOST_LINE = 16 << 10
_MOST_LINES = 100  # of a record's head
_MOST_DAMAGED = 1_000  # members that cannot be unpacked, before a file is given up: each may cost as much as the file
_STEP = 64 << 10  # bytes unpacked at a time
_GZIP = b"\x1f\x8b\x08"
_VERSION = re.compile(rb"WARC/\d+\.\d+\r?\n\Z")


class Record(msgspec.Struct, frozen=True):
    """A record: its headers by lower-case name, and its block."""

    headers: dict[str, str]
    block: bytes

    @property
    def kind(self) -> str:
        """WARC-Type: `response`, `revisit`, `warcinfo` and others."""
        return self.headers.get("warc-type", "").lower()

    @property
    def url(self) -> str:
        """The address; wget writes it in angle brackets."""
        return self.headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">")

    @property
    def payload_digest(self) -> str:
        """The digest of its body in lower case; nothing if there is none."""
        return self.headers.get("warc-payload-digest", "").lower()

    @property
    def date(self) -> datetime | None:
        """When it was captured; None if no possible moment with an offset stands there."""
        try:
            moment = datetime.fromisoformat(self.headers.get("warc-date", ""))
            return moment.astimezone(UTC) if moment.tzinfo and is_possible(moment) else None
        except (ValueError, OverflowError):
            return None

    @property
    def is_http(self) -> bool:
        """The block is an HTTP answer, not that of a name server or the like."""
        return self.headers.get("content-type", "").replace(" ", "").startswith("application/http")


class Broken(NamedTuple):
    """Where a record should be and none can be read, or none as long as this."""

    why: str


def records(place: Path) -> Iterator[Record | Broken]:
    """The records of a file, packed or not, in order. Raises SourceError if it cannot be read or is no WARC at all."""
    try:
        with place.open("rb") as file:
            is_packed = file.peek(3).startswith(_GZIP)
            if not is_packed and not file.peek(5).startswith(b"WARC/"):
                raise SourceError(place, "it is no WARC file: it begins neither with WARC/ nor as gzip does")
            yield from _packed(file) if is_packed else _parsed(file)
    except OSError as error:
        raise SourceError(place, error.strerror or str(error)) from error


def _packed(file: BinaryIO) -> Iterator[Record | Broken]:
    """A gzip member a record, or several; behind a damaged one the next is looked for."""
    start: int | None = 0
    damaged = 0
    while start is not None:
        member, held = _Member(file, start), None
        try:
            for record in _parsed(cast(BinaryIO, io.BufferedReader(member, _STEP))):
                if held:
                    yield held
                held = record
        except (zlib.error, EOFError):
            held = Broken("damaged")  # the last one, too: only a member's end tells that it is sound
            damaged += 1
        if held:
            yield held
        if damaged >= _MOST_DAMAGED:
            yield Broken(f"the rest of a file with {damaged:,} damaged records")
            return
        start = _find(file, start + 1 if member.end is None else member.end)


def _parsed(stream: BinaryIO) -> Iterator[Record | Broken]:
    """The records of a stream; after one that cannot be read, the next line that begins a record begins anew."""
    is_lost = False
    while line := stream.readline(_MOST_LINE):
        if not _VERSION.match(line):
            if line.strip() and not is_lost:
                is_lost = True
                yield Broken("damaged")
            continue
        is_lost = False
        headers = _headers(stream)
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            is_lost = True
            yield Broken("damaged")
            continue
        block = stream.read(min(int(length), MOST_BYTES))
        left = int(length) - len(block)
        while left and (skipped := len(stream.read(min(left, _STEP)))):
            left -= skipped
        if left:
            yield Broken("cut short")
        elif int(length) > MOST_BYTES:
            yield Broken("larger than 32 MiB")
        else:
            yield Record(headers, block)


def _headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(_MOST_LINES):
        line = stream.readline(_MOST_LINE)
        if not line.strip():
            break
        name, _, value = line.decode("utf-8", "replace").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


class _Member(io.RawIOBase):
    """A gzip member as a file to read, unpacked a step at a time. `end` is where it ends, once that was reached."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.end: int | None = None
        self._file = file
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        file.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, room: "Buffer") -> int:
        view = memoryview(room).cast("B")
        while not self._stream.eof:
            packed = self._stream.unconsumed_tail or self._file.read(_STEP)
            unpacked = self._stream.decompress(packed, len(view))
            if self._stream.eof:
                self.end = self._file.tell() - len(self._stream.unused_data)
            if unpacked:
                view[: len(unpacked)] = unpacked
                return len(unpacked)
            if not packed:
                raise EOFError
        return 0


def _find(file: BinaryIO, start: int) -> int | None:
    """Where the next gzip member begins, or seems to."""
    file.seek(start)
    before = b""
    while chunk := file.read(_STEP):
        if (at := (before + chunk).find(_GZIP)) >= 0:
            return start - len(before) + at
        start += len(chunk)
        before = (before + chunk)[-2:]
    return None
