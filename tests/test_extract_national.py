"""The simulated country: real figures add up, sums hold at every level and moment, and nothing is kept in memory."""

import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import jakarta
from extract.contests import TYPES, SimulatedType, contests
from extract.country import country
from extract.draws import apportioned
from extract.endpoints import LEVELS, NATIONAL, WIB, Endpoint, Level, level_of, parent_of
from extract.errors import UsageError
from extract.national import NationalNight, NationalSimulation
from extract.provinces import all_provinces
from extract.replayed import SimulatedSource
from extract.simulator import Depth
from transform.model import Document
from transform.normalise import read

FEW = ("31", "34", "65", "92")  # no mayors; no governor; small; a single candidate
NIGHTS = (
    NationalNight(seed=7, within=FEW, revisions=0.05),
    NationalNight(seed=7, within=FEW, revisions=0.05, lag=2, cycles=12),
    NationalNight(seed=8, within=FEW, cycles=9, withdrawal=True, lag=1),
)
ORDER: tuple[Level, ...] = tuple(LEVELS.values())

Body = dict[str, Any]
Figures = tuple[int, Counter[str]]


@cache
def simulated(night: NationalNight) -> NationalSimulation:
    return NationalSimulation(night)


@pytest.fixture(scope="module")
def night() -> NationalSimulation:
    return simulated(NIGHTS[0])


def count(code: str, contest_type: SimulatedType = "pkwkp") -> Endpoint:
    return Endpoint("pilkada-2024", "hhcw", contest_type, code)


def served(simulation: NationalSimulation, endpoint: Endpoint, moment: datetime) -> Any:
    body = simulation.document(endpoint, moment)
    assert body is not None, endpoint
    return msgspec.json.decode(body)


def said(figures: Body) -> Figures:
    """Stations and votes in a chart or a row."""
    return figures["progres"]["progres"], Counter({key: cell for key, cell in figures.items() if key.isdecimal()})


def some(simulation: NationalSimulation, depth: Depth, share: int) -> list[Endpoint]:
    """The count documents of the upper levels, and a few of the lower ones."""
    return [
        endpoint
        for number, endpoint in enumerate(simulation.endpoints(depth))
        if endpoint.document == "hhcw" and (len(endpoint.region) <= 4 or number % share == 0)
    ]


# The country


@pytest.mark.parametrize("province", all_provinces(), ids=lambda province: province.code)
def test_every_province_has_its_real_number_of_regencies_and_of_stations(province: Any) -> None:
    regencies = country().children(province.code)
    villages = [*country().codes("village", province.code)]
    assert len(regencies) == province.regencies
    assert sum(country().is_city(code) for code in regencies) == province.cities
    assert country().size(province.code) == sum(map(country().size, villages)) == province.stations
    assert len({*country().codes("district", province.code)}) == province.districts
    assert len({*villages}) == len(villages) == province.villages
    assert min(map(country().size, villages)) >= 1


def test_the_country_is_as_large_as_it_is() -> None:
    assert country().size(NATIONAL) == 435_296
    assert len(country().districts) == 7_288
    assert 83_000 <= len(country().sizes) <= 84_000
    assert [sum(map(country().size, simulated(NationalNight()).provinces(kind))) for kind in TYPES] == [
        429_318,
        420_461,
    ]


def test_jakarta_s_part_is_its_real_tree() -> None:
    for code, region in jakarta.tree().items():
        if code != NATIONAL:
            assert country().children(code) == [*region.children]
            assert (country().name(code), country().size(code)) == (region.name, region.stations)


def test_every_code_leads_back_to_its_place_and_no_other_exists() -> None:
    rng = Random(1)
    for district in rng.sample([*country().codes("district")], 40):
        for village in country().children(district):
            stations = country().children(village)
            assert all(map(country().has, [village, *stations]))
            assert {parent_of(station) for station in stations} == {village}
            (place,) = country().within(district)
            assert [country().code_at(place, at, "tps") for at in country().places(village)] == stations
            assert not country().has(f"{village}000")
            assert not country().has(f"{village}899")
        assert not country().has(f"{district}9999")
    assert not any(map(country().has, ("20", "3199", "310199", "31AB", "99BE")))


def test_no_two_regions_have_the_same_number() -> None:
    codes = [code for level in ORDER[:-1] for code in country().codes(level)] + [*country().codes("tps", "65")]
    assert len({country().number(code) for code in codes}) == len(codes)


@given(st.integers(0, 10_000), st.lists(st.floats(0.01, 10), min_size=1, max_size=50), st.integers(0, 3))
def test_a_total_is_shared_out_to_the_last(total: int, weights: list[float], least: int) -> None:
    if total < least * len(weights):
        with pytest.raises(ValueError, match="cannot be shared"):
            apportioned(total, weights, least)
    else:
        parts = apportioned(total, weights, least)
        assert sum(parts) == total
        assert min(parts) >= least


# The contests


def test_there_are_kpu_s_545_contests_and_37_of_them_have_a_blank_column() -> None:
    held = {kind: contests(kind) for kind in TYPES}
    assert {kind: len(areas) for kind, areas in held.items()} == {"pkwkp": 37, "pkwkk": 508}
    pairs = [contest.pairs for areas in held.values() for contest in areas.values()]
    assert {len(one) for one in pairs} == {2, 3, 4}
    blank = [
        own["nomor_urut"] for one in pairs for own in one.values() if own["nama"] == "KOLOM KOSONG - " and len(one) == 2
    ]
    assert Counter(blank) == {1: 14, 2: 23}
    assert len({candidate for one in pairs for candidate in one}) == sum(map(len, pairs))
    assert contests("pkwkp")["31"].pairs == jakarta.PAIRS
    made_up = [own["nama"] for one in pairs for own in one.values() if one is not jakarta.PAIRS]
    assert all("REKAAN" in name or name == "KOLOM KOSONG - " for name in made_up)


def test_yogyakarta_elects_no_governor_and_jakarta_no_mayors(night: NationalSimulation) -> None:
    moment = night.publications[5]
    for kind, elects, not_ in (("pkwkp", "31", "34"), ("pkwkk", "34", "31")):
        assert night.document(count(elects, kind), moment)
        assert night.document(count(not_, kind), moment) is None
        assert not_ not in {row["kode"] for row in served(night, Endpoint("pilkada-2024", "wilayah", kind), moment)}


# What is served


def test_every_document_listed_exists_and_is_understood(night: NationalSimulation) -> None:
    units: dict[str, set[str]] = defaultdict(set)
    for capture in NationalSimulation(NationalNight(seed=7, within=("65", "31"), cycles=3)).captures("village"):
        document = read(capture)
        assert isinstance(document, Document), (capture.url, document)
        assert not document.unknown_keys
        assert capture.source == "simulated:7"
        units[document.endpoint.document].update(unit.unit_code for unit in document.units)
    assert sum(len(code) == 13 for code in units["wilayah"]) == 1_364 + 14_835
    for endpoint in Random(2).sample([*night.endpoints("tps")], 300):
        assert night.document(endpoint, night.publications[30]), endpoint


def test_a_station_s_document_is_understood_with_its_form() -> None:
    simulation = simulated(NationalNight(seed=7, within=("65",), cycles=3, revisions=0.5))
    seen = 0
    for capture in simulation.captures("tps", ["6501"]):
        document = read(capture)
        assert isinstance(document, Document), (capture.url, document)
        for tally in document.tallies if level_of(document.endpoint.region) == "tps" else ():
            if tally.votes:
                seen += 1
                assert sum(tally.votes.values()) == tally.valid_votes
                assert tally.ballots == (tally.valid_votes or 0) + (tally.invalid_votes or 0) <= 600
                assert min(tally.votes.values()) >= 0
    assert seen > country().size("6501")  # some twice, revised


@pytest.mark.parametrize(
    "missing",
    [
        count("0", "pkwkk"),
        count("11"),
        count("6599"),
        count("6501012001899"),
        Endpoint("pilkada-2024", "hr", "pkwkp", "65"),
        Endpoint("pilkada-2024", "page", "pkwkp", "65"),
        Endpoint("pilkada-2024", "wilayah", "pkwkp", "6501012001001"),
        Endpoint("pemilu-2024", "hhcw", "ppwp", "31"),
    ],
    ids=lambda endpoint: f"{endpoint.document}-{endpoint.contest_type}-{endpoint.region}",
)
def test_what_kpu_had_not_is_not_there(night: NationalSimulation, missing: Endpoint) -> None:
    assert night.document(missing, night.publications[20]) is None


def test_areas_with_several_contests_show_progress_and_each_child_s_own_pairs(night: NationalSimulation) -> None:
    for endpoint, below in ((count("0"), contests("pkwkp")), (count("65", "pkwkk"), contests("pkwkk"))):
        body = served(night, endpoint, night.publications[40])["tungsura"]
        assert list(body["chart"]) == ["progres"]
        for code, row in body["table"].items():
            assert [key for key in row if key.isdecimal()] == [*below[code].pairs]


def test_the_night_ends_with_kpu_s_figures_for_jakarta() -> None:
    for one in NIGHTS[:2]:
        simulation = simulated(one)
        for district in jakarta.districts():
            _, votes = said(served(simulation, count(district.code), simulation.publications[-1])["tungsura"]["chart"])
            assert (*votes.values(),) == district.votes
        chart = served(simulation, count("31"), simulation.publications[-1])["tungsura"]["chart"]
        assert (chart["progres"]["progres"], chart["1000025"]) == (14_825, 2_181_939)


def test_stations_report_over_the_evening_and_a_few_until_the_morning() -> None:
    simulation = simulated(NationalNight())

    def reported(cycle: int) -> float:
        body = served(simulation, count(NATIONAL), simulation.publications[cycle])
        return body["progres"]["progres"] / body["progres"]["total"]

    assert reported(0) < 0.05
    assert 0.4 < reported(16) < 0.7  # 19:00
    assert 0.9 < reported(36) < 0.99  # midnight
    assert reported(60) < reported(70) < reported(76)


def test_the_east_counts_ahead_and_cities_are_faster(night: NationalSimulation) -> None:
    body = served(simulated(NationalNight()), count(NATIONAL), night.publications[3])["tungsura"]["table"]
    assert body["91"]["progres"]["persen"] > body["33"]["progres"]["persen"]
    west_java = served(simulated(NationalNight()), count("32"), night.publications[12])["tungsura"]["table"]
    cities = [row["progres"]["persen"] for code, row in west_java.items() if country().is_city(code)]
    others = [row["progres"]["persen"] for code, row in west_java.items() if not country().is_city(code)]
    assert min(cities) > max(others)


# Sums


@pytest.mark.parametrize("of", NIGHTS, ids=["revisions", "lag", "withdrawal"])
def test_a_chart_is_always_the_sum_of_its_table(of: NationalNight) -> None:
    simulation = simulated(of)
    for endpoint in some(simulation, "village", 97):
        for moment in simulation.publications[:: len(simulation.publications) // 5]:
            body = served(simulation, endpoint, moment)["tungsura"]
            rows = [said(row) for row in body["table"].values()]
            stations, votes = said(body["chart"])
            assert stations == sum(reported for reported, _ in rows)
            if votes:
                assert votes == sum((row for _, row in rows), Counter(dict.fromkeys(votes, 0)))
            assert body["chart"]["progres"]["total"] == sum(row["progres"]["total"] for row in body["table"].values())


def test_without_lag_every_row_is_what_the_child_s_own_document_says(night: NationalSimulation) -> None:
    for endpoint in some(night, "village", 131):
        body = served(night, endpoint, moment := night.publications[17])["tungsura"]
        for child in Random(3).sample([*body["table"]], min(3, len(body["table"]))):
            chart = served(night, count(child, endpoint.contest_type), moment)["tungsura"]["chart"]
            if len(child) < 13:
                has_pairs = len(child) >= {"pkwkp": 2, "pkwkk": 4}[endpoint.contest_type]
                assert said(body["table"][child]) == said(chart)
                assert bool(said(chart)[1]) == (has_pairs and said(chart)[0] > 0)
            else:
                assert body["table"][child]["status_progress"] == (chart is not None)
                assert said(body["table"][child])[1] == Counter(
                    {key: votes for key, votes in (chart or {}).items() if key.isdecimal()}
                )


@pytest.mark.parametrize("of", NIGHTS, ids=["revisions", "lag", "withdrawal"])
def test_the_truth_at_every_level_is_the_sum_of_its_stations(of: NationalNight) -> None:
    simulation = simulated(of)
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    told: dict[tuple[str, str], Counter[str]] = {}
    for contest, unit, counted in simulation.truth(simulation.publications[6]):
        kind = contest.partition(":")[0]
        told[kind, unit] = Counter({"stations": counted.stations, **counted.votes})
        if parent := parent_of(unit):
            sums[kind, parent].update(told[kind, unit])
    assert len({unit for _, unit in told if len(unit) == 13}) == sum(map(country().size, FEW))
    for (kind, unit), below in sums.items():
        if len(unit) >= {"pkwkp": 2, "pkwkk": 4}[kind]:
            assert below == told[kind, unit]
        else:
            assert told[kind, unit] == {"stations": below["stations"]}


def test_without_revisions_and_lag_the_truth_is_what_is_shown() -> None:
    simulation = NationalSimulation(NationalNight(seed=3, within=("65",), cycles=9))
    moment = simulation.publications[4]
    for contest, unit, counted in simulation.truth(moment):
        endpoint = count(unit, "pkwkp" if contest.startswith("pkwkp") else "pkwkk")
        if len(unit) < 13 and endpoint != count("0", "pkwkk"):
            stations, votes = said(served(simulation, endpoint, moment)["tungsura"]["chart"])
            assert (stations, dict(votes)) == (counted.stations, counted.votes if stations else {})


def test_the_withdrawal_takes_every_vote_and_no_station() -> None:
    simulation = simulated(NIGHTS[2])
    before, after = simulation.publications[-2:]
    for endpoint in some(simulation, "tps", 911):
        is_station = level_of(endpoint.region) == "tps"
        early, late = (served(simulation, endpoint, moment) for moment in (before, after))
        if is_station and late["tungsura"]["chart"]:
            assert {votes for key, votes in late["tungsura"]["chart"].items() if key != "null"} == {0}
        if not is_station:
            assert {*said(late["tungsura"]["chart"])[1].values()} <= {0}
            assert late["progres"]["progres"] >= early["progres"]["progres"] > 0


# What changed


@pytest.mark.parametrize("of", NIGHTS, ids=["revisions", "lag", "withdrawal"])
def test_what_is_said_to_have_changed_is_what_has_another_body(of: NationalNight) -> None:
    simulation = simulated(of)
    asked = some(simulation, "tps", 701)
    before = {endpoint: simulation.document(endpoint, jakarta.SEEDED) for endpoint in asked}
    for cycle, moment in enumerate(simulation.publications):
        changed = [*simulation.changed(cycle, "tps")]
        assert len({*changed}) == len(changed)
        now = {endpoint: simulation.document(endpoint, moment) for endpoint in asked}
        assert {*changed} & {*asked} == {endpoint for endpoint in asked if now[endpoint] != before[endpoint]}
        before = now


def test_changes_can_be_asked_for_a_part_and_to_a_depth(night: NationalSimulation) -> None:
    everything = [*night.changed(9, "tps")]
    assert [*night.changed(9, "village")] == [one for one in everything if len(one.region) <= 10]
    below = [one for one in everything if one.region.startswith("6501")]
    above = [one for one in everything if one.region in ("0", "65")]
    assert {*night.changed(9, "tps", ["6501"])} == {*above, *below}


def test_the_captures_are_every_version_of_every_document_once() -> None:
    simulation = NationalSimulation(NationalNight(seed=5, within=("92",), cycles=6, revisions=0.1, lag=1))
    bodies: dict[str, list[bytes | None]] = defaultdict(list)
    moments = []
    for capture in simulation.captures("village", ["9202"]):
        bodies[capture.url].append(capture.body)
        moments.append(capture.observed_at)
    assert moments == sorted(set(moments))
    for endpoint in simulation.endpoints("village", ["9202"]):
        shown = [simulation.document(endpoint, moment) for moment in simulation.publications]
        assert bodies[endpoint.url()] == [body for i, body in enumerate(shown) if i == 0 or body != shown[i - 1]]


# The same question, the same answer


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-1, 90)), min_size=2, max_size=12))
@settings(max_examples=40, deadline=None)
def test_the_order_of_questions_does_not_matter(asked: list[tuple[int, int]]) -> None:
    warm = simulated(NIGHTS[1])
    endpoints = endpoints_of(NIGHTS[1])
    questions = [
        (endpoints[number % len(endpoints)], jakarta.SEEDED + timedelta(hours=29, minutes=15 * step))
        for number, step in asked
    ]
    answers = [warm.document(endpoint, moment) for endpoint, moment in questions]
    fresh = NationalSimulation(NIGHTS[1])
    assert [fresh.document(endpoint, moment) for endpoint, moment in questions[::-1]] == answers[::-1]


@cache
def endpoints_of(night: NationalNight) -> list[Endpoint]:
    return [*simulated(night).endpoints("tps")]


def test_the_same_seed_gives_the_same_bytes_in_another_process_and_another_seed_others() -> None:
    script = (
        "from extract.national import *; import hashlib\n"
        "for seed in (7, 8):\n"
        "    simulation = NationalSimulation(NationalNight(seed=seed, within=('92',), cycles=5, revisions=0.05))\n"
        "    keys = [capture.key for capture in simulation.captures('tps', ['9201'])]\n"
        "    print(hashlib.sha256(repr(keys).encode()).hexdigest())\n"
    )
    root = str(Path(jakarta.__file__).parents[1])
    one, other = (
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": root},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for seed in ("1", "2")
    )
    assert one == other
    assert len({*one}) == 2


def test_a_province_s_count_is_the_same_whoever_else_takes_part(night: NationalSimulation) -> None:
    alone = NationalSimulation(NationalNight(seed=7, within=("92",), revisions=0.05))
    for code in ("92", "9201", next(country().codes("tps", "9201"))):
        for kind in TYPES:
            at = night.publications[12]
            assert alone.document(count(code, kind), at) == night.document(count(code, kind), at)


@pytest.mark.parametrize(
    "wrong", [{"within": ("3171",)}, {"cycles": 2}, {"revisions": 1.5}, {"lag": -1}, {"within": ("20",)}]
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        NationalNight(**wrong)


# Memory


def test_serving_a_night_to_village_depth_keeps_little_in_memory() -> None:
    simulation = NationalSimulation(NationalNight(within=("75",)))  # 734 villages
    tracemalloc.start()
    try:
        for _ in simulation.captures("village", ["7571"]):  # works out what is needed for any document
            pass
        held, _ = tracemalloc.get_traced_memory()
        documents = served_bytes = 0
        for moment in simulation.publications[10:13]:
            for endpoint in simulation.endpoints("village"):
                documents += 1
                served_bytes += len(simulation.document(endpoint, moment) or b"")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert documents > 3 * 4 * 734
    assert after - held < served_bytes / 4


def test_a_version_keeps_its_validators_when_it_has_to_be_made_again() -> None:
    simulation = NationalSimulation(NationalNight(within=("92",), cycles=6))
    first, again = SimulatedSource(simulation), SimulatedSource(NationalSimulation(simulation.night))
    moment = simulation.publications[3]
    for endpoint in simulation.endpoints("district"):
        document = first.document(endpoint.path, moment)
        assert document is not None
        assert again.document(endpoint.path, moment + timedelta(minutes=1)) == document
        ts = msgspec.json.decode(document.body)["ts"] if endpoint.document == "hhcw" else jakarta.LISTED
        assert document.since == datetime.fromisoformat(ts).replace(tzinfo=WIB)


def test_a_document_is_mistaken_for_another_one_of_its_level_and_contest_type(night: NationalSimulation) -> None:
    source = SimulatedSource(night)
    for endpoint in some(night, "tps", 1501):
        for point in (0.0, 0.4, 0.99):
            other = source.like(endpoint.path, point)
            siblings = night.children(endpoint.contest_type, parent_of(endpoint.region) or NATIONAL)
            assert other or endpoint.region == NATIONAL or len(siblings) == 1
            if other:
                found = Endpoint.from_url(other)
                assert found.region != endpoint.region
                assert len(found.region) == len(endpoint.region)
                assert night.document(found, night.publications[3])
