"""The database as a thing to rely on: documented, migrated, opened and published without harm."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

import multiprocessing
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import pytest
from answers import A, count, figures, listed
from histories import History, Rows, empty_database

from extract.errors import BusyError, QueryError, RegionError, StorageError, WarehouseError
from load.publish import publish
from warehouse import queries
from warehouse.connection import reading, writing

migrations = import_module("warehouse.migrate")  # the package exports the function under the same name

WAREHOUSE = Path(str(migrations.__file__)).parent
OBJECTS = sorted(path for folder in ("views", "macros") for path in (WAREHOUSE / folder).glob("*.sql"))
CONTRACT = [  # design §6: these columns, in this order; more may follow
    *("election", "contest_type", "contest_code", "stage", "unit_code", "level", "unit_name"),
    *("candidate_id", "ballot_number", "candidate_name", "votes", "share_pct", "rank", "margin"),
    *("stations_reported", "stations_total", "reported_at", "observed_at", "withdrawn_at"),
]


def ask(path: Path, sql: str) -> Rows:
    with reading(path) as connection:
        return list(queries.query(connection, sql).rows)


# Documentation


def test_every_table_view_and_macro_has_a_comment(empty: Path) -> None:
    objects = ask(
        empty,
        """
        SELECT schema_name, table_name, comment FROM duckdb_tables()
        UNION ALL SELECT schema_name, view_name, comment FROM duckdb_views() WHERE NOT internal
        UNION ALL SELECT schema_name, function_name, comment FROM duckdb_functions() WHERE NOT internal
        """,
    )
    assert len(objects) >= len(OBJECTS) + 6
    assert [f"{schema}.{name}" for schema, name, comment in objects if not comment] == []


def test_every_column_of_a_table_and_of_the_public_views_has_a_comment(empty: Path) -> None:
    columns = ask(
        empty,
        """
        SELECT schema_name, table_name, column_name, comment
        FROM duckdb_columns()
        WHERE NOT internal
            AND (schema_name = 'main' OR table_name IN (SELECT table_name FROM duckdb_tables())) -- the rest is inner
        """,
    )
    assert len(columns) > 200
    assert [f"{schema}.{table}.{column}" for schema, table, column, comment in columns if not comment] == []


def test_the_contract_columns_of_results_stand_first_and_in_order(empty: Path) -> None:
    columns = [column for column, *_ in ask(empty, "DESCRIBE results")]
    assert columns[: len(CONTRACT)] == CONTRACT


@pytest.mark.parametrize("macro", ["results_as_of", "results_as_known"])
def test_results_at_a_moment_have_the_columns_of_results(empty: Path, macro: str) -> None:
    at_a_moment = ask(empty, f"DESCRIBE FROM {macro}('2024-11-28 10:00:05')")
    assert [row[:2] for row in at_a_moment] == [row[:2] for row in ask(empty, "DESCRIBE results")]


def test_everything_public_that_the_design_names_is_there(empty: Path) -> None:
    views = {name for (name,) in ask(empty, "SELECT view_name FROM duckdb_views() WHERE schema_name = 'main'")}
    assert {"results", "timeline", "changes", "lead_changes", "progress", "captures", "runs"} <= views


def test_every_sql_file_of_the_surface_is_given_to_the_database() -> None:
    assert sorted(migrations._SURFACE) == sorted(str(path.relative_to(WAREHOUSE)) for path in OBJECTS)


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.name)
def test_a_sql_file_holds_one_object_that_is_named_like_it(path: Path) -> None:
    created = re.findall(r"^CREATE (?:OR REPLACE )?(VIEW|MACRO) ([\w.]+)", path.read_text("utf-8"), re.MULTILINE)
    assert created == [({"views": "VIEW", "macros": "MACRO"}[path.parent.name], path.stem)]


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.name)
def test_no_view_or_macro_uses_if_which_duckdb_1_5_cannot_read_back(path: Path) -> None:
    code = re.sub(r"--.*|'[^']*'", "", path.read_text("utf-8"))
    assert not re.search(r"\bif\s*\(", code, re.IGNORECASE)


# Migration


def test_an_empty_database_becomes_current_and_a_current_one_is_left_alone(tmp_path: Path) -> None:
    path = empty_database(tmp_path / "new.duckdb")
    files = len(list((Path(str(migrations.__file__)).parent / "schema").glob("[0-9]*.sql")))
    versions = "SELECT max(version), count(*), bool_and(surface_digest IS NOT NULL) FROM core.migration"
    assert ask(path, versions) == [(files, files, True)]
    before = path.read_bytes()
    empty_database(path)
    assert path.read_bytes() == before
    assert ask(path, versions) == [(files, files, True)]


def test_a_changed_view_is_brought_to_this_version_and_keeps_the_rows(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.seen("02:20:00", count("31", "02:15:00", figures({A: 5})))
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "_SURFACE", migrations._SURFACE[:-1])  # as a version before this one knew
        history.load()
    with writing(history.database) as connection:
        connection.execute("DROP VIEW runs")
    history.load()
    assert history.ask("SELECT kind, captures, bodies FROM runs") == [("test", 1, 1)]
    assert history.ask("SELECT votes FROM results") == [(5,)]


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path, empty: Path) -> None:
    path = tmp_path / "newer.duckdb"
    shutil.copy(empty, path)
    with writing(path) as connection:
        connection.execute("INSERT INTO core.migration VALUES (9999, 'later', NULL)")
    assert refused(path) == 2
    with pytest.raises(WarehouseError, match=r"newer realcount \(schema 9999.* upgrade"):
        empty_database(path)


@pytest.mark.parametrize("sql", ["CREATE TABLE votes (pair VARCHAR)", "CREATE VIEW votes AS SELECT 1 AS pair"])
def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "foreign.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)
    assert refused(path) == 2
    with pytest.raises(WarehouseError, match=r"not realcount's \(it has main.votes\)"):
        empty_database(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"line of text\n" * 2000, b"SQLite format 3\0" + bytes(5000), bytes(8) + b"DUCK" + bytes(9000)],
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.duckdb"
    path.write_bytes(content)
    assert refused(path) == 2
    with pytest.raises(WarehouseError, match="move it away and run: realcount rebuild"), reading(path):
        pass


def test_a_directory_in_the_database_s_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.mkdir()
    with pytest.raises(WarehouseError):
        empty_database(path)


def test_a_file_in_the_data_directory_s_place_is_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    with pytest.raises(StorageError, match="cannot write"):
        empty_database(tmp_path / "data" / "warehouse.duckdb")


def refused(path: Path) -> int:
    """The exit code with which a writer refuses a file, which it must leave as it is."""
    before = path.read_bytes()
    with pytest.raises(WarehouseError) as refusal:
        empty_database(path)
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == [path]
    assert "\n" not in str(refusal.value)
    return refusal.value.exit_code


# Opening


def test_a_database_is_written_so_that_duckdb_1_5_can_read_it(empty: Path) -> None:
    ((tags,),) = ask(empty, "SELECT tags FROM duckdb_databases() WHERE database_name = current_database()")
    assert tags["storage_version"].removesuffix("+") == "v1.5.0"


def test_a_database_that_another_process_writes_is_busy(history: History) -> None:
    with held_by_another_process(history.database):
        with pytest.raises(BusyError) as busy:
            history.load()
        assert busy.value.exit_code == 75
        with pytest.raises(BusyError), reading(history.database):
            pass
    assert history.load().runs == 0


def test_a_database_that_is_not_there_yet_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="realcount replay") as missing, reading(tmp_path / "realcount.duckdb"):
        pass
    assert missing.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_of_duckdb_s_is_not_called_damage(history: History) -> None:
    with pytest.raises(WarehouseError, match="DuckDB failed at this question") as failure, reading(history.database):
        raise duckdb.InternalException("INTERNAL Error: dict-surviving join")
    assert "if other questions fail too, the database is damaged" in str(failure.value)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE mine (i INTEGER)",
        "INSERT INTO core.province VALUES ('x', 'y')",
        "SELECT 1; DELETE FROM core.province",
        "DROP VIEW results",
        "COMMENT ON TABLE core.run IS ''",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_json('{file}')",
        "SELECT * FROM read_parquet('{file}')",
        "SELECT * FROM read_blob('{file}')",
        "SELECT * FROM glob('{directory}/*')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM 'https://example.org/votes.csv'",
        "ATTACH '{directory}/other.duckdb' AS other",
        "ATTACH ':memory:' AS other",
        "COPY core.province TO '{directory}/stolen.csv'",
        "COPY core.province FROM '{file}'",
        "EXPORT DATABASE '{directory}/stolen'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '{file}'",
        "CREATE PERSISTENT SECRET mine (TYPE s3)",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET enable_external_access",
        "SET memory_limit = '1TB'",
        "SET TimeZone = 'UTC'",
        "PRAGMA threads = 64",
        "SELEC 1",
        "SELECT * FROM no_such_table",
        "SELECT 1 / 'a'",
        "",
        "-- only a comment",
    ],
)
def test_a_reader_can_only_ask(history: History, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("code,name\nx,y\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(QueryError) as refusal:
        history.ask(sql.format(file=secret, directory=tmp_path))
    assert refusal.value.exit_code == 2
    assert "\n" not in str(refusal.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_moments_are_shown_on_the_count_s_clock_whatever_the_machine_s(history: History) -> None:
    history.seen("02:20:00", count("31", "02:15:00", figures({A: 5})))
    assert history.ask("SELECT reported_at::VARCHAR FROM results") == [("2024-11-28 02:15:00+07",)]


# Publishing


def test_the_published_copy_is_replaced_only_when_there_is_something_new(history: History, tmp_path: Path) -> None:
    published = tmp_path / "realcount.duckdb"
    assert publish(history.database, published)
    assert not publish(history.database, published)
    history.seen("02:20:00", count("31", "02:15:00", figures({A: 5})))
    assert publish(history.database, published)
    assert published.read_bytes() == history.database.read_bytes()
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_a_reader_keeps_the_copy_it_has_open_while_a_new_one_takes_its_place(history: History, tmp_path: Path) -> None:
    published = tmp_path / "realcount.duckdb"
    history.seen("02:20:00", count("31", "02:15:00", figures({A: 5})))
    publish(history.database, published)
    with asking_elsewhere(published) as ask_there:
        assert ask_there("SELECT votes FROM results") == [(5,)]
        history.seen("02:40:00", count("31", "02:30:00", figures({A: 6})))
        publish(history.database, published)
        assert ask_there("SELECT votes, votes_delta FROM results JOIN changes USING (unit_code)") == [(5, 5)]
    assert ask(published, "SELECT votes FROM results") == [(6,)]


def test_a_clock_that_was_set_back_does_not_keep_readers_at_the_old_copy(history: History, tmp_path: Path) -> None:
    published = tmp_path / "realcount.duckdb"
    publish(history.database, published)
    history.seen("02:20:00", count("31", "02:15:00", figures({A: 5})))
    an_hour_ago = published.stat().st_mtime - 3600
    os.utime(history.database, (an_hour_ago, an_hour_ago))
    assert publish(history.database, published)


def test_a_full_disk_leaves_the_old_copy_and_no_half_of_a_new_one(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "realcount.duckdb"
    publish(history.database, published)
    before = published.read_bytes()
    history.seen("02:20:00", count("31", "02:15:00", figures({A: 5})))
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_space_left)
        with pytest.raises(StorageError, match=r"No space left.*make room") as refusal:
            publish(history.database, published)
    assert refusal.value.exit_code == 1
    assert published.read_bytes() == before
    assert list(tmp_path.glob(".*.part")) == []
    assert publish(history.database, published)  # there is room again


# Finding a region


NAMES = {
    "3101": "ADM.\u00a0KEP. SERIBU.",
    "3171": "KOTA ADM. JAKARTA PUSAT",
    "3172": "JAKARTA UTARA",
    "3201": "KAB. BOGOR",
    "3271": "KOTA BOGOR",
    "3275": "\u00a0Kota\u00a0Bekasi ",
    "3301": "PULAU \u2019D\u2018 \u201cSEBUTAN\u201d'",
    "3302": "'; DROP TABLE core.unit; --",
    "3303": "KOTABARU",
    "3304": "TEGAL",
    "3305": "\u00a0KOTA TEGAL",
    "3306": "KOTA",
}


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    history = History(tmp_path_factory.mktemp("regions"), empty)
    for province in sorted({code[:2] for code in NAMES}):
        history.seen("02:20:00", listed(province, {code: name for code, name in NAMES.items() if code[:2] == province}))
    history.seen("02:40:00", listed("3172", {"317201": "BOGOR SELATAN", "317202": "BALI"}))
    history.seen("03:00:00", (count("9971", "02:15:00", figures({A: 5}))))
    with history.asking() as connection:
        yield connection


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("3171", "3171"),
        ("31", "31"),
        ("0", "0"),
        ("9971", "9971"),  # counted, although no list names it
        ("DKI JAKARTA", "31"),
        ("jakarta", "31"),
        ("Jakarta Pusat", "3171"),
        ("kota adm. jakarta pusat", "3171"),
        ("  jakarta   utara ", "3172"),
        ("adm. kep. seribu", "3101"),
        ("Kep. Seribu.", "3101"),
        ("KEP.\u00a0SERIBU", "3101"),
        ("kota bogor", "3271"),
        ("KAB. BOGOR", "3201"),
        ("Bekasi", "3275"),
        ("Kota Bekasi", "3275"),
        ("pulau 'd' \"sebutan\"", "3301"),
        ("Pulau D Sebutan", "3301"),
        ("'; DROP TABLE core.unit; --", "3302"),
        ("Kotabaru", "3303"),
        ("Tegal", "3304"),
        ("kota tegal", "3305"),
        ("Kota", "3306"),
        ("Bali", "51"),  # the province, and not its namesake of a district
        ("Bogor Selatan", "317201"),
        ("selatan", None),
    ],
)
def test_a_region_is_found_by_its_code_or_by_any_spelling_of_its_name(
    regions: duckdb.DuckDBPyConnection, wanted: str, code: str | None
) -> None:
    if code is None:
        with pytest.raises(RegionError):
            queries.find_region(regions, wanted)
    else:
        assert queries.find_region(regions, wanted)[0] == code


def test_a_name_that_fits_several_regions_names_them_and_decides_nothing(regions: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(RegionError) as ambiguous:
        queries.find_region(regions, "Bogor")
    assert ambiguous.value.candidates == ["3201 KAB. BOGOR", "3271 KOTA BOGOR"]
    assert ambiguous.value.exit_code == 2


@pytest.mark.parametrize("wanted", ["Atlantis", "", " ", "...", "%", "' OR 1 = 1 --", "\x00", "99", "31710"])
def test_what_names_no_region_finds_none(regions: duckdb.DuckDBPyConnection, wanted: str) -> None:
    with pytest.raises(RegionError) as unknown:
        queries.find_region(regions, wanted)
    assert unknown.value.candidates == []


# Other processes


def no_space_left(*_: Any) -> None:
    raise OSError(28, "No space left on device")


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    with elsewhere(_hold, path) as pipe:
        assert pipe.recv() == "open"
        yield


@contextmanager
def asking_elsewhere(path: Path) -> Iterator[Any]:
    """A reader in another process: a function from SQL to rows."""
    with elsewhere(_answer, path) as pipe:

        def ask_there(sql: str) -> Rows:
            pipe.send(sql)
            rows: Rows = pipe.recv()
            return rows

        yield ask_there


@contextmanager
def elsewhere(work: Any, path: Path) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")  # a forked process would share our open database
    here, there = context.Pipe()
    process = context.Process(target=work, args=(path, there))
    process.start()
    try:
        yield here
    finally:
        here.close()
        process.join()


def _hold(path: Path, pipe: Connection) -> None:
    with duckdb.connect(str(path)):
        pipe.send("open")
        list(_received(pipe))


def _answer(path: Path, pipe: Connection) -> None:
    with reading(path) as connection:
        for sql in _received(pipe):
            pipe.send(list(queries.query(connection, sql).rows))


def _received(pipe: Connection) -> Iterator[Any]:
    """What comes through the pipe until its other end is closed."""
    with suppress(EOFError):
        while True:
            yield pipe.recv()
