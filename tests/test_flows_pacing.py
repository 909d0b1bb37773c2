"""The rate that all crawlers share: whatever they do and however slow Prefect's server is, no second sees more requests
than it allows. (Against Prefect's own server: tests/test_flows_prefect.py.)"""

import asyncio
import random
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from extract.errors import UsageError
from flows.pacing import Bucket, SharedPace, shared_turns


class VirtualTime(asyncio.SelectorEventLoop):
    """A loop whose clock goes on to the next timer as soon as nothing else is to do."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


class Counted:
    """A limit with Prefect's arithmetic, answers after some time, and asked by everybody."""

    def __init__(self, bucket: Bucket, delay: Callable[[], float]) -> None:
        self.bucket, self._delay = bucket, delay
        self._active, self._updated = 0, 0.0

    async def look(self) -> tuple[Bucket, int]:
        return self.bucket, await self._somewhen(self._decayed)

    async def take(self, slots: int) -> bool:
        return await self._somewhen(lambda: self._taken(slots))

    def _decayed(self) -> int:
        passed = asyncio.get_running_loop().time() - self._updated
        return max(0, self._active - floor(self.bucket.decay * passed))

    def _taken(self, slots: int) -> bool:
        is_free = self._decayed() + slots <= self.bucket.slots
        self._active = self._decayed() + slots if is_free else self._active
        self._updated = asyncio.get_running_loop().time()  # also when refused: what had decayed is forgotten
        return is_free

    async def _somewhen(self, ask: Callable[[], Any]) -> Any:
        await asyncio.sleep(self._delay())
        answer = ask()
        await asyncio.sleep(self._delay())
        return answer


def most_in_a_second(moments: list[float]) -> int:
    moments = sorted(moments)
    return max((bisect_left(moments, moment + 1) - n for n, moment in enumerate(moments)), default=0)


def sent(
    rate: float, crawlers: int, slowest: float, seconds: float, seed: int, overslept: float = 1.0
) -> list[list[float]]:
    """When each of the crawlers sent, over so many virtual seconds."""
    chance = random.Random(seed)
    limit = Counted(Bucket.of_rate(rate), lambda: chance.random() ** 3 * slowest / 2)

    async def crawl(moments: list[float]) -> None:
        loop = asyncio.get_running_loop()
        pace = SharedPace(
            limit, loop.time, lambda wait: asyncio.sleep(wait + overslept * chance.random() ** 4), chance.random
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await pace.turn()
                    moments.append(loop.time())
                    if chance.random() < 0.05:
                        await asyncio.sleep(chance.random())

    async def together() -> list[list[float]]:
        moments: list[list[float]] = [[] for _ in range(crawlers)]
        await asyncio.gather(*map(crawl, moments))
        return moments

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(together())


@given(
    rate=st.sampled_from([0.5, 1.0, 2.5, 5.0, 13.0, 60.0]),
    crawlers=st.integers(1, 6),
    slowest=st.sampled_from([0.0, 0.05, 0.3, 1.0]),  # seconds until Prefect's server answers, at most
    seed=st.integers(0, 2**32),
)
@effort(max_examples=60)
def test_no_second_sees_more_requests_than_the_rate_however_late_answers_come(
    rate: float, crawlers: int, slowest: float, seed: int
) -> None:
    moments = [moment for each in sent(rate, crawlers, slowest, 30.0, seed) for moment in each]
    assert most_in_a_second(moments) <= ceil(rate)


def test_most_of_the_rate_is_used_and_everybody_gets_some_of_it() -> None:
    moments = sent(60.0, 12, 0.04, 120.0, seed=6, overslept=0.001)
    assert sum(map(len, moments)) > 0.5 * 60 * 120
    assert min(map(len, moments)) > 60 * 120 / 12 / 6


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        Bucket.of_rate(rate)


def test_without_a_name_nothing_is_shared() -> None:
    async def turns() -> object:
        async with shared_turns(None) as turn:
            return turn

    assert asyncio.run(turns()) is None
