"""Undoing a Content-Encoding while it arrives, never holding more than was allowed.

httpx decodes each chunk whole: 64 KiB of Brotli or Zstandard off the wire can become gigabytes in one step (455 bytes
made 300 MB, November 2026). So the client takes the raw bytes and unpacks them here, a step at a time.
"""

import sys
import zlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Literal, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

try:
    _brotli: Any = import_module("brotli")
    _brotli.Decompressor.can_accept_more_data  # noqa: B018 - before 1.2 its output could not be bounded
except (ImportError, AttributeError):
    _brotli = None

Truncation = Literal["length", "time", "disconnect"]
"""Why a body is not whole, in WARC's words; a garbled one counts as broken off."""

_STEP = 64 * 1024  # bytes unpacked at a time: what a bomb can cost beyond the limit
_WINDOW: dict[int, int] = {
    zstd.DecompressionParameter.window_log_max: 23
}  # RFC 9659: 8 MiB is the most a server may ask of us
_MEMBERS = 1_000  # gzip and Zstandard may be several in a row; thousands of empty ones are an attack


class _Decoder(Protocol):
    """Unpacks a stream. `decode(b"", most)` goes on with what was given before."""

    def decode(self, packed: bytes, most: int) -> bytes:
        """Some of what is there, roughly `most` bytes; nothing if more input is needed."""

    @property
    def is_complete(self) -> bool:
        """The stream said it ends here."""


class _Gzip:
    """zlib's decompressor with the manners of Zstandard's: it remembers the input that it had no room for."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def decompress(self, packed: bytes, most: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + packed, most)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data


class _Members:
    """gzip members or Zstandard frames, one after the other."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin, self._member, self._begun = begin, begin(), 1

    def decode(self, packed: bytes, most: int) -> bytes:
        while True:
            if self._member.eof:
                packed = self._member.unused_data + packed
                if not packed:
                    return b""
                self._member, self._begun = self._begin(), self._begun + 1
                if self._begun > _MEMBERS:
                    raise zlib.error("too many members")
            unpacked: bytes = self._member.decompress(packed, most)
            if unpacked or not self._member.eof:
                return unpacked
            packed = b""

    @property
    def is_complete(self) -> bool:
        return bool(self._member.eof and not self._member.unused_data)


class _Brotli:
    def __init__(self) -> None:
        self._stream = _brotli.Decompressor()

    def decode(self, packed: bytes, most: int) -> bytes:
        if self._stream.is_finished() and not packed:
            return b""
        unpacked: bytes = self._stream.process(packed, output_buffer_limit=most)
        return unpacked

    @property
    def is_complete(self) -> bool:
        return bool(self._stream.is_finished())


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": partial(_Members, _Gzip),
    "x-gzip": partial(_Members, _Gzip),
    "zstd": partial(_Members, partial(zstd.ZstdDecompressor, options=_WINDOW)),
}
_BROKEN: tuple[type[Exception], ...] = (zlib.error, zstd.ZstdError)
if _brotli:
    _DECODERS["br"] = _Brotli
    _BROKEN += (_brotli.error,)

ACCEPT_ENCODING = ", ".join(coding for coding in ("gzip", "br", "zstd") if coding in _DECODERS)
"""What to offer a server; Brotli only where its module is installed and new enough to be bounded."""


class Body:
    """A body as it arrives: the content after its Content-Encoding, at most `most` bytes of it.

    A coding that was not offered is kept packed, as it came.
    """

    def __init__(self, coding: str, most: int) -> None:
        decoder = _DECODERS.get(coding.strip().lower())
        self._decoder = decoder() if decoder else None
        self._most = most
        self._content = bytearray()
        self.on_wire = 0

    def feed(self, chunk: bytes) -> Truncation | None:
        """Take what came off the wire; anything but None says why no more is wanted."""
        self.on_wire += len(chunk)
        try:
            self._unpack(chunk)
        except _BROKEN:
            return "disconnect"
        return "length" if len(self._content) > self._most else None

    def _unpack(self, chunk: bytes) -> None:
        if self._decoder is None:
            self._content += chunk
            return
        while unpacked := self._decoder.decode(chunk, min(_STEP, self._most + 1 - len(self._content))):
            self._content += unpacked
            if len(self._content) > self._most:
                return
            chunk = b""

    @property
    def is_complete(self) -> bool:
        """The coding reached its end; an empty body needs none."""
        return self._decoder is None or not self.on_wire or self._decoder.is_complete

    @property
    def content(self) -> bytes:
        """What has arrived, unpacked and within the limit."""
        return bytes(memoryview(self._content)[: self._most])
