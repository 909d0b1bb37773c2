"""What analysts ask, on what KPU really served on 28 November 2024, and again in Python straight from the documents."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from answers import WIB, wib
from histories import Rows

from extract.endpoints import Endpoint
from flows.replay import replay_git
from flows.settings import Settings
from warehouse import queries
from warehouse.connection import reading

Votes = dict[str, int]


class Row(NamedTuple):
    """What a regency's document says of a district."""

    stations: int
    votes: Votes


Documents = dict[tuple[str, str], dict[datetime, dict[str, Row]]]
"""By contest and regency, then by KPU's time in order: the rows of its districts."""


@pytest.fixture(scope="module")
def november(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(tmp_path_factory.mktemp("november"))
    replay_git(settings, real / "pilkada-scrap.bundle")
    return settings


@pytest.fixture(scope="module")
def documents(november: Settings) -> Documents:
    found: Documents = defaultdict(dict)
    for kept in november.archive.history():
        endpoint = Endpoint.from_url(kept.url)
        if endpoint.document == "hhcw" and len(endpoint.region) == 4:
            body = json.loads(kept.body or b"")
            contest = endpoint.region[: {"pkwkp": 2, "pkwkk": 4}[endpoint.contest_type]]
            moment = datetime.fromisoformat(body["ts"]).replace(tzinfo=WIB)
            found[f"{endpoint.contest_type}:{contest}", endpoint.region][moment] = {
                code: Row(row["progres"]["progres"], {pair: cell for pair, cell in row.items() if pair.isdecimal()})
                for code, row in body["tungsura"]["table"].items()
            }
    return {regency: dict(sorted(own.items())) for regency, own in found.items()}


def ask(november: Settings, sql: str) -> Rows:
    with reading(november.published) as connection:
        return list(queries.query(connection, sql).rows)


def moved(before: Row | None, after: Row) -> tuple[str, Votes]:
    """What kind of step a district made, and each pair's votes of it."""
    had = before is not None and bool(before.votes)
    kind = "unknown" if had and before and before.stations != after.stations else "revised" if had else "new"
    return kind, {pair: votes - (before.votes.get(pair, 0) if before else 0) for pair, votes in after.votes.items()}


def test_steps_are_split_by_districts_exactly_as_their_rows_moved(november: Settings, documents: Documents) -> None:
    steps = ask(
        november,
        "SELECT contest_code, unit_code, candidate_id, reported_at, new_votes, revised_votes, unknown_votes, basis "
        "FROM new_vs_revised WHERE level = 'regency' ORDER BY contest_code, unit_code, candidate_id, version",
    )
    since: dict[tuple[Any, ...], datetime] = {}
    checked = 0
    for contest, regency, pair, reported_at, new, revised, unknown, basis in steps:
        start = since.get((contest, regency, pair), datetime.min.replace(tzinfo=WIB))
        since[contest, regency, pair] = reported_at
        if basis != "district":
            continue
        sums = dict.fromkeys(("new", "revised", "unknown"), 0)
        rows: dict[str, Row] = {}
        for moment, table in documents[contest, regency].items():
            for district, row in table.items():
                kind, votes = moved(rows.get(district), row)
                if start < moment <= reported_at:
                    sums[kind] += votes.get(pair, 0)
            if moment < wib("10:45:04"):
                rows = table
        assert (new, revised, unknown) == tuple(sums.values())
        checked += 1
    assert (len(steps), checked) == (7099, 6173)


def test_the_figures_tell_first_reports_and_revisions_and_of_other_steps_that_they_do_not_tell(
    november: Settings,
) -> None:
    kinds = ask(
        november,
        "SELECT level, kind, count(DISTINCT (contest_code, unit_code, version)) FROM new_vs_revised "
        "GROUP BY ALL ORDER BY ALL",
    )
    assert kinds == [
        ("district", "mixed", 4840),
        ("district", "new", 13_465),
        ("district", "revised", 384),
        ("province", "mixed", 72),
        ("province", "new", 37),
        ("province", "revised", 1),
        ("regency", "mixed", 1419),
        ("regency", "new", 997),
        ("regency", "revised", 57),
    ]
    assert ask(november, "FROM new_vs_revised WHERE votes_delta <> new_votes + revised_votes + unknown_votes") == []


def test_of_jakarta_s_29_stations_of_the_night_a_part_is_known_to_be_revisions(november: Settings) -> None:
    assert ask(
        november,
        "SELECT ballot_number, new_stations, new_votes, revised_votes, unknown_votes, kind FROM new_vs_revised "
        "WHERE unit_code = '31' AND version = 2 ORDER BY ballot_number",
    ) == [(1, 29, 0, 2632, 6449, "mixed"), (2, 29, 0, 775, 1694, "mixed"), (3, 29, 0, 2812, 7413, "mixed")]


def test_every_change_of_lead_between_captures_is_found(november: Settings, documents: Documents) -> None:
    turned = set()
    for (contest, _), tables in documents.items():
        leader: dict[str, str] = {}
        for moment, table in tables.items():
            for district, row in table.items():
                first, *others = sorted(row.votes, key=lambda pair: -row.votes[pair]) or [None]
                if first and others and row.votes[first] > row.votes[others[0]]:
                    if leader.get(district, first) != first:
                        turned.add((contest, district, moment, first, leader[district]))
                    leader[district] = first
    found = ask(
        november,
        "SELECT contest_code, unit_code, reported_at, candidate_id, previous_candidate_id FROM lead_changes "
        "WHERE level = 'district'",
    )
    assert len(turned) == 117
    assert set(found) == turned


def test_the_withdrawal_took_every_vote_of_the_country_at_one_moment(november: Settings) -> None:
    waves = ask(
        november,
        "SELECT contest_type, level, withdrawn_at, votes_before, stations_after FROM withdrawal_waves "
        "WHERE level = 'regency' ORDER BY ALL",
    )
    assert waves == [
        ("pkwkk", "regency", wib("10:45:04"), 125_007_469, 406_135),
        ("pkwkp", "regency", wib("10:45:04"), 125_547_229, 415_133),
    ]


def test_the_country_s_sums_come_from_its_districts(november: Settings) -> None:
    assert ask(
        november,
        "SELECT contest_type, votes, candidate_id, from_level, units_counted, units_expected, stations_total "
        "FROM rollup WHERE unit_code = '0' ORDER BY ALL",
    ) == [
        ("pkwkk", 125_007_469, None, "district", 6748, 7233, 420_461),
        ("pkwkp", 125_547_229, None, "district", 6717, 7199, 429_318),
    ]
    assert ask(november, "FROM rollup WHERE own_votes <> votes") == []


def test_jakarta_s_lead_was_safe_and_its_majority_not_yet(november: Settings) -> None:
    assert ask(
        november,
        "SELECT margin, stations_outstanding, votes_outstanding, is_decided, outcome FROM outlook "
        "WHERE unit_code = '31'",
    ) == [(464_694, 10, 6000, True, "open")]


def test_all_regencies_that_elect_were_captured_and_the_districts_only_told_of(november: Settings) -> None:
    rows = ask(
        november,
        "SELECT contest_type, level, units_expected, units_captured, units_told, units_missing FROM coverage "
        "WHERE region_code = '0' ORDER BY contest_type, level",
    )
    assert rows == [
        ("pkwkk", "district", 7233, 0, 7233, 0),
        ("pkwkk", "province", 37, 37, 0, 0),
        ("pkwkk", "regency", 508, 508, 0, 0),
        ("pkwkp", "district", 7199, 0, 7199, 0),
        ("pkwkp", "province", 37, 37, 0, 0),
        ("pkwkp", "regency", 509, 509, 0, 0),
    ]
