"""One rate for all crawlers together, whatever machine they run on: Prefect's global concurrency limit with slot decay.

How Prefect counts (3.8.8): slots can be taken if there is room under the limit after decay, and what is taken decays by
so many whole slots a second, on the database's clock. So a limit of 5 that decays by 5 lets ten requests through in one
second. We take the whole limit at once, a *batch*: the next one is free when this one has decayed, and its slots are
used one by one, as they decay. A slot that is late by more than `LATENESS` is given up. Then no second sees more than
`decay * (1 + LATENESS)` requests leave, whoever sends them; `Bucket` sets that equal to the rate wanted.

Refusing slots also sets the clock of the decay to now and forgets what has decayed since: if many crawlers tried
often, none would ever get any. So they look first, which changes nothing, and try when the slots are free.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import floor
from typing import Protocol, Self

import msgspec

from extract.errors import UsageError

LATENESS = 0.25  # seconds between taking a slot, at the earliest, and sending; Prefect's answer takes 0.01 to 0.1 s
_BATCH = 0.25  # seconds of requests taken at once: 8 calls a second to Prefect at most, whatever the rate
_QUICKEST = 0.02  # seconds of chance between two looks, at least

Turn = Callable[[], Awaitable[None]]
"""Waits until a request may be sent."""


class Bucket(msgspec.Struct, frozen=True):
    """A global concurrency limit: slots that can be taken at once, and slots a second by which they decay."""

    slots: int
    decay: float

    @classmethod
    def of_rate(cls, rate: float) -> Self:
        """The limit that lets at most `rate` requests leave in any second. Raises UsageError unless it is above 0."""
        if not 0 < rate < float("inf"):
            raise UsageError(
                f"the rate of all crawlers together is a number of requests a second above 0, not {rate:g}"
            )
        decay = rate / (1 + LATENESS)
        return cls(max(1, floor(decay * _BATCH)), decay)

    @property
    def rate(self) -> float:
        """Requests that can leave in one second, at most."""
        return self.decay * (1 + LATENESS)


class Limit(Protocol):
    """A limit that all crawlers share. Both raise RateLimitError if it cannot be asked, or is not to be relied on."""

    async def look(self) -> tuple[Bucket, int]:
        """The limit as it is, and the slots that have not decayed yet. Changes nothing."""
        ...

    async def take(self, slots: int) -> bool:
        """Take the slots now; false if somebody else was faster."""
        ...


class Batch:
    """Slots that were taken together, to be used one after the other, each in its own time.

    Taken between `asked_at` and `came_at` (monotonic seconds); slot n belongs to the moment n * `spacing` after that.
    """

    def __init__(self, asked_at: float = 0.0, came_at: float = 0.0, slots: int = 0, spacing: float = 0.0) -> None:
        self.decayed_at = came_at + slots * spacing
        self._windows = iter([(came_at + n * spacing, asked_at + n * spacing + LATENESS) for n in range(slots)])

    def next(self, now: float) -> tuple[float, float] | None:
        """From when to when the next slot that is not too late can be used; none if all are gone."""
        return next(((begins, ends) for begins, ends in self._windows if max(begins, now) <= ends), None)


class SharedPace:
    """The turns of this process under a limit that it shares; one asks at a time (`Pace` sees to it)."""

    def __init__(
        self,
        limit: Limit,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._limit = limit
        self._monotonic, self._sleep, self._chance = monotonic, sleep, chance
        self._batch = Batch()
        self._usual_wait = 0.0

    async def turn(self) -> None:
        """Wait until a request may be sent; it has to be sent at once. Raises RateLimitError: then none may be."""
        while True:
            while (window := self._batch.next(self._monotonic())) is None:
                self._batch = await self._take()
            begins, ends = window
            await self._sleep_until(begins)
            if self._monotonic() <= ends:
                return

    async def _take(self) -> Batch:
        """The next batch, when all slots are free.

        Who got one stands back for half as long as one usually waits, and who has waited longer looks more often: of
        75 crawlers the least lucky one gets a sixth of its share within five minutes, and a fifth of the slots idle.
        """
        begins = max(self._batch.decayed_at, self._monotonic())
        await self._sleep_until(self._batch.decayed_at + self._usual_wait / 2)
        while True:
            bucket, busy = await self._limit.look()
            asked_at = self._monotonic()
            if not busy and await self._limit.take(bucket.slots):
                self._usual_wait = (self._usual_wait + max(0.0, asked_at - begins)) / 2
                return Batch(asked_at, self._monotonic(), bucket.slots, 1 / bucket.decay)
            left = max(0.0, self._usual_wait - (asked_at - begins))
            chance = max(_QUICKEST, left / 2 + self._usual_wait / 10) * self._chance()
            await self._sleep((busy or bucket.slots) / bucket.decay + chance)

    async def _sleep_until(self, moment: float) -> None:
        if (wait := moment - self._monotonic()) > 0:
            await self._sleep(wait)


@asynccontextmanager
async def shared_turns(name: str | None) -> AsyncIterator[Turn | None]:
    """Turns under the global concurrency limit of this name on Prefect's server; none if there is no name.

    Raises UsageError if there is no such limit, or no server; RateLimitError if the server cannot be asked.
    """
    if name is None:
        yield None
        return
    from flows.prefect_limits import prefect_limit  # Prefect takes two seconds to import

    async with prefect_limit(name) as limit:
        yield SharedPace(limit).turn
