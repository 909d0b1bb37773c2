"""HTTP answers as web archives store them, with every coding of the wire still on, and digests as they write them."""

import base64
import hashlib
import re
from typing import NamedTuple

from extract.unpacking import Body, Truncation

MOST_BYTES = 32 << 20  # of a body, as for those off the wire
_MOST_HEAD = 64 << 10
_MOST_LINES = 500
_MOST_CHUNKS = 100_000  # of a few hundred bytes each for the largest body; servers send thousands
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})\b")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class Message(NamedTuple):
    """An HTTP answer: its status, its headers under the names they were written with, and its body as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """A header's value, whatever its case; nothing if there is none."""
        return next((value for known, value in self.headers if known.lower() == name), "")

    @classmethod
    def parse(cls, block: bytes) -> "Message | None":
        """The answer in a block; None if it does not begin as one."""
        head, _, body = block.partition(b"\r\n\r\n")
        lines = head[:_MOST_HEAD].split(b"\r\n", _MOST_LINES + 1)
        found = _STATUS.match(lines[0])
        if not found:
            return None
        pairs = (line.decode("utf-8", "replace").partition(":") for line in lines[1 : _MOST_LINES + 1])
        return cls(int(found[1]), [(name.strip(), value.strip()) for name, _, value in pairs], body)

    def unchunked(self) -> tuple[bytes, bool]:
        """The body without its Transfer-Encoding, and whether it is whole; some tools undo it and leave its header."""
        if self.header("transfer-encoding").lower() != "chunked":
            return self.body, True
        content, at = bytearray(), 0
        for _ in range(_MOST_CHUNKS):
            end = self.body.find(b"\r\n", at, at + 64)
            size = _hexadecimal(self.body[at:end]) if end >= 0 else None
            if size is None:
                return (bytes(content), False) if at else (self.body, True)
            if size == 0:
                return bytes(content), True
            content += self.body[end + 2 : end + 2 + size]
            at = end + 2 + size + 2
        return bytes(content), False

    def content(self) -> tuple[bytes, Truncation | None]:
        """The body without any coding, and why it is not whole, if it is not."""
        packed, is_whole = self.unchunked()
        body = Body(self.header("content-encoding"), MOST_BYTES)
        refused = body.feed(packed)
        is_broken = refused == "disconnect" or not body.is_complete
        if is_broken and not body.content:
            return packed, None if is_whole else "disconnect"  # some tools unpack the body and keep the header
        return body.content, refused or ("disconnect" if is_broken or not is_whole else None)


def _hexadecimal(line: bytes) -> int | None:
    digits = line.split(b";")[0].strip()
    return int(digits, 16) if _SIZE.fullmatch(digits) else None


def agrees(claimed: str, content: bytes) -> bool:
    """Whether a digest as archives write it, `sha1:BASE32` or `sha256:hex`, is that of the content.

    One by a method that is not known cannot contradict.
    """
    method, _, value = claimed.partition(":")
    try:
        digest = hashlib.new(method.lower().replace("-", ""), content, usedforsecurity=False).digest()
    except (ValueError, TypeError):
        return True
    forms = (digest.hex().upper(), base64.b32encode(digest).decode().rstrip("="))
    return value.strip().rstrip("=").upper() in forms
