"""Open archives on the command line: out to WARC and back, and from a Wayback Machine, with the same database."""

import csv
import json
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from commands import COMMAND, Run
from warc_files import exported, is_sound, warcios_own
from wayback_stand_in import Answer, Held, WaybackStandIn

from extract.archive import Archive
from flows.replay import replay_git, replay_warc
from flows.settings import Settings
from flows.web_archives import manners, replay_wayback
from warehouse import queries
from warehouse.connection import reading

SPAN = ("--from", "2024-11-01", "--to", "2024-12-31")


def fingerprint(settings: Settings) -> list[dict[str, object]]:
    with reading(settings.published) as connection:
        return queries.fingerprint(connection)


def test_a_night_goes_out_and_comes_back_with_the_same_fingerprint(realcount: Run, night: Path, tmp_path: Path) -> None:
    out = realcount("--data-dir", str(night), "archive", "export", "warc", "night.warc.gz")
    assert (out.returncode, out.stdout) == (0, "")
    assert "with their bodies" in out.stderr
    assert is_sound(tmp_path / "night.warc.gz")
    assert realcount("replay", "warc", "night.warc.gz").returncode == 0
    assert realcount("fingerprint").stdout == realcount("--data-dir", str(night), "fingerprint").stdout
    assert "SIMULATED" in realcount("results", "jakarta").stdout
    again = realcount("replay", "warc", "night.warc.gz")
    assert (again.returncode, "Nothing new." in again.stderr) == (64, True)
    (run,) = csv.DictReader(StringIO(realcount("sql", "SELECT kind, asked FROM runs", "--format", "csv").stdout))
    asked = json.loads(run["asked"])
    (manifest,) = Archive(night / "archive").manifests()
    assert run["kind"] == "replay warc"
    assert asked["files"][0]["name"] == "night.warc.gz"
    assert asked["warcinfo"][0]["realcount-manifest"] == manifest.digest


def test_an_export_may_go_to_a_pipe_and_is_the_same_there(realcount: Run, night: Path, tmp_path: Path) -> None:
    realcount("--data-dir", str(night), "archive", "export", "warc", "night.warc.gz")
    command = [str(COMMAND), "--data-dir", str(night), "archive", "export", "warc", "-"]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stdout == (tmp_path / "night.warc.gz").read_bytes()


def test_a_part_may_be_exported_by_address_and_time(realcount: Run, night: Path) -> None:
    chosen = ("--url", "*/pkwkp/31/3101.json", "--from", "2024-11-27T18:00", "--to", "2024-11-27T20:00")
    realcount("--data-dir", str(night), "archive", "export", "warc", "part.warc", *chosen)
    realcount("replay", "warc", "part.warc")
    query = "SELECT count(*), min(observed_at) >= '2024-11-27 18:00+07', max(observed_at) <= '2024-11-27 20:00+07', "
    query += "count(DISTINCT url) FROM captures"
    answer = realcount("sql", query, "--format", "csv").stdout.splitlines()[1].split(",")
    assert int(answer[0]) > 1
    assert answer[1:] == ["true", "true", "1"]


def test_an_export_of_nothing_writes_nothing_and_says_so(realcount: Run, night: Path, tmp_path: Path) -> None:
    answer = realcount("--data-dir", str(night), "archive", "export", "warc", "none.warc.gz", "--url", "nothing")
    assert (answer.returncode, list(tmp_path.iterdir())) == (64, [])


def test_an_export_that_cannot_be_written_leaves_no_half_of_it(realcount: Run, night: Path, tmp_path: Path) -> None:
    answer = realcount("--data-dir", str(night), "archive", "export", "warc", "nowhere/night.warc.gz")
    assert answer.returncode == 1
    assert "cannot write 'nowhere/night.warc.gz'" in answer.stderr
    (tmp_path / "kept.warc.gz").write_bytes(b"before")
    command = f"ulimit -f 8; {COMMAND} --data-dir {night} archive export warc kept.warc.gz"
    answer = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 1, answer.stderr
    assert "File too large" in answer.stderr
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("replay", "warc", "nowhere.warc"), "cannot import from 'nowhere.warc': No such file"),
        (("replay", "warc", "."), "cannot import from '.': Is a directory"),
        (("replay", "wayback", "--from", "2024-11-28", "--to", "2024-11-27"), "the first comes first"),
        (("replay", "wayback", *SPAN, "--wayback-url", "ftp://127.0.0.1"), "not a web address"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(realcount: Run, arguments: tuple[str, ...], says: str) -> None:
    answer = realcount(*arguments)
    assert (answer.returncode, len(answer.stderr.splitlines())) == (2, 1)
    assert says in answer.stderr


def test_what_is_left_out_of_a_file_is_told(realcount: Run, tmp_path: Path, night: Path) -> None:
    place = exported(Archive(night / "archive"), tmp_path / "night.warc.gz")
    place.write_bytes(place.read_bytes()[:-50])
    assert "Left out 1: damaged." in realcount("replay", "warc", "night.warc.gz").stderr


def test_a_wayback_machine_that_saw_the_night_gives_its_results(realcount: Run, night: Path) -> None:
    archive = Archive(night / "archive")
    held = [Held.of(capture, packed=True) for capture in archive.history()]
    with WaybackStandIn(held) as stand_in:
        ask = ("replay", "wayback", *SPAN, "--rate", "0", "--contact", "newsroom@example.org")
        answer = realcount(*ask, REALCOUNT_WAYBACK_URL=stand_in.base_url)
        assert answer.returncode == 0, answer.stderr
        query = (
            "sql",
            "SELECT unit_code, candidate_id, votes, withdrawn_at FROM results ORDER BY ALL",
            "--format",
            "csv",
        )
        assert realcount(*query).stdout == realcount("--data-dir", str(night), *query).stdout
        again = realcount(*ask, REALCOUNT_WAYBACK_URL=stand_in.base_url)
        assert (again.returncode, "Nothing new." in again.stderr) == (64, True)
        assert len(stand_in.bodies_asked) == len({one.sha1 for one in held}), "each body once, in both runs"


def test_a_wayback_machine_that_has_enough_ends_it_with_75_and_what_came_is_loaded(realcount: Run, night: Path) -> None:
    held = [Held.of(capture) for capture in Archive(night / "archive").history()]
    with WaybackStandIn(held) as stand_in:
        stand_in.instead = {f"{held[99].timestamp}id_": Answer(429, {"Retry-After": "77"})}
        answer = realcount("replay", "wayback", *SPAN, "--rate", "0", "--wayback-url", stand_in.base_url)
        assert answer.returncode == 75
        assert "try again in 77 s" in answer.stderr.splitlines()[-1]
        (run,) = json.loads(realcount("archive", "list", "--format", "json").stdout)
        assert run["outcome"] == "failed"
        loaded = realcount("sql", "SELECT count(*) FROM captures", "--format", "csv").stdout
        assert loaded == f"count_star()\n{run['captures']}\n"
        stand_in.instead.clear()
        asked = len(stand_in.bodies_asked)
        assert realcount("replay", "wayback", *SPAN, "--rate", "0", "--wayback-url", stand_in.base_url).returncode == 0
        assert len(stand_in.bodies_asked) - asked == len({one.sha1 for one in held}) - run["bodies"]


# The real archive


@pytest.fixture(scope="module")
def november(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """What KPU served, from the scrape of 28 November 2024."""
    settings = Settings(tmp_path_factory.mktemp("november"))
    replay_git(settings, real / "pilkada-scrap.bundle")
    return settings


def test_the_real_archive_goes_out_and_comes_back_in_no_more_than_warcios_own_form(
    november: Settings, tmp_path: Path
) -> None:
    place = exported(november.archive, tmp_path / "november.warc.gz")
    assert is_sound(place)
    back = Settings(tmp_path / "back")
    report = replay_warc(back, [place])
    assert report.passed_over == {}
    assert fingerprint(back) == fingerprint(november)
    assert [capture.key for capture in back.archive.history()] == [one.key for one in november.archive.history()]
    own = warcios_own(november.archive.history(), tmp_path / "own.warc.gz")
    assert place.stat().st_size <= 1.1 * own.stat().st_size
    assert replay_warc(Settings(tmp_path / "own"), [own]).archived == report.archived


def test_a_wayback_machine_built_from_the_real_archive_gives_the_same_bytes(november: Settings, tmp_path: Path) -> None:
    jakarta = [one for one in november.archive.history() if "/31" in one.url]
    with WaybackStandIn(map(Held.of, jakarta)) as stand_in:
        settings = Settings(tmp_path)
        span = (jakarta[0].observed_at, jakarta[-1].observed_at)
        asked = manners(stand_in.base_url, rate=0)
        report = replay_wayback(settings, (), span, asked, stand_in.base_url)
    assert report.source_down is None
    assert {(one.url, one.digest) for one in settings.archive.history()} == {(one.url, one.digest) for one in jakarta}
