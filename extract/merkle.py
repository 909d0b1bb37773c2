"""A Merkle tree over the lines of a segment: one line can be shown to be among them without the others.

The tree is that of Certificate Transparency (RFC 9162 §2.1): leaves and inner nodes are hashed differently, so that
neither can pass for the other, and a node without a neighbour moves up as it is.
"""

import hashlib
from collections.abc import Sequence


def leaf(line: bytes) -> bytes:
    """The hash of one line, without its line end."""
    return hashlib.sha256(b"\0" + line).digest()


def root(leaves: Sequence[bytes]) -> str:
    """The root over these leaves, as `sha256:` and 64 hexadecimal digits."""
    level = list(leaves) or [hashlib.sha256().digest()]
    while len(level) > 1:
        level = _above(level)
    return f"sha256:{level[0].hex()}"


def path(leaves: Sequence[bytes], position: int) -> list[str]:
    """The neighbours, from the bottom up, that lead from the leaf at this position (from 0) to the root."""
    level, neighbours = list(leaves), []
    while len(level) > 1:
        if position ^ 1 < len(level):
            neighbours.append(level[position ^ 1].hex())
        level, position = _above(level), position // 2
    return neighbours


def _above(level: list[bytes]) -> list[bytes]:
    pairs = zip(level[::2], level[1::2], strict=False)
    return [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs] + level[len(level) & ~1 :]
