"""A source with any two faults at once: never a number that was not served, and the same results once it recovers."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import Ticking
from crawls import place

from extract.faults import KINDS, Faults, Kind, Spell
from extract.night import Night
from extract.server import ReplayServer, SimulatedSource, serving
from extract.simulator import Simulation
from extract.verification import verify
from flows.plan import Scope
from flows.poll import CycleReport, Request, poll
from flows.settings import Settings
from warehouse import queries
from warehouse.connection import reading

ISLANDS = Scope(roots=("3101",), depth="district", reask_share=0.5)
HASTY: dict[str, Any] = {
    "request_timeout": 0.1, "total_timeout": 0.6, "longest_wait": 0.01, "retries": 2, "most_bytes": 1 << 20,
}  # fmt: skip
"""What an impatient crawler bears: so that a fault costs a tenth of a second and not ten."""

WHOLE = ("old_version", "slow")  # answers that nobody needs to ask for again
FAULTS = Faults(retry_after=0, hold_seconds=0.15, slow_seconds=0.08, bomb_bytes=2 << 20)

Votes = dict[str, int]
Shown = dict[str, tuple[Votes, datetime]]


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    """A night without slips: what is served is what was counted."""
    return Simulation(Night(seed=5))


@pytest.fixture(scope="module")
def ever(simulation: Simulation) -> dict[str, list[Votes]]:
    """Every unit's votes of the islands at every publication: whatever else is shown was never served."""
    shown: dict[str, list[Votes]] = {}
    for moment in simulation.publications:
        for code, votes in truth(simulation, moment).items():
            shown.setdefault(code, []).append(votes)
    return shown


def truth(simulation: Simulation, at: datetime) -> dict[str, Votes]:
    """What had been counted on the islands by then."""
    counted = simulation.truth(at)
    return {
        code: one.votes for code, one in counted.items() if one.stations and code.startswith("3101") and len(code) <= 6
    }


def shown(settings: Settings) -> dict[str, Votes]:
    """What readers see of it."""
    found: dict[str, Votes] = {}
    if settings.published.exists():
        with reading(settings.published) as connection:
            sql = (
                "SELECT unit_code, candidate_id, votes FROM results WHERE votes IS NOT NULL AND length(unit_code) <= 6"
            )
            for code, candidate_id, votes in queries.query(connection, sql).rows:
                found.setdefault(code, {})[candidate_id] = votes
    return found


async def cycle(settings: Settings, server: ReplayServer, **manners: Any) -> CycleReport:
    """One cycle, as fast as it can."""
    request = Request.of(ISLANDS, server.base_url, rate=0)
    request = msgspec.structs.replace(request, manners=msgspec.structs.replace(request.manners, **manners))
    return await poll(settings, request)


def pairs_with(kind: Kind) -> Iterator[tuple[Kind, Kind]]:
    """Each pair of kinds stands with its first one."""
    yield from ((one, other) for one, other in combinations(KINDS, 2) if one == kind)


def struck(one: Kind, other: Kind, since: int) -> Faults:
    """A plan by which, from a request on, every first of three answers has one fault and every second the other."""
    first, second = (other, one) if one in WHOLE else (one, other)
    numbers = range(max(1, since), since + 90, 3)
    script = [
        spell for n in numbers for spell in (Spell(first, first=n, last=n), Spell(second, first=n + 1, last=n + 1))
    ]
    return msgspec.structs.replace(FAULTS, script=tuple(script))


def test_every_two_kinds_of_fault_meet() -> None:
    met = [pair for kind in KINDS for pair in pairs_with(kind)]
    assert len(set(met)) == len(met) == 105


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_with_two_kinds_of_fault_nothing_wrong_is_shown_and_without_them_all_is_as_if_they_had_not_been(
    tmp_path: Path, simulation: Simulation, ever: dict[str, list[Votes]], kind: Kind
) -> None:
    settings, clock = place(tmp_path), Ticking(simulation.publications[4])

    async def scenario() -> None:
        async with serving(SimulatedSource(simulation), clock) as server:
            for number, (one, other) in enumerate(pairs_with(kind)):
                clock.now = simulation.publications[6 + 2 * number] + timedelta(seconds=20)
                before = server.log.by_fault()
                for shift in range(3):  # some faults find nothing to strike: a list of regions says no mode
                    server.faults = struck(one, other, server.asked + 1 - shift)
                    report = await cycle(settings, server, **HASTY)
                    seen = shown(settings)
                    for code, votes in seen.items():
                        assert votes in ever[code], (one, other, code)
                    is_told = report.source_down or report.counts.failed or report.counts.unfit
                    is_right = seen == truth(simulation, clock.now)
                    assert is_right or is_told or "old_version" in (one, other), (one, other)
                    if (server.log.by_fault() - before).keys() == {one, other}:
                        break
                else:
                    pytest.fail(f"{one} and {other} never met")
                server.faults = Faults()
                report = await cycle(settings, server)
                assert report.source_down is None
                assert shown(settings) == truth(simulation, clock.now), (one, other)

    asyncio.run(asyncio.wait_for(scenario(), 300))
    assert verify(settings.archive).problems == ()
    with reading(settings.published) as connection:
        sql = "SELECT count(*) FROM core.tally JOIN core.capture USING (capture_id) WHERE quarantine_reason IS NOT NULL"
        assert list(queries.query(connection, sql).rows) == [(0,)]
