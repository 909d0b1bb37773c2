"""The rate that all crawlers share: whatever they do and however slow Prefect's server is, no second sees more requests
than it allows, and nothing is sent when nobody can say no."""

import asyncio
import gc
import os
import random
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from extract.errors import RateLimitError, UsageError
from flows import serving as prefect_serving
from flows.pacing import Bucket, SharedPace, shared_turns

# Prefect leaves its own connections to the garbage collector (3.8.8)
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


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


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prefect's own server, embedded."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    with prefect_serving.server(tmp_path_factory.mktemp("prefect")):
        yield
    gc.collect()  # here, where it is no fault of the next test


def limited(name: str, bucket: Bucket, then: Callable[[], Awaitable[object]]) -> None:
    """Do something under a limit on Prefect's server."""
    from prefect import get_client

    from flows.prefect_limits import set_limit

    async def work() -> None:
        async with get_client() as client:
            await set_limit(client, name, bucket)
        await then()

    asyncio.run(work())


@pytest.mark.usefixtures("api")
def test_on_prefects_server_three_crawlers_together_keep_to_the_rate() -> None:
    moments: list[float] = []

    async def crawl() -> None:
        async with shared_turns("together") as turn:
            assert turn
            for _ in range(8):
                await turn()
                moments.append(asyncio.get_running_loop().time())

    async def together() -> None:
        await asyncio.gather(*(crawl() for _ in range(3)))

    limited("together", Bucket.of_rate(10), together)
    assert len(moments) == 24
    assert most_in_a_second(moments) <= 10


@pytest.mark.usefixtures("api")
def test_a_limit_that_is_not_there_is_refused_and_says_how_to_make_it() -> None:
    async def turn() -> None:
        async with shared_turns("nowhere"):
            raise AssertionError

    with pytest.raises(RateLimitError, match=r"'nowhere' is failing: it is not there; 'realcount deploy --rate'"):
        asyncio.run(turn())


async def several(turn: Callable[[], Awaitable[None]]) -> None:
    """More turns than were taken at once."""
    for _ in range(6):
        await turn()


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("what", ["deleted", "switched off", "without decay"])
def test_a_limit_that_ends_to_be_one_under_way_stops_everybody(what: str) -> None:
    from prefect import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    async def turns() -> None:
        async with shared_turns(f"soon {what}") as turn, get_client() as client:
            assert turn
            await turn()
            if what == "deleted":
                await client.delete_global_concurrency_limit_by_name(f"soon {what}")
            else:
                change = {"active": False} if what == "switched off" else {"slot_decay_per_second": 0.0}
                await client.update_global_concurrency_limit(
                    f"soon {what}", GlobalConcurrencyLimitUpdate.model_validate(change)
                )
            with pytest.raises(RateLimitError, match=f"the shared rate limit 'soon {what}' is failing"):
                await several(turn)

    limited(f"soon {what}", Bucket.of_rate(20), turns)


def test_without_a_server_there_is_no_turn() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    async def turn() -> None:
        async with shared_turns("kpu"):
            raise AssertionError

    nobody = temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"})  # the discard port
    with nobody, pytest.raises(RateLimitError, match="Prefect's server does not answer"):
        asyncio.run(turn())
    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(UsageError, match="set PREFECT_API_URL"):
        asyncio.run(turn())


def test_without_a_name_nothing_is_shared() -> None:
    async def turns() -> object:
        async with shared_turns(None) as turn:
            return turn

    assert asyncio.run(turns()) is None
