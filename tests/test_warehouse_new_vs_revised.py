"""New stations or old ones revised: what the split claims, where it claims nothing, and nights whose truth is known."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from answers import A, B, count, figures
from histories import History, Rows
from hypothesis import HealthCheck, given, settings
from kpu_bodies import STATION, november
from worlds import worlds

from extract.capture import Capture, capture
from extract.jakarta import stations_in
from extract.night import Night
from extract.simulator import Depth, Simulation

few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def history(new_history: Callable[[], History]) -> History:
    return new_history()


def split(history: History, unit: str, candidate: str = A) -> Rows:
    """By step of one pair: kind, basis, new, revised and unknown votes."""
    return history.ask(
        "SELECT kind, basis, new_votes, revised_votes, unknown_votes FROM new_vs_revised "
        "WHERE unit_code = $unit AND candidate_id = $candidate ORDER BY version",
        unit=unit,
        candidate=candidate,
    )


# From the unit's own figures


def test_what_is_reported_first_is_new(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 50, B: 20}, 3)))
    assert split(history, "3171") == [("new", "regency", 50, 0, 0)]


def test_a_step_without_a_new_station_is_a_revision(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 50, B: 20}, 3)))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 48, B: 20}, 3)))
    assert split(history, "3171")[1:] == [("revised", "regency", 0, -2, 0)]


def test_new_stations_beside_old_ones_are_mixed_and_the_split_is_not_known(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 50, B: 20}, 3)))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 70, B: 19}, 4)))
    assert split(history, "3171")[1:] == [("mixed", "regency", 0, 0, 20)]
    assert split(history, "3171", B)[1:] == [("mixed", "regency", 0, 0, -1)]
    assert history.ask("SELECT DISTINCT new_stations, votes_per_new_station FROM new_vs_revised WHERE version = 2") == [
        (1, None)
    ]


def test_a_station_is_either_new_or_revised(history: History) -> None:
    village = STATION[:10]
    row = figures({A: 50}, 1, 1)
    history.seen("02:20:00", count(village, "02:15:00", figures({}, 0, 2), {STATION: figures({}, 0, 1)}))
    history.seen("02:40:00", count(village, "02:30:00", figures({A: 50}, 1, 2), {STATION: row}))
    history.seen("03:00:00", count(village, "02:45:00", figures({A: 53}, 1, 2), {STATION: row | {A: 53}}))
    assert split(history, STATION) == [("new", "tps", 50, 0, 0), ("revised", "tps", 0, 3, 0)]


def test_where_stations_are_not_given_only_the_first_votes_are_known_to_be_new(history: History) -> None:
    history.seen("02:20:00", count("31", "02:15:00", {}, {"3171": {A: 50}}))
    history.seen("02:40:00", count("31", "02:30:00", {}, {"3171": {A: 60}}))
    assert split(history, "3171") == [("new", "regency", 50, 0, 0), ("mixed", "regency", 0, 0, 10)]


# From the parts


def regency(time: str, first: dict[str, Any], second: dict[str, Any]) -> Any:
    """A regency's document with two districts of five stations each."""
    both = {pair: first.get(pair, 0) + second.get(pair, 0) for pair in (A, B) if pair in first or pair in second}
    stations = first["progres"]["progres"] + second["progres"]["progres"]
    return count("3171", time, figures(both, stations), {"317101": first, "317102": second})


def five(votes: dict[str, int], reported: int = 5) -> dict[str, Any]:
    """A district of five stations."""
    return figures(votes, reported, 5)


def test_a_step_is_split_by_the_children_that_came_in_and_those_that_were_there(history: History) -> None:
    history.seen("02:20:00", regency("02:15:00", five({A: 50, B: 20}), five({}, 0)))
    history.seen("02:40:00", regency("02:30:00", five({A: 47, B: 23}), five({A: 30, B: 10})))
    assert split(history, "3171") == [("new", "district", 50, 0, 0), ("both", "district", 30, -3, 0)]
    assert split(history, "3171", B)[1:] == [("both", "district", 10, 3, 0)]
    per_station = (
        "SELECT candidate_id, votes_per_new_station FROM new_vs_revised WHERE unit_code = '3171' AND version = 2"
    )
    assert dict(history.ask(per_station)) == {A: 6.0, B: 2.0}


def test_revisions_that_cancel_out_are_told_all_the_same(history: History) -> None:
    history.seen("02:20:00", regency("02:15:00", five({A: 50}), five({}, 0)))
    history.seen("02:40:00", regency("02:30:00", five({A: 40}), five({A: 10})))
    assert history.ask("SELECT votes_delta, new_votes, revised_votes FROM new_vs_revised WHERE kind = 'both'") == [
        (0, 10, -10)
    ]


def test_a_child_that_is_mixed_leaves_only_its_own_part_unknown(history: History) -> None:
    history.seen("02:20:00", regency("02:15:00", five({A: 50}), five({A: 10}, 1)))
    history.seen("02:40:00", regency("02:30:00", five({A: 47}), five({A: 30}, 3)))
    assert split(history, "3171")[1:] == [("mixed", "district", 0, -3, 20)]


def test_children_that_are_late_claim_nothing_of_the_step_they_missed(history: History) -> None:
    province = figures({A: 60}, 6)
    history.seen(
        "02:20:00",
        regency("02:15:00", five({A: 50}), five({A: 10}, 1)),
        count("31", "02:15:00", province, {"3171": province}),
    )
    province = figures({A: 85}, 9)
    history.seen("02:50:00", count("31", "02:45:00", province, {"3171": province}))
    history.seen("03:05:00", regency("03:00:00", five({A: 50}), five({A: 36}, 4)))
    assert split(history, "31") == [("new", "district", 60, 0, 0), ("mixed", "province", 0, 0, 25)]
    assert split(history, "3171") == [
        ("new", "district", 60, 0, 0),
        ("mixed", "regency", 0, 0, 25),
        ("revised", "regency", 0, 1, 0),
    ]


def test_a_parent_that_is_late_is_split_by_what_its_children_were_then(history: History) -> None:
    history.seen("02:20:00", regency("02:15:00", five({A: 50}), five({}, 0)))
    history.seen("02:40:00", regency("02:30:00", five({A: 52}), five({}, 0)))
    history.seen(
        "03:00:00",
        count("31", "02:30:00", figures({A: 52}), {"3171": figures({A: 52})}),
        regency("02:45:00", five({A: 52}), five({A: 30})),
    )
    history.seen("03:20:00", count("31", "02:45:00", figures({A: 82}, 10), {"3171": figures({A: 82}, 10)}))
    assert split(history, "31") == [("both", "district", 50, 2, 0), ("new", "district", 30, 0, 0)]


def test_a_single_station_s_file_does_not_stand_for_its_village(history: History) -> None:
    village, district = STATION[:10], STATION[:6]
    history.seen("02:20:00", count(district, "02:15:00", figures({A: 50}, 3), {village: figures({A: 50}, 3)}))
    chart = {"tungsura": {"chart": {A: 9}, "administrasi": {}}, "ts": "2024-11-28 02:15:00"}
    history.seen("02:25:00", (november(STATION), chart))
    history.seen("02:40:00", count(district, "02:30:00", figures({A: 48}, 3), {village: figures({A: 48}, 3)}))
    assert split(history, district) == [("new", "village", 50, 0, 0), ("revised", "village", 0, -2, 0)]
    assert split(history, village)[1:] == [("revised", "village", 0, -2, 0)]


def test_a_withdrawal_is_no_revision_and_what_comes_back_is_compared_with_the_last_votes(history: History) -> None:
    history.seen("02:20:00", regency("02:15:00", five({A: 50}), five({}, 0)))
    history.seen("02:40:00", regency("02:30:00", five({A: 0}), five({}, 0)))
    assert split(history, "3171") == [("new", "district", 50, 0, 0)]
    history.seen("03:00:00", regency("02:45:00", five({A: 49}), five({A: 30})))
    assert split(history, "3171")[1:] == [("both", "district", 30, -1, 0)]
    assert split(history, "317101")[1:] == [("revised", "district", 0, -1, 0)]


# What always holds


@few
@given(world=worlds)
def test_the_parts_of_a_step_are_the_step_and_the_steps_are_the_votes(
    new_history: Callable[[], History], world: list[Capture]
) -> None:
    history = new_history()
    history.loaded(world)
    assert history.ask("FROM new_vs_revised WHERE votes_delta <> new_votes + revised_votes + unknown_votes") == []
    unit = "election, contest_code, stage, unit_code"
    summed = history.ask(
        f"SELECT {unit}, candidate_id, sum(new_votes + revised_votes + unknown_votes) FROM new_vs_revised GROUP BY ALL"
    )
    last = history.ask(
        f"SELECT {unit}, candidate_id, votes FROM timeline WHERE withdrawn_at IS NULL "
        f"QUALIFY rank() OVER (PARTITION BY {unit} ORDER BY version DESC) = 1"
    )
    assert set(last) <= set(summed)
    assert all(votes == 0 for *_, votes in set(summed) - set(last)), "what is no longer given was taken back"


# A night whose truth is known


class Event(NamedTuple):
    """What became of a station's figures at a publication: it reported first, or was corrected."""

    moment: datetime
    station: str
    is_new: bool
    moved: dict[str, int]


def events(simulation: Simulation, area: str) -> Iterator[Event]:
    """What really happened at the stations of an area."""
    wrong = {mistake.unit: mistake for mistake in simulation.mistakes if mistake.wrong}
    missing = set(stations_in(area))
    for moment in simulation.publications:
        truth = simulation.truth(moment)
        for station in sorted(code for code in missing if truth[code].stations):
            missing.remove(station)
            mistake = wrong.get(station)
            yield Event(moment, station, is_new=True, moved=mistake.wrong if mistake else truth[station].votes)
            if mistake and mistake.until:
                moved = {pair: votes - mistake.wrong[pair] for pair, votes in mistake.right.items()}
                yield Event(mistake.until, station, is_new=False, moved=moved)


def recorded(simulation: Simulation, area: str, depth: Depth) -> Iterator[Capture]:
    """The documents of an area, and those of its province, whenever they changed."""
    for endpoint in simulation.endpoints(depth):
        if endpoint.region.startswith(area) or endpoint.region in ("0", "31"):
            before = None
            for moment in simulation.publications:
                body = simulation.document(endpoint, moment)
                if body is not None and body != before:
                    yield capture(endpoint.url(), body, moment, "simulated:test")
                before = body


@pytest.mark.parametrize(
    ("area", "depth", "night"),
    [
        ("3101", "tps", Night(seed=1, revisions=0.3, slips=0.1, swaps=0.1, lag=1)),
        ("3101", "tps", Night(seed=2, revisions=0.5, withdrawal=True)),
        ("3171", "village", Night(seed=3, revisions=0.05, slips=0.03, swaps=0.02, lag=2)),
    ],
)
def test_a_simulated_night_to_its_stations_is_split_exactly_as_it_happened(
    history: History, area: str, depth: Depth, night: Night
) -> None:
    simulation = Simulation(night)
    happened = defaultdict(list)
    for event in events(simulation, area):
        for length in (4, 6, 10, 13):
            happened[event.station[:length]].append(event)
    history.loaded(recorded(simulation, area, depth))
    steps = history.ask(
        "SELECT unit_code, reported_at, candidate_id, new_votes, revised_votes, unknown_votes, basis "
        "FROM new_vs_revised WHERE length(unit_code) > 2 AND starts_with(unit_code, $area) ORDER BY unit_code, version",
        area=area,
    )
    before: dict[tuple[str, str], datetime] = {}
    for unit, reported_at, pair, new, revised, unknown, basis in steps:
        since = before.get((unit, pair), datetime.min.replace(tzinfo=reported_at.tzinfo))
        between = [event for event in happened[unit] if since < event.moment <= reported_at]
        assert (new, revised) == tuple(
            sum(event.moved[pair] for event in between if event.is_new is is_new) for is_new in (True, False)
        )
        assert (unknown, basis) == (0, "tps")
        before[unit, pair] = reported_at
    withdrawn = history.ask("SELECT min(withdrawn_at) FROM withdrawals")[0][0]
    last = withdrawn or simulation.publications[-1]
    assert {unit for unit, _ in before} == {unit for unit, own in happened.items() if own[0].moment < last}, (
        "every unit that reported has its steps"
    )


@pytest.mark.parametrize(("prefix", "longest_code"), [("", 4), ("3171", 13), ("317101", 6), ("32", 13)])
def test_the_units_of_a_report_are_split_as_if_all_were(
    new_history: Callable[[], History], prefix: str, longest_code: int
) -> None:
    told = new_history()
    told.loaded(recorded(Simulation(Night(revisions=0.05)), "3171", "village"))
    chosen = told.ask(
        "FROM core.new_vs_revised_in($prefix, $longest) ORDER BY ALL", prefix=prefix, longest=longest_code
    )
    assert chosen == told.ask(
        "FROM new_vs_revised WHERE starts_with(unit_code, $prefix) AND length(unit_code) <= $longest ORDER BY ALL",
        prefix=prefix,
        longest=longest_code,
    )
    assert bool(chosen) == (prefix != "32")
