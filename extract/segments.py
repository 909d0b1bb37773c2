"""Segments: append-only files of captures, Zstandard frames of JSON lines.

Every frame is complete in itself, so a reader can begin at any of them, `zstdcat` and DuckDB's `read_json`
read the file, and a process killed in the middle of a write spoils at most the frame it was writing.
"""

import os
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from extract.capture import Capture, Line, to_line
from extract.errors import ArchiveError, StorageError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIX = ".jsonl.zst"
FRAME_CAPTURES = 256  # the most a kill can cost, together with FRAME_AGE
FRAME_AGE = timedelta(seconds=1)
FRAME_BYTES = 16 << 20  # bounds memory when bodies are large
_LEVEL = 12  # a quarter smaller than level 3 on the Pilkada archive of 2024, for 0.25 s; 15: 3 % more, 4 times slower
_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: _LEVEL,
    zstd.CompressionParameter.checksum_flag: 1,  # a damaged frame must not decode to other figures
}
_CHUNK = 1 << 20
_MOST_UNPACKED = 1 << 30  # of one frame: a stranger's archive must not fill the memory (30 KB can unpack to 1 GB)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


class SegmentWriter:
    """Appends captures to one new file; nothing is on disk before the first flush.

    The caller says what time it is: a frame is closed after 256 captures or one second.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[bytes] = []
        self._size = 0
        self._opened_at: datetime | None = None
        self._descriptor: int | None = None
        self.length = 0  # bytes on disk

    def append(self, capture: Capture, now: datetime, *, revisit: bool) -> None:
        """Add one capture; flushes when the frame is full or old."""
        line = _encoder.encode(to_line(capture, revisit=revisit))
        if len(line) > _MOST_UNPACKED - 2 * FRAME_BYTES:  # nobody could read the frame again
            raise ArchiveError(f"{capture.url}: a body of {capture.length:,} bytes is too large for the archive")
        self._lines.append(line)
        self._size += len(line)
        self._opened_at = self._opened_at or now
        if len(self._lines) >= FRAME_CAPTURES or self._size >= FRAME_BYTES:
            self.flush()
        self.flush_if_old(now)

    def flush_if_old(self, now: datetime) -> None:
        """Flush a frame that has been open for a second: while answers are waited for nobody appends."""
        if self._opened_at and not timedelta() <= now - self._opened_at < FRAME_AGE:  # or the clock was set back
            self.flush()

    def flush(self) -> None:
        """Write the open frame and wait until the disk has it."""
        if not self._lines:
            return
        frame = zstd.compress(b"\n".join(self._lines) + b"\n", options=_OPTIONS)
        self._lines, self._size, self._opened_at = [], 0, None  # never write after a frame that failed
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            written = 0
            while written < len(frame):  # a write may be short, above all when the disk is nearly full
                written += os.write(self._descriptor, frame[written:])
            self.length += len(frame)
            os.fsync(self._descriptor)
        except BaseException as error:
            self.close()  # nothing may follow a torn frame: O_EXCL keeps this file from being opened again
            if isinstance(error, OSError):
                raise StorageError(self.path, error.strerror or str(error)) from error
            raise

    def close(self) -> None:
        """Close the file without flushing: what was not flushed is lost, as in a kill."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Frame(NamedTuple):
    """An intact frame: its place in the file, in bytes, and its lines."""

    offset: int
    length: int
    text: bytes

    def lines(self) -> list[Line]:
        """The captures' lines, decoded."""
        return _decoder.decode_lines(self.text)

    def texts(self) -> list[bytes]:
        """The same lines as they are written, without their line ends."""
        return [line for line in self.text.split(b"\n") if line.strip()]


def frames(path: Path, start: int = 0) -> Iterator[Frame]:
    """The intact frames of a segment, from the one that begins at `start`.

    What cannot be decoded ends it quietly: a torn tail, the zeros a power loss may leave, damage, or a bomb. Only the
    manifest can tell those apart, so whoever needs every capture counts them against it.
    """
    with path.open("rb") as file:
        offset = file.seek(start)
        pending = file.read(_CHUNK)
        while pending:
            decompressor, parts, used, room = zstd.ZstdDecompressor(), [], 0, _MOST_UNPACKED
            while pending and not decompressor.eof:
                try:
                    parts.append(decompressor.decompress(pending, room))
                except zstd.ZstdError:
                    return
                room -= len(parts[-1])
                if room <= 0:
                    return
                used += len(pending)
                pending = b"" if decompressor.eof else file.read(_CHUNK)
            if not decompressor.eof:
                return
            rest = decompressor.unused_data
            yield Frame(offset, used - len(rest), b"".join(parts))
            offset += used - len(rest)
            pending = rest or file.read(_CHUNK)
