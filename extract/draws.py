"""Draws for a simulation that must answer in any order: a hash of what is drawn for, instead of a stream of numbers."""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate, pairwise

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15  # the constants of splitmix64 (Steele, Lea, Flood 2014)


def key(*purpose: str | int) -> int:
    """The stream of draws with this name: 64 bits, the same in every process."""
    return int.from_bytes(blake2b(":".join(map(str, purpose)).encode(), digest_size=8).digest())


def draw(stream: int, number: int) -> int:
    """A stream's draw of a number: 64 random bits."""
    bits = (stream + number * _STEP) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def uniform(stream: int, number: int, low: float = 0.0, high: float = 1.0) -> float:
    """A draw between two bounds."""
    return low + (high - low) * draw(stream, number) / 2**64


def apportioned(total: int, weights: Sequence[float], least: int = 0) -> list[int]:
    """A total in whole parts by weights, each having `least` at least; the parts add up exactly."""
    spare, sums = total - least * len(weights), list(accumulate(weights))
    if spare < 0:
        raise ValueError(f"{total} cannot be shared among {len(weights)} with {least} each")
    ends = [0, *(round(spare * part / sums[-1]) for part in sums)]
    return [least + end - start for start, end in pairwise(ends)]
