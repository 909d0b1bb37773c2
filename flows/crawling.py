"""The commands that ask KPU, or stand in for it: poll, follow, serve-archive.

What they need is imported when they run: the HTTP client is slow to import.
"""

import asyncio
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cyclopts import Parameter

from extract.endpoints import WIB, ContestType, Level
from extract.errors import UsageError
from flows.nights import SimulatedNight, simulation_of
from flows.output import moment, say
from flows.settings import Here

if TYPE_CHECKING:
    from extract.faults import Faults
    from flows.poll import CycleReport, Request

NOTHING_NEW = 64


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Crawl:
    """What to ask for, and how politely."""

    contest: list[ContestType] = field(default_factory=lambda: ["pkwkp"])
    """Contest types: pkwkp (governor), pkwkk (regent or mayor). May be given several times."""

    region: list[str] = field(default_factory=list)
    """Codes of the regions to begin at, such as 31; without any, every province of the contest."""

    depth: Level = "district"
    """The finest level whose own documents are asked for; a village's rows carry its stations' votes."""

    rate: float = 5.0
    """Requests a second, at most; 0 for no limit, for a stand-in of your own."""

    connections: int = 4
    """Connections at a time."""

    budget: int = 0
    """The most documents to ask for in a cycle; 0 for any number. What is left waits for the next cycle."""

    reask_share: float = 0.02
    """Share of the oldest documents asked for again in each cycle."""

    base_url: str | None = None
    """Another data host, such as a stand-in on loopback; no other host is asked then."""

    contact: str | None = None
    """An address at which KPU can reach you; it travels in the User-Agent."""

    rate_limit: str | None = None
    """Name of a global concurrency limit of Prefect that all crawlers share; without it nothing is sent."""

    def request(self, shard: str | None = None) -> "Request":
        """This crawl for the poller; a shard says by itself what to ask for."""
        from flows.plan import Scope
        from flows.poll import Request
        from flows.shards import Shard

        contests, roots = tuple(self.contest), tuple(self.region)
        if shard:
            one = Shard.named(shard)
            if roots or contests not in (("pkwkp",), (one.contest_type,)):
                raise UsageError(f"the shard {shard} says what to ask for; leave out --region and --contest")
            contests, roots = (one.contest_type,), one.roots
        scope = Scope(
            contest_types=contests,
            roots=roots,
            depth=self.depth,
            reask_share=self.reask_share,
            budget=self.budget,
            shard=shard,
        )
        return Request.of(
            scope,
            self.base_url,
            rate=self.rate,
            connections=self.connections,
            contact=self.contact,
            rate_limit=self.rate_limit,
        )


def poll(*, crawl: Crawl = Crawl(), once: bool = True, settings: Here) -> int:
    """Ask KPU for what changed, once: follow the change down the tree, archive every answer, load, publish.

    Exit code 0: something new; 64: nothing new; 75: the source is failing, or another process crawls here.

    Parameters
    ----------
    once
        One cycle, as always; 'realcount follow' goes on.
    """
    from flows.poll import poll as one_cycle

    if not once:
        return follow(crawl=crawl, settings=settings)
    report = asyncio.run(one_cycle(settings, crawl.request(settings.shard)))
    _tell(report)
    if report.source_down:
        raise report.source_down
    return 0 if report.is_new else NOTHING_NEW


def follow(*, crawl: Crawl = Crawl(), every: str = "auto", settings: Here) -> int:
    """Ask KPU again and again, until Ctrl-C or SIGTERM.

    Parameters
    ----------
    every
        How long from cycle to cycle: auto (KPU's own rhythm, slower while nothing changes), or 90s, 15m, 1h.
    """
    from flows.cadence import parse_every
    from flows.poll import follow as go_on

    def tell(report: "CycleReport", begins: datetime) -> None:
        _tell(report)
        if report.source_down:
            say(f"realcount: {report.source_down}")
        if not report.is_stopped:
            say(f"The next cycle begins at {moment(begins)}.")

    interval = parse_every(every)
    asyncio.run(go_on(settings, crawl.request(settings.shard), interval, tell))
    say("Stopped in good order.")
    return 0


def serve_archive(
    *,
    simulated: bool = False,
    night: SimulatedNight = SimulatedNight(),
    speed: float = 1.0,
    at: datetime | None = None,
    loop: bool = False,
    faults: float = 0.0,
    fault_plan: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8031,
    log: Path | None = None,
    settings: Here,
) -> int:
    """Stand in for KPU: serve the archive, or the simulator, over HTTP at a virtual clock.

    Parameters
    ----------
    simulated
        Serve a simulated night, of Jakarta or the country, instead of the archive.
    speed
        Virtual seconds a second: 900 plays a quarter of an hour in a second, 0 stands still.
    at
        Virtual time to begin at; else the beginning of what is served.
    loop
        Begin again when the end is reached.
    faults
        Share of answers that are faulty, every kind as often as any other.
    fault_plan
        Instead: a JSON file with the share of each kind, and spells of more, such as {"rates": {"error_503": 0.01},
        "script": [{"kind": "reset", "rate": 0.5, "first": 100, "last": 200}]}.
    host
        Address to listen at. Only loopback is safe: anybody who reaches it is answered.
    port
        Port to listen at; 0 for any that is free.
    log
        File that gets one JSON line for every request.
    """
    from extract.faults import Faults
    from extract.server import (
        ArchivedSource,
        RequestLog,
        SimulatedSource,
        VirtualClock,
        is_loopback,
        run,
        serving,
    )

    source: ArchivedSource | SimulatedSource
    is_simulated = simulated or night.country
    source = SimulatedSource(simulation_of(night.night())) if is_simulated else ArchivedSource.of(settings.archives)
    begins, ends = source.span
    start = at.replace(tzinfo=at.tzinfo or WIB) if at else begins
    clock = VirtualClock(start=start, speed=speed, end=ends if speed and ends > start else None, loops=loop)
    say(f"Virtual time {moment(start)} to {moment(ends)}, {speed:g} times as fast. Stop with Ctrl-C.")
    if not is_loopback(host):
        say(f"WARNING: whoever reaches {host} is answered, without a password, as if by KPU. Loopback is 127.0.0.1.")
    with log.open("ab") if log else nullcontext() as stream:
        service = serving(
            source,
            clock,
            faults=_fault_plan(fault_plan) if fault_plan else Faults.evenly(faults),
            host=host,
            port=port,
            log=RequestLog(stream=stream),
        )
        served = run(service, lambda server: say(f"Serving at {server.base_url}"))
    say(f"Stopped. Answered {served.asked:,} requests.")
    return 0


def _fault_plan(place: Path) -> "Faults":
    """A plan of faults from a JSON file. Raises UsageError for what is none, with the place of the mistake."""
    from extract.faults import Faults

    try:
        return msgspec.json.decode(place.read_bytes(), type=Faults)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read a plan of faults from {str(place)!r}: {error}") from error


def _tell(report: "CycleReport") -> None:
    counts = report.counts
    seconds = (report.ended_at - report.started_at) / timedelta(seconds=1)
    say(
        f"Asked for {counts.asked.total():,} documents in {seconds:,.1f} s: {counts.changed:,} changed, "
        f"{counts.unchanged:,} unchanged, {counts.unfit.total():,} not understood, {counts.failed:,} unanswered."
    )
    if counts.waiting:
        say(f"{counts.waiting:,} more wait for the next cycle; a higher rate or a smaller depth would keep up.")
    if report.load.with_unknown_keys:
        say(f"{report.load.with_unknown_keys:,} of them have keys that are not known here. See: realcount status")
    sys.stderr.flush()
