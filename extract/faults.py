"""What can go wrong between a crawler and KPU, on request: which answer is struck by what, and what it does to a body.

A plan, not chance: the same seed, plan and request number always give the same fault. Nobody recorded how KPU's own
servers failed (facts §5), so the kinds are what busy public sites do and what a crawler must survive.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Literal, get_args

import msgspec

from extract.errors import UsageError

Kind = Literal[
    "error_500",  # an error page, status 500
    "error_503",  # likewise, status 503
    "too_many",  # status 429 with Retry-After
    "timeout",  # the request is accepted and never answered
    "reset",  # the connection is reset in the middle of the body
    "truncated",  # the connection is closed in the middle of the body
    "corrupt",  # a byte is flipped, and it is no JSON any more
    "garbled_encoding",  # said to be gzip, and is not
    "html",  # an HTML page with status 200
    "wrong_mode",  # valid JSON of the other series: hr for hhcw, hhcw for hr
    "wrong_region",  # another region's document of the same level
    "old_version",  # an older version of the document, with its own `ts`
    "slow",  # the body comes in drops
    "bomb",  # a small gzip body that becomes a huge one
    "redirect_away",  # status 302, to a host that is none of KPU's
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_CHUNK = 1 << 20  # what a bomb is made of, again and again
_MODE = re.compile(rb'("mode"\s*:\s*)"(hhcw|hr)"')
_OTHER_MODE = {b"hhcw": b"hr", b"hr": b"hhcw"}


class Spell(msgspec.Struct, frozen=True):
    """A part of a night in which a share (`rate`, 0 to 1) of the answers is struck by one kind of fault.

    Its bounds are request numbers (`first` to `last`, counted from 1, both included), virtual time (`since`
    included, `until` not), or both.
    """

    kind: Kind
    rate: float = 1.0
    first: int = 1
    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"there is no fault {self.kind!r}; there are {', '.join(KINDS)}")
        if not 0 <= self.rate <= 1:
            raise UsageError(f"the rate of {self.kind} is a share from 0 to 1, not {self.rate}")
        if self.first < 1 or (self.last is not None and self.last < self.first):
            raise UsageError(f"{self.kind} from request {self.first} to {self.last}: requests count from 1 upwards")
        if any(bound is not None and bound.tzinfo is None for bound in (self.since, self.until)):
            raise UsageError(f"{self.kind}: its virtual times need a time zone, such as +07:00")
        if self.since and self.until and self.until <= self.since:
            raise UsageError(f"{self.kind} until {self.until} ends before it begins, {self.since}")

    def covers(self, number: int, at: datetime) -> bool:
        """Whether this request, at this virtual time, falls into it."""
        return (
            self.first <= number
            and (self.last is None or number <= self.last)
            and (self.since is None or self.since <= at)
            and (self.until is None or at < self.until)
        )


class Faults(msgspec.Struct, frozen=True):
    """A plan of faults: shares of all answers by kind, and spells of more, which come first.

    `retry_after` is in seconds, sent as a date if asked so; a `timeout` holds its connection for `hold_seconds`,
    a `slow` body takes `slow_seconds`; `elsewhere` is where `redirect_away` leads, by default to no host at all.
    """

    seed: int = 1
    rates: dict[Kind, float] = {}
    script: tuple[Spell, ...] = ()
    retry_after: int = 2
    retry_after_is_date: bool = False
    hold_seconds: float = 30.0
    slow_seconds: float = 10.0
    bomb_bytes: int = 256 << 20
    elsewhere: str = "http://elsewhere.invalid"

    def __post_init__(self) -> None:
        for kind, rate in self.rates.items():
            Spell(kind, rate)  # says what is wrong with either
        if sum(self.rates.values()) > 1 + 1e-9:  # fifteen fifteenths may be a little more than one
            raise UsageError(f"the rates of all faults are together at most 1, not {sum(self.rates.values()):g}")
        if min(self.retry_after, self.hold_seconds, self.slow_seconds) < 0:
            raise UsageError("retry_after, hold_seconds and slow_seconds are numbers of seconds, 0 or more")
        if self.bomb_bytes < _CHUNK:
            raise UsageError(f"a bomb of {self.bomb_bytes} bytes is none; it takes {_CHUNK} at least")
        if not re.fullmatch(r"https?://[^\s/]+", self.elsewhere):
            raise UsageError(f"elsewhere is a host, such as http://elsewhere.invalid, not {self.elsewhere!r}")

    @classmethod
    def evenly(cls, rate: float, seed: int = 1) -> "Faults":
        """A share of all answers is faulty, every kind as often as any other."""
        return cls(seed, dict.fromkeys(KINDS, rate / len(KINDS)))

    def struck(self, number: int, at: datetime) -> Kind | None:
        """What strikes the answer to this request, by its number (from 1) and the virtual time."""
        if not self.rates and not self.script:
            return None
        point = self.draw(number)
        for kind, rate in self._shares(number, at):
            if point < rate:
                return kind
            point -= rate
        return None

    def draw(self, number: int, purpose: str = "kind") -> float:
        """A number from 0 to 1 (not included) that depends on seed, request number and purpose alone."""
        named = hashlib.blake2b(f"{self.seed}:{number}:{purpose}".encode(), digest_size=6).digest()
        return int.from_bytes(named) / (1 << 48)

    def _shares(self, number: int, at: datetime) -> Iterator[tuple[Kind, float]]:
        yield from ((spell.kind, spell.rate) for spell in self.script if spell.covers(number, at))
        yield from self.rates.items()


def corrupted(body: bytes, where: float) -> bytes | None:
    """The body with a quotation mark turned into a byte that is no text: not JSON however it is decoded.

    `where` (0 to 1) says which mark; a body without any is left alone: None.
    """
    marks = [found.start() for found in re.finditer(rb'"', body)]
    if not marks:
        return None
    place = marks[int(where * len(marks))]
    return body[:place] + bytes([body[place] ^ 0x80]) + body[place + 1 :]


def of_other_mode(body: bytes) -> bytes | None:
    """The body as one of the other series; None if it says no mode, as region lists do not."""
    changed, count = _MODE.subn(lambda found: found[1] + b'"' + _OTHER_MODE[found[2]] + b'"', body, count=1)
    return changed if count else None


@lru_cache(maxsize=2)
def bomb(size: int) -> bytes:
    """A gzip body of so many blanks, to the next MiB: about a thousandth of it, made without holding the whole.

    A block that ends in a full flush depends on nothing before it, so one may stand any number of times.
    """
    chunk, times = b" " * _CHUNK, -(-size // _CHUNK)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = packer.compress(chunk) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(times):
        checksum = zlib.crc32(chunk, checksum)
    length = (times * _CHUNK) & 0xFFFFFFFF
    head, last_block = b"\x1f\x8b\x08" + bytes(6) + b"\xff", b"\x03\x00"
    return head + block * times + last_block + checksum.to_bytes(4, "little") + length.to_bytes(4, "little")
