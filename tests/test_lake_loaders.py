"""Several loaders and one lake: whatever dies meanwhile, it ends as one loader alone would have left a file."""

import hashlib
import multiprocessing
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from lakes import lake
from lossy import lossy
from servers import Postgresql, postgresql

import load.loader as loader
import warehouse.lake as lakes_module
from extract.archive import Archive
from extract.capture import Capture
from extract.night import Night
from extract.recording import record
from extract.simulator import Simulation
from load.loader import load
from warehouse import queries
from warehouse.connection import reading
from warehouse.lake import Lake

__all__ = ["lake", "postgresql"]

_SPAWN = multiprocessing.get_context("spawn")  # a forked process would share open databases
_RUNS = 3
_IS_LOAD = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'staged_capture'"
_DERIVED = ("standing", "version", "unit_latest", "candidate_latest", "finding")
Told = dict[str, Any]


class Halt(NamedTuple):
    """Where a loader waits: it says that it is there, and goes on when told so."""

    is_there: Any
    goes_on: Any


@pytest.fixture(scope="module")
def night() -> list[list[Capture]]:
    """A simulated night, in runs as they would come in."""
    simulation = Simulation(Night(seed=11, revisions=0.05, withdrawal=True))
    captures = sorted(simulation.captures("regency"), key=lambda one: one.observed_at)
    return [captures[number::_RUNS] for number in range(_RUNS)]


@pytest.fixture(scope="module")
def alone(night: list[list[Capture]], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What one loader makes of it in a file."""
    place = tmp_path_factory.mktemp("alone")
    load(archived(place / "archive", night), place / "warehouse.duckdb")
    return told(place / "warehouse.duckdb")


def archived(place: Path, runs: list[list[Capture]]) -> Archive:
    archive = Archive(place)
    for captures in runs:
        with record(archive, "test", {}, lambda: datetime(2024, 12, 1, tzinfo=UTC), {}) as run:
            for one in captures:
                run.append(one)
    return archive


def shards(place: Path, night: list[list[Capture]], number: int) -> list[Path]:
    """The archives of so many crawlers, every document in one of them."""
    places = [place / f"shard-{shard}" for shard in range(number)]
    for shard, directory in enumerate(places):
        archived(directory, [[one for one in run if sum(one.url.encode()) % number == shard] for run in night])
    return places


def told(place: Path | Lake) -> Told:
    """The fingerprint, and a hash over each table that is made of the others; no capture twice."""
    with reading(place) as connection:
        derived = {}
        for table in _DERIVED:
            rows = queries.query(connection, f"SELECT to_json(t)::VARCHAR FROM core.{table} AS t ORDER BY ALL").rows
            derived[table] = hashlib.sha256("".join(line for (line,) in rows).encode()).hexdigest()
        (twice,) = next(
            queries.query(connection, "SELECT count(*) - count(DISTINCT capture_id) FROM core.capture").rows
        )
        assert twice == 0
        return {"fingerprint": queries.fingerprint(connection), **derived}


def _load(archive: Path, place: Lake, before: Halt | None, after: Halt | None, has_turns: bool) -> None:
    """A loader that waits before or after the commit of what it loaded."""
    commit = loader.commit

    def halting(connection: Any, lake: Lake) -> None:
        is_load = bool(connection.execute(_IS_LOAD).fetchone()[0])
        _wait(before if is_load else None)
        commit(connection, lake)
        _wait(after if is_load else None)

    loader.commit = halting
    if not has_turns:
        lakes_module._turn = lambda *_: nullcontext()  # type: ignore[assignment]
    load(Archive(archive), place)


def _wait(halt: Halt | None) -> None:
    if halt and not halt.is_there.is_set():
        halt.is_there.set()
        halt.goes_on.wait(120)


def begun(
    archive: Path, place: Lake, *, before: Halt | None = None, after: Halt | None = None, has_turns: bool = True
) -> SpawnProcess:
    process = _SPAWN.Process(target=_load, args=(archive, place, before, after, has_turns))
    process.start()
    return process


def ended(*processes: SpawnProcess) -> list[int | None]:
    for process in processes:
        process.join(150)
    return [process.exitcode for process in processes]


def halt() -> Halt:
    return Halt(_SPAWN.Event(), _SPAWN.Event())


def test_three_loaders_at_once_leave_what_one_leaves(
    tmp_path: Path, night: list[list[Capture]], alone: Told, lake: Lake
) -> None:
    places = shards(tmp_path, night, 3)
    assert ended(*[begun(place, lake) for place in places]) == [0, 0, 0]
    assert told(lake) == alone


@pytest.mark.parametrize("is_same_shard", [True, False])
def test_a_loader_whose_lock_is_gone_begins_anew_when_another_came_first(
    tmp_path: Path, night: list[list[Capture]], alone: Told, lake: Lake, is_same_shard: bool
) -> None:
    """The locks of a PostgreSQL that restarts are gone: what then keeps two loaders apart is DuckLake's conflicts."""
    places = shards(tmp_path, night, 1) * 2 if is_same_shard else shards(tmp_path, night, 2)
    load(archived(tmp_path / "nothing", []), lake)
    last = halt()
    slow = begun(places[0], lake, before=last, has_turns=False)
    assert last.is_there.wait(120)
    assert ended(begun(places[1], lake)) == [0]
    last.goes_on.set()
    assert ended(slow) == [0]
    assert told(lake) == alone


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_loader_killed_around_its_commit_is_replaced_without_loss_or_double_counting(
    tmp_path: Path, night: list[list[Capture]], alone: Told, lake: Lake, when: str
) -> None:
    (place,) = shards(tmp_path, night, 1)
    last = halt()
    killed = begun(place, lake, **{when: last})
    assert last.is_there.wait(120)
    killed.kill()
    killed.join()
    assert ended(begun(place, lake)) == [0]
    assert told(lake) == alone


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_postgresql_in_the_middle_of_a_load_costs_a_repetition(
    tmp_path: Path, night: list[list[Capture]], alone: Told, lake: Lake, postgresql: Postgresql, mode: str
) -> None:
    (place,) = shards(tmp_path, night, 1)
    last = halt()
    process = begun(place, lake, before=last)
    assert last.is_there.wait(120)
    postgresql.restart(mode)
    last.goes_on.set()
    assert ended(process) == [0]
    assert told(lake) == alone


def test_a_commit_whose_answer_is_lost_is_neither_repeated_nor_spoilt(
    tmp_path: Path, night: list[list[Capture]], alone: Told, lake: Lake, postgresql: Postgresql
) -> None:
    """DuckLake would delete the Parquet files of a transaction that it takes for failed, and the catalog has them."""
    archive = archived(tmp_path / "archive", night)
    load(archived(tmp_path / "nothing", []), lake)
    with lossy(postgresql.port) as wire:
        behind = replace(lake, catalog=lake.catalog.replace(str(postgresql.port), str(wire.port)))
        report = load(archive, behind)
        assert wire.lost == 1
    assert report.captures == sum(map(len, night))
    assert told(lake) == alone
