"""Every figure KPU states lands in its field, with its witness, contest and time; what it does not state is None."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from kpu_bodies import (
    ADMINISTRASI,
    EVERY_SHAPE,
    PAIRS,
    REGIONS,
    STATION,
    Body,
    captured,
    february,
    february_station,
    november,
    own,
    presidential,
    province,
    regents,
    station,
    understood,
)

from extract.capture import capture
from extract.endpoints import ContestType, Endpoint
from transform.model import Candidate, Document, ReportingUnit, StationForm, Tally, contest_of
from transform.normalise import read

JAKARTA = november("31")
WEST_JAVA = november("32", contest_type="pkwkk")


def row(endpoint: Endpoint, body: Any, code: str) -> Tally:
    """What a document says about one child."""
    (found,) = [tally for tally in understood(endpoint, body).tallies if tally.unit_code == code]
    assert found.witness == "parent"
    return found


# A region's count


def test_a_province_states_its_own_figures_and_one_row_for_each_regency() -> None:
    votes = {"1000023": 152_235, "1000024": 44_865, "1000025": 220_372}
    assert understood(JAKARTA, province()) == Document(
        JAKARTA,
        reported_at=datetime(2024, 11, 27, 19, 15, tzinfo=UTC),
        tallies=(
            Tally("pkwkp:31", "31", "self", votes, 1542, 1583, 97.41, revote_status="Reguler"),
            Tally("pkwkp:31", "3171", "parent", votes, 1542, 1542, 100.0, is_reported=True, revote_status="Reguler"),
            Tally("pkwkp:31", "3101", "parent", {}, 0, 41, 0.0, is_reported=False, revote_status="Reguler"),
        ),
    )


def test_a_district_of_february_states_the_same_from_a_flat_body() -> None:
    district = presidential("110101")
    votes, village = {"100025": 2883, "100026": 458, "100027": 46}, {"100025": 555, "100026": 94, "100027": 15}
    assert understood(district, february()) == Document(
        district,
        reported_at=datetime(2024, 2, 22, 10, 0, 16, tzinfo=UTC),
        tallies=(
            Tally("ppwp:0", "110101", "self", votes, 12, 15, 78.11, revote_status="Reguler"),
            Tally(
                "ppwp:0", "1101012001", "parent", village, None, None, 100.0, is_reported=True, revote_status="Reguler"
            ),
            Tally("ppwp:0", "1101012002", "parent", {}, None, None, 0.0, is_reported=False),
        ),
    )


def test_a_row_that_has_not_reported_has_no_votes_rather_than_zero() -> None:
    assert row(JAKARTA, province(), "3101").votes == {}


def test_a_null_cell_is_not_given_and_a_zero_is_zero() -> None:
    body = province()
    body["tungsura"]["table"]["3171"] |= {"1000023": None, "1000024": 0}
    assert row(JAKARTA, body, "3171").votes == {"1000024": 0, "1000025": 220_372}


def test_a_region_whose_chart_is_null_has_no_votes_and_keeps_the_progress_beside_it() -> None:
    body = february()
    body |= {"chart": None, "table": None}
    assert understood(presidential("110101"), body).tallies == (
        Tally("ppwp:0", "110101", "self", {}, 12, 15, None, revote_status="Reguler"),
    )


def test_progress_in_the_chart_goes_before_the_one_beside_it() -> None:
    body = province()
    body["progres"] = {"total": 9, "progres": 9}
    tally = own(JAKARTA, body)
    assert (tally.stations_reported, tally.stations_total) == (1542, 1583)


@pytest.mark.parametrize("persen", [100, 100.0, 99.93, 0, None])
def test_a_percentage_may_be_an_int_or_a_float_in_progres_or_directly(persen: float | None) -> None:
    nested, flat = province(), february()
    nested["tungsura"]["chart"]["progres"]["persen"] = persen
    nested["tungsura"]["table"]["3171"]["progres"]["persen"] = persen
    flat["chart"]["persen"] = flat["table"]["1101012001"]["persen"] = persen
    found = [
        *(tally.reported_pct for tally in understood(JAKARTA, nested).tallies[:2]),
        *(tally.reported_pct for tally in understood(presidential("110101"), flat).tallies[:2]),
    ]
    assert found == [persen] * 4
    assert all(value is None or type(value) is float for value in found)


def test_a_withdrawn_count_says_zero_for_every_pair_while_progress_goes_on() -> None:
    body = province()
    body["tungsura"]["chart"] |= dict.fromkeys(("1000023", "1000024", "1000025"), 0)
    tally = own(JAKARTA, body)
    assert tally.votes == {"1000023": 0, "1000024": 0, "1000025": 0}
    assert tally.stations_reported == 1542


def test_rows_that_contradict_themselves_are_kept_as_they_are() -> None:
    body = province()
    body["tungsura"]["table"]["3101"]["status_progress"] = True  # reported, without candidates
    body["tungsura"]["table"]["3171"]["progres"]["progres"] = 0  # votes from no station
    empty, full = row(JAKARTA, body, "3101"), row(JAKARTA, body, "3171")
    assert (empty.is_reported, empty.votes) == (True, {})
    assert (full.stations_reported, sum(full.votes.values())) == (0, 417_472)


@pytest.mark.parametrize("psu", ["Penghitungan Suara Ulang", "Pemungutan Suara Susulan", None])
def test_the_revote_status_is_kept_word_for_word_for_region_and_row(psu: str | None) -> None:
    body = province()
    body["psu"] = body["tungsura"]["table"]["3171"]["psu"] = psu
    assert own(JAKARTA, body).revote_status == psu
    assert row(JAKARTA, body, "3171").revote_status == psu


def test_keys_nobody_has_seen_before_are_told_and_change_nothing() -> None:
    body = province()
    body["generated_by"] = body["tungsura"]["chart"]["total"] = body["tungsura"]["table"]["3171"]["rank"] = [1]
    said = understood(JAKARTA, body)
    assert said.unknown_keys == ("$.generated_by", "$.tungsura.chart.total", "$.tungsura.table.*.rank")
    assert msgspec.structs.replace(said, unknown_keys=()) == understood(JAKARTA, province())


# Contests


@pytest.mark.parametrize(
    ("contest_type", "unit", "contest"),
    [
        ("pkwkp", "0", "pkwkp:0"),
        *(("pkwkp", unit, "pkwkp:31") for unit in ("31", "3171", "317101", "3171011001", "3171011001001")),
        ("pkwkk", "0", "pkwkk:0"),
        ("pkwkk", "32", "pkwkk:32"),
        *(("pkwkk", unit, "pkwkk:3201") for unit in ("3201", "320101", "3201012001", "3201012001901")),
        *(("ppwp", unit, "ppwp:0") for unit in ("0", "11", "1101", "99BE", "110101", "1101012001", "1101012001001")),
    ],
)
def test_a_unit_s_votes_belong_to_one_contest(contest_type: ContestType, unit: str, contest: str) -> None:
    assert contest_of(contest_type, unit) == contest


def test_a_province_s_file_of_its_regents_has_no_candidates_and_each_row_its_own_contest() -> None:
    above, *rows = understood(WEST_JAVA, regents()).tallies
    assert above == Tally("pkwkk:32", "32", "self", {}, 9898, 18900, 52.37, revote_status="Reguler")
    assert {tally.unit_code: (tally.contest_code, tally.votes) for tally in rows} == {
        "3201": ("pkwkk:3201", {"1000580": 611, "1000581": 702}),
        "3279": ("pkwkk:3279", {"1000640": 55}),
    }


# Time


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (JAKARTA, province()),
        (november("94"), {**province(), "tungsura": {"chart": None, "table": {}}}),
        (presidential("1101012001001"), february_station()),
    ],
)
def test_every_time_is_western_indonesian_even_in_papua(endpoint: Endpoint, body: Body) -> None:
    reported_at = understood(endpoint, {**body, "ts": "2024-11-28 00:00:05"}).reported_at
    assert reported_at is not None
    assert reported_at.utcoffset() == timedelta(hours=7)
    assert reported_at.astimezone(UTC) == datetime(2024, 11, 27, 17, 0, 5, tzinfo=UTC)


# Stations


def test_a_station_states_its_votes_its_whole_form_and_its_scans() -> None:
    endpoint = november(STATION)
    assert understood(endpoint, station()) == Document(
        endpoint,
        reported_at=datetime(2024, 11, 27, 12, 30, 2, tzinfo=UTC),
        tallies=(
            Tally(
                contest_code="pkwkp:31",
                unit_code=STATION,
                witness="self",
                votes={"1000023": 190, "1000024": 45, "1000025": 230},
                stations_reported=1,
                stations_total=1,
                valid_votes=465,
                invalid_votes=11,
                ballots=476,
                registered_voters=580,
                revote_status="Penghitungan Suara Ulang",
                form=StationForm(
                    registered_male=281,
                    registered_female=299,
                    voters=477,
                    voters_male=224,
                    voters_female=253,
                    voters_dpt=470,
                    voters_dpt_male=221,
                    voters_dpt_female=249,
                    voters_dptb=4,
                    voters_dptb_male=3,
                    voters_dptb_female=1,
                    voters_non_dpt=2,
                    voters_non_dpt_male=0,
                    voters_non_dpt_female=5,
                    images=(
                        f"https://scans.invalid/pilkada/31/01/{STATION}-20241127-1.jpg",
                        None,
                        "https://scans.invalid/3.jpg",
                    ),
                    is_votes_complete=True,
                    is_form_complete=True,
                ),
            ),
        ),
    )


@pytest.mark.parametrize("key", ADMINISTRASI)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_figure_missing_from_a_form_is_missing_alone(key: str, is_there: bool) -> None:
    body = station()
    complete = own(november(STATION), body)
    body["tungsura"]["administrasi"] = {**ADMINISTRASI, key: None}
    if not is_there:
        del body["tungsura"]["administrasi"][key]
    figures = [
        (getattr(holder, name), getattr(before, name))
        for holder, before in _halves(own(november(STATION), body), complete)
        for name in holder.__struct_fields__
        if name != "form"
    ]
    assert [change for change in figures if change[0] != change[1]] == [(None, ADMINISTRASI[key])]


def _halves(tally: Tally, before: Tally) -> Iterator[tuple[Any, Any]]:
    yield tally, before
    yield tally.form, before.form


@pytest.mark.parametrize("chart", [None, {}, {"null": None}])
def test_a_station_without_votes_has_not_reported(chart: Body | None) -> None:
    body = station()
    body["tungsura"]["chart"] = chart
    tally = own(november(STATION), body)
    assert (tally.votes, tally.stations_reported, tally.stations_total) == ({}, 0, 1)
    assert tally.valid_votes == 465  # one in nine of February's files had the form's figures and no votes yet


def test_a_station_whose_votes_were_withdrawn_has_still_reported() -> None:
    body = station()
    body["tungsura"]["chart"] = {"null": None, "1000023": 0, "1000024": 0, "1000025": 0}
    tally = own(november(STATION), body)
    assert (sum(tally.votes.values()), len(tally.votes), tally.stations_reported) == (0, 3, 1)


def test_a_station_may_have_votes_before_the_figures_of_its_form() -> None:
    tally = own(presidential("1101012001001"), february_station())
    assert tally == Tally(
        "ppwp:0",
        "1101012001001",
        "self",
        {"100025": 14, "100026": 27, "100027": 5},
        1,
        1,
        form=StationForm(
            images=(None, None, "https://scans.invalid/1101012001001-20240215-061044.jpg"),
            is_votes_complete=True,
            is_form_complete=False,
        ),
    )


def test_the_key_null_is_no_candidate_even_when_it_has_a_number() -> None:
    body = february_station()
    body["chart"]["null"] = 7
    assert own(presidential("1101012001001"), body).votes == {"100025": 14, "100026": 27, "100027": 5}


@pytest.mark.parametrize("images", [None, [], [None, None, None]])
def test_a_station_may_have_no_scans(images: list[None] | None) -> None:
    form = own(november(STATION), {**station(), "images": images}).form
    assert form is not None
    assert form.images == (None if images is None else tuple(images))


# Recapitulation: its Pilkada shape was never recorded

_VOTES = {"1000023": 6578, "1000024": 653, "1000025": 7456}
_ROWS = {"3101": {**_VOTES, "psu": "Reguler"}}
_PROGRESS = {"progress_d": {"da": {"persen": 12.5, "jml_wilayah": 44, "jml_wilayah_publikasi": 5}, "db": None}}


@pytest.mark.parametrize(
    ("body", "votes", "rows"),
    [
        pytest.param({"tungsura": {"chart": _VOTES, "table": _ROWS}}, _VOTES, ["3101"], id="nested"),
        pytest.param({"chart": _VOTES, "table": _ROWS}, _VOTES, ["3101"], id="flat"),
        pytest.param({"chart": _VOTES, "table": None, **_PROGRESS}, _VOTES, [], id="flat, without table"),
        pytest.param({"chart": None, "table": None, "url_formd": None, "progress_d_child": None}, {}, [], id="nulls"),
        pytest.param({"tungsura": {"chart": None, "table": None}}, {}, [], id="nested nulls"),
        pytest.param({"tungsura": None, **_PROGRESS, "progress_d_child": {"3101": {}}}, {}, [], id="progress only"),
        pytest.param({}, {}, [], id="nothing"),
    ],
)
@pytest.mark.parametrize("head", [{"mode": "hr", "ts": "2024-12-08 16:00:00"}, {"mode": "hr"}, {"ts": None}])
def test_a_recapitulation_of_any_shape_is_understood(head: Body, body: Body, votes: Body, rows: list[str]) -> None:
    said = understood(november("31", "hr"), head | body)
    self_, *children = said.tallies
    assert self_ == Tally("pkwkp:31", "31", "self", votes)
    assert [(tally.unit_code, tally.witness, tally.votes) for tally in children] == [
        (code, "parent", _VOTES) for code in rows
    ]
    assert said.reported_at == (datetime(2024, 12, 8, 9, tzinfo=UTC) if head.get("ts") else None)


def test_the_scans_of_a_recapitulation_are_kept() -> None:
    body = {"mode": "hr", "chart": None, "url_formd": ["https://scans.invalid/d.pdf", None]}
    assert own(presidential("1101", "hr"), body).form == StationForm(images=("https://scans.invalid/d.pdf", None))


# Pairs of candidates


def test_pairs_have_the_ballot_number_of_the_file_whatever_their_ids_and_order() -> None:
    said = understood(november("0", "paslon"), PAIRS)
    assert {pair.candidate_id: (pair.contest_code, pair.ballot_number) for pair in said.candidates} == {
        "1000025": ("pkwkp:31", 3),
        "1000023": ("pkwkp:31", 1),
        "1000099": ("pkwkp:92", 1),
        "1000098": ("pkwkp:92", 2),
    }
    assert said.reported_at is None


def test_the_blank_column_is_a_candidate_named_as_kpu_names_it() -> None:
    said = understood(november("0", "paslon"), PAIRS)
    assert said.candidates[2] == Candidate(
        "pkwkp:92",
        "1000099",
        1,
        "KOLOM KOSONG - ",
        "#8CB9BD",
        datetime(2024, 11, 21, 14, 55, 15, tzinfo=UTC),
    )


def test_regents_pairs_belong_to_regencies_and_february_s_to_the_country() -> None:
    pairs = PAIRS["31"]
    regency = understood(november("0", "paslon", "pkwkk"), {"3201": pairs})
    country = understood(presidential("0", "paslon"), pairs)
    assert {pair.contest_code for pair in regency.candidates} == {"pkwkk:3201"}
    assert {pair.contest_code for pair in country.candidates} == {"ppwp:0"}
    assert [pair.candidate_name for pair in country.candidates] == [pair["nama"] for pair in pairs.values()]


def test_a_pair_may_have_nothing_but_a_name() -> None:
    said = understood(november("0", "paslon"), {"31": {"1000023": {"nama": "RIDWAN - SUSWONO"}}})
    assert said.candidates == (Candidate("pkwkp:31", "1000023", None, "RIDWAN - SUSWONO"),)


# Region lists


def test_regions_are_named_exactly_as_kpu_writes_them() -> None:
    said = understood(november("31", "wilayah"), REGIONS)
    assert said.units == (
        ReportingUnit("3101", "regency", "ADM. KEP. SERIBU.", 191001),
        ReportingUnit("3171", "regency", " JAKARTA\u00a0PUSAT\u00a0", 191002),
        ReportingUnit("3175", "regency", "PULAU \u2019D\u2018 \u201cSEBUTAN\u201d'", 191003),
    )


@pytest.mark.parametrize(
    ("region", "child", "level"),
    [
        ("0", "31", "province"),
        ("31", "3171", "regency"),
        ("99", "99BE", "regency"),  # overseas, February
        ("3171", "317101", "district"),
        ("317101", "3171011001", "village"),
        ("3171011001", "3171011001901", "tps"),
    ],
)
def test_a_region_list_names_the_children_of_its_level(region: str, child: str, level: Any) -> None:
    said = understood(presidential(region, "wilayah"), [{"nama": "X", "kode": child}])
    assert said.units == (ReportingUnit(child, level, "X", None),)


def test_a_region_without_children_has_an_empty_list() -> None:
    assert understood(november("31", "wilayah"), []).units == ()


# The same answer to the same bytes


@pytest.mark.parametrize(("endpoint", "body"), EVERY_SHAPE)
def test_reading_twice_says_the_same(endpoint: Endpoint, body: Any) -> None:
    assert understood(endpoint, body) == understood(endpoint, body)


@pytest.mark.parametrize(("endpoint", "body"), EVERY_SHAPE)
def test_the_order_of_keys_rows_and_regions_changes_nothing_that_is_said(endpoint: Endpoint, body: Any) -> None:
    forth, back = understood(endpoint, body), understood(endpoint, _reversed(body))
    assert forth.reported_at == back.reported_at
    for name in ("units", "candidates", "tallies"):
        assert sorted(map(repr, getattr(forth, name))) == sorted(map(repr, getattr(back, name)))


def _reversed(body: Any) -> Any:
    """The same JSON with every object's keys, and the list of regions, the other way round."""
    if isinstance(body, dict):
        return {key: _reversed(body[key]) for key in reversed(body)}
    if isinstance(body, list) and all(isinstance(item, dict) for item in body):
        return [_reversed(item) for item in reversed(body)]
    return body


def test_a_stand_in_for_kpu_gives_the_same_answer_from_its_own_address() -> None:
    kept = captured(JAKARTA, province())
    stand_in = capture(JAKARTA.url("http://127.0.0.1:8080/x"), kept.body or b"", kept.observed_at, "test")
    assert read(stand_in) == read(kept)
