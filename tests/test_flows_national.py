"""A night of two provinces in both contest types, asked for within the process by a crawler that may ask for less in a
cycle than what changed. The country itself is `make bench-national`'s business."""

from datetime import UTC, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from conftest import Ticking
from crawls import InProcess, crawl, place

from extract.endpoints import Endpoint
from extract.national import NationalNight, NationalSimulation
from extract.server import SimulatedSource
from flows.knowledge import Knowledge
from flows.plan import Scope
from flows.settings import Settings
from warehouse import queries
from warehouse.connection import reading

PROVINCES = ("19", "65")  # Kepulauan Bangka Belitung and Kalimantan Utara: 875 villages, 3,561 stations
BUDGET = 1_200  # a third of the documents


def shown(settings: Settings) -> set[tuple[Any, ...]]:
    """What `results` says: contest, unit, pair, votes and stations."""
    with reading(settings.published) as connection:
        question = "SELECT contest_code, unit_code, candidate_id, votes, stations_reported FROM results"
        return {row for row in queries.query(connection, question).rows if row[3] is not None}


def counted(simulation: NationalSimulation) -> set[tuple[Any, ...]]:
    """The same as it was counted."""
    return {
        (contest, unit, pair, votes, found.stations)
        for contest, unit, found in simulation.truth(simulation.publications[-1])
        if found.stations
        for pair, votes in found.votes.items()
    }


def test_two_provinces_end_as_the_truth_however_little_a_cycle_may_ask_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulation = NationalSimulation(NationalNight(seed=5, cycles=8, within=PROVINCES, revisions=0.02))
    documents, settings, kept = SimulatedSource(simulation), place(tmp_path), Knowledge()
    clock = Ticking(simulation.publications[0])

    def answer(endpoint: Endpoint) -> tuple[int, bytes]:
        found = documents.document(endpoint.path, clock.now)
        return (200, found.body) if found else (404, b"")

    source = InProcess(answer, lambda: clock.now.astimezone(UTC))
    scope = Scope(contest_types=("pkwkp", "pkwkk"), roots=PROVINCES, depth="village", reask_share=0.02, budget=BUDGET)
    cycles = []
    for moment in (*simulation.publications, *(simulation.publications[-1:] * 10)):  # to ask every district again
        clock.now = max(moment + timedelta(seconds=20), clock.now + timedelta(seconds=1))
        before = len(source.asked)
        counts = crawl(settings, scope, source, source._clock, knowledge=kept).counts
        cycles.append((len(source.asked) - before, counts.asked["asked again"], counts.waiting))
    asked, again, waiting = zip(*cycles, strict=True)
    bound = len(source.news) + sum(again) + len(cycles) * len(scope.contest_types) * len(PROVINCES)
    with capsys.disabled():
        print(f"\n  {len(cycles)} cycles: {sum(asked):,} requests, {len(source.news):,} of them news; {waiting} waited")
    assert max(asked) <= BUDGET
    assert max(waiting) > BUDGET
    assert waiting[-1] == 0
    assert sum(asked) <= 1.15 * bound
    assert max(again) <= ceil(0.02 * len(kept))
    assert shown(settings) == counted(simulation)
