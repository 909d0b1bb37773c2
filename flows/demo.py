"""The demonstration: Prefect's flow polls a stand-in for KPU through a simulated night, from bytes to standings."""

import asyncio
import os
import shutil
from datetime import datetime, timedelta
from typing import Any

from extract.endpoints import WIB
from extract.errors import RealcountError
from extract.faults import Faults
from extract.night import Night
from extract.server import ReplayServer, SimulatedSource, serving
from extract.simulator import Depth, Simulation
from flows import views
from flows.crawling import Crawl
from flows.serving import server
from flows.settings import Settings
from warehouse import queries
from warehouse.connection import reading

NIGHT = Night(seed=2024, revisions=0.02, slips=0.002, lag=1, withdrawal=True)
FAULTS = Faults(
    seed=2024,
    rates={"error_503": 0.005, "too_many": 0.003, "truncated": 0.005, "html": 0.005, "wrong_region": 0.005},
    retry_after=1,
)
JAKARTA = "31"
DEPTH: Depth = "district"
MOMENTS = (
    *(datetime(2024, 11, 27, 16, tzinfo=WIB) + timedelta(hours=hour) for hour in range(18)),
    datetime(2024, 11, 28, 10, 31, tzinfo=WIB),  # the province's file, late in this night, has KPU's figures of 10:00
    datetime(2024, 11, 28, 10, 46, tzinfo=WIB),  # a minute after the withdrawal
)
"""When the flow polls, in virtual time."""


def play(settings: Settings) -> int:
    """Play the night into `demo/` below the data directory, which it begins anew, and show what it says."""
    demo = Settings(settings.data_dir / "demo")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # the flow runs keep their logs
    print("SIMULATED: a count night of Jakarta with its real 14,835 stations, ending at KPU's real figures.")
    print(
        "A server on loopback stands in for KPU, with corrections, late files and faulty answers; every line is a run"
    )
    print("of the Prefect flow 'poll', which asks it for what changed.\n", flush=True)
    with server(demo.data_dir / "prefect"):
        _begin_anew(demo)
        asyncio.run(_poll_through_the_night(demo))
    with reading(demo.published) as connection:
        views.print_results(queries.results(connection, JAKARTA).records(), leaders_only=False)
        print("The last steps before the withdrawal:")
        views.last_changes(connection, JAKARTA)
        print("Who leads where:")
        views.print_results(queries.results(connection, JAKARTA, children=True).records(), leaders_only=True)
    print(f"{views.SIMULATED}\n")
    views.print_hints(demo)
    print(f"Prefect's record of it: PREFECT_HOME={demo.data_dir / 'prefect'} .venv/bin/prefect server start")
    return 0


def _begin_anew(demo: Settings) -> None:
    """What lies there was simulated, and is made again in a moment; but Prefect takes ten seconds for its database."""
    demo.data_dir.mkdir(parents=True, exist_ok=True)
    for path in demo.data_dir.iterdir():
        if not path.is_dir():
            path.unlink()
        elif path.name != "prefect":
            shutil.rmtree(path)


class _Clock:
    """Virtual time. It stands still during a cycle, so that every demonstration is the same."""

    now = MOMENTS[0]

    def __call__(self) -> datetime:
        return self.now


async def _poll_through_the_night(demo: Settings) -> None:
    from flows import deployments

    clock = _Clock()
    async with serving(SimulatedSource(Simulation(NIGHT)), clock, faults=FAULTS) as stand_in:
        # one connection, or it would depend on timing which answer is faulty; nobody is there who could be hammered
        crawl = Crawl(region=[JAKARTA], depth=DEPTH, base_url=stand_in.base_url, rate=0, connections=1)
        _print_heading()
        for clock.now in MOMENTS:
            state: Any = await deployments.poll(demo.data_dir, crawl, return_state=True)
            if not state.is_completed():
                raise RealcountError(f"the flow run {state.name.lower()}: {state.message}")
            _print_standing(demo, await state.aresult())
        _print_economy(stand_in)


def _print_heading() -> None:
    print(
        f"{'votes of':<16}  {'stations':>16}  {'1 Ridwan':>10} {'2 Dharma':>9} {'3 Pramono':>10}"
        f"  {'asked':>5} {'changed':>7}   leader"
    )


def _print_standing(demo: Settings, counts: dict[str, int]) -> None:
    """One line: how far the count is, for how many documents the cycle asked and how many had changed, who leads."""
    with reading(demo.published) as connection:
        pairs = queries.results(connection, JAKARTA).records()
    first, *_ = pairs
    votes = {pair["ballot_number"]: views.count(pair["votes"]) for pair in pairs}
    name, _, _ = first["candidate_name"].partition(" - ")
    lead = f"{name}, {views.percent(first['share_pct'])}" if first["rank"] else "no station yet"
    gone = "; WITHDRAWN" if first["withdrawn_at"] else ""
    print(
        f"{first['reported_at'].astimezone(WIB):%d %b %H:%M} WIB"
        f"  {first['stations_reported']:>6,} of {first['stations_total']:,}"
        f"  {votes[1]:>10} {votes[2]:>9} {votes[3]:>10}"
        f"  {counts['asked']:>5,} {counts['changed']:>7,}   {lead}{gone}",
        flush=True,
    )


def _print_economy(stand_in: ReplayServer) -> None:
    """What following the change saved, and what went wrong, as the server saw it."""
    log = stand_in.log
    tree = sum(endpoint.document == "hhcw" for endpoint in Simulation(NIGHT).endpoints(DEPTH))
    asked, naive = len(log.records), tree * len(MOMENTS)
    struck = log.by_fault()
    faults = ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in struck.most_common())
    print(f"\nRequests: {asked:,}, retries and names of regions included; all {tree} counts every time: {naive:,}.")
    print(f"Faulty answers: {struck.total():,} ({faults}). All are archived, none is counted.\n")
