"""What the rules find in what KPU really served. Looked at one by one: nothing here is mere lag."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from answers import wib
from histories import Rows

from flows.replay import replay_folder, replay_git
from flows.settings import Settings
from warehouse import queries
from warehouse.connection import reading

BY_RULE = (
    "SELECT rule, aspect, count(*), count(resolved_at), count(DISTINCT (contest_code, unit_code)) FROM {} "
    "GROUP BY ALL ORDER BY ALL"
)


def asking(settings: Settings) -> Callable[[str], Rows]:
    def ask(sql: str) -> Rows:
        with reading(settings.published) as connection:
            return list(queries.query(connection, sql).rows)

    return ask


@pytest.fixture(scope="module")
def november(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Rows]:
    settings = Settings(tmp_path_factory.mktemp("november"), "off")
    replay_git(settings, real / "pilkada-scrap.bundle")
    return asking(settings)


@pytest.fixture(scope="module")
def february(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Rows]:
    settings = Settings(tmp_path_factory.mktemp("february"), "off")
    replay_folder(settings, real / "pemilu2024", observed_at=datetime(2024, 3, 7, tzinfo=UTC))
    return asking(settings)


def test_november_s_findings_are_these(november: Callable[[str], Rows]) -> None:
    assert november(BY_RULE.format("findings")) == [
        ("E10", "votes", 65, 4, 25),
        ("E11", "time", 845, 0, 845),  # the copies that the archive's later commits put back
        ("E12", "votes", 14493, 0, 14493),
        ("E16", "votes", 10, 4, 6),
        ("E17", "mean", 3, 0, 3),
        ("E9", "flag", 3, 1, 3),
        ("E9", "votes", 4, 4, 4),
    ]


@pytest.mark.parametrize("moment", ["01:23:18", "08:38:52", "10:31:07"], ids=["A", "B", "C"])
def test_no_region_differs_from_its_parts_but_by_lag(november: Callable[[str], Rows], moment: str) -> None:
    assert november(f"SELECT * FROM findings_as_of('{wib(moment).isoformat()}') WHERE rule = 'E8'") == []
    assert november("SELECT * FROM findings WHERE rule = 'E8'") == []


def test_the_withdrawal_is_found_in_every_unit_that_had_votes_at_its_minute(november: Callable[[str], Rows]) -> None:
    assert november("SELECT DISTINCT first_seen_at FROM findings WHERE rule = 'E12'") == [(wib("10:45:04"),)]
    assert november("SELECT difference FROM findings WHERE rule = 'E12' AND unit_code = '31'") == [(-4_358_070,)]


def test_every_district_that_lost_votes_has_a_figure_that_went_down(november: Callable[[str], Rows]) -> None:
    lost = "SELECT DISTINCT contest_code, unit_code FROM {} WHERE {} ORDER BY ALL"
    assert november(lost.format("findings", "rule = 'E10'")) == november(
        lost.format("changes", "votes_delta < 0 AND kind <> 'withdrawn'")
    )


def test_a_batch_that_stands_out_has_ten_times_the_mean(november: Callable[[str], Rows]) -> None:
    assert november("SELECT unit_code, expected, found FROM findings WHERE rule = 'E17' ORDER BY ALL") == [
        ("1219", "votes per station so far: 90.7", "new stations: 3, votes per new station: 917.7"),
        ("360304", "votes per station so far: 11.7", "new stations: 1, votes per new station: 145.0"),
        ("5307", "votes per station so far: 13.5", "new stations: 1, votes per new station: 171.0"),
    ]


def test_february_s_55_stations_and_one_page_have_these(february: Callable[[str], Rows]) -> None:
    assert february(BY_RULE.format("findings")) == [
        ("E1", "votes", 4, 0, 4),
        ("E20", "votes", 4, 0, 4),
        ("E3", "voters", 1, 0, 1),
        ("E4", "voters", 1, 0, 1),
        ("E5", "ballots", 1, 0, 1),
        ("E6", "votes", 2, 0, 2),
        ("E7", "voters", 1, 0, 1),
        ("E7", "voters_dpt", 1, 0, 1),
    ]


def test_the_page_whose_votes_do_not_add_up_is_found(february: Callable[[str], Rows]) -> None:
    assert february("SELECT rule, expected, found FROM findings WHERE unit_code = '8271021022008' ORDER BY rule") == [
        ("E1", "valid votes: 210", "votes of all candidates: 310"),
        ("E6", "votes at most: 300", "votes: 310"),
    ]
