"""A simulated night with known mistakes, to station depth: each is found by its rule, and nothing else is."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from histories import History

from extract.capture import Capture
from extract.endpoints import WIB, Endpoint
from extract.mistakes import RULES
from extract.night import Night
from extract.simulator import Mistake, Simulation

AREAS = ("3101", "317101")  # a small regency, and a district whose villages have dozens of stations
STEPS = {"E10", "E14", "E15", "E16", "E17"}  # what corrections do, also to the sums above
ROUGH = Night(
    seed=5,
    revisions=0.03,
    slips=0.03,
    swaps=0.02,
    jumps=0.01,
    flaws={**dict.fromkeys(RULES, 3), "chart": 1, "progress": 1},
    flawed="317101",
)


class Found(NamedTuple):
    """A finding, as the tests compare it."""

    rule: str
    unit: str
    candidate: str | None
    first_seen_at: datetime
    resolved_at: datetime | None


class Version(NamedTuple):
    """What was shown of a unit from a time on."""

    at: datetime
    votes: dict[str, int]
    stations: int


@pytest.fixture(scope="module")
def rough() -> Simulation:
    return Simulation(ROUGH)


@pytest.fixture(scope="module")
def recorded(rough: Simulation) -> list[Capture]:
    return list(rough.captures("tps", AREAS))


@pytest.fixture(scope="module")
def found(recorded: list[Capture], tmp_path_factory: pytest.TempPathFactory) -> set[Found]:
    history = History(tmp_path_factory.mktemp("rough"))
    history.loaded(recorded)
    rows = history.ask("SELECT rule, unit_code, candidate_id, first_seen_at, resolved_at FROM findings")
    assert len(rows) == len(set(rows))
    return {Found(*row) for row in rows}


def mistakes_seen(simulation: Simulation) -> list[Mistake]:
    """Those in the documents that were asked for."""
    return [mistake for mistake in simulation.mistakes if mistake.unit.startswith(AREAS) or mistake.unit == "31"]


def test_every_mistake_is_found_by_its_rules_and_no_other_finding_is_there(
    rough: Simulation, found: set[Found]
) -> None:
    truth = {
        (rule, mistake.unit, mistake.since, mistake.until)
        for mistake in mistakes_seen(rough)
        for rule in mistake.rules
        if rule not in STEPS | {"E11", "E13"}
    }
    dated = {(one.rule, one.unit, one.first_seen_at, one.resolved_at) for one in found}
    assert truth <= dated
    assert len(truth) == sum(one.rule not in STEPS | {"E11", "E13"} for one in found)
    expected = {(rule, mistake.unit) for mistake in mistakes_seen(rough) for rule in mistake.rules}
    assert {(one.rule, one.unit) for one in found if one.rule not in STEPS} == {
        pair for pair in expected if pair[0] not in STEPS
    }
    assert expected <= {(one.rule, one.unit) for one in found}


def test_every_kind_of_mistake_was_made(rough: Simulation, found: set[Found]) -> None:
    kinds = Counter(mistake.kind for mistake in mistakes_seen(rough))
    assert set(kinds) == {*RULES, "revision", "slip", "swap", "jump"}
    assert {one.rule for one in found} == {f"E{number}" for number in range(1, 21) if number != 12}


def test_corrected_mistakes_end_as_resolved_and_others_stay_open(rough: Simulation, found: set[Found]) -> None:
    outcomes = Counter[bool]()
    for mistake in mistakes_seen(rough):
        for rule in set(mistake.rules) - STEPS - {"E13"}:  # no newer file came after the silent ones
            resolved = {one.resolved_at is not None for one in found if (one.rule, one.unit) == (rule, mistake.unit)}
            assert resolved == {mistake.until is not None}
            outcomes[mistake.until is not None] += 1
    assert min(outcomes.values()) > 5


def test_the_correction_of_a_blunder_is_seen_when_it_comes(rough: Simulation, found: set[Found]) -> None:
    for mistake in mistakes_seen(rough):
        for rule in set(mistake.rules) & STEPS:
            assert {one.first_seen_at for one in found if (one.rule, one.unit) == (rule, mistake.unit)} == {
                mistake.until
            }


def test_what_corrections_do_to_the_sums_above_is_found_and_nothing_else(
    recorded: list[Capture], found: set[Found]
) -> None:
    expected = {one for unit, line in shown(recorded).items() for one in odd_steps(unit, line)}
    assert {one for one in found if one.rule in STEPS} == expected
    assert {len(one.unit) for one in expected} == {2, 4, 6, 10, 13}


@pytest.mark.parametrize("night", [Night(seed=6), Night(seed=6, lag=2)], ids=["prompt", "lagging"])
def test_an_honest_night_raises_no_finding_at_all(night: Night, tmp_path: Path) -> None:
    history = History(tmp_path)
    history.loaded(Simulation(night).captures("tps", AREAS))
    assert history.ask("SELECT count(*) FROM core.version WHERE votes_total > 0") > [(300,)]
    assert history.ask("FROM findings") == []


def test_the_withdrawal_is_one_finding_for_each_unit_and_raises_no_other(tmp_path: Path) -> None:
    simulation = Simulation(Night(seed=6, lag=1, withdrawal=True))
    history = History(tmp_path)
    history.loaded(simulation.captures("tps", ("3101",)))
    units = "SELECT count(DISTINCT unit_code) FROM core.tally WHERE withdrawn_at IS NOT NULL"
    assert history.ask(
        "SELECT rule, count(*), min(first_seen_at), max(first_seen_at), count(resolved_at) FROM findings GROUP BY rule"
    ) == [("E12", *history.ask(units)[0], simulation.publications[79], simulation.publications[79], 0)]


# The steps of every unit, read from the documents with nothing of ours


def shown(captures: list[Capture]) -> dict[str, list[Version]]:
    """By unit, what its own document and its parent's rows showed, in the order of KPU's clock."""
    told = defaultdict(list)
    for capture in captures:
        endpoint = Endpoint.from_url(capture.url)
        if endpoint.document == "hhcw":
            body = msgspec.json.decode(capture.body or b"")
            at = datetime.strptime(body["ts"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=WIB)
            nest = body["tungsura"]
            told[endpoint.region].append((at, 0, capture.observed_at, nest["chart"] or {}))
            for code, row in nest.get("table", {}).items():
                told[code].append((at, 1, capture.observed_at, row))
    return {unit: versions(sorted(line, key=lambda one: one[:3])) for unit, line in told.items()}


def versions(line: list[tuple[datetime, int, datetime, dict[str, Any]]]) -> list[Version]:
    merged: list[Version] = []
    for at, _, _, cells in line:
        votes = {key: cell for key, cell in cells.items() if key.isdecimal()}
        progress = cells.get("progres", {"progres": 1 if votes else 0})
        if not merged or merged[-1][1:] != (votes, progress["progres"]):
            merged.append(Version(at, votes, progress["progres"]))
    return merged


def odd_steps(unit: str, line: list[Version]) -> list[Found]:
    """E10 and E14 to E17 over a unit's versions. Nothing here is ever exchanged back or misread again."""
    odd = []
    for pair in sorted({pair for version in line for pair in version.votes}):
        odd += falls(unit, pair, [version for version in line if pair in version.votes])
    for number, (before, after) in enumerate(pairwise(line), start=1):
        moved = {pair: after.votes[pair] - before.votes[pair] for pair in before.votes if pair in after.votes}
        moved = {pair: delta for pair, delta in moved.items() if delta}
        if before.stations == after.stations:
            odd += corrections(unit, before, after, moved)
        else:
            for pair, delta in moved.items():
                odd += batches(unit, pair, delta, before, line[number:])
    return odd


def falls(unit: str, pair: str, walk: list[Version]) -> Iterator[Found]:
    """E10: from when on a pair had fewer votes than once before, and until when."""
    highest, opened = 0, None
    for version in walk:
        if version.votes[pair] < highest:
            opened = opened or version.at
        elif opened:
            yield Found("E10", unit, pair, opened, version.at)
            opened = None
        highest = max(highest, version.votes[pair])
    if opened:
        yield Found("E10", unit, pair, opened, None)


def corrections(unit: str, before: Version, after: Version, moved: dict[str, int]) -> Iterator[Found]:
    """E14 and E15: two figures exchanged, or one digit of one changed."""
    if len(moved) == 2 and {before.votes[pair] for pair in moved} == {after.votes[pair] for pair in moved}:
        yield Found("E14", unit, None, after.at, None)
    if len(moved) == 1:
        [(pair, delta)] = moved.items()
        size = str(abs(delta))
        carried = before.votes[pair] // 10 ** len(size) != after.votes[pair] // 10 ** len(size)
        if set(size[1:]) <= {"0"} and not carried and (len(size) > 2 or (len(size) == 2 and len(unit) == 13)):
            yield Found("E15", unit, pair, after.at, None)


def batches(unit: str, pair: str, delta: int, before: Version, line: list[Version]) -> Iterator[Found]:
    """E16 and E17: what new stations brought to a pair; the line begins with the step itself."""
    was, so_far = before.votes[pair], before.stations
    if delta < 0:
        back = (one.at for one in line[1:] if one.votes[pair] >= was)
        yield Found("E16", unit, pair, line[0].at, next(back, None))
    limit = max(10 * was, was + 50 * so_far) / max(so_far, 1)
    if so_far >= 20 and delta >= limit * (line[0].stations - so_far):
        over = (
            one.at
            for last, one in pairwise(line)
            if one.votes[pair] < last.votes[pair] and one.votes[pair] - was < limit * (one.stations - so_far)
        )
        yield Found("E17", unit, pair, line[0].at, next(over, None))
