"""Who reads a lake gets the answers that a file gives, at one moment, and no way to its server or to other files."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
import test_warehouse_sandbox as sandbox
from answers import A, B, count, figures, listed, pairs, taken, wib
from lakes import expect_extensions, lake_at
from servers import PASSWORD, S3, Postgresql, postgresql, s3

from extract.archive import Archive
from extract.errors import QueryError, UncommittedError, UsageError, WarehouseError
from extract.recording import record
from load.loader import load
from warehouse import queries
from warehouse.connection import reading
from warehouse.lake import Lake
from warehouse.surface import views

__all__ = ["postgresql", "s3"]

COMMAND = Path(sys.executable).with_name("realcount")
CAPTURES = [
    taken(pairs(), wib("02:10:00")),
    taken(listed("31", {"3101": "KEPULAUAN SERIBU"}), wib("02:10:01")),
    taken(count("31", "02:00:03", figures({A: 5, B: 2}, 4), {"3101": figures({A: 4, B: 1})}), wib("02:10:02")),
    taken(count("31", "03:00:03", figures({A: 7, B: 2}, 4), {"3101": figures({A: 4, B: 1})}), wib("03:10:02")),
]


class Same(NamedTuple):
    """The same captures in a lake and in a file."""

    lake: Lake
    file: Path
    archive: Archive
    place: Path


@pytest.fixture(scope="module")
def same(postgresql: Postgresql, tmp_path_factory: pytest.TempPathFactory) -> Same:
    expect_extensions()
    place = tmp_path_factory.mktemp("same")
    archive = Archive(place / "archive")
    with record(archive, "test", {}, lambda: wib("04:00:00"), {}) as run:
        for one in CAPTURES:
            run.append(one)
    made = Same(lake_at(postgresql, place / "lake"), place / "realcount.duckdb", archive, place)
    load(archive, made.lake)
    load(archive, made.file)
    (place / "secret.csv").write_text("code,name\nx,y\n")
    return made


def ask(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    with reading(lake) as connection:
        return list(queries.query(connection, sql).rows)


def test_every_view_answers_as_in_a_file(same: Same) -> None:
    with reading(same.lake) as lake, reading(same.file) as file:
        assert queries.fingerprint(lake) == queries.fingerprint(file)
        assert views(lake) == views(file)
        for view in views(file):
            sql = f"FROM {view.name} ORDER BY ALL"
            assert list(queries.query(lake, sql).rows) == list(queries.query(file, sql).rows), view.name


@pytest.mark.parametrize("macro", ["results_as_of", "results_as_known", "findings_as_of"])
def test_every_moment_answers_as_in_a_file(same: Same, macro: str) -> None:
    sql = f"FROM {macro}('2024-11-28 02:30:00+07') ORDER BY ALL"
    with reading(same.file) as file:
        assert ask(same.lake, sql) == list(queries.query(file, sql).rows)


def test_a_reader_sees_one_moment_while_loads_go_on(postgresql: Postgresql, tmp_path: Path) -> None:
    expect_extensions()
    lake = lake_at(postgresql, tmp_path / "lake")
    archive = Archive(tmp_path / "archive")
    for number, captures in enumerate([CAPTURES[:3], CAPTURES[3:]]):
        with record(archive, "test", {}, lambda: wib("04:00:00"), {}) as run:
            for one in captures:
                run.append(one)
        if number == 0:
            load(archive, lake)
    with reading(lake) as before:
        load(archive, lake)
        assert list(queries.query(before, "SELECT max(votes) FROM results").rows) == [(5,)]
    assert ask(lake, "SELECT max(votes) FROM results") == [(7,)]


LAKE_WRITES = [sql for sql in sandbox.WRITES if "{place}" not in sql or "COPY" in sql]
LAKE_READS = [sql for sql in sandbox.READS if "duckdb_secrets" not in sql]  # there is none, or a redacted one
ATTACKS = [
    "FROM postgres_query('__ducklake_metadata_lake', 'SELECT 1')",
    "FROM postgres_query('turn', 'SELECT 1')",
    "FROM postgres_scan('{dsn}', 'public', 'ducklake_metadata')",
    "SELECT * FROM query('FROM postgres_scan(''{dsn}'', ''public'', ''ducklake_metadata'')')",
    "CALL postgres_execute('__ducklake_metadata_lake', 'DROP TABLE ducklake_snapshot')",
    "ATTACH '{dsn}' AS pg (TYPE postgres)",
    "ATTACH 'ducklake:postgres:{dsn}' AS pg",
    "CALL ducklake_expire_snapshots('lake', older_than => now())",
    "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "CALL ducklake_delete_orphaned_files('lake', cleanup_all => true)",
    "CALL ducklake_merge_adjacent_files('lake')",
    "CALL lake.set_option('data_path', '/')",
    "FROM read_blob('{place}/lake/../secret.csv')",
    "SELECT getenv('PGPASSWORD')",
    "CREATE SECRET mine (TYPE postgres, HOST '127.0.0.1')",
    "DETACH lake",
]


@pytest.fixture(scope="module")
def reader(same: Same) -> Iterator[duckdb.DuckDBPyConnection]:
    """A reader's connection, for all attacks together: each finds it as the ones before left it."""
    with reading(same.lake) as connection:
        yield connection


@pytest.mark.parametrize(
    "sql", [*LAKE_WRITES, *LAKE_READS, *sandbox.UNLOCKS, *sandbox.EXTENSIONS, *sandbox.NO_QUESTIONS, *ATTACKS]
)
def test_sql_on_a_lake_can_only_ask(same: Same, reader: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(QueryError) as refusal:
        list(queries.query(reader, sql.format(place=same.place, dsn=same.lake.server)).rows)
    assert PASSWORD not in str(refusal.value)


def test_a_reader_of_a_lake_reaches_no_network(reader: duckdb.DuckDBPyConnection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        for place in (f"http://127.0.0.1:{port}/x.csv", "s3://bucket/x.csv"):
            with pytest.raises(QueryError):
                list(queries.query(reader, f"SELECT * FROM read_text('{place}')").rows)
        with pytest.raises(QueryError):
            list(queries.query(reader, f"FROM postgres_scan('host=127.0.0.1 port={port}', 'a', 'b')").rows)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_no_secret_is_anywhere_that_a_reader_can_look(reader: duckdb.DuckDBPyConnection) -> None:
    for table in ("duckdb_databases()", "duckdb_settings()", "duckdb_variables()", "duckdb_views()"):
        assert PASSWORD not in str(list(queries.query(reader, f"FROM {table}").rows))


def test_a_warehouse_on_an_object_store_gives_the_same_answers(same: Same, postgresql: Postgresql, s3: S3) -> None:
    secrets = {**s3.environment, "PGPASSWORD": PASSWORD}
    lake = Lake.named(f"ducklake:postgres:{postgresql.database()}", f"s3://{s3.bucket()}/lake", secrets)
    load(same.archive, lake)
    with reading(lake) as connection, reading(same.file) as file:
        assert queries.fingerprint(connection) == queries.fingerprint(file)
        for sql in ("FROM duckdb_secrets()", "FROM duckdb_variables()"):
            assert PASSWORD not in str(list(queries.query(connection, sql).rows))
        with pytest.raises(QueryError):
            list(queries.query(connection, "FROM read_text('s3://another/x')").rows)
    assert PASSWORD not in postgresql.dump(lake.server)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        (f"ducklake:postgres:host=h password={PASSWORD}", None),
        (f"ducklake:postgres:host=h PASSWORD = '{PASSWORD}'", None),
        (f"ducklake:postgres:postgresql://u:{PASSWORD}@h/d", None),
        ("ducklake:postgres:host=h", f"s3://k:{PASSWORD}@bucket/x"),
    ],
)
def test_a_password_in_the_name_is_refused_and_not_repeated(name: str, files: str | None) -> None:
    with pytest.raises(UsageError, match="PGPASSWORD") as refused:
        Lake.named(name, files, {})
    assert PASSWORD not in f"{refused.value!r}{refused.value.__cause__!r}"


@pytest.mark.parametrize("name", ["postgres:host=h", "ducklake:", "ducklake:mysql:host=h", "/a/b.duckdb"])
def test_another_kind_of_warehouse_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="a warehouse is called ducklake:postgres:"):
        Lake.named(name, None, {})


def test_a_lake_that_is_not_there_yet_is_told_as_a_file_is(postgresql: Postgresql, tmp_path: Path) -> None:
    expect_extensions()
    for place in (lake_at(postgresql, tmp_path), Lake.named(f"ducklake:{tmp_path}/no.ducklake", str(tmp_path), {})):
        with pytest.raises(WarehouseError, match="there is no database at"), reading(place):
            pass


def test_a_server_that_is_away_is_told_and_may_be_back_later(tmp_path: Path) -> None:
    expect_extensions()
    lake = Lake.named("ducklake:postgres:host=127.0.0.1 port=1 dbname=d", str(tmp_path), {"PGPASSWORD": PASSWORD})
    with pytest.raises(UncommittedError, match="try again later") as away, reading(lake):
        pass
    assert away.value.exit_code == 75
    assert PASSWORD not in str(away.value)


def test_a_lake_in_a_file_needs_no_server(same: Same, tmp_path: Path) -> None:
    lake = Lake.named(f"ducklake:{tmp_path}/catalog.ducklake", str(tmp_path / "lake"), {})
    load(same.archive, lake)
    with reading(lake) as connection, reading(same.file) as file:
        assert queries.fingerprint(connection) == queries.fingerprint(file)


def command(same: Same, *words: str, warehouse: Lake | None) -> subprocess.CompletedProcess[str]:
    """The command line, with the warehouse in its environment and the password in a file of secrets."""
    secrets = same.place / "secrets"
    secrets.write_text(f"PGPASSWORD={PASSWORD}\n")
    secrets.chmod(0o600)
    environment = {name: value for name, value in os.environ.items() if name != "PGPASSWORD"}
    environment |= {
        "REALCOUNT_DATA_DIR": str(same.place),
        "REALCOUNT_PARQUET": "off",
        "REALCOUNT_SECRETS": str(secrets),
    }
    if warehouse:
        environment |= {"REALCOUNT_WAREHOUSE": str(warehouse), "REALCOUNT_WAREHOUSE_DATA": str(warehouse.files)}
    return subprocess.run([COMMAND, *words], env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    "words",
    [
        ["results", "--format", "csv"],
        ["results", "31", "--at", "2024-11-28T02:30:00", "--format", "json"],
        ["timeline", "31", "--format", "csv"],
        ["findings", "--format", "csv"],
        ["prove", "31"],
        ["fingerprint"],
        ["sql", "FROM changes ORDER BY ALL", "--format", "json"],
    ],
)
def test_every_command_says_the_same_of_a_lake(same: Same, words: list[str]) -> None:
    lake, file = command(same, *words, warehouse=same.lake), command(same, *words, warehouse=None)
    assert (lake.returncode, lake.stdout) == (file.returncode, file.stdout), lake.stderr
    assert PASSWORD not in lake.stdout + lake.stderr


def test_a_replay_into_a_lake_and_its_rebuild_leave_no_secret_behind(
    same: Same, postgresql: Postgresql, tmp_path: Path
) -> None:
    lake = lake_at(postgresql, tmp_path / "lake")
    other = Same(lake, same.file, same.archive, tmp_path)
    shutil.copytree(same.place / "archive", tmp_path / "archive")
    copy = tmp_path / "copy.duckdb"
    tidy, duckdb_file = ["warehouse", "tidy", "--keep-hours", "0"], ["export", "duckdb", str(copy)]
    for words in (["rebuild"], ["rebuild"], tidy, ["export", "csv", str(tmp_path / "out")], duckdb_file, ["status"]):
        done = command(other, *words, warehouse=lake)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
    assert command(other, "fingerprint", warehouse=lake).stdout == command(same, "fingerprint", warehouse=None).stdout
    with reading(copy) as copied, reading(same.file) as file:
        assert queries.fingerprint(copied) == queries.fingerprint(file)
    (tmp_path / "secrets").unlink()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert PASSWORD not in postgresql.dump(lake.server)
