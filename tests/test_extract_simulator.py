"""The simulated night behaves as KPU's did, and gives the same answer to the same question, always."""

import csv
import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from extract import jakarta
from extract.endpoints import Endpoint, level_of, parent_of
from extract.errors import UsageError
from extract.night import Night
from extract.simulator import Simulation

PAIRS = ("1000023", "1000024", "1000025")
JAKARTA = (1_717_245, 458_886, 2_181_939)  # KPU's live count at 10:00:05, and its 14,825 stations
WIB = jakarta.WIB

Body = dict[str, Any]
Series = dict[str, list[Body]]


def count(code: str) -> Endpoint:
    return Endpoint("pilkada-2024", "hhcw", "pkwkp", code)


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2024, 11, day, hour, minute, second, tzinfo=WIB)


def served(simulation: Simulation, code: str, moment: datetime) -> Body:
    body = simulation.document(count(code), moment)
    assert body is not None
    return msgspec.json.decode(body)


def votes(figures: Body) -> tuple[int, ...]:
    return tuple(figures[pair] for pair in PAIRS if pair in figures)


def recorded(simulation: Simulation, depth: Any) -> Series:
    """Every count document's bodies, in the order in which they were recorded."""
    series: Series = defaultdict(list)
    for capture in simulation.captures(depth):
        endpoint = Endpoint.from_url(capture.url)
        if endpoint.document == "hhcw":
            series[endpoint.region].append(msgspec.json.decode(capture.body or b""))
    return series


@pytest.fixture(scope="module")
def calm() -> Simulation:
    return Simulation(Night(seed=7))


@pytest.fixture(scope="module")
def rough() -> Simulation:
    return Simulation(Night(seed=7, revisions=0.03, slips=0.01, swaps=0.005, lag=1, withdrawal=True))


@pytest.fixture(scope="module")
def rough_series(rough: Simulation) -> Series:
    return recorded(rough, "district")


# The figures that are KPU's own


def test_the_night_ends_with_kpu_s_figures_for_every_district(calm: Simulation) -> None:
    table = Path(jakarta.__file__).parent / "figures" / "dki-kecamatan-votes.csv"
    for row in csv.DictReader(table.read_text("utf-8").splitlines()):
        chart = served(calm, row["kec_code"], at(28, 10, 0, 5))["tungsura"]["chart"]
        assert votes(chart) == tuple(int(row[pair]) for pair in PAIRS)
        assert chart["progres"]["progres"] == int(row["tps_reported"])
        assert chart["progres"]["total"] == int(row["tps_total"])


@pytest.mark.parametrize("night", [Night(seed=1), Night(seed=2, revisions=0.1, slips=0.1, swaps=0.1)])
def test_the_province_s_file_of_ten_o_clock_is_kpu_s_whatever_was_wrong_before(night: Night) -> None:
    simulation = Simulation(night)
    body = served(simulation, "31", at(28, 10, 0, 5))
    assert votes(body["tungsura"]["chart"]) == JAKARTA
    assert body["progres"] == {"total": 14_835, "progres": 14_825}
    assert body["tungsura"]["chart"]["progres"]["persen"] == 99.93
    assert body["ts"] == "2024-11-28 10:00:05"
    assert simulation.publications[-1] == at(28, 10, 0, 5)
    assert served(simulation, "31", at(30, 0, 0)) == body


def test_there_are_as_many_documents_as_jakarta_has_regions_and_stations(calm: Simulation) -> None:
    expected = {"regency": 7, "district": 51, "village": 318, "tps": 15_153}
    for depth, documents in expected.items():
        kinds = Counter(endpoint.document for endpoint in calm.endpoints(depth))
        assert kinds["hhcw"] == documents
        assert kinds["wilayah"] == min(documents, 318) + 1  # a list below every region, one of provinces, none in a TPS
        assert kinds["paslon"] == 1


def test_every_document_listed_exists_and_no_other_does(calm: Simulation) -> None:
    moment = calm.publications[20]
    assert all(calm.document(endpoint, moment) for endpoint in calm.endpoints("village"))
    for missing in (
        count("0"),
        count("32"),
        count("3101011001999"),
        Endpoint("pilkada-2024", "hhcw", "pkwkk", "31"),
        Endpoint("pilkada-2024", "hr", "pkwkp", "31"),
        Endpoint("pilkada-2024", "page", "pkwkp", "31"),
        Endpoint("pilkada-2024", "wilayah", "pkwkp", "3101011001001"),
        Endpoint("pemilu-2024", "hhcw", "ppwp", "31"),
    ):
        assert calm.document(missing, moment) is None
    assert calm.document(count("31"), at(26, 9, 54, 43)) is None  # KPU put up the empty files a second later


def test_region_lists_are_sorted_by_name_and_lead_to_every_station(calm: Simulation) -> None:
    below = defaultdict(list)
    for endpoint in calm.endpoints("village"):
        if endpoint.document == "wilayah":
            rows = msgspec.json.decode(calm.document(endpoint, at(27, 12, 0)) or b"")
            assert [row["nama"] for row in rows] == sorted(row["nama"] for row in rows)
            below[rows[0]["tingkat"]] += rows
    assert {level: len(rows) for level, rows in below.items()} == {1: 1, 2: 6, 3: 44, 4: 267, 5: 14_835}
    assert {row["nama"] for row in below[5] if row["kode"].startswith("3171051001")} >= {"TPS 001", "TPS 037"}
    assert sum(row["nama"] >= "TPS 901" for row in below[5]) == 31
    assert len({row["id"] for rows in below.values() for row in rows}) == 15_153


def test_the_three_pairs_have_their_names_and_ballot_numbers(calm: Simulation) -> None:
    body = msgspec.json.decode(calm.document(Endpoint("pilkada-2024", "paslon", "pkwkp"), at(27, 12, 0)) or b"")
    assert [(key, pair["nomor_urut"]) for key, pair in body["31"].items()] == [*zip(PAIRS, (1, 2, 3), strict=True)]
    assert body["31"]["1000025"]["nama"] == "PRAMONO ANUNG - RANO KARNO"


# The shapes on the wire


def test_a_region_s_file_has_kpu_s_keys_in_kpu_s_order(calm: Simulation) -> None:
    body = served(calm, "3171", at(28, 10, 0, 5))
    assert list(body) == ["mode", "tungsura", "psu", "progres", "ts"]
    assert list(body["tungsura"]) == ["chart", "table"]
    assert list(body["tungsura"]["chart"]) == [*PAIRS, "progres"]
    assert list(body["tungsura"]["table"]) == [f"3171{n:02}" for n in range(1, 9)]
    assert body["tungsura"]["table"]["317101"] == {
        "psu": "Reguler",
        "1000023": 11_241,
        "1000024": 3_951,
        "1000025": 19_446,
        "progres": {"total": 141, "persen": 100.0, "progres": 141},
        "status_progress": True,
    }


def test_before_the_count_every_file_is_empty_and_dated_the_day_before(calm: Simulation) -> None:
    body = served(calm, "310101", calm.publications[0])
    assert body["ts"] == "2024-11-26 09:54:44"
    assert body["tungsura"]["chart"] == {"progres": {"total": 23, "persen": 0.0, "progres": 0}}
    assert body["tungsura"]["table"]["3101011001"] == {
        "psu": "Reguler",
        "progres": {"total": 9, "persen": 0.0, "progres": 0},
        "status_progress": False,
    }
    assert served(calm, "3101011001001", calm.publications[0]) == {
        "mode": "hhcw",
        "tungsura": {"chart": None, "administrasi": None},
        "psu": None,
        "status_suara": False,
        "status_adm": False,
        "images": [None, None, None],
        "ts": "2024-11-26 09:54:44",
    }


def test_a_station_that_reported_shows_votes_form_and_images_on_an_invented_host(calm: Simulation) -> None:
    body = served(calm, "3101011001001", at(28, 10, 0, 5))
    row = served(calm, "3101011001", at(28, 10, 0, 5))["tungsura"]["table"]["3101011001001"]
    assert list(body["tungsura"]["chart"]) == ["null", *PAIRS]
    assert body["tungsura"]["chart"]["null"] is None
    assert votes(body["tungsura"]["chart"]) == votes(row)
    assert row["progres"] == {"total": 1, "persen": 100.0, "progres": 1}
    assert len(body["tungsura"]["administrasi"]) == 18
    assert len(body["images"]) == 3
    assert all(image.startswith("https://simulated.invalid/") for image in body["images"])


# What holds inside a file and over time


def test_a_chart_is_always_the_sum_of_its_table(rough: Simulation, rough_series: Series) -> None:
    villages = [code for code in jakarta.tree() if level_of(code) == "village"][::10]
    in_villages = [served(rough, code, moment) for code in villages for moment in rough.publications[::9]]
    for body in [*in_villages, *(body for bodies in rough_series.values() for body in bodies)]:
        chart, rows = body["tungsura"]["chart"], body["tungsura"]["table"].values()
        reported = [row for row in rows if row["status_progress"]]
        assert chart["progres"]["progres"] == sum(row["progres"]["progres"] for row in reported)
        assert all(votes(row) == () and row["progres"]["progres"] == 0 for row in rows if not row["status_progress"])
        assert votes(chart) == tuple(sum(column) for column in zip(*map(votes, reported), strict=True))


def test_progress_and_time_stamps_never_go_back_and_no_file_repeats_itself(rough_series: Series) -> None:
    for bodies in rough_series.values():
        for before, after in pairwise(bodies):
            assert before["ts"] < after["ts"]
            assert before["progres"]["progres"] <= after["progres"]["progres"]
            assert before["tungsura"] != after["tungsura"]


def test_most_stations_report_in_the_evening_and_specials_after_midnight(calm: Simulation) -> None:
    def reported(moment: datetime) -> int:
        return served(calm, "31", moment)["progres"]["progres"]

    assert reported(at(27, 16, 0)) < 1_500
    assert 6_000 < reported(at(27, 18, 0)) < 9_000
    assert 14_700 < reported(at(28, 1, 1)) < 14_825  # KPU had 14,794
    before_midnight, at_ten = calm.truth(at(27, 23, 59)), calm.truth(at(28, 10, 0, 5))
    specials = [code for code in jakarta.stations_in("31") if jakarta.is_special(code)]
    assert len(specials) == 31
    assert {before_midnight[code].stations for code in specials} == {0}
    assert {at_ten[code].stations for code in specials} == {1}


def test_kpu_publishes_every_quarter_of_an_hour_and_a_few_seconds(calm: Simulation) -> None:
    assert len(calm.publications) == 77
    for cycle, moment in enumerate(calm.publications):
        assert timedelta() <= moment - (at(27, 15, 0) + cycle * timedelta(minutes=15)) <= timedelta(seconds=6)


# Stations


def test_a_form_agrees_with_itself_and_with_the_votes(calm: Simulation) -> None:
    invalid = ballots = 0
    for code in Random(0).sample(jakarta.stations_in("31"), 2_000):
        tungsura = served(calm, code, at(28, 10, 0, 5))["tungsura"]
        if (form := tungsura["administrasi"]) is None:
            continue
        assert min(form.values()) >= 0
        assert form["suara_sah"] == sum(votes(tungsura["chart"]))
        assert form["suara_total"] == form["suara_sah"] + form["suara_tidak_sah"] == form["pengguna_total_j"]
        for who in "jlp":
            parts = (form[f"pengguna_{part}_{who}"] for part in ("dpt", "dptb", "non_dpt"))
            assert form[f"pengguna_total_{who}"] == sum(parts)
            assert form[f"pengguna_dpt_{who}"] <= form[f"pemilih_dpt_{who}"]
        for name in ("pemilih_dpt", "pengguna_dpt", "pengguna_dptb", "pengguna_non_dpt", "pengguna_total"):
            assert form[f"{name}_j"] == form[f"{name}_l"] + form[f"{name}_p"]
        assert form["pemilih_dpt_j"] <= 600
        assert form["pengguna_total_j"] <= min(600, form["pemilih_dpt_j"] * 1.025)
        invalid, ballots = invalid + form["suara_tidak_sah"], ballots + form["suara_total"]
    assert invalid / ballots == pytest.approx(363_764 / 4_724_393, rel=0.03)  # Jakarta's official share


@pytest.mark.parametrize("seed", range(3))
def test_no_station_has_more_votes_than_voters_whatever_the_seed(seed: int) -> None:
    stations = [
        counted for code, counted in Simulation(Night(seed=seed)).truth(at(29, 0, 0)).items() if len(code) == 13
    ]
    valid = [sum(counted.votes.values()) for counted in stations if counted.stations]
    assert len(valid) == 14_825
    assert max(valid) <= 600
    assert min(min(counted.votes.values()) for counted in stations) >= 0
    assert max(valid) - min(valid) > 200  # no two neighbourhoods are alike


def test_the_truth_at_every_level_is_the_sum_of_its_stations(rough: Simulation) -> None:
    for moment in (at(27, 14, 0), at(27, 18, 20), at(28, 10, 50)):
        truth = rough.truth(moment)
        sums: dict[str | None, Counter[str]] = defaultdict(Counter)
        for code, counted in truth.items():
            sums[parent_of(code)].update({"stations": counted.stations, **counted.votes})
        for code, below in sums.items():
            if code in truth:
                assert below == {"stations": truth[code].stations, **truth[code].votes}


def test_without_blunders_and_lag_kpu_shows_the_truth(calm: Simulation) -> None:
    truth = calm.truth(at(27, 20, 7))
    for code in ("31", "3172", "317201", "3172011001", "3172011001001"):
        chart = served(calm, code, at(27, 20, 7))["tungsura"]["chart"]
        assert {pair: chart[pair] for pair in PAIRS} == truth[code].votes


# What goes wrong on request


def test_as_many_stations_blunder_as_were_asked_for(rough: Simulation, calm: Simulation) -> None:
    kinds = Counter(mistake.kind for mistake in rough.mistakes)
    assert kinds == pytest.approx({"revision": 0.03 * 14_825, "slip": 0.01 * 14_825, "swap": 0.005 * 14_825}, abs=1)
    assert calm.mistakes == []


def test_a_blunder_is_served_until_it_is_corrected(rough: Simulation) -> None:
    for mistake in rough.mistakes:
        assert mistake.until is not None
        assert mistake.since < mistake.until <= at(28, 10, 0, 5)
        early, late = (served(rough, mistake.unit, moment) for moment in (mistake.since, mistake.until))
        assert dict(zip(PAIRS, votes(early["tungsura"]["chart"]), strict=True)) == mistake.wrong
        assert dict(zip(PAIRS, votes(late["tungsura"]["chart"]), strict=True)) == mistake.right
        assert late["ts"] == f"{mistake.until:%Y-%m-%d %H:%M:%S}"


def test_the_truth_knows_nothing_of_blunders(rough: Simulation) -> None:
    moment = rough.publications[15]
    truth = rough.truth(moment)
    wrong_now = [mistake for mistake in rough.mistakes if mistake.since <= moment < (mistake.until or moment)]
    assert len(wrong_now) > 50
    assert all(truth[mistake.unit].votes == mistake.right for mistake in wrong_now)


def test_each_kind_of_blunder_leaves_its_own_trace(rough: Simulation) -> None:
    for mistake in rough.mistakes:
        form = served(rough, mistake.unit, mistake.since)["tungsura"]["administrasi"]
        wrong, right = mistake.wrong.values(), mistake.right.values()
        steps = [abs(a - b) for a, b in zip(wrong, right, strict=True) if a != b]
        match mistake.kind:
            case "revision":
                assert len(steps) == 1
                assert steps[0] <= 5
                assert form["suara_sah"] == sum(wrong)
            case "slip":
                assert len(steps) == 1
                assert steps[0] in {digit * place for digit in range(1, 10) for place in (10, 100)}
                assert form["suara_sah"] == sum(right)
            case "swap":
                assert sorted(wrong) == sorted(right)
                assert len(steps) == 2
    directions = {sum(mistake.wrong.values()) > sum(mistake.right.values()) for mistake in rough.mistakes}
    assert directions == {True, False}  # corrections go up and down


def test_a_late_parent_agrees_with_its_children_as_of_its_own_time_stamp(rough_series: Series) -> None:
    compared = 0
    for parent in ("31", *(code for code in rough_series if level_of(code) == "regency")):
        for body in rough_series[parent]:
            for child, row in body["tungsura"]["table"].items():
                then = [own for own in rough_series[child] if own["ts"] <= body["ts"]][-1]
                assert votes(then["tungsura"]["chart"]) == votes(row)
                assert then["progres"]["progres"] == row["progres"]["progres"]
                compared += 1
    assert compared > 1_000


def test_a_late_parent_differs_from_its_children_as_they_are(rough: Simulation) -> None:
    moment = rough.publications[12]
    province, cities = served(rough, "31", moment), [served(rough, f"317{n}", moment) for n in range(1, 6)]
    assert province["ts"] == f"{rough.publications[10]:%Y-%m-%d %H:%M:%S}"
    assert {city["ts"] for city in cities} == {f"{rough.publications[11]:%Y-%m-%d %H:%M:%S}"}
    assert served(rough, "317501", moment)["ts"] == f"{moment:%Y-%m-%d %H:%M:%S}"
    assert all(
        votes(province["tungsura"]["table"][f"317{n}"]) != votes(cities[n - 1]["tungsura"]["chart"])
        for n in range(1, 6)
    )


def test_late_files_reach_kpu_s_figures_with_the_last_publication() -> None:
    simulation = Simulation(Night(lag=2))
    assert served(simulation, "31", at(28, 10, 0, 5))["ts"] == f"{simulation.publications[72]:%Y-%m-%d %H:%M:%S}"
    last = served(simulation, "31", simulation.publications[-1])
    assert (votes(last["tungsura"]["chart"]), last["ts"]) == (JAKARTA, "2024-11-28 10:00:05")


def test_the_withdrawal_takes_every_vote_and_leaves_progress(rough: Simulation) -> None:
    for code in ("31", "3175", "317501", "3175011001", "3175011001001"):
        before, after = (served(rough, code, moment) for moment in (at(28, 10, 45, 3), at(28, 10, 45, 4)))
        assert min(votes(before["tungsura"]["chart"])) > 0
        assert votes(after["tungsura"]["chart"]) == (0, 0, 0)
        assert list(after["tungsura"]["chart"]) == list(before["tungsura"]["chart"])
        assert after["ts"] == "2024-11-28 10:45:04"
        if "progres" in after:
            assert after["progres"]["progres"] >= before["progres"]["progres"] > 0


def test_after_the_withdrawal_stations_go_on_reporting_nothing(rough: Simulation, rough_series: Series) -> None:
    province = [body for body in rough_series["31"] if body["ts"] >= "2024-11-28 10:45:04"]
    assert [body["progres"]["progres"] for body in province] == [14_826, 14_827, 14_828]
    assert all(set(votes(body["tungsura"]["chart"])) == {0} for body in province)
    assert rough.truth(rough.publications[-1])["31"].stations == 14_828
    assert rough.truth(at(28, 10, 40))["31"].votes == dict(zip(PAIRS, JAKARTA, strict=True))


@pytest.mark.parametrize("wrong", [{"slips": 1.1}, {"swaps": -0.1}, {"revisions": 0.6, "slips": 0.6}, {"lag": -1}])
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Night(**wrong)


# The same question, the same answer


def test_the_same_seed_gives_the_same_bytes_in_another_process(rough: Simulation) -> None:
    script = (
        "from extract.simulator import Night, Simulation; import hashlib\n"
        "night = Night(seed=7, revisions=0.03, slips=0.01, swaps=0.005, lag=1, withdrawal=True)\n"
        "keys = [capture.key for capture in Simulation(night).captures('district')]\n"
        "print(hashlib.sha256(repr(keys).encode()).hexdigest())\n"
    )
    place = {"PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(jakarta.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", script], env=place, check=True, capture_output=True, text=True)
    keys = [capture.key for capture in rough.captures("district")]
    assert run.stdout.strip() == hashlib.sha256(repr(keys).encode()).hexdigest()


def test_another_seed_gives_another_night_with_the_same_end(calm: Simulation) -> None:
    other = Simulation(Night(seed=8))
    assert other.document(count("31"), at(27, 18, 20)) != calm.document(count("31"), at(27, 18, 20))
    assert other.document(count("31"), at(28, 10, 0, 5)) == calm.document(count("31"), at(28, 10, 0, 5))


def test_the_order_of_questions_does_not_matter(rough: Simulation) -> None:
    rng = Random(3)
    codes = rng.sample([*jakarta.tree()], 300)
    questions = [(count(code), at(27, 15, 0) + rng.random() * timedelta(hours=21)) for code in codes if code != "0"]
    fresh = Simulation(rough.night)
    answers = [rough.document(endpoint, moment) for endpoint, moment in questions]
    assert [fresh.document(endpoint, moment) for endpoint, moment in reversed(questions)] == answers[::-1]


def test_a_moment_is_the_same_in_any_time_zone(calm: Simulation) -> None:
    moment = at(27, 19, 3)
    assert calm.document(count("31"), moment) == calm.document(count("31"), moment.astimezone(ZoneInfo("UTC")))


def test_recorded_captures_are_what_was_served_just_before(rough: Simulation) -> None:
    seen = []
    for capture in rough.captures("district"):
        assert capture.body == rough.document(Endpoint.from_url(capture.url), capture.observed_at)
        assert capture.source == "simulated:7"
        seen.append((capture.observed_at, capture.url))
    assert seen == sorted(seen, key=lambda one: one[0])
    assert len({moment for moment, _ in seen}) == len(seen)
    assert sum("/wilayah/" in url or "/paslon/" in url for _, url in seen) == 53


def test_every_change_of_every_file_is_recorded_once(rough: Simulation) -> None:
    bodies: dict[str, list[bytes | None]] = defaultdict(list)
    for capture in rough.captures("district"):
        bodies[capture.url].append(capture.body)
    for endpoint in rough.endpoints("district"):
        shown = [rough.document(endpoint, moment) for moment in rough.publications]
        assert bodies[endpoint.url()] == [body for i, body in enumerate(shown) if i == 0 or body != shown[i - 1]]
