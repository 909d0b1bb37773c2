"""Every rule: what breaks it, what does not, and when what it found is over."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from answers import A, Answer, B, C, count, figures, listed, pairs, taken, wib
from histories import History, Rows
from hypothesis import HealthCheck, given, settings
from kpu_bodies import november
from worlds import retellings

from extract.capture import Capture

STATION = "3171011001001"
FORM = {
    "suara_sah": 300, "suara_tidak_sah": 10, "suara_total": 310,
    "pemilih_dpt_j": 400, "pemilih_dpt_l": 190, "pemilih_dpt_p": 210,
    "pengguna_dpt_j": 300, "pengguna_dpt_l": 140, "pengguna_dpt_p": 160,
    "pengguna_dptb_j": 6, "pengguna_dptb_l": 2, "pengguna_dptb_p": 4,
    "pengguna_non_dpt_j": 4, "pengguna_non_dpt_l": 3, "pengguna_non_dpt_p": 1,
    "pengguna_total_j": 310, "pengguna_total_l": 145, "pengguna_total_p": 165,
}  # fmt: skip
"""A form without fault, for 300 votes."""


def station(
    ts: str = "01:15:00",
    votes: dict[str, int] | None = None,
    images: list[str | None] | None = None,
    form: dict[str, Any] | None = None,
    **changes: int | None,
) -> Answer:
    """A station's document: 300 votes and a form without fault, but for the changes."""
    return november(STATION), {
        "mode": "hhcw",
        "tungsura": {
            "chart": {A: 180, B: 120} if votes is None else votes,
            "administrasi": {**FORM, **changes} if form is None else form,
        },
        "psu": None,
        "images": ["https://scans.invalid/1.jpg", None, None] if images is None else images,
        "ts": f"2024-11-28 {ts}",
    }


def province(ts: str, votes: dict[str, int], stations: int = 5, **rows: dict[str, Any]) -> Answer:
    """Jakarta's document; its table is what its chart says, unless rows are given."""
    table = {code.removeprefix("at_"): row for code, row in rows.items()} or {"3171": figures(votes, stations, 100)}
    return count("31", ts, figures(votes, stations, 100), table)


def told(*answers: Answer) -> list[Capture]:
    """These answers, fetched one after the other, each some minutes after its own time; lists before them all."""
    captures = []
    for number, (endpoint, body) in enumerate(answers):
        ts = body["ts"].split()[1] if isinstance(body, dict) and "ts" in body else "00:30:00"
        captures.append(taken((endpoint, body), wib(ts) + timedelta(minutes=8, seconds=number)))
    return captures


def found(history: History, *answers: Answer) -> Rows:
    """Rules, units and candidates of the findings after these answers, and whether they are resolved."""
    history.loaded(told(*answers))
    return history.ask("SELECT rule, unit_code, candidate_id, resolved_at IS NOT NULL FROM findings ORDER BY ALL")


# What breaks a rule, and what comes near and does not

FORMS: dict[str, tuple[Answer, Answer]] = {  # broken, and sound
    "E1": (station(votes={A: 180, B: 121}), station(votes={A: 180, B: 121}, suara_sah=None)),
    "E2": (station(suara_total=309), station(suara_total=None)),
    "E3": (station(pengguna_total_j=309, pengguna_total_l=144, pengguna_dpt_j=299, pengguna_dpt_l=139),
        station(pengguna_total_j=311, pengguna_total_l=146, pengguna_dpt_j=301, pengguna_dpt_l=141)),
    "E4": (station(pengguna_dptb_j=7, pengguna_dptb_l=3), station(pengguna_dptb_j=None)),
    "E5": (station(pemilih_dpt_j=300, pemilih_dpt_l=90), station(pemilih_dpt_j=303, pemilih_dpt_l=93)),  # and 8
    "E6": (station(pengguna_total_j=601, pengguna_total_l=436, pengguna_dpt_j=591, pengguna_dpt_l=431),
        station(pengguna_total_j=600, pengguna_total_l=435, pengguna_dpt_j=590, pengguna_dpt_l=430)),
    "E7": (station(pengguna_non_dpt_l=4), station(pengguna_non_dpt_l=None)),
    "E20": (station(images=[None, None, None]), station(images=[None, None, "https://scans.invalid/3.jpg"])),
}  # fmt: skip


@pytest.mark.parametrize("rule", FORMS)
def test_a_form_breaks_one_rule_or_none(history: History, rule: str) -> None:
    (_, broken), (_, sound) = FORMS[rule]
    assert found(history, (november(STATION), sound)) == []
    assert found(history, (november(STATION), {**broken, "ts": "2024-11-28 01:30:00"})) == [
        (rule, STATION, None, False)
    ]


def test_more_votes_than_a_station_may_have_break_a_rule_without_a_form(history: History) -> None:
    row = {STATION: figures({A: 601}, 1, 1)}
    assert found(history, count("3171011001", "01:15:00", figures({A: 601}, 1, 1), row)) == [
        ("E6", STATION, None, False)
    ]


def test_a_scan_without_votes_is_found_and_an_empty_station_is_not(history: History) -> None:
    assert found(history, station(votes={}, form={}, images=[None, None, None])) == []
    assert found(history, station("01:30:00", votes={}, form={})) == [("E20", STATION, None, False)]
    assert found(history, station("01:45:00")) == [("E20", STATION, None, True)]


def test_what_a_form_does_not_give_is_not_compared(history: History) -> None:
    assert found(history, station(form={"suara_sah": 300}), station("01:30:00", form={"pengguna_total_j": 310})) == []


STEPS: dict[str, tuple[list[Answer], list[Answer]]] = {  # broken, and sound
    "E9": ([province("01:15:00", {A: 5}, 101)], [province("01:15:00", {A: 5}, 100)]),
    "E10": ([province("01:15:00", {A: 50}), province("01:30:00", {A: 49})],
        [province("01:15:00", {A: 50}), province("01:30:00", {A: 50, B: 0}, 6)]),
    "E12": ([province("01:15:00", {A: 50}), province("01:30:00", {A: 0})],
        [province("01:15:00", {A: 0}), province("01:30:00", {A: 0}, 6)]),
    "E15": ([province("01:15:00", {A: 250, B: 9}), province("01:30:00", {A: 350, B: 9})],
        [province("01:15:00", {A: 250, B: 9}), province("01:30:00", {A: 260, B: 9}),  # tens
            province("01:45:00", {A: 370, B: 9}), province("02:00:00", {A: 470, B: 109}),  # not round; two pairs
            province("02:15:00", {A: 570, B: 109}, 6)]),  # a new station
    "E17": ([province("01:15:00", {A: 100, B: 5000}, 25), province("01:30:00", {A: 228, B: 5200}, 27)],
        [province("01:15:00", {A: 100, B: 5000}, 19), province("01:30:00", {A: 228, B: 5200}, 20),  # of too few
            province("01:45:00", {A: 282, B: 5400}, 21)]),  # 54 per new station against 11
    "E18": ([pairs(), province("01:15:00", {A: 5, B: 5, C: 0})], [pairs(), province("01:15:00", {A: 5, B: 5})]),
    "E19": ([listed("31", {"3101": "KEPULAUAN SERIBU"}), province("01:15:00", {A: 5})],
        [listed("31", {"3171": "JAKARTA PUSAT"}), listed("32", {"3201": "BOGOR"}), province("01:15:00", {A: 5})]),
}  # fmt: skip


@pytest.mark.parametrize("rule", STEPS)
def test_steps_and_lists_break_one_rule_or_none(history: History, empty: Path, tmp_path: Path, rule: str) -> None:
    broken, sound = STEPS[rule]
    assert found(History(tmp_path / "sound", empty), *sound) == []
    assert {row[0] for row in found(history, *broken)} == {rule}


def test_two_figures_exchanged_are_found_and_resolved_when_they_are_exchanged_back(history: History) -> None:
    before, after = ({"317101": figures({A: a, B: b}, 5, 100)} for a, b in ((30, 20), (20, 30)))
    first = count("3171", "01:15:00", figures({A: 30, B: 20}, 5, 100), before)
    second = count("3171", "01:30:00", figures({A: 20, B: 30}, 5, 100), after)
    third = count("3171", "01:45:00", figures({A: 30, B: 20}, 5, 100), before)
    assert [row for row in found(history, first, second) if row[0] == "E14"] == [
        ("E14", "3171", None, False),
        ("E14", "317101", None, False),
    ]
    assert [row for row in found(history, third) if row[0] == "E14"] == [
        ("E14", "3171", None, True),
        ("E14", "317101", None, True),
    ]
    newer = count("3171", "02:00:00", figures({A: 25, B: 35}, 6, 100), {"317101": figures({A: 25, B: 35}, 6, 100)})
    assert {row[0] for row in found(history, newer)} == {"E10", "E14", "E16"}


def test_new_stations_that_take_votes_away_are_found_until_the_votes_are_back(history: History) -> None:
    rows = found(history, province("01:15:00", {A: 50, B: 9}), province("01:30:00", {A: 49, B: 30}, 6))
    assert {row for row in rows if row[1] == "31"} == {("E10", "31", A, False), ("E16", "31", A, False)}
    rows = found(history, province("01:45:00", {A: 50, B: 30}, 7))
    assert {row for row in rows if row[1] == "31"} == {("E10", "31", A, True), ("E16", "31", A, True)}


def test_tens_are_a_misread_digit_only_if_the_form_s_valid_votes_stay(history: History) -> None:
    rows = found(history, station(votes={A: 190, B: 120}), station("01:30:00"))
    assert {row[0] for row in rows} == {"E1", "E10", "E15"}
    assert {row[0] for row in found(history, station("01:45:00", votes={A: 180, B: 130}, suara_sah=310))} >= {"E15"}
    assert history.ask("SELECT count(*) FROM findings WHERE rule = 'E15'") == [(1,)]


@pytest.mark.parametrize(
    ("row", "aspect"),
    [
        ({"progres": {"total": 9, "progres": 3}, "status_progress": True}, "flag"),
        ({A: 7, "progres": {"total": 9, "progres": 0}, "status_progress": False}, "votes"),
        ({A: 7, "progres": {"total": 9, "progres": 3}, "status_progress": False}, "flag"),
        ({A: 7, "progres": {"total": 9, "progres": 3}, "status_progress": True}, None),
        ({"progres": {"total": 9, "progres": 0}, "status_progress": False}, None),
    ],
)
def test_a_row_s_flag_votes_and_progress_must_agree(history: History, row: dict[str, Any], aspect: str | None) -> None:
    history.seen("03:00:00", count("31", "01:15:00", {}, {"3171": row}))
    assert history.ask("SELECT aspect FROM findings WHERE rule = 'E9'") == ([(aspect,)] if aspect else [])


def test_rows_above_the_area_of_a_contest_have_no_candidates_and_break_nothing(history: History) -> None:
    row = {"progres": {"total": 900, "progres": 300}, "status_progress": True}
    history.seen("03:00:00", count("0", "01:15:00", {}, {"32": row}, contest_type="pkwkk"))
    assert history.ask("FROM findings") == []


def test_a_station_that_reports_after_a_withdrawal_breaks_nothing(history: History) -> None:
    assert found(history, station(votes={A: 0, B: 0})) == []


# KPU's clock


def test_a_time_that_went_back_is_found_and_resolved_by_a_newer_document(history: History) -> None:
    new, old = province("01:30:00", {A: 6}), province("01:15:00", {A: 5})
    history.seen("02:00:00", new)
    history.seen("02:30:00", old)
    assert history.ask("SELECT rule, unit_code, resolved_at FROM findings") == [("E11", "31", None)]
    history.seen("04:00:00", new)
    assert history.ask("SELECT expected, found, resolved_at IS NOT NULL FROM findings") == [
        ("2024-11-28 01:30:00 or later", "2024-11-28 01:15:00", True)
    ]


def test_documents_in_order_and_seen_again_have_no_time_that_went_back(history: History) -> None:
    assert found(history, *[province("01:15:00", {A: 5})] * 2, *[province("01:30:00", {A: 6})] * 2) == []


def test_content_that_changed_under_the_same_time_is_found_and_resolved_by_a_newer_time(history: History) -> None:
    assert found(history, province("01:15:00", {A: 5}), province("01:15:00", {A: 6})) == [("E13", "31", None, False)]
    assert found(history, province("01:30:00", {A: 6})) == [("E13", "31", None, True)]


# A region and its parts


def test_a_chart_that_differs_from_its_table_is_found_until_they_agree(history: History) -> None:
    rows = {"at_3101": figures({A: 1}, 1), "at_3171": figures({A: 3, B: 2}, 4)}
    assert found(history, province("01:15:00", {A: 4, B: 2}, 5, **rows)) == []
    assert found(history, province("01:30:00", {A: 5, B: 2}, 6, **rows)) == [
        ("E8", "31", A, False),
        ("E8", "31", None, False),
    ]
    assert history.ask("SELECT expected, found, difference FROM findings WHERE candidate_id IS NOT NULL") == [
        ("votes in the rows of its table: 4", "votes in its chart: 5", 1)
    ]
    rows = {"at_3101": figures({A: 2}, 2), "at_3171": figures({A: 3, B: 2}, 4)}
    assert {row[3] for row in found(history, province("01:45:00", {A: 5, B: 2}, 6, **rows))} == {True}


def regency(ts: str, votes: dict[str, int]) -> Answer:
    """A regency's own document."""
    return count("3171", ts, figures(votes, 5, 100))


@pytest.mark.parametrize(
    ("own", "above"),
    [("01:30:00", "01:15:00"), ("01:15:00", "01:30:00")],
    ids=["an older parent", "a parent that was published while the crawl ran"],
)
def test_a_difference_that_may_be_lag_is_no_finding(history: History, own: str, above: str) -> None:
    assert found(history, regency(own, {A: int(own[3:5])}), province(above, {A: int(above[3:5])})) == []


def test_a_difference_within_one_publication_is_found_until_the_two_agree(history: History) -> None:
    assert found(history, regency("01:15:00", {A: 5}), province("01:15:03", {A: 6})) == [("E8", "3171", A, False)]
    assert history.ask("SELECT expected, found, first_seen_at FROM findings") == [
        ("votes in its own document: 5", "votes in its row of the region above: 6", wib("01:15:03"))
    ]
    assert found(history, regency("01:30:00", {A: 6})) == [("E8", "3171", A, True)]


def test_a_document_seen_unchanged_long_after_its_parent_s_time_is_no_lag(history: History) -> None:
    history.loaded(
        [taken(regency("01:15:00", {A: 5}), wib("02:00:00")), taken(province("01:30:00", {A: 6}), wib("02:00:00"))]
    )
    assert history.ask("FROM findings") == []
    history.seen("02:31:00", regency("01:15:00", {A: 5}))
    assert history.ask("SELECT rule, unit_code, candidate_id FROM findings") == [("E8", "3171", A)]


def test_an_old_copy_that_an_archive_put_back_proves_nothing(history: History) -> None:
    history.loaded(
        [taken(regency("01:15:00", {A: 5}), wib("02:00:00")), taken(province("01:30:00", {A: 6}), wib("02:00:00"))]
    )
    history.seen("02:30:00", regency("01:45:00", {A: 6}))
    history.seen("05:00:00", regency("01:15:00", {A: 5}))
    assert history.ask("SELECT DISTINCT rule FROM findings") == [("E11",)]


# Over time, and over loads


def test_a_withdrawal_is_resolved_when_votes_are_back(history: History) -> None:
    rows = found(
        history, *(province(ts, {A: votes}) for ts, votes in (("01:15:00", 5), ("01:30:00", 0), ("01:45:00", 5)))
    )
    assert rows == [("E12", "31", None, True), ("E12", "3171", None, True)]


def test_findings_as_of_a_moment_are_those_that_were_open_then(history: History) -> None:
    found(history, *(province(ts, {A: votes}) for ts, votes in (("01:15:00", 5), ("01:30:00", 4), ("01:45:00", 5))))
    for time, resolved_at in (("01:15:00", []), ("01:30:00", [(None,)]), ("01:45:00", [(wib("01:45:00"),)])):
        sql = "SELECT resolved_at FROM findings_as_of($at) WHERE unit_code = '31'"
        assert history.ask(sql, at=wib(time)) == resolved_at


def test_a_finding_keeps_what_was_found_first_and_says_when_it_was_seen_last(history: History) -> None:
    found(history, *(province(f"01:{at}:00", {A: votes}, 5) for at, votes in ((15, 50), (30, 40), (45, 30))))
    assert history.ask(
        "SELECT expected, found, difference, first_seen_at, last_seen_at, resolved_at FROM findings "
        "WHERE unit_code = '31'"
    ) == [("votes, as before: 50", "votes: 40", -10, wib("01:30:00"), wib("01:45:00"), None)]


def test_pairs_and_lists_that_come_later_are_held_against_what_was_there(history: History) -> None:
    assert found(history, province("01:15:00", {A: 5, C: 5})) == []
    history.seen("04:00:00", pairs(), listed("31", {"3101": "KEPULAUAN SERIBU"}))
    assert history.ask("SELECT rule, unit_code, aspect, candidate_id FROM findings ORDER BY ALL") == [
        ("E18", "31", "missing", B),
        ("E18", "31", "unknown", C),
        ("E18", "3171", "missing", B),
        ("E18", "3171", "unknown", C),
        ("E19", "3171", "code", None),
    ]


def test_counts_by_rule_tell_country_province_and_regency(history: History) -> None:
    found(history, station(suara_total=309))
    assert history.ask(
        "SELECT area_level, area_code, rule, findings, still_open FROM findings_by_rule ORDER BY ALL"
    ) == [
        ("national", "0", "E2", 1, 1),
        ("province", "31", "E2", 1, 1),
        ("regency", "3171", "E2", 1, 1),
    ]


def test_every_rule_says_what_it_found_in_two_languages_and_accuses_nobody(history: History) -> None:
    history.archived([])
    history.load()
    rules = history.ask("FROM rules")
    assert [rule for rule, *_ in rules] == [f"E{number}" for number in range(1, 21)]
    assert {severity for _, severity, *_ in rules} == {"error", "warning", "notice"}
    texts = " ".join(text for _, _, *said in rules for text in said).lower()
    assert not [
        word for word in ("fraud", "curang", "manipul", "rigg", "cheat", "tamper", "suspicious") if word in texts
    ]
    assert all(len(text) > 10 for _, _, *said in rules for text in said)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(retellings())
def test_any_order_any_batches_and_a_rebuild_give_the_same_findings(
    empty: Path, tmp_path_factory: pytest.TempPathFactory, retelling: tuple[list[Capture], list[list[Capture]]]
) -> None:
    world, runs = retelling
    at_once, retold, rebuilt = (History(tmp_path_factory.mktemp("history"), empty) for _ in range(3))
    at_once.loaded(world)
    for run in runs:
        retold.loaded(run)
    rebuilt.archive = retold.archive
    rebuilt.load()
    rows = "FROM core.finding ORDER BY ALL"
    assert retold.ask(rows) == at_once.ask(rows)
    assert rebuilt.ask(rows) == at_once.ask(rows)
