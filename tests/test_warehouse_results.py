"""What analysts read: who leads where, what changed and when, in stories of a few documents each."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

from typing import Any

import pytest
from answers import PAIRS, A, B, C, count, figures, listed, pairs, taken, wib
from histories import History, Rows
from kpu_bodies import STATION, captured, february, november, presidential, station

from extract.capture import Capture, capture

JAKARTA = {"1000023": 1_717_245, "1000024": 458_886, "1000025": 2_181_939}
PUBLIC = "https://pilkada2024.kpu.go.id/pilgub/dki-jakarta/kepulauan-seribu"


def votes(history: History, unit: str, source: str = "results", **parameters: Any) -> dict[str, int | None]:
    """Votes by pair in a unit."""
    rows = history.ask(f"SELECT candidate_id, votes FROM {source} WHERE unit_code = $unit", unit=unit, **parameters)
    assert len(dict(rows)) == len(rows), "a pair stands twice"
    return dict(rows)


def withdrawn(history: History, unit: str) -> Rows:
    """Since when the unit's votes are withdrawn."""
    return history.ask("SELECT DISTINCT withdrawn_at FROM results WHERE unit_code = $unit", unit=unit)


def steps(history: History, unit: str) -> Rows:
    """What changed in a unit: the kind, and by pair before, after, by how much."""
    return history.ask(
        "SELECT kind, candidate_id, votes_before, votes_after, votes_delta FROM changes "
        "WHERE unit_code = $unit ORDER BY version, candidate_id",
        unit=unit,
    )


def page(code: str, time: str, progress: str, rows: dict[int, int]) -> Capture:
    """A station's rendered page, fetched when it was made."""
    table = "".join(
        f"<tr><td>{number}</td><td>PAIR {number}</td><td>{given}</td></tr>" for number, given in rows.items()
    )
    body = (
        f"<div id='app'><h5>PEROLEHAN SUARA</h5><table>{table}</table>"
        f"<div class='version-progress'>Versi: 28 Nov 2024 {time} Progress: {progress} TPS (100%)</div></div>"
    )
    way = "/".join(code[:length] for length in (6, 10, 13))
    return capture(f"{PUBLIC}/{way}", body.encode(), wib(time), "test", mimetype="text/html")


# Figures


def test_votes_that_were_not_given_are_null_and_not_zero(history: History) -> None:
    history.seen("02:20:00", pairs(), count("3171", "02:15:00", figures({})))
    assert history.ask("SELECT candidate_id, votes, share_pct, rank, margin, stations_reported FROM results") == [
        (A, None, None, None, None, 0),
        (B, None, None, None, None, 0),
    ]


def test_a_pair_that_was_left_out_is_null_beside_one_that_was_not(history: History) -> None:
    history.seen("02:20:00", pairs(), count("3171", "02:15:00", figures({A: 0})))
    assert votes(history, "3171") == {A: 0, B: None}


def test_a_pair_that_was_left_out_is_null_even_if_an_unknown_one_stands_in_its_place(history: History) -> None:
    history.seen("02:20:00", pairs(), count("3171", "02:15:00", figures({A: 7, C: 1})))
    assert votes(history, "3171") == {A: 7, B: None, C: 1}


def test_shares_ranks_and_margins_are_right_to_the_vote(history: History) -> None:
    history.seen("10:05:00", count("31", "10:00:05", figures(JAKARTA, 14_825, 14_835)))
    rows = history.ask("SELECT candidate_id, votes, rank, margin, share_pct FROM results ORDER BY rank")
    assert [row[:4] for row in rows] == [
        ("1000025", 2_181_939, 1, 464_694),
        ("1000023", 1_717_245, 2, -464_694),
        ("1000024", 458_886, 3, -1_723_053),
    ]
    assert [row[4] for row in rows] == pytest.approx([50.06664, 39.40380, 10.52957], abs=1e-5)
    assert sum(row[4] for row in rows) == pytest.approx(100)


def test_pairs_with_equal_votes_share_a_rank_and_nobody_leads(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 5, B: 5, C: 2})))
    assert history.ask("SELECT candidate_id, rank, margin FROM results ORDER BY ALL") == [
        (A, 1, 0),
        (B, 1, 0),
        (C, 3, -3),
    ]


def test_a_pair_without_opponents_has_all_votes_and_no_margin(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 5})))
    assert history.ask("SELECT votes, share_pct, rank, margin FROM results") == [(5, 100.0, 1, None)]


def test_while_nobody_has_votes_nobody_has_a_rank(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 0, B: 0}, 1)))
    assert history.ask("SELECT votes, share_pct, rank, margin, withdrawn_at FROM results") == [(0, *[None] * 4)] * 2


def test_the_blank_column_has_the_ballot_number_of_the_file_and_can_lead(history: History) -> None:
    history.seen("02:20:00", pairs(), count("3171", "02:15:00", figures({A: 5, B: 9})))
    assert history.ask("SELECT ballot_number, candidate_name, rank FROM results ORDER BY rank") == [
        (1, "KOLOM KOSONG - ", 1),
        (2, "ANI - BUDI", 2),
    ]


def test_names_are_the_latest_and_never_decide_what_belongs_together(history: History) -> None:
    history.seen("02:20:00", listed("31", {"3101": "KEPULAUAN SERIBU"}), count("3101", "02:15:00", figures({A: 5})))
    history.seen("02:40:00", listed("31", {"3101": "ADM.\u00a0KEP. SERIBU."}), count("31", "02:30:00", figures({A: 6})))
    assert history.ask("SELECT unit_code, level, unit_name FROM results ORDER BY unit_code") == [
        ("31", "province", "DKI JAKARTA"),  # known without any list
        ("3101", "regency", "ADM.\u00a0KEP. SERIBU."),
    ]


def test_a_pair_that_a_later_file_leaves_out_is_no_longer_expected(history: History) -> None:
    history.seen("02:20:00", pairs(), count("3171", "02:15:00", figures({A: 5})))
    history.seen("02:40:00", pairs({"31": {A: PAIRS["31"][A]}}))
    assert votes(history, "3171") == {A: 5}


def test_every_number_leads_back_to_the_bytes_it_came_from(history: History) -> None:
    answer = count("3171", "02:15:00", figures({A: 5}))
    history.seen("02:20:00", answer)
    history.seen("02:40:00", answer)  # said again: the first capture stays the evidence
    assert history.ask("SELECT digest, observed_at FROM results JOIN captures USING (capture_id, observed_at)") == [
        (taken(answer, wib("02:20:00")).digest, wib("02:20:00"))
    ]


# The withdrawal


@pytest.mark.parametrize("gone", [figures({A: 0, B: 0}, 6), figures({}, 6), figures({}, 0)])
def test_a_withdrawal_keeps_the_last_good_votes_and_the_stations_go_on(history: History, gone: dict[str, Any]) -> None:
    history.seen("10:31:07", count("3171", "10:30:03", figures({A: 5, B: 3}, 5)))
    history.seen("10:59:41", count("3171", "10:45:04", gone))
    columns = "candidate_id, votes, rank, margin, reported_at, observed_at, withdrawn_at"
    when = (wib("10:30:03"), wib("10:31:07"), wib("10:45:04"))
    assert history.ask(f"SELECT {columns} FROM results ORDER BY ALL") == [(A, 5, 1, 2, *when), (B, 3, 2, -2, *when)]
    reported = gone["progres"]["progres"]
    assert history.ask("SELECT stations_reported, reported_at, withdrawn_at FROM progress") == [
        (reported, wib("10:45:04"), wib("10:45:04"))
    ]


def test_a_withdrawal_lasts_since_its_first_moment(history: History) -> None:
    history.seen("10:31:07", count("3171", "10:30:03", figures({A: 5}, 5)))
    history.seen("10:46:00", count("3171", "10:45:04", figures({A: 0}, 6)))
    history.seen("11:01:00", count("3171", "11:00:02", figures({A: 0}, 7)))
    assert withdrawn(history, "3171") == [(wib("10:45:04"),)]
    assert history.ask("SELECT votes, stations_reported FROM results") == [(5, 7)]


def test_votes_that_come_back_are_restored(history: History) -> None:
    history.seen("10:31:07", count("3171", "10:30:03", figures({A: 5}, 5)))
    history.seen("10:46:00", count("3171", "10:45:04", figures({A: 0}, 6)))
    history.seen("11:01:00", count("3171", "11:00:02", figures({A: 6}, 6)))
    assert votes(history, "3171") == {A: 6}
    assert withdrawn(history, "3171") == [(None,)]
    assert [kind for kind, *_ in steps(history, "3171")] == ["first_report", "withdrawn", "restored"]


def test_zero_votes_of_a_station_that_reported_are_no_withdrawal_if_there_never_were_any(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 0, B: 0}, 1)))
    assert withdrawn(history, "3171") == [(None,)]


def test_a_document_first_asked_for_after_the_withdrawal_does_not_hide_what_its_parent_showed(history: History) -> None:
    history.seen("10:31:07", count("31", "10:30:03", figures({A: 9}), {"3171": figures({A: 5}, 5)}))
    history.seen("10:46:00", count("3171", "10:45:04", figures({A: 0}, 6)))
    assert votes(history, "3171") == {A: 5}
    history.seen("10:59:41", count("31", "10:45:04", figures({A: 0}), {"3171": figures({A: 0}, 6)}))
    assert votes(history, "3171") == {A: 5}
    assert withdrawn(history, "3171") == [(wib("10:45:04"),)]
    assert steps(history, "3171") == [("first_report", A, None, 5, 5), ("withdrawn", A, 5, 0, -5)]


# Two clocks


def test_as_of_asks_what_kpu_had_reported_and_as_known_what_we_had_fetched(history: History) -> None:
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 3})))
    history.seen("09:00:00", count("3171", "02:15:00", figures({A: 2})))  # somebody's older copy, found later
    history.seen("09:20:00", count("3171", "09:15:00", figures({A: 9})))
    assert {time: votes(history, "3171", f"results_as_of('2024-11-28 {time}')") for time in
            ("02:14:59", "02:15:00", "02:29:59", "02:30:00", "09:15:00")} == {
        "02:14:59": {}, "02:15:00": {A: 2}, "02:29:59": {A: 2}, "02:30:00": {A: 3}, "09:15:00": {A: 9},
    }  # fmt: skip
    assert {time: votes(history, "3171", f"results_as_known('2024-11-28 {time}')") for time in
            ("02:39:59", "02:40:00", "09:00:00", "09:20:00")} == {
        "02:39:59": {}, "02:40:00": {A: 3}, "09:00:00": {A: 3}, "09:20:00": {A: 9},
    }  # fmt: skip


def test_a_withdrawal_has_not_happened_before_it_was_reported_or_known(history: History) -> None:
    history.seen("10:31:07", count("3171", "10:30:03", figures({A: 5}, 5)))
    history.seen("10:59:41", count("3171", "10:45:04", figures({A: 0}, 6)))
    for before in ("results_as_of('2024-11-28 10:45:03')", "results_as_known('2024-11-28 10:59:40')"):
        assert history.ask(f"SELECT votes, stations_reported, withdrawn_at FROM {before}") == [(5, 5, None)]


# Witnesses


def test_of_two_documents_fetched_together_the_unit_s_own_speaks(history: History) -> None:
    history.seen(
        "02:40:00",
        count("31", "02:15:00", figures({A: 9}), {"3171": figures({A: 4}, 4)}),
        count("3171", "02:30:00", figures({A: 5}, 5)),
    )
    assert history.ask("SELECT votes, stations_reported, witness FROM results WHERE unit_code = '3171'") == [
        (5, 5, "self")
    ]


def test_the_parent_s_row_speaks_when_it_was_fetched_later(history: History) -> None:
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 5}, 5)))
    history.seen("03:00:00", count("31", "02:45:00", figures({A: 9}), {"3171": figures({A: 6}, 6)}))
    assert history.ask("SELECT votes, stations_reported, witness FROM results WHERE unit_code = '3171'") == [
        (6, 6, "parent")
    ]


def test_a_page_speaks_only_where_no_json_does_and_by_the_ids_of_the_pairs_file(history: History) -> None:
    history.seen("01:00:00", pairs())
    history.loaded([page(STATION, "02:15:00", "1 dari 1", {1: 90, 2: 160})])
    assert votes(history, STATION) == {B: 90, A: 160}
    assert history.ask("SELECT DISTINCT witness, level, candidate_name FROM results ORDER BY ALL") == [
        ("page", "tps", "ANI - BUDI"),
        ("page", "tps", "KOLOM KOSONG - "),
    ]
    history.seen("02:10:00", count(STATION[:10], "02:00:00", figures({A: 1}), {STATION: figures({A: 1}, 1, 1)}))
    assert votes(history, STATION) == {A: 1, B: None}  # although the page is of a later time, and was fetched later
    assert history.ask("SELECT version, votes, witness FROM timeline WHERE level = 'tps'") == [(1, 1, "parent")]


def test_a_page_with_votes_speaks_while_the_json_has_none_yet(history: History) -> None:
    history.loaded([page(STATION, "02:15:00", "1 dari 1", {1: 90})])
    history.seen("02:20:00", count(STATION[:10], "02:00:00", figures({}), {STATION: figures({}, 0, 1)}))
    assert votes(history, STATION) == {"ballot-1": 90}


def test_a_page_s_pairs_keep_their_numbers_where_no_file_tells_the_ids(history: History) -> None:
    history.loaded([page(STATION, "02:15:00", "1 dari 1", {1: 90, 2: 160})])
    assert history.ask("SELECT candidate_id, ballot_number, candidate_name, votes FROM results ORDER BY ALL") == [
        ("ballot-1", 1, "PAIR 1", 90),
        ("ballot-2", 2, "PAIR 2", 160),
    ]


def test_a_ballot_number_that_two_pairs_share_tells_neither_and_stops_nothing(history: History) -> None:
    shared = {"31": {A: {"nama": "ANI", "nomor_urut": 1}, B: {"nama": "BUDI", "nomor_urut": 1}}}
    history.seen("01:00:00", pairs(shared))
    history.loaded([page(STATION, "02:15:00", "1 dari 1", {1: 90})])
    assert votes(history, STATION) == {"ballot-1": 90, A: None, B: None}


# Changes


def test_the_first_votes_of_a_unit_are_a_first_report(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({})))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 5, B: 3}, 2)))
    assert steps(history, "3171") == [("first_report", A, None, 5, 5), ("first_report", B, None, 3, 3)]
    assert history.ask("SELECT DISTINCT stations_before, stations_after, stations_delta FROM changes") == [(0, 2, 2)]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("increase", figures({A: 5, B: 3}, 5), figures({A: 7, B: 4}, 6)),
        ("increase", figures({A: 5, B: 3}, 5), figures({A: 6, B: 3}, 6)),
        ("increase", figures({A: 5}, 5), figures({A: 5, B: 3}, 6)),
        ("decrease", figures({A: 538, B: 3}, 5), figures({A: 0, B: 3}, 6)),
        ("mixed", figures({A: 5, B: 3}, 5), figures({A: 9, B: 2}, 6)),
        ("revision", figures({A: 5, B: 3}, 5), figures({A: 5, B: 4}, 5)),
        ("revision", figures({A: 5, B: 3, C: 1}, 5), figures({A: 3, B: 5, C: 2}, 5)),
        ("swap", figures({A: 5, B: 3}, 5), figures({A: 3, B: 5}, 5)),
        ("swap", figures({A: 5, B: 3, C: 1}, 5), figures({A: 1, B: 3, C: 5}, 6)),
        ("withdrawn", figures({A: 5, B: 3}, 5), figures({A: 0, B: 0}, 5)),
        ("withdrawn", figures({A: 5, B: 3}, 5), figures({}, 5)),
    ],
)
def test_each_step_is_of_one_kind(history: History, kind: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", before))
    history.seen("02:40:00", count("3171", "02:30:00", after))
    first, *rest = [step for step in steps(history, "3171") if step[0] != "first_report"]
    assert {step[0] for step in (first, *rest)} == {kind}
    moved = {pair: (before.get(pair), after.get(pair)) for pair in (A, B, C) if before.get(pair) != after.get(pair)}
    assert {step[1]: (step[2], step[3]) for step in (first, *rest)} == moved


def test_a_pair_that_did_not_change_is_no_part_of_the_step(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 5, B: 3}, 5)))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 4, B: 3}, 6)))
    assert steps(history, "3171")[2:] == [("decrease", A, 5, 4, -1)]


def test_progress_alone_is_a_version_but_no_change(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 5}, 5)))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 5}, 6)))
    assert history.ask("SELECT version, votes, stations_reported FROM timeline") == [(1, 5, 5), (2, 5, 6)]
    assert len(steps(history, "3171")) == 1


# Timeline and leads


def test_both_witnesses_are_one_line_in_kpu_s_order_and_equal_versions_collapse(history: History) -> None:
    history.seen("02:20:00", count("31", "02:15:00", figures({A: 9}), {"3171": figures({A: 4}, 4)}))
    history.seen("02:35:00", count("3171", "02:15:00", figures({A: 4}, 4)))  # says the same
    history.seen("03:00:00", count("31", "02:45:00", figures({A: 9}), {"3171": figures({A: 6}, 6)}))
    history.seen("03:05:00", count("3171", "02:30:00", figures({A: 5}, 5)))  # fetched last, but of the time between
    line = "SELECT version, reported_at, witness, votes, stations_reported FROM timeline WHERE unit_code = '3171'"
    assert history.ask(f"{line} ORDER BY version") == [
        (1, wib("02:15:00"), "self", 4, 4),
        (2, wib("02:30:00"), "self", 5, 5),
        (3, wib("02:45:00"), "parent", 6, 6),
    ]


def test_the_same_ts_with_other_content_is_two_versions_in_the_order_of_fetching(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 4}, 4)))
    history.seen("02:25:00", count("3171", "02:15:00", figures({A: 5}, 4)))
    assert history.ask("SELECT version, votes, observed_at FROM timeline ORDER BY version") == [
        (1, 4, wib("02:20:00")),
        (2, 5, wib("02:25:00")),
    ]


def test_the_timeline_shows_the_withdrawn_zeros_as_kpu_showed_them(history: History) -> None:
    history.seen("10:31:07", count("3171", "10:30:03", figures({A: 5}, 5)))
    history.seen("10:59:41", count("3171", "10:45:04", figures({A: 0}, 6)))
    assert history.ask("SELECT votes, stations_reported, withdrawn_at FROM timeline ORDER BY version") == [
        (5, 5, None),
        (0, 6, wib("10:45:04")),
    ]


def test_a_lead_changes_when_another_pair_is_ahead_and_a_tie_changes_nothing(history: History) -> None:
    history.seen("01:00:00", pairs())
    race = [(5, 3), (6, 6), (7, 6), (8, 8), (8, 9), (9, 9), (9, 10), (0, 0), (9, 11)]
    for minute, (ani, blank) in enumerate(race):
        history.seen(f"02:{minute:02}:30", count("3171", f"02:{minute:02}:00", figures({A: ani, B: blank}, minute + 1)))
    columns = "reported_at, previous_candidate_name, candidate_name, margin, stations_reported"
    assert history.ask(f"SELECT {columns} FROM lead_changes") == [
        (wib("02:04:00"), "ANI - BUDI", "KOLOM KOSONG - ", 1, 5)
    ]


def test_one_pair_alone_takes_the_lead_from_nobody(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 5}, 5)))
    history.seen("02:40:00", count("3171", "02:30:00", figures({B: 5}, 5)))
    assert history.ask("FROM lead_changes") == []


# Coverage


def test_progress_counts_stations_also_where_no_pair_is_known(history: History) -> None:
    contests = count(
        "32", "02:15:00", figures({}, 8, 16), {"3201": figures({C: 4}, 8, 10)}, contest_type="pkwkk"
    )  # a province's file of its regents' contests has no pairs of its own
    history.seen("02:20:00", contests)
    assert history.ask(
        "SELECT contest_code, unit_code, stations_reported, reported_pct FROM progress ORDER BY ALL"
    ) == [
        ("pkwkk:32", "32", 8, 50.0),
        ("pkwkk:3201", "3201", 8, 80.0),
    ]
    assert history.ask("SELECT contest_code, candidate_id, votes FROM results") == [("pkwkk:3201", C, 4)]


def test_a_partial_crawl_deletes_nothing(history: History) -> None:
    history.seen(
        "02:20:00", count("31", "02:15:00", figures({A: 9}), {"3171": figures({A: 5}), "3101": figures({A: 4})})
    )
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 6})))
    assert (votes(history, "31"), votes(history, "3101"), votes(history, "3171")) == ({A: 9}, {A: 4}, {A: 6})


def test_a_unit_disappears_when_its_parent_s_table_comes_without_it(history: History) -> None:
    rows = {"3171": figures({A: 5}), "3101": figures({A: 4})}
    history.seen("02:20:00", pairs(), count("31", "02:15:00", figures({A: 9}), rows))
    history.seen("02:40:00", count("31", "02:30:00", figures({A: 9}), {"3171": figures({A: 5})}))
    assert votes(history, "3101") == {}
    assert votes(history, "3171") == {A: 5, B: None}
    assert history.ask("SELECT unit_code FROM progress ORDER BY ALL") == [("31",), ("3171",)]
    assert votes(history, "3101", "results_as_of('2024-11-28 02:29:59')") == {A: 4, B: None}


def test_a_unit_with_a_document_of_its_own_stays_whatever_its_parent_leaves_out(history: History) -> None:
    history.seen(
        "02:20:00",
        count("31", "02:15:00", figures({A: 9}), {"3101": figures({A: 4})}),
        count("3101", "02:15:00", figures({A: 4})),
    )
    history.seen("02:40:00", count("31", "02:30:00", figures({A: 9})))
    assert votes(history, "3101") == {A: 4}


def test_forms_and_recapitulation_are_two_series_that_never_mix(history: History) -> None:
    history.seen("02:20:00", count("3171", "02:15:00", figures({A: 5})))
    history.seen("02:40:00", count("3171", "02:30:00", figures({A: 3}), document="hr"))
    assert history.ask("SELECT stage, votes FROM results ORDER BY stage") == [("hhcw", 5), ("hr", 3)]
    assert history.ask("SELECT stage, version, votes FROM timeline ORDER BY stage") == [("hhcw", 1, 5), ("hr", 1, 3)]
    assert history.ask("SELECT DISTINCT kind FROM changes") == [("first_report",)]


def test_a_recapitulation_without_a_time_stands_where_it_was_fetched(history: History) -> None:
    history.seen("02:20:00", (november("31", "hr"), {"mode": "hr", "tungsura": {"chart": {A: 5}}}))
    history.seen("02:40:00", (november("31", "hr"), {"mode": "hr", "tungsura": {"chart": {A: 6}}}))
    assert votes(history, "31", "results_as_of('2024-11-28 02:39:59')") == {A: 5}
    assert history.ask("SELECT votes, reported_at, observed_at FROM results") == [(6, None, wib("02:40:00"))]


# Stations, and February


def test_a_station_s_form_is_kept_with_its_figures_and_scans(history: History) -> None:
    history.loaded([captured(november(STATION), station())])
    columns = (
        "valid_votes, invalid_votes, ballots, registered_voters, revote_status, form.voters_dptb_female, form.images"
    )
    assert history.ask(f"SELECT {columns} FROM core.tally") == [
        (465, 11, 476, 580, "Penghitungan Suara Ulang", 1, station()["images"])
    ]
    assert history.ask("SELECT DISTINCT unit_code, level, stations_reported, stations_total FROM results") == [
        (STATION, "tps", 1, 1)
    ]


def test_february_s_flat_documents_give_results_and_their_own_percentage(history: History) -> None:
    history.loaded([captured(presidential("110101"), february())])
    assert votes(history, "110101") == {"100025": 2883, "100026": 458, "100027": 46}
    assert votes(history, "1101012001") == {"100025": 555, "100026": 94, "100027": 15}
    assert history.ask("SELECT unit_code, stations_reported, reported_pct FROM progress ORDER BY ALL") == [
        ("110101", 12, 80.0),  # 12 of 15; KPU's chart says 78.11
        ("1101012001", None, 100.0),
        ("1101012002", None, 0.0),
    ]
    assert history.ask("SELECT DISTINCT election, contest_code, level FROM results ORDER BY ALL") == [
        ("pemilu-2024", "ppwp:0", "district"),
        ("pemilu-2024", "ppwp:0", "village"),
    ]


def test_a_row_of_february_that_grew_is_no_revision_although_it_counts_no_stations(history: History) -> None:
    before, after = february(), february()
    before["table"]["1101012001"] |= {"100025": 500, "persen": 90}
    history.loaded([captured(presidential("110101"), before)])
    after["ts"] = "2024-02-22 18:00:16"
    history.loaded([captured(presidential("110101"), after)])
    assert steps(history, "1101012001")[3:] == [("increase", "100025", 500, 555, 55)]


def test_an_election_s_results_say_nothing_about_another_s(history: History) -> None:
    history.loaded([captured(presidential("31"), february() | {"table": {}})])
    history.seen("02:20:00", count("31", "02:15:00", figures({A: 5})))
    assert history.ask("SELECT election, count(*) FROM results GROUP BY ALL ORDER BY ALL") == [
        ("pemilu-2024", 3),
        ("pilkada-2024", 1),
    ]
