"""Whom to ask, how fast, and when to stop asking: what a client owes the source it asks.

Both clocks are passed in: seconds that never go back for spacing, the time of day for Retry-After dates.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from urllib.parse import urlsplit

import msgspec

from extract.errors import SourceDownError, UsageError

_MIB = 1024 * 1024

_SLACK = 1.05  # requests sent 0.2 s apart can arrive closer together: leave 0.1 s in any 2 s for the way
_GOOD_ANSWERS = 20  # before the rate goes up a step
_STEP = 0.1  # of the set rate
_FLOOR = 1 / 16  # of the set rate: four halvings; beyond that the breaker decides
_A_DAY = 86_400.0  # the longest Retry-After believed, seconds


class Manners(msgspec.Struct, frozen=True):
    """How to ask. Rates in requests/s (0: no limit), times in seconds, sizes in bytes.

    `allowed_hosts` (see `authority`) are the only ones asked or followed to. `request_timeout` bounds every silence,
    `total_timeout` one attempt from connecting to the last byte. A Retry-After longer than `longest_pause`, or
    `failures` in a row, mean that the source is down.
    """

    allowed_hosts: frozenset[str]
    rate: float = 5.0
    connections: int = 4
    request_timeout: float = 10.0
    total_timeout: float = 30.0
    retries: int = 3
    longest_wait: float = 10.0  # between two attempts
    longest_pause: float = 300.0
    failures: int = 10
    redirects: int = 3
    most_bytes_on_wire: int = 8 * _MIB
    most_bytes: int = 32 * _MIB
    contact: str = "no contact given: set REALCOUNT_CONTACT"
    site: str = "https://pilkada2024.kpu.go.id"

    def __post_init__(self) -> None:
        for name in ("contact", "site"):
            if not (value := getattr(self, name)).isascii() or not value.isprintable():
                raise UsageError(f"{name} {value!r} cannot be sent in a header; use printable ASCII")
        for name, least in (("rate", 0), ("connections", 1), ("retries", 0), ("redirects", 0), ("failures", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; it cannot be below {least}")

    @property
    def headers(self) -> dict[str, str]:
        """What every request says: who asks, how to reach them, and the site (if any) whose front end asks the same."""
        return {
            "User-Agent": f"realcount/{version('realcount')} (+{self.contact})",
            "Accept": "application/json, */*;q=0.5",
            **({"Referer": f"{self.site}/", "Origin": self.site} if self.site else {}),
        }


def authority(url: str) -> str:
    """The host of an address, with its port unless it is the scheme's own: what `allowed_hosts` lists.

    Raises UsageError for what is no web address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"not an address: {url!r} ({error})") from error
    if "@" in parts.netloc:
        raise UsageError(f"an address with a password would be archived with it: {host!r}; leave it out")
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"not a web address: {url!r}; it begins with https:// or http://")
    shown = f"[{host}]" if ":" in host else host
    return shown if port in (None, {"http": 80, "https": 443}[parts.scheme]) else f"{shown}:{port}"


class Pace:
    """One limiter for all requests: they leave one by one, spaced, and never inside a pause.

    `rate` is in requests a second, 0 for no limit. aiolimiter's rate is fixed at its birth, and ours must follow
    what the source can bear. `shared` waits for a turn among the crawlers of other processes, after our own.
    """

    def __init__(
        self,
        rate: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        shared: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.rate = self._set_rate = rate
        self._shared = shared
        self._monotonic = monotonic
        self._sleep = sleep
        self._queue = asyncio.Lock()  # first come, first served
        self._not_before = self._paused_until = self._slowed_at = float("-inf")
        self._good = 0

    async def turn(self) -> float:
        """Wait until the next request may leave; the moment it may, in seconds of the monotonic clock.

        Raises what `shared` raises: without a turn nothing leaves.
        """
        if not self.rate and not self.is_paused and not self._shared:
            return self._monotonic()
        async with self._queue:
            await self._own_turn()
            if self._shared:
                await self._shared()
                while self.is_paused:  # asked for while we stood in line; the turn is lost
                    await self._own_turn()
                    await self._shared()
            now = self._monotonic()
            if self.rate:
                self._not_before = now + _SLACK / self.rate
            return now

    async def _own_turn(self) -> None:
        while (wait := max(self._not_before, self._paused_until) - self._monotonic()) > 0:
            await self._sleep(wait)

    @property
    def is_paused(self) -> bool:
        """The source asked to be left alone, and that time is not over."""
        return self._paused_until > self._monotonic()

    def pause(self, seconds: float) -> None:
        """Ask nothing for so long; a shorter pause never ends a longer one."""
        self._paused_until = max(self._paused_until, self._monotonic() + seconds)

    def slow_down(self, asked_at: float) -> None:
        """Halve the rate, once for all the requests that were under way together."""
        self._good = 0
        if asked_at >= self._slowed_at:
            self.rate = max(self.rate / 2, self._set_rate * _FLOOR)
            self._slowed_at = self._monotonic()

    def go_on(self) -> None:
        """Note a good answer; after enough of them the rate recovers by a step."""
        self._good += 1
        if self._good % _GOOD_ANSWERS == 0:
            self.rate = min(self._set_rate, self.rate + self._set_rate * _STEP)


class Breaker:
    """Counts failures in a row over all requests; when there were too many, nothing is asked any more."""

    def __init__(self, source: str, most: int) -> None:
        self._source = source
        self._most = most
        self._in_a_row = 0
        self._down: tuple[str, float | None] | None = None

    @property
    def is_down(self) -> bool:
        """Asking is over."""
        return self._down is not None

    def check(self) -> None:
        """Raises SourceDownError if asking is over."""
        if self._down:
            raise SourceDownError(self._source, *self._down)

    def good(self) -> None:
        """The source answers."""
        self._in_a_row = 0

    def bad(self, what: str) -> None:
        """It failed to: `what` happened."""
        self._in_a_row += 1
        if self._in_a_row >= self._most:
            self.trip(f"{self._in_a_row} requests in a row failed, the last one with {what}")

    def trip(self, why: str, retry_after: float | None = None) -> None:
        """Stop asking; the first reason stands."""
        self._down = self._down or (why, retry_after)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds for which Retry-After forbids to ask, at most a day; None if it is absent, over or not understood.

    RFC 9110 §10.2.3: seconds or a date. A date is measured from the answer's own Date, as the source's clock may be
    wrong, or a replayed one.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        seconds = float(value)
    else:
        until, sent = _moment(value), _moment(headers.get("date", "")) or now
        seconds = (until - sent).total_seconds() if until else 0.0
    return min(seconds, _A_DAY) if seconds > 0 else None


def _moment(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # "-0000" and asctime dates are in UTC
