"""The command as users' scripts meet it: stdout and stderr, forms, settings, exit codes, one line an error."""

import csv
import json
import resource
import subprocess
import sys
from io import StringIO
from pathlib import Path

import duckdb
import pytest
from commands import COMMAND, NIGHT, Run


def fails(answer: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line an error is: on stderr, without traceback, with its exit code and nothing on stdout."""
    assert answer.returncode == code, answer.stderr
    assert not answer.stdout
    lines = answer.stderr.splitlines()
    assert len(lines) == 1, answer.stderr
    assert lines[0].startswith("realcount: ")
    return lines[0]


def test_a_replay_says_on_stderr_what_it_did_and_leaves_stdout_alone(realcount: Run) -> None:
    answer = realcount(*NIGHT)
    assert answer.returncode == 0
    assert not answer.stdout
    assert "simulated" in answer.stderr
    assert "Database: data/realcount.duckdb" in answer.stderr


def test_the_same_replay_again_finds_nothing_new_and_writes_nothing(realcount: Run, tmp_path: Path) -> None:
    realcount(*NIGHT)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()}
    answer = realcount(*NIGHT)
    assert answer.returncode == 64
    assert "Nothing new." in answer.stderr
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_settings_come_from_the_environment_too(realcount: Run, tmp_path: Path) -> None:
    answer = realcount("replay", "simulated", REALCOUNT_DATA_DIR="elsewhere", REALCOUNT_DEPTH="regency")
    assert answer.returncode == 0
    assert (tmp_path / "elsewhere" / "realcount.duckdb").exists()
    depth = realcount("--data-dir", "elsewhere", "sql", "SELECT asked->>'depth' AS depth FROM runs", "--format", "csv")
    assert depth.stdout == "depth\nregency\n"


@pytest.mark.parametrize("position", ["before", "after"])
def test_the_data_directory_may_be_named_before_or_after_the_command(
    realcount: Run, night: Path, position: str
) -> None:
    option = ("--data-dir", str(night))
    answer = realcount(*option, "fingerprint") if position == "before" else realcount("fingerprint", *option)
    assert answer.returncode == 0
    assert len(answer.stdout.strip()) == 64


def test_csv_and_json_say_the_same_and_say_it_cleanly(realcount: Run, night: Path) -> None:
    query = "SELECT unit_code, candidate_id, votes, withdrawn_at IS NULL AS shown FROM results ORDER BY ALL LIMIT 5"
    rows = list(csv.DictReader(StringIO(realcount("--data-dir", str(night), "sql", query, "--format", "csv").stdout)))
    records = json.loads(realcount("--data-dir", str(night), "sql", query, "--format", "json").stdout)
    assert [{key: json.dumps(value).strip('"') for key, value in record.items()} for record in records] == rows
    assert len(records) == 5


def test_an_empty_answer_is_still_valid_csv_and_json(realcount: Run, night: Path) -> None:
    query = "SELECT 1 AS one WHERE false"
    assert realcount("--data-dir", str(night), "sql", query, "--format", "json").stdout == "[]\n"
    assert realcount("--data-dir", str(night), "sql", query, "--format", "csv").stdout == "one\n"


def test_results_show_kpus_last_votes_and_say_that_they_were_withdrawn_and_simulated(
    realcount: Run, night: Path
) -> None:
    shown = realcount("--data-dir", str(night), "results", "jakarta").stdout
    assert "2,181,939   50.07 %     +464,694" in shown
    assert "KPU withdrew these votes at 2024-11-28 10:45:04 WIB" in shown
    assert "SIMULATED" in shown
    known = realcount("--data-dir", str(night), "results", "31", "--at", "2024-11-28T10:00:05", "--format", "json")
    assert {record["withdrawn_at"] for record in json.loads(known.stdout)} == {None}


def test_results_of_an_earlier_moment_are_smaller(realcount: Run, night: Path) -> None:
    def votes(*choice: str) -> int:
        answer = realcount("--data-dir", str(night), "results", "31", *choice, "--format", "json")
        return sum(record["votes"] for record in json.loads(answer.stdout))

    evening = "2024-11-27T18:00:00+07:00"
    assert 0 < votes("--known", evening) <= votes("--at", evening) < votes()


def test_a_timeline_has_a_line_for_every_version_and_a_column_for_every_pair(realcount: Run, night: Path) -> None:
    lines = realcount("--data-dir", str(night), "timeline", "jakarta").stdout.splitlines()
    assert "1. RIDWAN KAMIL - SUSWONO" in lines[2]
    assert any("2024-11-28 10:00:05 WIB" in line and "2,181,939" in line for line in lines)
    assert lines[-3].rstrip().endswith("withdrawn")


def test_status_names_the_files_and_counts_what_is_in_them(realcount: Run, night: Path) -> None:
    shown = realcount("--data-dir", str(night), "status").stdout
    assert f"{night}/archive: 1 runs" in shown
    assert "KPU's newest" in shown
    (record,) = json.loads(realcount("--data-dir", str(night), "status", "--format", "json").stdout)
    assert record["quarantined"] == 0
    assert record["is_simulated"] is True


def test_the_archive_shows_the_very_bytes_and_verifies(realcount: Run, night: Path) -> None:
    shown = realcount("--data-dir", str(night), "archive", "show", "hhcw/pkwkp/31.json")
    body = json.loads(shown.stdout)
    assert body["mode"] == "hhcw"
    assert body["tungsura"]["chart"]["1000025"] == 0
    assert "simulated:7" in shown.stderr
    checked = realcount("--data-dir", str(night), "archive", "verify")
    assert checked.returncode == 0
    assert "intact" in checked.stderr
    listed = realcount("--data-dir", str(night), "archive", "list", "--format", "csv").stdout
    assert [row["kind"] for row in csv.DictReader(StringIO(listed))] == ["replay simulated"]


def test_a_damaged_archive_is_named_file_and_run_with_exit_code_1(realcount: Run, tmp_path: Path) -> None:
    realcount(*NIGHT)
    (segment,) = (tmp_path / "data" / "archive" / "segments").iterdir()
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    answer = realcount("archive", "verify")
    assert answer.returncode == 1
    assert f"{segment.name} (run {segment.name.removesuffix('.jsonl.zst')})" in answer.stdout
    assert "damaged" in answer.stderr


def test_names_from_outside_cannot_steer_the_terminal(realcount: Run, night: Path) -> None:
    hostile = "SELECT 'red \x1b[31m' || chr(8238) || chr(7) AS name"
    shown = realcount("--data-dir", str(night), "sql", hostile).stdout
    assert "red \N{REPLACEMENT CHARACTER}[31m" in shown
    assert not any(letter in shown for letter in "\x1b\x07\u202e")


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("nowhere.bundle", "there is no such file or directory"),
        ("folder", "git says: fatal: not a git repository"),
        ("text.bundle", "git says: "),
    ],
)
def test_a_source_that_is_none_is_wrong_usage(realcount: Run, tmp_path: Path, place: str, says: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.bundle").write_text("no bundle")
    assert says in fails(realcount("replay", "git", place), 2)
    assert not list(tmp_path.rglob("*.duckdb"))


def test_a_missing_folder_is_wrong_usage(realcount: Run) -> None:
    assert "there is no such folder" in fails(realcount("replay", "folder", "nowhere"), 2)


def test_asking_before_anything_was_loaded_says_what_to_do(realcount: Run) -> None:
    assert "realcount replay --help" in fails(realcount("results"), 2)


def test_an_unknown_region_is_wrong_usage(realcount: Run, night: Path) -> None:
    assert "no region is called 'Atlantis'" in fails(realcount("--data-dir", str(night), "results", "Atlantis"), 2)


def test_an_ambiguous_region_lists_what_it_could_mean(realcount: Run, night: Path) -> None:
    said = fails(realcount("--data-dir", str(night), "results", "kepulauan"), 2)
    assert "several regions match 'kepulauan': 19 KEPULAUAN BANGKA BELITUNG, 21 KEPULAUAN RIAU, 310101 KEP" in said
    assert said.endswith("name one by its code")


@pytest.mark.parametrize(
    "query",
    [
        "SELEC 1",
        "SELECT nothing FROM results",
        "CREATE TABLE mine (a INTEGER)",
        "DELETE FROM core.tally",
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO 'here.csv'",
        "ATTACH 'other.duckdb'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "",
    ],
)
def test_sql_that_is_wrong_or_reaches_out_is_refused_in_one_line(
    realcount: Run, night: Path, tmp_path: Path, query: str
) -> None:
    assert "the query cannot run" in fails(realcount("--data-dir", str(night), "sql", query), 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [("replay", "git"), ("results", "--nonsense"), ("nonsense",), ("sql",)])
def test_wrong_usage_is_one_line_and_exit_code_2(realcount: Run, arguments: tuple[str, ...]) -> None:
    assert "realcount --help" in fails(realcount(*arguments), 2)


def test_a_database_that_another_process_writes_is_busy_and_nothing_is_lost(realcount: Run, tmp_path: Path) -> None:
    realcount(*NIGHT)
    with duckdb.connect(str(tmp_path / "data" / "warehouse.duckdb")):
        said = fails(realcount("replay", "simulated", "--seed", "8", "--depth", "regency"), 75).lower()
    assert "another process" in said
    again = realcount("replay", "simulated", "--seed", "8", "--depth", "regency")
    assert again.returncode == 0, "what was archived while the database was busy is loaded by the next run"


def test_a_foreign_or_newer_database_is_left_alone(realcount: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    database = tmp_path / "data" / "warehouse.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE diary (entry VARCHAR); CHECKPOINT")
    before = database.read_bytes()
    answer = realcount(*NIGHT)
    assert answer.returncode == 2
    assert "not realcount's" in answer.stderr.splitlines()[-1]
    assert database.read_bytes() == before

    database.unlink()
    realcount(*NIGHT)
    with duckdb.connect(str(database)) as connection:
        connection.execute("INSERT INTO core.migration VALUES (9999, 'from the future', NULL)")
    answer = realcount(*NIGHT)
    assert answer.returncode == 2
    assert "newer realcount" in answer.stderr


@pytest.mark.parametrize("limit", [20_000, 200_000, 1_500_000])
def test_a_full_disk_is_one_line_and_the_same_command_later_completes_the_work(
    tmp_path: Path, realcount: Run, limit: int
) -> None:
    """A limit on the size of a file stands for the full disk: the same error at the same calls, at three depths."""
    answer = subprocess.run(
        [str(COMMAND), *NIGHT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    said = answer.stderr.splitlines()[-1]
    assert answer.returncode == 1, answer.stderr
    assert "cannot write" in said
    assert "Traceback" not in answer.stderr
    again = realcount(*NIGHT)
    assert again.returncode == 0, again.stderr
    assert realcount("archive", "verify").returncode == 0
    whole = realcount("--data-dir", "fresh", *NIGHT)
    assert whole.returncode == 0
    assert realcount("fingerprint").stdout == realcount("--data-dir", "fresh", "fingerprint").stdout


def test_reading_commands_import_nothing_slow() -> None:
    slow = ("prefect", "httpx", "bs4", "pydantic", "rich.progress", "importlib_metadata")
    code = f"import sys, flows.cli, flows.views; print([name for name in {slow} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_a_reader_who_has_seen_enough_is_no_error(night: Path) -> None:
    pipe = f"{COMMAND} --data-dir {night} sql 'FROM range(200000)' --format csv | head -n 2"
    answer = subprocess.run(["sh", "-c", pipe], capture_output=True, text=True, check=True)
    assert answer.stdout == "range\n0\n"
    assert not answer.stderr
