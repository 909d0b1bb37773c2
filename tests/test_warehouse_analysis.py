"""What analysts ask beyond the standings: leads, regions and their names, coverage, turnout, outlook, sums."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

from datetime import timedelta
from typing import Any

import pytest
from answers import A, B, C, count, figures, listed, pairs, wib
from histories import History
from kpu_bodies import STATION, november, presidential

VILLAGE, DISTRICT = STATION[:10], STATION[:6]


def form(
    code: str, registered: int, voters: int, invalid: int, votes: dict[str, int] | None, time: str = "02:15:00"
) -> Any:
    """A station's document: its form, and its votes if they are there."""
    figures_of_form = {
        "suara_sah": voters - invalid, "suara_tidak_sah": invalid, "suara_total": voters,
        "pemilih_dpt_j": registered, "pengguna_total_j": voters,
    }  # fmt: skip
    return november(code), {
        "tungsura": {"chart": votes, "administrasi": figures_of_form},
        "ts": f"2024-11-28 {time}",
    }


# Leads


def test_every_version_tells_who_leads_whom_by_how_much_and_how_far_the_count_is(history: History) -> None:
    history.seen("02:20:00", pairs(), count("3171", "02:15:00", figures({A: 50, B: 20}, 4)))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 60, B: 75}, 5)))
    assert history.ask(
        "SELECT version, candidate_name, runner_up_name, votes, margin, round(margin_pct, 1), reported_pct "
        "FROM leads ORDER BY version"
    ) == [
        (1, "ANI - BUDI", "KOLOM KOSONG - ", 50, 30, 42.9, 40.0),
        (2, "KOLOM KOSONG - ", "ANI - BUDI", 75, 15, 11.1, 50.0),
    ]


def test_in_a_tie_nobody_leads_and_equal_seconds_are_not_told_apart(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 50, B: 50, C: 7}, 4)))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 60, B: 50, C: 50}, 5)))
    history.seen("03:00:00", count("3172", "02:30:00", figures({A: 60}, 5)))
    assert history.ask("SELECT unit_code, candidate_id, runner_up_id, votes, margin FROM leads ORDER BY ALL") == [
        ("3171", A, None, 60, 10),
        ("3171", None, None, 50, 0),
        ("3172", A, None, 60, None),
    ]


def test_versions_without_votes_have_no_lead_also_after_a_withdrawal(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({})))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 5, B: 3})))
    history.seen("10:50:00", count("3171", "10:45:04", figures({A: 0, B: 0}, 6)))
    assert history.ask("SELECT version, candidate_id FROM leads") == [(2, A)]


# Regions


def test_a_region_has_the_names_of_what_it_lies_in_and_codes_where_none_is_known(history: History) -> None:
    stations = november(VILLAGE, "wilayah"), [{"nama": "TPS 001", "id": 1, "kode": STATION, "tingkat": 5}]
    history.seen("02:20:00", listed("31", {"3101": "KEP. SERIBU"}), stations)
    history.seen("02:40:00", count("9971", "02:30:00", figures({A: 5})))
    rows = history.ask("SELECT unit_code, level, parent_code, path, path_codes, is_listed FROM units")
    units = {row[0]: row[1:] for row in rows}
    assert len(units) == len(rows)
    assert units["3101"] == ("regency", "31", "DKI JAKARTA / KEP. SERIBU", ["31", "3101"], True)
    assert units[STATION] == (
        "tps",
        VILLAGE,
        f"DKI JAKARTA / KEP. SERIBU / {DISTRICT} / {VILLAGE} / TPS 001",
        ["31", "3101", DISTRICT, VILLAGE, STATION],
        True,
    )
    assert units["9971"] == ("regency", "99", "99 / 9971", ["99", "9971"], False)
    assert units["0"] == ("national", None, "INDONESIA", ["0"], True)


def test_a_city_abroad_has_its_letters(history: History) -> None:
    history.seen("02:20:00", (presidential("99BE"), {"chart": {}, "table": {}, "ts": "2024-02-14 20:00:00"}))
    assert history.ask("SELECT election, level, unit_name, path FROM units WHERE unit_code = '99BE'") == [
        ("pemilu-2024", "regency", None, "99 / 99BE")
    ]


def test_a_search_by_name_gives_the_exact_ones_first(history: History) -> None:
    history.seen("02:20:00", listed("32", {"3201": "KAB. BOGOR", "3271": "KOTA BOGOR"}))
    history.seen("02:20:01", listed("3271", {"327101": "BOGOR SELATAN", "327102": "BOGOR"}))
    found = history.ask("SELECT unit_code, closeness, path FROM find_units('Kota Bogor')")
    assert [row[:2] for row in found] == [("3271", 2), ("3201", 3), ("327102", 3), ("327101", 4)]
    assert found[3][2] == "JAWA BARAT / KOTA BOGOR / BOGOR SELATAN"
    assert [code for (code,) in history.ask("SELECT unit_code FROM find_units('3271')")] == ["3271"]
    assert history.ask("FROM find_units('')") == []


# What we have


def test_coverage_tells_what_was_captured_told_overdue_and_missing(history: History) -> None:
    history.seen("02:20:00", listed("31", {"3101": "A", "3171": "B", "3172": "C", "3173": "D"}))
    row = figures({A: 5})
    history.seen("02:20:01", count("3101", "02:15:00", row), count("3171", "02:15:00", row))
    history.seen(
        "02:40:00", count("31", "02:30:00", figures({A: 16}), {"3101": row, "3171": figures({A: 6}), "3172": row})
    )
    assert history.ask(
        "SELECT level, units_expected, units_captured, units_overdue, units_told, units_missing, captured_pct "
        "FROM coverage WHERE region_code = '31' ORDER BY level"
    ) == [("province", 1, 1, 0, 0, 0, 100.0), ("regency", 4, 2, 1, 1, 1, 50.0)]
    assert history.ask("SELECT unit_code, state FROM core.expected WHERE length(unit_code) = 4 ORDER BY ALL") == [
        ("3101", "captured"),
        ("3171", "overdue"),
        ("3172", "told"),
        ("3173", "missing"),
    ]


def test_a_province_that_elects_nobody_is_not_missing(history: History) -> None:
    history.seen(
        "02:20:00", listed("0", {"31": "DKI JAKARTA", "34": "DI YOGYAKARTA"}), listed("34", {"3471": "YOGYAKARTA"})
    )
    assert history.ask("SELECT count(*) FROM core.expected") == [(3,)]
    history.seen("02:40:00", pairs())
    assert history.ask("SELECT unit_code, state FROM core.expected") == [("31", "missing")]


def test_freshness_tells_both_clocks_and_its_ages_at_a_moment(history: History) -> None:
    history.seen("02:20:00", count("3101", "02:15:00", figures({A: 5})), count("3171", "02:00:00", figures({A: 5})))
    history.seen("02:40:00", count("3101", "02:30:00", figures({A: 6})))
    assert history.ask(
        "SELECT level, documents, captures, newest_reported_at, oldest_reported_at, newest_observed_at, "
        "oldest_observed_at, median_lag_minutes FROM freshness"
    ) == [
        ("regency", 2, 3, wib("02:30:00"), wib("02:00:00"), wib("02:40:00"), wib("02:20:00"), 10.0),
    ]
    assert history.ask("SELECT reported_age, observed_age FROM freshness_at($now)", now=wib("03:00:00")) == [
        (timedelta(minutes=30), timedelta(minutes=20))
    ]


# Turnout


def test_turnout_adds_up_the_forms_and_says_how_many_stations_it_rests_on(history: History) -> None:
    history.seen("02:20:00", form(STATION, 500, 400, 20, {A: 380}), form(VILLAGE + "002", 300, 200, 10, {A: 190}))
    assert history.ask(
        "SELECT level, stations_with_form, registered_voters, voters, ballots, valid_votes, invalid_votes "
        "FROM turnout WHERE unit_code IN ($station, $village) ORDER BY ALL",
        station=STATION,
        village=VILLAGE,
    ) == [("tps", 1, 500, 400, 400, 380, 20), ("village", 2, 800, 600, 600, 570, 30)]


def test_turnout_s_shares_rest_on_stations_that_give_both_figures(history: History) -> None:
    half = (
        november(VILLAGE + "002"),
        {
            "tungsura": {"chart": None, "administrasi": {"pemilih_dpt_j": 300}},
            "ts": "2024-11-28 02:15:00",
        },
    )
    history.seen("02:20:00", form(STATION, 500, 400, 20, {A: 380}), half)
    assert history.ask(
        "SELECT registered_voters, voters, turnout_pct, invalid_pct, contest_code FROM turnout WHERE level = 'national'"
    ) == [(800, 400, 80.0, 5.0, "pkwkp:0")]


# Withdrawals


def test_a_withdrawal_is_told_with_what_was_there_and_when_it_came_back(history: History) -> None:
    history.seen(
        "02:20:00", count("3171", "02:15:00", figures({A: 5, B: 3}, 4)), count("3172", "02:15:00", figures({A: 2}, 1))
    )
    history.seen(
        "10:50:00", count("3171", "10:45:04", figures({A: 0, B: 0}, 6)), count("3172", "10:45:04", figures({A: 0}, 1))
    )
    history.seen("11:10:00", count("3171", "11:00:00", figures({A: 0, B: 0}, 7)))
    history.seen("11:40:00", count("3172", "11:30:00", figures({A: 3}, 1)))
    assert history.ask(
        "SELECT unit_code, withdrawn_at, restored_at, votes_before, stations_before, stations_after "
        "FROM withdrawals ORDER BY unit_code"
    ) == [
        ("3171", wib("10:45:04"), None, 8, 4, 6),
        ("3172", wib("10:45:04"), wib("11:30:00"), 2, 1, 1),
    ]
    assert history.ask("SELECT level, withdrawn_at, units, units_restored, votes_before FROM withdrawal_waves") == [
        ("regency", wib("10:45:04"), 2, 1, 10)
    ]


# An even grid


def test_an_even_grid_shows_what_stood_at_each_moment_until_the_last_of_the_count(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:10:00", figures({A: 5})), count("3172", "01:15:00", figures({A: 2})))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 6}, 6)))
    history.seen("10:50:00", count("3171", "02:59:00", figures({A: 0}, 6)))
    rows = history.ask(
        "SELECT unit_code, grid_at, votes, stations_reported, withdrawn_at IS NOT NULL "
        "FROM timeline_every(INTERVAL 30 MINUTE) ORDER BY ALL"
    )
    assert rows == [
        ("3171", wib("02:30:00"), 6, 6, False),
        ("3171", wib("03:00:00"), 6, 6, True),
        *[("3172", wib(time), 2, 5, False) for time in ("01:30:00", "02:00:00", "02:30:00", "03:00:00")],
    ]


def test_hours_and_days_of_the_grid_begin_when_they_do_in_jakarta(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:10:00", figures({A: 5})))
    assert history.ask("SELECT grid_at FROM timeline_every(INTERVAL 1 DAY)") == [(wib("00:00:00") + timedelta(days=1),)]
    assert history.ask("SELECT grid_at FROM timeline_every(INTERVAL 6 HOUR)") == [(wib("06:00:00"),)]


# Outlook


@pytest.mark.parametrize(("lead", "is_decided"), [(1200, False), (1201, True)])
def test_a_lead_is_decided_when_the_stations_still_out_cannot_bring_as_many_votes(
    history: History, lead: int, is_decided: bool
) -> None:
    history.seen("02:20:00", count("3201", "02:15:00", figures({A: 5000 + lead, B: 5000}, 8), contest_type="pkwkk"))
    assert history.ask(
        "SELECT candidate_id, margin, stations_outstanding, votes_outstanding, is_decided, outcome FROM outlook"
    ) == [(A, lead, 2, 1200, is_decided, "decided" if is_decided else "open")]


def test_a_form_that_came_before_its_votes_tells_how_many_are_still_out(history: History) -> None:
    chart = figures({A: 500, B: 100}, 1, 2)
    rows = {STATION: figures({A: 500, B: 100}, 1, 1), VILLAGE + "002": figures({}, 0, 1)}
    history.seen("02:20:00", count(VILLAGE, "02:15:00", chart, rows))
    question = (
        "SELECT stations_outstanding, stations_known, votes_outstanding, is_decided FROM outlook "
        "WHERE level = 'village'"
    )
    assert history.ask(question) == [(1, 0, 600, False)]
    history.seen("02:40:00", form(VILLAGE + "002", 380, 300, 5, None))
    assert history.ask(question) == [(1, 1, 390, True)]  # 380 and 2.5 % of ballot papers in reserve


@pytest.mark.parametrize(
    ("votes", "outcome"),
    [((5000, 3000, 700), "decided"), ((5000, 3000, 1500), "open"), ((5000, 3000, 3300), "second_round")],
)
def test_jakarta_needs_more_than_half_of_all_votes(history: History, votes: tuple[int, ...], outcome: str) -> None:
    history.seen("02:20:00", count("31", "02:15:00", figures(dict(zip((A, B, C), votes, strict=True)), 8, 10)))
    assert history.ask("SELECT is_decided, outcome FROM outlook") == [(True, outcome)]


def test_after_a_withdrawal_the_stations_of_the_last_votes_count(history: History) -> None:
    history.seen("02:20:00", count("3201", "02:15:00", figures({A: 900, B: 100}, 8), contest_type="pkwkk"))
    history.seen("10:50:00", count("3201", "10:45:04", figures({A: 0, B: 0}, 10), contest_type="pkwkk"))
    assert history.ask("SELECT votes, stations_reported, stations_outstanding, is_decided FROM outlook") == [
        (900, 8, 2, False)
    ]


# Sums


def test_a_sum_comes_from_the_finest_units_and_says_which_and_of_how_many(history: History) -> None:
    rows = {"317101": figures({A: 5, B: 1}, 2, 5), "317102": figures({}, 0, 5)}
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 5, B: 1}, 2), rows))
    history.seen("02:40:00", count("31", "02:30:00", figures({A: 9, B: 1}, 3), {"3171": figures({A: 9, B: 1}, 3)}))
    question = (
        "SELECT level, candidate_id, votes, rank, own_votes, from_level, units_counted, units_expected, "
        "stations_reported FROM rollup WHERE unit_code IN ('31', '3171') ORDER BY length(unit_code), candidate_id"
    )
    assert history.ask(question) == [
        ("province", A, 5, 1, 9, "district", 1, 2, 2),
        ("province", B, 1, 2, 1, "district", 1, 2, 2),
        ("regency", A, 5, 1, 9, "district", 1, 2, 2),
        ("regency", B, 1, 2, 1, "district", 1, 2, 2),
    ]


def test_a_province_that_nobody_fetched_is_the_sum_of_the_regencies_that_were(history: History) -> None:
    history.seen("02:20:00", listed("31", {"3101": "A", "3171": "B", "3172": "C"}))
    history.seen("02:20:01", count("3101", "02:15:00", figures({A: 5})), count("3171", "02:15:00", figures({A: 6})))
    assert history.ask(
        "SELECT votes, own_votes, from_level, units_counted, units_expected FROM rollup WHERE unit_code = '31'"
    ) == [(11, None, "regency", 2, 3)]


def test_pairs_of_different_contests_are_never_added_only_the_votes_cast(history: History) -> None:
    for code, votes in (("3201", {A: 5, B: 2}), ("3202", {C: 7})):
        history.seen("02:20:00", count(code, "02:15:00", figures(votes), contest_type="pkwkk"))
    assert history.ask(
        "SELECT contest_code, unit_code, candidate_id, votes, units_counted, stations_total FROM rollup "
        "WHERE length(unit_code) < 4 ORDER BY ALL"
    ) == [("pkwkk:0", "0", None, 14, 2, 20), ("pkwkk:32", "32", None, 14, 2, 20)]


def test_forms_and_recapitulation_are_never_added(history: History) -> None:
    history.seen(
        "02:20:00",
        count("3171", "02:15:00", figures({A: 5})),
        count("3172", "02:15:00", figures({A: 7}), document="hr"),
    )
    assert history.ask("SELECT stage, votes FROM rollup WHERE unit_code = '31' ORDER BY ALL") == [
        ("hhcw", 5),
        ("hr", 7),
    ]
