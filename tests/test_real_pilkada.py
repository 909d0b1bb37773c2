"""The main job on what KPU really served: a scrape of 28 November 2024, and the files kept from February 2024."""

import csv
import hashlib
import json
import shutil
from collections import Counter, defaultdict
from datetime import UTC, datetime
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from answers import wib
from histories import Memory, Position, Rows, told_by

import extract
from extract.capture import Capture
from extract.recording import record
from flows.replay import ReplayReport, bring_up_to_date, now, rebuild, replay_folder, replay_git
from flows.settings import Settings
from load.loader import LoadReport
from transform.model import Document
from transform.normalise import read
from warehouse import queries
from warehouse.connection import reading

FIGURES = Path(extract.__file__).parent / "figures" / "dki-kecamatan-votes.csv"
BUNDLE = "pilkada-scrap.bundle"

A, B, C, D = (wib(time) for time in ("01:23:18", "08:38:52", "10:31:07", "10:59:41"))
"""When the scraper committed its four captures."""

TOTALS = {  # real/README.md: stations reported and votes of all pairs, over the regencies
    A: {"pkwkp": (410_146, 124_166_336), "pkwkk": (400_999, 123_584_873)},
    B: {"pkwkp": (413_345, 125_118_377), "pkwkk": (404_341, 124_584_262)},
    C: {"pkwkp": (414_801, 125_547_229), "pkwkk": (405_790, 125_007_469)},
}
AT_D = {"pkwkp": 415_133, "pkwkk": 406_135}  # stations; every vote was withdrawn
WITHDRAWN_AT = wib("10:45:04")

Votes = dict[str, int]
Row = tuple[str, str, datetime]
"""A district's row in its regency's file: contest, district, when it was seen."""


class Replayed:
    """A data directory, and what the replay into it reported."""

    def __init__(self, settings: Settings, report: ReplayReport) -> None:
        self.settings = settings
        self.report = report

    def ask(self, sql: str, **parameters: Any) -> Rows:
        with reading(self.settings.published) as connection:
            return list(queries.query(connection, sql, parameters).rows)

    def fingerprint(self) -> list[dict[str, Any]]:
        with reading(self.settings.published) as connection:
            return queries.fingerprint(connection)

    def files(self) -> dict[str, tuple[int, str]]:
        """Every file with its time and its content."""
        directory = self.settings.data_dir
        return {
            str(path.relative_to(directory)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
            for path in directory.rglob("*")
            if path.is_file()
        }


@pytest.fixture(scope="module")
def november(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    settings = Settings(tmp_path_factory.mktemp("november"))
    return Replayed(settings, replay_git(settings, real / BUNDLE))


@pytest.fixture(scope="module")
def february(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    settings = Settings(tmp_path_factory.mktemp("february"))
    return Replayed(
        settings, replay_folder(settings, real / "pemilu2024", observed_at=datetime(2024, 3, 7, tzinfo=UTC))
    )


@pytest.fixture(scope="module")
def counts(november: Replayed) -> list[Capture]:
    """The count documents as the archive keeps them, in the order in which they were seen."""
    return [kept for kept in november.settings.archive.history() if "/hhcw/" in kept.url]


# What went in


def test_every_count_document_is_a_capture_and_every_body_is_kept_once(november: Replayed) -> None:
    kinds = november.ask("SELECT document, count(*), count(DISTINCT digest) FROM captures GROUP BY ALL ORDER BY ALL")
    assert kinds == [("hhcw", 4769, 3639), ("paslon", 2, 2), ("wilayah", 38, 38)]
    assert november.ask("SELECT kind, outcome, captures, bodies FROM runs") == [("replay git", "complete", 4809, 3679)]
    assert (november.report.read, november.report.archived, november.report.load.captures) == (4809, 4809, 4809)


def test_nothing_is_quarantined_and_the_scraper_s_own_summary_is_left_out(november: Replayed) -> None:
    assert november.report.load.quarantined == {}
    assert november.ask("SELECT count(*) FROM captures WHERE quarantine_reason IS NOT NULL") == [(0,)]
    assert november.report.left_out == {"pkwkp/0.json": 4}


def test_what_every_document_said_can_be_read_back_from_the_tables(november: Replayed) -> None:
    with reading(november.settings.published) as connection:
        memory = Memory(connection)
    checked = 0
    for kept in november.settings.archive.history():
        said = read(kept)
        assert isinstance(said, Document)
        assert memory.told(said.endpoint, Position.of(kept, said.reported_at)) == told_by(said), kept.url
        checked += 1
    assert checked == 4809


# Totals, and the withdrawal


def totals(november: Replayed, source: str) -> dict[str, tuple[int, int]]:
    """By contest type: stations reported and votes of all pairs, over the regencies."""
    rows = november.ask(
        f"""
        WITH regency AS (
            SELECT contest_type, unit_code, any_value(stations_reported) AS stations, sum(votes) AS votes
            FROM {source}
            WHERE level = 'regency'
            GROUP BY ALL
        )
        SELECT contest_type, sum(stations)::BIGINT, sum(votes)::BIGINT FROM regency GROUP BY ALL
        """
    )
    return {contest_type: (stations, votes) for contest_type, stations, votes in rows}


@pytest.mark.parametrize("moment", TOTALS)
def test_the_totals_as_known_at_each_capture_are_those_measured(november: Replayed, moment: datetime) -> None:
    assert totals(november, f"results_as_known('{moment.isoformat()}')") == TOTALS[moment]


@pytest.mark.parametrize("source", [f"results_as_known('{D.isoformat()}')", "results"])
def test_after_the_withdrawal_the_votes_of_before_stay_and_the_stations_go_on(november: Replayed, source: str) -> None:
    assert totals(november, source) == {kind: (AT_D[kind], votes) for kind, (_, votes) in TOTALS[C].items()}
    assert november.ask(
        f"SELECT contest_type, count(DISTINCT unit_code), min(withdrawn_at), max(withdrawn_at) FROM {source} "
        "WHERE level = 'regency' AND withdrawn_at IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ) == [("pkwkk", 497, WITHDRAWN_AT, WITHDRAWN_AT), ("pkwkp", 498, WITHDRAWN_AT, WITHDRAWN_AT)]


def test_progress_goes_on_after_the_withdrawal_to_the_last_station_seen(november: Replayed) -> None:
    rows = november.ask(
        "SELECT contest_type, sum(stations_reported) FROM progress WHERE level = 'regency' GROUP BY ALL"
    )
    assert dict(rows) == AT_D


def test_copies_that_later_commits_put_back_change_nothing(november: Replayed) -> None:
    with_copies = "FROM results ORDER BY ALL"
    assert november.ask("SELECT count(*) FROM captures WHERE observed_at > $d", d=D) == [(845,)]
    assert november.ask(with_copies) == november.ask(with_copies.replace("results", "results_as_known($d)"), d=D)


def test_regencies_that_have_not_started_have_no_votes(november: Replayed) -> None:
    assert november.ask(
        "SELECT contest_type, count(DISTINCT unit_code), count(votes), count(withdrawn_at), count(rank) FROM results "
        "WHERE level = 'regency' AND stations_reported = 0 GROUP BY ALL ORDER BY ALL"
    ) == [("pkwkk", 11, 0, 0, 0), ("pkwkp", 11, 0, 0, 0)]


# Jakarta


def test_jakarta_s_timeline_has_the_figures_of_ten_o_clock_right_to_the_vote(november: Replayed) -> None:
    at_ten = november.ask(
        "SELECT ballot_number, votes, rank, margin, round(share_pct, 6), stations_reported, stations_total "
        "FROM timeline WHERE unit_code = '31' AND reported_at = $ten ORDER BY ballot_number",
        ten=wib("10:00:05"),
    )
    assert at_ten == [
        (1, 1_717_245, 2, -464_694, 39.403796, 14_825, 14_835),
        (2, 458_886, 3, -1_723_053, 10.529569, 14_825, 14_835),
        (3, 2_181_939, 1, 464_694, 50.066635, 14_825, 14_835),
    ]


def test_jakarta_s_timeline_runs_from_the_night_to_the_withdrawal(november: Replayed) -> None:
    line = november.ask(
        "SELECT version, reported_at, sum(votes)::BIGINT, any_value(stations_reported), any_value(withdrawn_at) "
        "FROM timeline WHERE unit_code = '31' GROUP BY ALL ORDER BY version"
    )
    assert line == [
        (1, wib("01:00:00"), 4_335_737, 14_794, None),
        (2, wib("05:15:00"), 4_357_512, 14_823, None),
        (3, wib("10:00:05"), 4_358_070, 14_825, None),
        (4, WITHDRAWN_AT, 0, 14_826, WITHDRAWN_AT),
    ]


def test_jakarta_s_districts_have_kpu_s_figures_of_ten_o_clock(november: Replayed) -> None:
    rows = november.ask(
        "SELECT unit_code, candidate_id, votes, stations_reported, stations_total FROM results_as_of($ten) "
        "WHERE starts_with(unit_code, '31') AND level = 'district'",
        ten=wib("10:00:05"),
    )
    expected = {
        (district["kec_code"], pair, int(district[pair]), int(district["tps_reported"]), int(district["tps_total"]))
        for district in csv.DictReader(FIGURES.read_text("utf-8").splitlines())
        for pair in ("1000023", "1000024", "1000025")
    }
    assert len(expected) == 44 * 3
    assert set(rows) == expected


# Pairs


def test_pairs_carry_the_ballot_numbers_of_their_file(november: Replayed) -> None:
    contests = november.ask(
        "SELECT contest_type, count(DISTINCT contest_code), count(DISTINCT (contest_code, candidate_id)), "
        "count(*) FILTER (ballot_number IS NULL OR candidate_name IS NULL) "
        "FROM results WHERE votes IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )
    assert contests == [("pkwkk", 497, 1447, 0), ("pkwkp", 37, 104, 0)]


def test_the_blank_column_stands_in_37_contests_and_is_number_1_in_14(november: Replayed) -> None:
    assert november.ask(
        "SELECT count(*), count(*) FILTER (ballot_number = 1), count(DISTINCT contest_code) FROM core.candidate_latest "
        "WHERE candidate_name = 'KOLOM KOSONG - '"
    ) == [(37, 14, 37)]


# Changes


def district_rows(counts: list[Capture]) -> dict[tuple[str, str], list[tuple[datetime, Votes]]]:
    """By contest and district, what its regency's file said before the withdrawal, read with nothing of ours."""
    series = defaultdict(list)
    for kept in counts:
        regency = Path(kept.url).stem
        contest_type = "pkwkp" if "pkwkp" in kept.url else "pkwkk"
        contest = f"{contest_type}:{regency[:2] if contest_type == 'pkwkp' else regency}"
        if len(regency) == 4 and kept.observed_at <= C:
            for district, row in json.loads(kept.body or b"")["tungsura"]["table"].items():
                votes = {pair: cell for pair, cell in row.items() if pair.isdecimal()}
                series[contest, district].append((kept.observed_at, votes))
    return series


def test_every_vote_that_a_district_lost_is_among_the_changes(november: Replayed, counts: list[Capture]) -> None:
    lost = {
        (contest, district, seen_at, pair, before[pair], after[pair])
        for (contest, district), line in district_rows(counts).items()
        for (_, before), (seen_at, after) in pairwise(line)
        for pair in before
        if after.get(pair, 0) < before[pair]
    }
    changes = november.ask(
        "SELECT contest_code, unit_code, observed_at, candidate_id, votes_before, votes_after FROM changes "
        "WHERE level = 'district' AND votes_delta < 0 AND kind <> 'withdrawn'"
    )
    assert len({row[:3] for row in lost}) == 22
    assert set(changes) == lost


def test_19_districts_lost_votes_in_all_up_to_538(november: Replayed) -> None:
    rows = november.ask(
        "SELECT observed_at, sum(votes_delta)::BIGINT AS lost, any_value(kind) FROM changes "
        "WHERE level = 'district' AND kind <> 'withdrawn' GROUP BY observed_at, contest_code, unit_code HAVING lost < 0"
    )
    assert Counter(observed_at for observed_at, *_ in rows) == {B: 6, C: 13}
    assert min(lost for _, lost, _ in rows) == -538
    assert {kind for *_, kind in rows} == {"mixed", "revision"}


def test_every_kind_of_step_is_told_and_the_withdrawal_hit_each_unit_once(november: Replayed) -> None:
    kinds = november.ask("SELECT kind, count(DISTINCT (contest_code, unit_code, version)) FROM changes GROUP BY ALL")
    assert dict(kinds) == {
        "first_report": 14_497,
        "increase": 6_077,
        "revision": 443,
        "mixed": 6,
        "withdrawn": 14_493,
    }


# Again, and from the archive alone


def test_the_same_replay_again_finds_nothing_new_and_touches_no_file(november: Replayed, real: Path) -> None:
    before = november.files()
    again = replay_git(november.settings, real / BUNDLE)
    assert not again.is_new
    assert (again.archived, again.load) == (0, LoadReport())
    assert november.files() == before


def test_a_rebuild_from_the_archive_has_the_same_fingerprint(november: Replayed, tmp_path: Path) -> None:
    shutil.copytree(november.settings.archive.directory, tmp_path / "archive")
    rebuilt = Settings(tmp_path)
    report = rebuild(rebuilt)
    assert (report.runs, report.captures) == (1, 4809)
    assert Replayed(rebuilt, november.report).fingerprint() == november.fingerprint()


def test_its_commits_from_the_newest_to_the_oldest_give_the_same_history(november: Replayed, tmp_path: Path) -> None:
    backwards = Settings(tmp_path)
    for _, commit in groupby(list(november.settings.archive.history())[::-1], key=attrgetter("source")):
        with record(backwards.archive, "test", {}, now, {}) as run:
            for kept in commit:
                run.append(kept)
        bring_up_to_date(backwards)
    assert len(backwards.archive.manifests()) == 5
    assert Replayed(backwards, november.report).fingerprint() == november.fingerprint()


# February 2024


def test_february_s_documents_of_all_levels_load_by_the_same_way(february: Replayed) -> None:
    assert (february.report.archived, february.report.left_out, february.report.load.quarantined) == (65, {}, {})
    assert february.ask(
        "SELECT document, core.level_of(region_code) AS level, count(*) FROM captures GROUP BY ALL ORDER BY ALL"
    ) == [
        ("hhcw", "district", 1),
        ("hhcw", "national", 1),
        ("hhcw", "regency", 1),
        ("hhcw", "tps", 55),
        ("hhcw", "village", 1),
        ("page", "tps", 1),
        ("wilayah", "district", 1),
        ("wilayah", "national", 1),
        ("wilayah", "province", 1),
        ("wilayah", "regency", 1),
        ("wilayah", "village", 1),
    ]
    levels = february.ask("SELECT DISTINCT level FROM results")
    assert {level for (level,) in levels} == {"national", "province", "regency", "district", "village", "tps"}


def test_its_53_raw_station_files_keep_votes_and_forms_where_they_had_them(february: Replayed, real: Path) -> None:
    bodies = [json.loads(path.read_bytes()) for path in sorted((real / "pemilu2024" / "tps").glob("*.json"))]
    votes = Counter[str]()
    for body in bodies:
        votes.update({pair: cell for pair, cell in (body["chart"] or {}).items() if pair.isdecimal()})
    stations = "core.tally WHERE witness = 'self' AND starts_with(unit_code, '3101') AND length(unit_code) = 13"
    assert february.ask(f"SELECT count(*), count(votes_total), count(valid_votes) FROM {stations}") == [
        (
            53,
            sum(body["chart"] is not None for body in bodies),
            sum(body["administrasi"] is not None for body in bodies),
        )
    ]
    loaded = february.ask(
        "SELECT candidate_id, sum(votes)::BIGINT FROM results "
        "WHERE level = 'tps' AND starts_with(unit_code, '3101') GROUP BY ALL"
    )
    assert dict(loaded) == votes
    assert len(bodies) == 53


def test_a_rendered_page_shows_90_160_and_60_votes_against_210_valid_ones(february: Replayed) -> None:
    assert february.ask(
        "SELECT ballot_number, r.votes, witness, valid_votes FROM results AS r "
        "JOIN core.tally AS t USING (unit_code, witness) WHERE unit_code = '8271021022008' ORDER BY ballot_number"
    ) == [(1, 90, "page", 210), (2, 160, "page", 210), (3, 60, "page", 210)]
