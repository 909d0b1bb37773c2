"""`realcount sql` asks, and can do nothing else: neither write nor read files, nor reach the network, nor unlock it."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest
from answers import A, count, figures
from histories import History, Rows

from extract.errors import QueryError
from warehouse import queries
from warehouse.connection import copying, reading, writing

COMMAND = Path(sys.executable).with_name("realcount")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a database, a file to steal, and the writer's database beside."""
    directory = tmp_path_factory.mktemp("sandbox")
    history = History(directory)
    history.seen("02:20:00", count("31", "02:15:00", figures({A: 5})))
    (directory / "realcount.duckdb").write_bytes(history.database.read_bytes())
    (directory / "secret.csv").write_text("code,name\nx,y\n")
    return directory


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server on loopback to which nobody may connect."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def ask(place: Path, sql: str) -> Rows:
    with reading(place / "realcount.duckdb") as connection:
        return list(queries.query(connection, sql.format(place=place)).rows)


def refused(place: Path, sql: str) -> str:
    """What is said of SQL that is refused, which must change nothing."""
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with pytest.raises(QueryError) as refusal:
        ask(place, sql)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert refusal.value.exit_code == 2
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


WRITES = [
    "CREATE TABLE mine (i INTEGER)",
    "CREATE TABLE mine AS FROM results",
    "CREATE TEMP TABLE mine AS FROM results",
    "CREATE OR REPLACE VIEW results AS SELECT 1",
    "CREATE MACRO mine() AS 1",
    "CREATE SCHEMA mine",
    "CREATE TABLE mine (i INTEGER); SELECT * FROM mine",
    "INSERT INTO core.province VALUES ('x', 'y')",
    "UPDATE core.province SET unit_name = 'x'",
    "DELETE FROM core.province",
    "TRUNCATE core.province",
    "MERGE INTO core.province USING core.province AS p ON false WHEN NOT MATCHED THEN INSERT",
    "ALTER VIEW results RENAME TO mine",
    "DROP VIEW results",
    "COMMENT ON VIEW results IS 'x'",
    "WITH gone AS (DELETE FROM core.province RETURNING *) FROM gone",
    "COPY core.province TO '{place}/stolen.csv'",
    "COPY (FROM results) TO '{place}/stolen.parquet' (FORMAT parquet)",
    "COPY results TO '/dev/stdout'",
    "COPY core.province FROM '{place}/secret.csv'",
    "COPY FROM DATABASE realcount TO memory",
    "EXPORT DATABASE '{place}/stolen'",
    "IMPORT DATABASE '{place}'",
    "EXPLAIN ANALYZE COPY results TO '{place}/stolen.csv'",
    "EXPLAIN ANALYZE DELETE FROM core.province",
]
READS = [
    "SELECT * FROM read_text('{place}/secret.csv')",
    "SELECT * FROM read_blob('{place}/secret.csv')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('{place}/secret.csv')",
    "SELECT * FROM read_json('{place}/secret.csv')",
    "SELECT * FROM read_ndjson_objects('{place}/secret.csv')",
    "SELECT * FROM read_parquet('{place}/secret.csv')",
    "SELECT * FROM parquet_metadata('{place}/secret.csv')",
    "SELECT * FROM sniff_csv('{place}/secret.csv')",
    "SELECT * FROM glob('{place}/*')",
    "SELECT * FROM '{place}/secret.csv'",
    "SELECT * FROM '{place}/warehouse.duckdb'",
    "FROM query('FROM read_text(''{place}/secret.csv'')')",
    "FROM query_table('{place}/secret.csv')",
    "SELECT content FROM (SELECT '{place}/secret.csv' AS name), LATERAL (FROM read_text(name))",
    "ATTACH '{place}/warehouse.duckdb' AS other",
    "ATTACH '{place}/new.duckdb' AS other",
    "ATTACH ':memory:' AS other",
    "SELECT getenv('HOME')",
    "SELECT * FROM duckdb_secrets()",
    "CREATE SECRET mine (TYPE s3)",
    "CREATE PERSISTENT SECRET mine (TYPE s3)",
    "DROP SECRET mine",
]
UNLOCKS = [
    "SET enable_external_access = true",
    "SET GLOBAL enable_external_access = true",
    "RESET enable_external_access",
    "SET lock_configuration = false",
    "PRAGMA lock_configuration = false",
    "SET allowed_directories = ['/']",
    "SET allowed_paths = ['/etc/passwd']",
    "SET disabled_filesystems = ''",
    "SET file_search_path = '/etc'",
    "SET python_enable_replacements = true",
    "SET autoinstall_known_extensions = true",
    "SET allow_unsigned_extensions = true",
    "SET extension_directory = '{place}'",
    "SET temp_directory = '{place}/spilled'",
    "SET max_temp_directory_size = '1TB'",
    "SET memory_limit = '1TB'",
    "SET threads = 64",
    "SET TimeZone = 'UTC'",
    "SET log_query_path = '{place}/log'",
    "CALL enable_logging()",
    "CALL enable_logging(storage = 'file', storage_path = '{place}/log')",
    "PRAGMA enable_profiling = 'json'",
    "PRAGMA profile_output = '{place}/profile'",
]
EXTENSIONS = [
    "INSTALL httpfs",
    "FORCE INSTALL httpfs",
    "INSTALL httpfs FROM '{place}'",
    "LOAD httpfs",
    "LOAD '{place}/secret.csv'",
    "UPDATE EXTENSIONS",
]
NO_QUESTIONS = [
    "",
    "-- only a comment",
    ";;",
    "SELEC 1",
    "SELECT * FROM no_such_table",
    "SELECT 1 / 'a'",
    "SELECT 1; SELECT 2",
    "SELECT 1; DELETE FROM core.province",
    "FROM results; COPY results TO '{place}/stolen.csv'",
    "PREPARE mine AS SELECT 1",
    "PREPARE mine AS SELECT 1; EXECUTE mine",
    "EXECUTE mine",
    "DEALLOCATE mine",
    "SET VARIABLE mine = 1",
    "BEGIN",
    "USE core",
    "DETACH realcount",
    "SELECT ?",
    "SELECT $votes",
]


@pytest.mark.parametrize("sql", [*WRITES, *READS, *UNLOCKS, *EXTENSIONS, *NO_QUESTIONS])
def test_a_reader_can_only_ask(place: Path, sql: str) -> None:
    assert "the query cannot run" in refused(place, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM 'http://127.0.0.1:{port}/votes.csv'",
        "SELECT * FROM read_text('http://127.0.0.1:{port}/votes.csv')",
        "SELECT * FROM read_parquet('http://127.0.0.1:{port}/votes.parquet')",
        "INSTALL httpfs FROM 'http://127.0.0.1:{port}'",
        "INSTALL 'http://127.0.0.1:{port}/httpfs.duckdb_extension'",
        "LOAD 'http://127.0.0.1:{port}/httpfs.duckdb_extension'",
        "ATTACH 'http://127.0.0.1:{port}/other.duckdb' AS other",
        "COPY results TO 'http://127.0.0.1:{port}/votes.csv'",
    ],
)
def test_a_reader_reaches_no_network(place: Path, listener: socket.socket, sql: str) -> None:
    refused(place, sql.replace("{port}", str(listener.getsockname()[1])))
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_reader_does_not_see_the_variables_around_it(place: Path) -> None:
    with reading(place / "realcount.duckdb") as connection:
        stolen = connection.sql("SELECT 'mine' AS secret")  # Python's DuckDB would take it for a table
        with pytest.raises(QueryError, match="stolen does not exist"):
            queries.query(connection, "SELECT * FROM stolen")
        assert stolen.fetchall() == [("mine",)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT votes FROM results",
        "FROM results SELECT votes;",
        "WITH one AS (FROM results) SELECT votes FROM one",
        "-- who leads\nSELECT votes FROM results",
        "SELECT votes FROM results_as_of('2024-11-28 03:00')",
        "PIVOT (SELECT candidate_id, votes FROM results) ON candidate_id USING max(votes)",
        "VALUES (5)",
    ],
)
def test_every_form_of_a_question_is_answered(place: Path, sql: str) -> None:
    assert ask(place, sql) == [(5,)]


@pytest.mark.parametrize("sql", ["DESCRIBE results", "SUMMARIZE results", "SHOW TABLES", "EXPLAIN FROM results"])
def test_what_describes_the_database_is_answered(place: Path, sql: str) -> None:
    assert ask(place, sql)


def test_a_query_cannot_fill_the_disk_with_what_does_not_fit_into_memory(place: Path) -> None:
    assert ask(place, "SELECT current_setting('max_temp_directory_size')") == [("1.8 GiB",)]


def test_ctrl_c_ends_rows_without_end(place: Path) -> None:
    with asking(place, "FROM range(100_000_000_000) AS t(i)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "i\n"
        stopped(process)


def test_ctrl_c_ends_an_answer_that_never_comes(place: Path) -> None:
    with asking(place, "SELECT max(hash(i)) FROM range(100_000_000_000_000) AS t(i)") as process:
        while "realcount.duckdb" not in open_files(process.pid):
            assert process.poll() is None
        stopped(process)


@pytest.mark.parametrize("error", [RuntimeError("Query interrupted"), duckdb.InterruptException("INTERRUPT Error")])
@pytest.mark.parametrize("opened", [reading, copying, writing])
def test_whatever_duckdb_makes_of_ctrl_c_it_is_one(place: Path, tmp_path: Path, opened: Any, error: Exception) -> None:
    database = tmp_path / "realcount.duckdb"
    shutil.copy(place / "realcount.duckdb", database)
    with pytest.raises(KeyboardInterrupt), opened(database):
        raise error


def asking(place: Path, sql: str) -> subprocess.Popen[str]:
    """The command, under way."""
    asked = [str(COMMAND), "--data-dir", str(place), "sql", sql, "--format", "csv"]
    return subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stopped(process: subprocess.Popen[str]) -> None:
    """It ends on Ctrl-C, and says so in one line."""
    said = None
    for _ in range(3):  # DuckDB loses one now and then, and a person presses again
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            _, said = process.communicate(timeout=15)
            break
    process.kill()
    assert process.returncode == 130, said
    assert said == "Stopped. What was archived is safe; the same command goes on from there.\n"


def open_files(process: int) -> set[str]:
    """Names of the files that a process has open."""
    names = set()
    for fd in Path(f"/proc/{process}/fd").iterdir():
        try:
            names.add(fd.readlink().name)
        except OSError:
            continue
    return names


def test_a_reader_s_error_is_one_line_also_while_rows_are_read(place: Path) -> None:
    late = "SELECT CASE WHEN i = 900_000 THEN error('line 1\nline 2') END FROM range(1_000_000) AS t(i)"
    with pytest.raises(QueryError) as refusal:
        ask(place, late)
    assert "\n" not in str(refusal.value)
