"""Polling KPU: one cycle from plan to published database, and cycles until told otherwise."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Self

import msgspec

from extract.client import Client
from extract.endpoints import Endpoint
from extract.errors import QueryError, RegionError, SourceDownError, UsageError, WarehouseError
from extract.politeness import Manners, Pace, authority
from flows.cadence import USUAL, asking_ends, next_cycle, next_fixed, rhythm
from flows.cycle import Counts, Cycle, open_cycle
from flows.knowledge import Knowledge
from flows.pacing import shared_turns
from flows.plan import Scope
from flows.replay import alone_with, bring_up_to_date, now, write_parquet
from flows.reporting import write_report
from flows.settings import Settings
from load.loader import LoadReport
from load.parquet import expected_cost
from warehouse import queries
from warehouse.connection import reading

log = logging.getLogger(__name__)

_GRACE = 10.0  # seconds; service managers kill after 90, container runtimes after 10 to 30

Step = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""How a named piece of a cycle is run: at once on the command line, as a task under Prefect."""


class Request(msgspec.Struct, frozen=True):
    """What to poll, from whom, and how politely; `rate_limit` names the limit that it shares with other crawlers."""

    scope: Scope
    manners: Manners
    base_url: str | None = None
    rate_limit: str | None = None

    @classmethod
    def of(
        cls,
        scope: Scope,
        base_url: str | None = None,
        *,
        rate: float = 5.0,
        connections: int = 4,
        contact: str | None = None,
        rate_limit: str | None = None,
    ) -> Self:
        """A request to KPU's own host, or to a stand-in at `base_url`; no other host is ever asked."""
        if base_url and {"?", "#"} & set(base_url):  # paths are put behind it, and manifests keep it for ever
            raise UsageError("a base URL is a host and at most a path, with neither '?' nor '#'; leave them out")
        host = authority(Endpoint(scope.election, "paslon", scope.contest_types[0]).url(base_url))
        manners = Manners(frozenset({host}), rate=rate, connections=connections)
        if contact:
            manners = msgspec.structs.replace(manners, contact=contact)
        return cls(scope, manners, base_url, rate_limit)

    @property
    def host(self) -> str:
        """Who is asked."""
        return min(self.manners.allowed_hosts)


class CycleReport(msgspec.Struct, frozen=True):
    """What a cycle did; `source_down` says why it ended early, if it did."""

    started_at: datetime
    ended_at: datetime
    counts: Counts
    load: LoadReport
    is_published: bool
    source_down: SourceDownError | None = None
    is_stopped: bool = False

    @property
    def is_new(self) -> bool:
        """Whether any document said something new."""
        return self.counts.changed > 0


class Memory(msgspec.Struct):
    """What a process keeps from cycle to cycle: what it knows of the documents, and how long a cycle took after the
    last answer, without Parquet. Whoever begins without it reads all of it from the database."""

    knowledge: Knowledge = msgspec.field(default_factory=Knowledge)
    afterwards: timedelta | None = None

    def asking_ends(self, started_at: datetime, within: timedelta, parquet: timedelta) -> datetime:
        """When a cycle that takes no longer than `within` asks for nothing more, if Parquet takes so long."""
        return asking_ends(started_at, within, None if self.afterwards is None else self.afterwards + parquet)


def parquet_time(settings: Settings, started_at: datetime, within: timedelta) -> timedelta | None:
    """What the Parquet set may take that is due when the cycle ends: nothing if none is, None if more than a cycle."""
    if not (place := settings.parquet_files):
        return timedelta()
    needed = timedelta(seconds=expected_cost(place, (started_at + within).timestamp()))
    return needed if needed <= within else None


async def at_once(name: str, work: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ARG001 (a Step has a name)
    """The plain step."""
    return await work()


async def poll(
    settings: Settings,
    request: Request,
    step: Step = at_once,
    clock: Callable[[], datetime] = now,
    told: asyncio.Event | None = None,
    memory: Memory | None = None,
    within: timedelta | None = None,
) -> CycleReport:
    """One cycle. A source that fails ends it early, and so does `told` (else Ctrl-C or SIGTERM): what was archived
    until then is loaded and published all the same. With `within` it takes no longer than that: what matters most is
    asked for, the rest in the next cycle.

    Raises BusyError if another process crawls into the same directory.
    """
    started_at = answered_at = clock()
    memory = memory or Memory()
    down = None
    parquet = parquet_time(settings, started_at, within) if within else timedelta()
    with nullcontext(told) if told else _told_by_signals() as told:
        try:
            with open_cycle(
                settings, request.scope, request.base_url, clock, request.manners, memory.knowledge
            ) as cycle:
                if within:
                    cycle.end_at(
                        memory.asking_ends(started_at, within, parquet or timedelta()), clock, request.manners.rate
                    )
                async with (
                    shared_turns(request.rate_limit) as shared,
                    Client(
                        request.manners,
                        clock,
                        cycle.keep,
                        source=request.host,
                        pace=Pace(request.manners.rate, shared=shared),
                    ) as client,
                    _ticking(cycle.tick),
                    _stopping(told, cycle.stop),
                ):
                    for level in cycle.levels:
                        await step(f"ask {level}", partial(cycle.ask_level, client, level))
                    await step("ask the oldest again", partial(cycle.reask, client))
                    answered_at = clock()
                    _expect_answers(request, cycle)
        except SourceDownError as error:
            down = error
        loaded, is_published = await step("load and publish", partial(_load, settings))
        await step("write the report", partial(_report, settings, request.scope, clock(), is_published))
        if answered_at > started_at:  # a costly end is forgotten slowly
            memory.afterwards = max(clock() - answered_at, (memory.afterwards or timedelta()) * 0.9)
        if parquet is None:
            log.info("the Parquet files stay as they are: a set may take longer than a cycle")
        else:
            is_published |= await step("write Parquet", partial(_parquet, settings, clock, may_wait=not parquet))
        return CycleReport(started_at, clock(), cycle.counts, loaded, is_published, down, told.is_set())


async def follow(
    settings: Settings,
    request: Request,
    every: timedelta | None,
    tell: Callable[[CycleReport, datetime], None],
    step: Step = at_once,
) -> CycleReport:
    """Cycles until told to stop, in KPU's rhythm unless `every` says otherwise; `tell` hears of each, and when the
    next begins. A cycle ends before the next begins, if need be with documents left for it. A failing source is tried
    again in the next cycle. Returns the last cycle's report.
    """
    quiet, memory, usual = 0, Memory(), USUAL
    with _told_by_signals() as told:
        while True:
            report = await poll(settings, request, step, told=told, memory=memory, within=every or usual)
            quiet = 0 if report.is_new else quiet + 1
            if every:
                begins = next_fixed(now(), report.started_at, every)
            else:
                seen = _seen(settings)
                usual = rhythm([reported for reported, _ in seen])
                begins = next_cycle(now(), seen, quiet)
            tell(report, begins)
            with suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), (begins - now()).total_seconds())
            if told.is_set():
                return report


def _expect_answers(request: Request, cycle: Cycle) -> None:
    """Raises SourceDownError if no answer was of use: few requests may all fail without tripping the breaker."""
    if cycle.counts.is_fruitless and not cycle.is_stopping:
        raise SourceDownError(request.host, "no answer could be used")


@asynccontextmanager
async def _ticking(tick: Callable[[], object]) -> AsyncIterator[None]:
    """Tick every second for as long as the work takes."""

    async def tick_on() -> None:
        while True:
            await asyncio.sleep(1)
            tick()

    ticking = asyncio.create_task(tick_on())
    try:
        yield
    finally:
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking


@asynccontextmanager
async def _stopping(told: asyncio.Event, stop: Callable[[], object]) -> AsyncIterator[None]:
    """Once told, `stop`; what is under way then, such as waiting out a Retry-After, gets some seconds to end."""

    async def stop_when_told() -> None:
        await told.wait()
        stop()
        limit.reschedule(asyncio.get_running_loop().time() + _GRACE)

    try:
        async with asyncio.timeout(None) as limit:
            waiting = asyncio.create_task(stop_when_told())
            try:
                yield
            finally:
                waiting.cancel()
    except TimeoutError:
        if not told.is_set():
            raise


async def _load(settings: Settings) -> tuple[LoadReport, bool]:
    return bring_up_to_date(settings, parquet=False)


async def _parquet(settings: Settings, clock: Callable[[], datetime], *, may_wait: bool) -> bool:
    with alone_with(settings):
        return write_parquet(settings, may_wait=may_wait, clock=clock)


async def _report(settings: Settings, scope: Scope, written_at: datetime, is_published: bool) -> None:
    """The page about the region that is polled; several are shown as the country they are in. One that cannot be told
    leaves the last in its place, and the next cycle tries again."""
    if (place := settings.report_file) and (is_published or not place.exists()):
        try:
            write_report(settings, place, written_at, scope.roots[0] if len(scope.roots) == 1 else None)
        except RegionError:  # of which nothing has been heard yet
            return
        except (QueryError, WarehouseError) as error:
            log.warning("the page stays as it is: %s", error)


def _seen(settings: Settings) -> list[tuple[datetime, datetime]]:
    """KPU's recent times, each with the moment we first saw it."""
    with reading(settings.published) as connection:
        return [(reported, observed) for reported, observed in queries.ask(connection, "recent_times").rows]


@contextmanager
def _told_by_signals() -> Iterator[asyncio.Event]:
    """Set by Ctrl-C and SIGTERM, so that the work ends in good order; the second one ends it at once."""
    told = asyncio.Event()
    if threading.current_thread() is not threading.main_thread():  # Prefect may run us elsewhere, and stops us itself
        yield told
        return
    loop = asyncio.get_running_loop()
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}

    def give_back() -> None:
        for name, handler in before.items():
            loop.remove_signal_handler(name)
            signal.signal(name, handler)

    def tell() -> None:
        told.set()
        give_back()

    for name in before:
        loop.add_signal_handler(name, tell)
    try:
        yield told
    finally:
        give_back()
