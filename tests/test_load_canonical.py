"""The tables are a function of the set of captures: neither order, nor batches, nor repetition can be seen in them."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
import pytest
from answers import WIB, A, count, figures, listed, taken, wib
from histories import History, Memory, Position, told_by
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kpu_bodies import november
from worlds import OBSERVED, retellings, worlds

from extract.capture import Capture, capture
from extract.endpoints import Endpoint
from extract.errors import WarehouseError
from extract.segments import SUFFIX, SegmentWriter
from load import loader, staging
from load.loader import LoadReport
from load.staging import capture_id
from transform.model import Document, Tally
from transform.normalise import read

DERIVED = ("standing", "version", "unit_latest", "candidate_latest", "finding")  # kept by each load for what it touched
few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def history(new_history: Callable[[], History]) -> Callable[[], History]:
    """A new history at each call; its archive and its database are empty."""
    return new_history


# What the tables must say, computed one capture at a time, without SQL


class Reading(NamedTuple):
    """What a capture said, and where it stands."""

    position: Position
    document: Document


def understood(world: list[Capture]) -> dict[Endpoint, list[Reading]]:
    """What was understood, by document, in the order of KPU's clock."""
    readings = defaultdict(list)
    for one in world:
        said = read(one)
        if isinstance(said, Document):
            readings[said.endpoint].append(Reading(Position.of(one, said.reported_at), said))
    return {endpoint: sorted(own, key=lambda reading: reading.position) for endpoint, own in readings.items()}


def steps(
    readings: list[Reading], say: Callable[[Document], dict[Any, Any]]
) -> Iterator[tuple[Any, list[tuple[Reading, Any]]]]:
    """Each series of a document, with the captures where it says something else than before; None: left out."""
    for series in {series for reading in readings for series in say(reading.document)}:
        changes: list[tuple[Reading, Any]] = []
        for reading in readings:
            value = say(reading.document).get(series)
            if value != (changes[-1][1] if changes else None):
                changes.append((reading, value))
        yield series, changes


def units_said(document: Document) -> dict[Any, Any]:
    return {unit.unit_code: unit for unit in document.units}


def candidates_said(document: Document) -> dict[Any, Any]:
    return {(pair.contest_code, pair.candidate_id): pair for pair in document.candidates}


def tallies_said(document: Document) -> dict[Any, Any]:
    return {(tally.unit_code, tally.witness): tally for tally in document.tallies}


def unit_rows(world: list[Capture]) -> list[dict[str, Any]]:
    """core.unit, as it must be."""
    return [
        {
            "election": endpoint.election,
            "contest_type": endpoint.contest_type,
            "region_code": endpoint.region,
            "unit_code": unit_code,
            "observed_at": reading.position.observed_at,
            "capture_id": reading.position.capture_id,
            "is_listed": unit is not None,
            "unit_name": unit and unit.unit_name,
            "kpu_id": unit and unit.kpu_id,
        }
        for endpoint, readings in understood(world).items()
        for unit_code, changes in steps(readings, units_said)
        for reading, unit in changes
    ]


def candidate_rows(world: list[Capture]) -> list[dict[str, Any]]:
    """core.candidate, as it must be."""
    return [
        {
            "election": endpoint.election,
            "document": endpoint.document,
            "contest_type": endpoint.contest_type,
            "region_code": endpoint.region,
            "contest_code": contest_code,
            "candidate_id": candidate_id,
            "reported_at": reading.document.reported_at,
            "observed_at": reading.position.observed_at,
            "capture_id": reading.position.capture_id,
            "is_listed": pair is not None,
            "ballot_number": pair and pair.ballot_number,
            "candidate_name": pair and pair.candidate_name,
            "color": pair and pair.color,
            "updated_at": pair and pair.updated_at,
        }
        for endpoint, readings in understood(world).items()
        for (contest_code, candidate_id), changes in steps(readings, candidates_said)
        for reading, pair in changes
    ]


def tally_rows(world: list[Capture]) -> list[dict[str, Any]]:
    """core.tally, as it must be."""
    table = []
    for endpoint, readings in understood(world).items():
        for (unit_code, witness), changes in steps(readings, tallies_said):
            counted = withdrawn_at = last = None
            for number, (reading, tally) in enumerate(changes):
                total = sum(tally.votes.values()) if tally and tally.votes else None
                if total:
                    counted, withdrawn_at, last = reading.position, None, kept_by(reading, tally, total)
                elif counted and tally and (not tally.votes or tally.stations_reported != 0):
                    withdrawn_at = withdrawn_at or reading.position.position_at
                known = next(t for r in readings if (t := tallies_said(r.document).get((unit_code, witness))))
                table.append(
                    {
                        "election": endpoint.election,
                        "contest_type": endpoint.contest_type,
                        "contest_code": known.contest_code,
                        "stage": endpoint.document,
                        "region_code": endpoint.region,
                        "unit_code": unit_code,
                        "witness": witness,
                        "reported_at": reading.document.reported_at,
                        "observed_at": reading.position.observed_at,
                        "capture_id": reading.position.capture_id,
                        "is_listed": tally is not None,
                        **figures_of(tally),
                        "votes_total": total,
                        "superseded": changes[number + 1][0].position._asdict() if number + 1 < len(changes) else None,
                        "counted": counted and counted._asdict(),
                        "kept": None if total else last,
                        "withdrawn_at": withdrawn_at,
                    }
                )
    return table


def kept_by(reading: Reading, tally: Tally, total: int) -> dict[str, Any]:
    """What rows without votes keep of the last one that had them."""
    return {
        "votes": tally.votes,
        "votes_total": total,
        "reported_at": reading.document.reported_at,
        "observed_at": reading.position.observed_at,
        "capture_id": reading.position.capture_id,
    }


def figures_of(tally: Tally | None) -> dict[str, Any]:
    """A tally's own columns."""
    if tally is None:
        return dict.fromkeys(
            field for field in Tally.__struct_fields__ if field not in ("contest_code", "unit_code", "witness")
        )
    columns = msgspec.structs.asdict(tally)
    if tally.form:
        images = None if tally.form.images is None else list(tally.form.images)
        columns["form"] = msgspec.structs.asdict(tally.form) | {"images": images}
    return {name: value for name, value in columns.items() if name not in ("contest_code", "unit_code", "witness")}


def table(history: History, name: str) -> list[dict[str, Any]]:
    with history.asking() as connection:
        answer = connection.execute(f"FROM core.{name}")
        columns = [column[0] for column in answer.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    """Rows that can be compared whatever their order; moments on one clock."""
    return sorted(str({name: on_one_clock(value) for name, value in sorted(row.items())}) for row in rows)


def on_one_clock(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(WIB).isoformat()
        case dict():
            return {name: on_one_clock(part) for name, part in sorted(value.items())}
    return value


# The properties


@few
@given(retellings())
def test_any_order_any_batches_and_any_repetition_give_the_same_tables(
    history: Callable[[], History], retelling: tuple[list[Capture], list[list[Capture]]]
) -> None:
    world, runs = retelling
    at_once, retold, rebuilt = history(), history(), history()
    at_once.loaded(world)
    for run in runs:
        retold.loaded(run)
    rebuilt.archive = retold.archive
    rebuilt.load()
    assert retold.fingerprint() == at_once.fingerprint()
    assert rebuilt.fingerprint() == at_once.fingerprint()
    for name in DERIVED:
        assert in_order(table(retold, name)) == in_order(table(at_once, name)), name


@few
@given(worlds)
def test_the_tables_hold_each_change_once_and_what_follows_from_it(
    history: Callable[[], History], world: list[Capture]
) -> None:
    told = history()
    told.loaded(world)
    assert in_order(table(told, "unit")) == in_order(unit_rows(world))
    assert in_order(table(told, "candidate")) == in_order(candidate_rows(world))
    assert in_order(table(told, "tally")) == in_order(tally_rows(world))


@few
@given(worlds)
def test_what_every_capture_said_can_be_read_back(history: Callable[[], History], world: list[Capture]) -> None:
    told = history()
    told.loaded(world)
    with told.asking() as connection:
        memory = Memory(connection)
    for endpoint, readings in understood(world).items():
        for reading in readings:
            assert memory.told(endpoint, reading.position) == told_by(reading.document)
    assert all(before != after for changes in memory.changes() for before, after in pairwise(changes))


@few
@given(worlds, st.sampled_from(OBSERVED))
def test_results_as_of_a_moment_are_those_of_a_database_that_ends_there(
    history: Callable[[], History], world: list[Capture], moment: datetime
) -> None:
    told, then = history(), history()
    told.loaded(world)
    then.loaded(one for one in world if reported(one) <= moment)
    sql = "SELECT {} FROM {} WHERE votes IS NOT NULL ORDER BY ALL"  # which pairs there are is known from today's files
    columns = "contest_code, stage, unit_code, candidate_id, votes, rank, stations_reported, withdrawn_at, capture_id"
    assert told.ask(sql.format(columns, "results_as_of($moment)"), moment=moment) == then.ask(
        sql.format(columns, "results")
    )


@few
@given(worlds, st.sampled_from(OBSERVED))
def test_results_as_known_at_a_moment_are_those_of_the_database_of_then(
    history: Callable[[], History], world: list[Capture], moment: datetime
) -> None:
    told, then = history(), history()
    told.loaded(world)
    then.loaded(one for one in world if one.observed_at <= moment)
    sql = """
        SELECT contest_code, stage, unit_code, candidate_id, votes, stations_reported, withdrawn_at
        FROM {} WHERE votes IS NOT NULL
    """
    assert set(told.ask(sql.format("results_as_known($moment)"), moment=moment)) == set(then.ask(sql.format("results")))


def reported(one: Capture) -> datetime:
    """Its place on KPU's clock."""
    said = read(one)
    return (isinstance(said, Document) and said.reported_at) or one.observed_at


# What the properties found, as stories


def told_alike(history: Callable[[], History], *told: Capture) -> History:
    """The history that these captures make one by one, which must be the one that they make together."""
    together, one_by_one = history(), history()
    together.loaded(told)
    for one in told:
        one_by_one.loaded([one])
    assert one_by_one.fingerprint() == together.fingerprint()
    return one_by_one


def province_at(time: str, ts: str, rows: dict[str, dict[str, int]]) -> Capture:
    """Jakarta's count with these units' votes."""
    table = {code: figures(given) for code, given in rows.items()}
    return taken(count("31", ts, figures({A: 9}), table), wib(time))


def test_an_older_capture_that_arrives_last_takes_its_place_in_the_series(history: Callable[[], History]) -> None:
    told = told_alike(
        history,
        province_at("03:00:00", "02:45:00", {"3171": {A: 5}}),
        province_at("02:40:00", "02:30:00", {"3171": {A: 4}}),
    )
    assert told.ask("SELECT version, votes FROM timeline WHERE unit_code = '3171'") == [(1, 4), (2, 5)]


def test_a_unit_that_only_an_older_capture_has_is_left_out_from_the_next_one_on(
    history: Callable[[], History],
) -> None:
    told = told_alike(
        history,
        province_at("03:00:00", "02:45:00", {"3171": {A: 5}}),
        province_at("02:40:00", "02:30:00", {"3171": {A: 5}, "3101": {A: 1}}),
    )
    assert told.ask("SELECT unit_code FROM results WHERE unit_code LIKE '31__'") == [("3171",)]


def test_a_withdrawal_goes_on_while_the_unit_is_left_out(history: Callable[[], History]) -> None:
    told = told_alike(
        history,
        province_at("02:20:00", "02:15:00", {"3171": {A: 5}}),
        province_at("02:40:00", "02:30:00", {"3171": {A: 0}}),
        province_at("03:00:00", "02:45:00", {}),
        province_at("03:20:00", "03:15:00", {"3171": {A: 0}}),
    )
    assert told.ask("SELECT votes, withdrawn_at FROM results WHERE unit_code = '3171'") == [(5, wib("02:30:00"))]


def test_what_a_list_said_is_remembered_when_one_comes_in_between(history: Callable[[], History]) -> None:
    both = [{"3101": "KEPULAUAN SERIBU", "3171": name} for name in ("JAKARTA PUSAT", "ADM. JAKARTA PUSAT")]
    second, third = sorted((taken(listed("31", names), wib("02:20:00")) for names in both), key=capture_id)
    said = str(read(third).units[-1].unit_name)  # type: ignore[union-attr]
    first = taken(listed("31", {"3171": said}), wib("02:00:00"))
    told = told_alike(history, third, first, second)  # DuckDB's ASOF JOIN, on structs, forgot what the first said
    assert told.ask("SELECT count(*), bool_and(is_listed) FROM core.unit WHERE unit_code = '3171'") == [(3, True)]


def test_a_capture_that_lies_in_two_runs_counts_once(history: Callable[[], History]) -> None:
    one = province_at("03:00:00", "02:45:00", {"3171": {A: 5}})
    once, twice = history(), history()
    once.loaded([one])
    twice.archived([])
    for name in ("20241201T000000Z-a", "20241201T000000Z-b"):  # as when two archives are put together
        segment = SegmentWriter(twice.archive.segments_directory / f"{name}{SUFFIX}")
        segment.append(one, wib("03:00:00"), revisit=False)
        segment.flush()
        segment.close()
    twice.archived([])
    report = twice.load()
    assert (report.runs, report.captures) == (2, 1)
    assert twice.fingerprint() == once.fingerprint()


def test_loading_again_changes_nothing(history: Callable[[], History]) -> None:
    told = history()
    first = told.loaded([province_at("03:00:00", "02:45:00", {"3171": {A: 5}})])
    before = told.fingerprint()
    assert (first.runs, first.captures, first.changes, first.quarantined) == (1, 1, 2, {})
    assert told.load() == LoadReport()
    assert told.fingerprint() == before


def test_the_same_answer_later_is_no_change(history: Callable[[], History]) -> None:
    told = history()
    told.seen("02:40:00", count("31", "02:30:00", figures({A: 5})))
    report = told.seen("03:00:00", count("31", "02:30:00", figures({A: 5})))
    assert (report.captures, report.changes) == (1, 0)


def test_bad_bodies_are_counted_by_their_reason_and_change_nothing(history: Callable[[], History]) -> None:
    told = history()
    told.seen("02:40:00", count("31", "02:30:00", figures({A: 5})))
    report = told.seen("03:00:00", (november("31"), "<html>"), (november("31"), {"mode": "hr"}), (november("31"), "[]"))
    assert (report.captures, report.changes) == (3, 0)
    assert report.quarantined == {"not_json": 1, "wrong_mode": 1, "wrong_shape": 1}
    assert told.ask("SELECT votes FROM results") == [(5,)]
    assert told.ask("SELECT quarantine_place FROM captures WHERE quarantine_reason = 'wrong_mode'") == [("$.mode",)]


@pytest.mark.parametrize("name", ["A\u0000B", "\u202e", "\U0001f5f3", "'; DROP TABLE core.unit; --", "", "x" * 100_000])
def test_any_name_that_json_can_hold_is_kept_to_the_letter(history: Callable[[], History], name: str) -> None:
    told = history()
    told.seen("02:40:00", listed("31", {"3171": name}))
    assert told.ask("SELECT unit_name FROM core.unit") == [(name,)]


def test_a_load_that_is_broken_off_leaves_the_database_as_it_was(
    history: Callable[[], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = history()
    told.seen("02:40:00", count("31", "02:30:00", figures({A: 5})))
    before = told.fingerprint()
    told.archived([province_at("03:00:00", "02:45:00", {"3171": {A: 5}})])
    with monkeypatch.context() as patched:
        patched.setattr(loader, "_SCRIPTS", [*loader._SCRIPTS, Path(__file__)])  # Python is no SQL
        with pytest.raises(duckdb.Error):
            told.load()
    assert told.fingerprint() == before
    assert told.load().captures == 1


def test_a_long_archive_is_taken_in_portions_and_a_broken_off_one_goes_on(
    history: Callable[[], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, whole, failed = history(), history(), []
    for number in range(4):
        run = [
            province_at(f"03:{number}0:0{place}", f"02:{number}5:00", {"3171": {A: 5 + number}}) for place in range(3)
        ]
        told.archived(run)
        whole.archived(run)
    whole.load()
    apply = loader._apply

    def fail_at_third(*portion: Any) -> int:
        failed.append(portion)
        if len(failed) == 3:
            raise duckdb.IOException("the disk is gone")
        return apply(*portion)

    with monkeypatch.context() as patched:
        patched.setattr(staging, "_AT_ONCE", 4)
        patched.setattr(loader, "_apply", fail_at_third)
        with pytest.raises(WarehouseError):
            told.load()
        assert told.ask("SELECT count(*) FROM captures") == [(8,)]
        assert told.ask("SELECT count(*) FROM runs") == [(2,)]
        report = told.load()
    assert (report.runs, report.captures) == (2, 4)
    assert told.fingerprint() == whole.fingerprint()
    for name in DERIVED:
        assert in_order(table(told, name)) == in_order(table(whole, name)), name


def test_a_load_for_which_duckdb_makes_a_wrong_plan_is_done_with_plainer_ones(
    history: Callable[[], History], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told, whole = history(), history()
    for one in (told, whole):
        one.archived([province_at("03:00:00", "02:45:00", {"3171": {A: 5}})])
    whole.load()
    apply, plans = loader._apply, []

    def planned(connection: duckdb.DuckDBPyConnection, *portion: Any) -> LoadReport:
        report = apply(connection, *portion)
        ((off,),) = connection.execute("SELECT current_setting('disabled_optimizers')").fetchall()
        plans.append(off)
        if not off:
            raise duckdb.InternalException("INTERNAL Error: dict-surviving join")
        return report

    monkeypatch.setattr(loader, "_apply", planned)
    assert told.load() == LoadReport(1, 1, 2)
    assert plans == ["", "build_side_probe_side"]
    assert told.fingerprint() == whole.fingerprint()
    assert "once more with plainer plans" in caplog.text


def test_a_capture_s_id_is_the_same_on_every_machine() -> None:
    one = capture("https://example.org/31.json", b"{}", wib("03:00:00"), "test")
    key = f"https://example.org/31.json\n2024-11-27T20:00:00+00:00\nsha256:{hashlib.sha256(b'{}').hexdigest()}"
    assert capture_id(one) == int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) // 2
