"""`realcount export` and the files that loads publish, as users' scripts meet them; hostile names stay text."""

import csv
import json
import os
import pty
import subprocess
from functools import partial
from io import StringIO
from pathlib import Path

import commands
import duckdb
import pytest
from answers import A, B, count, figures, listed, pairs
from commands import CLEAN, COMMAND, Run
from election_reports import breaches
from histories import History

from flows.output import printable

HOSTILE = '=HYPERLINK("http://127.0.0.1")\x1b[31m\u202eEVIL\x9b<img src=x onerror=alert(1)>\''
STEERING = ("\x1b", "\u202e", "\x9b")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which everything that has a name has a hostile one."""
    directory = tmp_path_factory.mktemp("hostile")
    history = History(directory)
    names = {A: {"nama": HOSTILE, "nomor_urut": 1}, B: {"nama": "-2+3", "nomor_urut": 2}}
    history.seen("02:20:00", pairs({"31": names}), listed("31", {"3101": HOSTILE, "3171": "JAKARTA PUSAT"}))
    for minute, votes in (("15", 5), ("30", 9), ("45", 7)):
        rows = {"3101": figures({A: votes, B: 6}), "3171": figures({A: 1, B: 1})}
        chart = figures({A: votes + 1, B: 7})
        history.seen(f"02:{minute}:30", count("31", f"02:{minute}:00", chart, rows))
    history.seen("02:50:00", count("32", "02:45:00", {"oops": HOSTILE}))
    history.database.rename(directory / "realcount.duckdb")
    return directory


@pytest.fixture
def realcount(place: Path, tmp_path: Path) -> Run:
    return partial(commands.realcount, "--data-dir", place, cwd=tmp_path)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


# CSV


def test_every_view_becomes_a_file_of_csv_with_a_description(realcount: Run, tmp_path: Path) -> None:
    answer = realcount("export", "csv", "out")
    assert answer.returncode == 0, answer.stderr
    assert not answer.stdout
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text("utf-8"))
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"datapackage.json", *(file["path"] for file in package["resources"])}
    assert {"results.csv", "timeline.csv", "changes.csv", "captures.csv"} <= files
    for file in package["resources"]:
        content = (tmp_path / "out" / file["path"]).read_bytes()
        told = rows(content.decode("utf-8"))
        assert len(content) == file["bytes"]
        assert len(told) == file["rowCount"], file["name"]
        assert file["mediatype"] == "text/csv"
        assert content.count(b"\r\n") >= file["rowCount"] + 1
        if told:
            assert list(told[0]) == [field["name"] for field in file["schema"]["fields"]]
    assert "apostrophe" in package["description"]


def test_text_that_a_spreadsheet_would_run_has_an_apostrophe_and_numbers_have_none(
    realcount: Run, tmp_path: Path
) -> None:
    realcount("export", "csv", "changes.csv", "--view", "changes")
    told = rows((tmp_path / "changes.csv").read_text("utf-8"))
    assert {row["candidate_name"] for row in told} == {f"'{HOSTILE}", "'-2+3"}
    assert {row["unit_name"] for row in told} >= {f"'{HOSTILE}", "JAKARTA PUSAT"}
    assert "-2" in {row["votes_delta"] for row in told}


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1+1", "'+1+1"),
        ("-1-1", "'-1-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", '"\'\r=1"'),
        ("\n=1", '"\'\n=1"'),
        ("\uff1d1+1", "'\uff1d1+1"),
        ('=1,"2"', '"\'=1,""2"""'),
        ("-5", "-5"),
        ("+62.5", "+62.5"),
        ("a=b", "a=b"),
        ("a\rb", '"a\rb"'),
        ("", '""'),
    ],
)
def test_cells_of_sql_are_as_safe(place: Path, value: str, cell: str) -> None:
    literal = " || ".join(f"chr({ord(letter)})" for letter in value) or "''"
    sql = f"SELECT {literal} AS text, -5 AS number, NULL AS n"
    asked = [str(COMMAND), "--data-dir", str(place), "sql", sql, "--format", "csv"]
    answer = subprocess.run(asked, capture_output=True, check=True)
    assert answer.stdout.decode("utf-8") == f"text,number,n\n{cell},-5,\n"


def test_one_file_of_results_as_of_a_moment(realcount: Run, tmp_path: Path) -> None:
    realcount("export", "csv", "results.csv", "--at", "2024-11-28T02:20:00")
    told = rows((tmp_path / "results.csv").read_text("utf-8"))
    assert {row["votes"] for row in told if row["unit_code"] == "31"} == {"6", "7"}
    assert {row["reported_at"] for row in told} == {"2024-11-28T02:15:00+07:00"}


def test_as_of_a_moment_only_what_can_be_told_of_it_is_exported(realcount: Run, tmp_path: Path) -> None:
    assert realcount("export", "parquet", "then", "--at", "2024-11-28T02:35:00").returncode == 0
    names = {path.stem for path in (tmp_path / "then").glob("*.parquet")}
    assert {"results", "timeline", "changes"} <= names
    assert not {"progress", "captures", "runs"} & names
    with duckdb.connect() as connection:
        timeline = connection.read_parquet(str(tmp_path / "then" / "timeline.parquet"))
        assert timeline.project("max(version)").fetchall() == [(2,)]
    refused = realcount("export", "csv", "now", "--view", "progress", "--at", "2024-11-28T02:35:00")
    assert refused.returncode == 2
    assert "progress tells of now" in refused.stderr
    assert not (tmp_path / "now").exists()


# Overwriting


def test_nothing_is_replaced_unless_forced_and_nothing_else_is_touched(realcount: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert realcount("export", "csv", "out", "--view", "runs").returncode == 0, "a directory with other files is fine"
    (tmp_path / "out" / "runs.csv").write_text("edited")
    refused = realcount("export", "csv", "out", "--view", "runs")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert (tmp_path / "out" / "runs.csv").read_text() == "edited"
    assert realcount("export", "csv", "out", "--view", "runs", "--force").returncode == 0
    assert (tmp_path / "out" / "runs.csv").read_text() != "edited"
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("csv", "out", "--view", "nonsense"), "no view called 'nonsense'"),
        (("csv", "out.csv", "--view", "runs", "--view", "results"), "one file and takes one view"),
        (("parquet", "taken"), "is a file"),
        (("csv", "folder.csv"), "is a directory"),
        (("nist", "taken"), "--force"),
        (("nist", "out.json", "--region", "Atlantis"), "no region is called"),
        (("nist", "out.json", "--contest", "ppwp"), "no contest has results"),
        (("nist", "out.json", "--depth", "street"), "--depth"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(
    realcount: Run, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    answer = realcount("export", *arguments)
    assert answer.returncode == 2, answer.stderr
    assert says in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.rglob("*")} == {"taken", "folder.csv"}
    assert (tmp_path / "taken").read_text() == "mine"


# The election report


def test_a_report_goes_to_a_file_or_to_stdout(realcount: Run, tmp_path: Path) -> None:
    answer = realcount("export", "nist", "report.json", "--at", "2024-11-28T02:31:00")
    assert answer.returncode == 0, answer.stderr
    assert "unofficial-partial, publication 2 of 3" in answer.stderr
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert breaches(report) == []
    printed = json.loads(realcount("export", "nist", "-", "--at", "2024-11-28T02:31:00").stdout)
    assert printed | {"GeneratedDate": None} == report | {"GeneratedDate": None}
    names = {candidate["BallotName"]["Text"][0]["Content"] for candidate in report["Election"][0]["Candidate"]}
    assert names == {HOSTILE, "-2+3"}


# The terminal


@pytest.mark.parametrize(
    "arguments",
    [
        ("results",),
        ("results", "31"),
        ("results", "31", "--children"),
        ("timeline", "3101"),
        ("status",),
        ("findings",),
        ("sql", "FROM results"),
        ("sql", "SELECT DISTINCT unit_name, [candidate_name] AS list, {'a': candidate_name} AS struct FROM results"),
        ("sql", "PIVOT (SELECT candidate_name, votes FROM results) ON candidate_name USING max(votes)"),
        ("sql", "FROM changes"),
        ("sql", "FROM captures"),
        ("export", "nist", "-"),
        ("sql", f"SELECT '{HOSTILE.replace(chr(39), '')}' AS x, nothing"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_no_answer_steers_a_terminal(place: Path, arguments: tuple[str, ...], form: str) -> None:
    options = () if arguments[0] == "export" else ("--format", form)
    shown = on_a_terminal([str(COMMAND), "--data-dir", str(place), *arguments, *options])
    assert shown
    for code in STEERING:
        assert code not in _without_styles(shown), arguments


def test_names_are_shown_as_text_without_what_steers(realcount: Run) -> None:
    shown = realcount("results", "31").stdout
    assert printable(HOSTILE) in shown
    assert "<img src=x onerror=alert(1)>" in shown


def on_a_terminal(command: list[str]) -> str:
    """What a command shows on a terminal, messages too."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, close_fds=True, env={**os.environ, "COLUMNS": "400"}
    ):
        os.close(its)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    return shown.decode("utf-8")


def _without_styles(shown: str) -> str:
    """Without the bold and dim that rich writes itself, whose numbers differ from the hostile red."""
    for style in ("\x1b[0m", "\x1b[1m", "\x1b[2m"):
        shown = shown.replace(style, "")
    return shown


# What loads publish


def test_parquet_files_lie_beside_the_database_or_elsewhere_or_nowhere(tmp_path: Path) -> None:
    night = [str(COMMAND), "replay", "simulated", "--seed", "7", "--depth", "regency"]
    for directory, choice in (
        ("beside", {}),
        ("elsewhere", {"REALCOUNT_PARQUET": "published"}),
        ("nowhere", {"REALCOUNT_PARQUET": "off"}),
    ):
        environment = CLEAN | choice | {"REALCOUNT_DATA_DIR": directory}
        subprocess.run(night, cwd=tmp_path, env=environment, capture_output=True, check=True)
    places = {str(path.parent.relative_to(tmp_path)) for path in tmp_path.glob("**/parquet/results.parquet")}
    assert places == {"beside/parquet"}
    assert (tmp_path / "published" / "results.parquet").exists()
    assert not list((tmp_path / "nowhere").rglob("*.parquet"))
