"""What readers are handed after every load: a database and Parquet files, each replaced in one step."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

import hashlib
import json
import os
import shutil
import subprocess
import time
from errno import ENOSPC
from pathlib import Path
from typing import Any

import duckdb
import pytest
from answers import A, B, count, figures, listed, pairs
from histories import History
from publishing import fingerprint, night_of, readers

from extract.errors import StorageError, UsageError, WarehouseError
from extract.night import Night
from extract.simulator import Simulation
from load import parquet as parquet_files
from load.parquet import expected_cost, publish_parquet
from load.publish import publish
from warehouse import export
from warehouse.connection import reading
from warehouse.surface import views

ROOT = Path(__file__).parents[1]
OLDEST = ROOT / ".venv-oldest" / "bin" / "python"

READERS, LOADS, PUBLICATIONS = 8, 10, 200


@pytest.fixture
def history(tmp_path: Path, empty: Path) -> History:
    history = History(tmp_path, empty)
    history.seen(
        "02:20:00", pairs(), listed("31", {"3101": "SERIBU"}), count("31", "02:15:00", figures({A: 5, B: 0}, 4))
    )
    return history


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> Path:
    """A published set of a simulated night, for tests that only read it."""
    place = tmp_path_factory.mktemp("night")
    history = History(place, empty)
    history.loaded(Simulation(Night(seed=7, revisions=0.05, swaps=0.01, withdrawal=True)).captures("regency"))
    publish(history.database, place / "realcount.duckdb")
    publish_parquet(place / "realcount.duckdb", place / "parquet")
    return place


def published(history: History) -> bool:
    """Publish a history in its own directory; whether the Parquet files are new."""
    place = history.database.parent
    publish(history.database, place / "realcount.duckdb")
    return publish_parquet(place / "realcount.duckdb", place / "parquet")


def package(place: Path) -> dict[str, Any]:
    """The description beside the Parquet files."""
    described: dict[str, Any] = json.loads((place / "parquet" / "datapackage.json").read_bytes())
    return described


def files(place: Path) -> dict[str, bytes]:
    """What readers get."""
    return {path.name: path.read_bytes() for path in (place / "parquet").iterdir()}


def leftovers(place: Path) -> list[str]:
    """What lies about that nobody needs: neither the current set nor the one before it."""
    sets = [path for path in place.glob(".parquet.*") if path.name.split(".")[2].isdecimal()]
    others = [path.name for path in place.glob(".*") if path not in sets]
    return others + [path.name for path in sorted(sets)[:-2]]


# Readers beside the writer


def test_eight_readers_meet_200_publications_and_none_sees_a_torn_one(tmp_path: Path, empty: Path) -> None:
    """The loads are real and take place while they read; each is published twenty times, as Parquet once."""
    history = History(tmp_path, empty)
    publications = loaded_and_published(history, 1)
    with readers(READERS, tmp_path) as seen:
        for load in range(2, LOADS + 1):
            publications += loaded_and_published(history, load)

    assert publications == PUBLICATIONS
    assert [reader.trouble for reader in seen] == [None] * READERS
    assert all(max(reader.loads) == LOADS for reader in seen), "the last look is after the last load"
    assert len(set().union(*(reader.loads for reader in seen))) > 2, "they saw the count grow"
    assert sum(reader.sets for reader in seen) >= READERS
    assert set().union(*(reader.opened for reader in seen)) == {"realcount.duckdb"}, "no reader has what a load locks"
    assert leftovers(tmp_path) == []


def loaded_and_published(history: History, load: int) -> int:
    """Load one more capture and publish it again and again; how often it was new to readers."""
    place = history.database.parent
    history.loaded([night_of(load)])
    with history.asking() as connection:
        (place / f"{load}.fingerprint").write_text(fingerprint(connection))
    modified = history.database.stat().st_mtime_ns
    new = 0
    for step in range(PUBLICATIONS // LOADS):
        os.utime(history.database, ns=(modified + step, modified + step))  # to publish, that is another state
        new += publish(history.database, place / "realcount.duckdb")
    assert publish_parquet(place / "realcount.duckdb", place / "parquet")
    return new


def test_a_reader_in_the_middle_of_a_query_keeps_its_snapshot(history: History, tmp_path: Path) -> None:
    published(history)
    with reading(tmp_path / "realcount.duckdb") as connection:
        rows = connection.execute("SELECT unit_code, r FROM results, range(500_000) AS t(r)")
        first = rows.fetchmany(10)
        for number in range(3):
            history.seen(f"03:0{number}:00", count("31", f"03:0{number}:00", figures({A: 100 + number}, 4)))
            assert published(history)
        rest = 0
        while batch := rows.fetchmany(100_000):
            rest += len(batch)
    assert len(first) + rest == 2 * 500_000
    with reading(tmp_path / "realcount.duckdb") as connection:
        assert connection.execute("SELECT max(votes) FROM results").fetchall() == [(102,)]


def test_who_has_resolved_the_link_reads_the_previous_set_to_its_end(history: History, tmp_path: Path) -> None:
    published(history)
    place = (tmp_path / "parquet").resolve()
    before = files(tmp_path)
    history.seen("02:40:00", count("31", "02:30:00", figures({A: 6}, 4)))
    published(history)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert files(tmp_path) != before


def test_the_published_database_opens_with_the_oldest_supported_duckdb(history: History, tmp_path: Path) -> None:
    if not OLDEST.exists():
        pytest.skip("make test-oldest-duckdb sets up .venv-oldest, and has not run here")
    published(history)
    code = """
import sys, duckdb
directory, *views = sys.argv[1:]
database = duckdb.connect(f"{directory}/realcount.duckdb", read_only=True)
for view in views:
    parquet = database.read_parquet(f"{directory}/parquet/{view}.parquet")
    assert database.view(view).order("ALL").fetchall() == parquet.fetchall(), view
print(duckdb.__version__, database.execute("SELECT votes FROM results ORDER BY ALL").fetchall())
"""
    asked = [str(OLDEST), "-c", code, str(tmp_path), *(file["name"] for file in package(tmp_path)["resources"])]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert answer.stdout == "1.5.5 [(0,), (5,)]\n", answer.stderr


# The Parquet files


def test_every_public_view_is_a_file_with_its_columns_and_types(night: Path) -> None:
    with reading(night / "realcount.duckdb") as connection:
        public = views(connection)
        shapes = {view.name: [(column.name, column.type) for column in view.columns] for view in public}
    assert {"results", "timeline", "changes", "progress", "captures", "runs"} <= shapes.keys()
    assert files(night).keys() == {"datapackage.json", *(f"{name}.parquet" for name in shapes)}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Jakarta'")
        for name, columns in shapes.items():
            file = connection.read_parquet(str(night / "parquet" / f"{name}.parquet"))
            assert list(zip(file.columns, map(str, file.types), strict=True)) == columns, name


def test_the_files_say_what_the_views_say(night: Path) -> None:
    for view in ("results", "changes", "captures"):
        with reading(night / "realcount.duckdb") as connection:
            told = connection.execute(f"FROM {view} ORDER BY ALL").fetchall()
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'Asia/Jakarta'")
            assert connection.read_parquet(str(night / "parquet" / f"{view}.parquet")).fetchall() == told
        assert told


def test_the_description_has_the_size_hash_rows_and_columns_of_every_file(night: Path) -> None:
    contents = files(night)
    described = package(night)
    assert described["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert {file["path"] for file in described["resources"]} == contents.keys() - {"datapackage.json"}
    with duckdb.connect() as connection:
        for file in described["resources"]:
            content = contents[file["path"]]
            relation = connection.read_parquet(str(night / "parquet" / file["path"]))
            assert (file["type"], file["format"]) == ("table", "parquet")
            assert file["bytes"] == len(content)
            assert file["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
            assert [file["rowCount"]] == [rows for (rows,) in relation.count("*").fetchall()]
            assert [field["name"] for field in file["schema"]["fields"]] == relation.columns
            assert file["description"]
            assert all(field["description"] for field in file["schema"]["fields"]), file["name"]
            assert {field["type"] for field in file["schema"]["fields"]} <= TYPES, file["name"]


TYPES = {"string", "integer", "number", "boolean", "datetime", "date", "array", "object", "any"}


def test_keys_are_keys(night: Path) -> None:
    resources = {file["name"]: file for file in package(night)["resources"]}
    assert len([file for file in resources.values() if "primaryKey" in file["schema"]]) >= 7
    with duckdb.connect() as connection:
        columns = {
            name: connection.read_parquet(str(night / "parquet" / file["path"])) for name, file in resources.items()
        }
        for name, file in resources.items():
            if key := file["schema"].get("primaryKey"):
                distinct = columns[name].project(", ".join(key)).distinct().count("*").fetchall()
                assert distinct == [(file["rowCount"],)], name
            for foreign in file["schema"].get("foreignKeys", []):
                (field,) = foreign["fields"]
                there = set(columns[foreign["reference"]["resource"]].project(field).fetchall())
                assert set(columns[name].project(field).fetchall()) <= there | {(None,)}, (name, field)


def test_a_simulated_night_says_so(night: Path) -> None:
    described = package(night)
    assert described["is_simulated"] is True
    assert described["title"].startswith("SIMULATED")
    assert described["description"].startswith("SIMULATED")


def test_the_same_content_makes_the_same_bytes(history: History, tmp_path: Path) -> None:
    published(history)
    before = files(tmp_path)
    os.utime(history.database)
    assert published(history), "to publish, that is another state"
    assert files(tmp_path) == before


def test_nothing_is_written_when_there_is_nothing_new(history: History, tmp_path: Path) -> None:
    assert published(history)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.rglob("*")}
    assert not published(history)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.rglob("*")} == before


def test_old_sets_do_not_pile_up(history: History, tmp_path: Path) -> None:
    for number in range(3):
        history.seen(f"03:0{number}:00", count("31", f"03:0{number}:00", figures({A: 100 + number}, 4)))
        assert published(history)
    assert len(list(tmp_path.glob(".parquet.*"))) == 2
    assert leftovers(tmp_path) == []


def costly(place: Path, seconds: float, ago: float) -> None:
    """Make the set look as if it had taken so long, and was finished so long ago."""
    finished = time.time() - ago
    os.utime(place / "datapackage.json", (finished, finished))
    os.utime(place.resolve(), (finished - seconds, finished - seconds))


@pytest.mark.parametrize(
    ("seconds", "ago", "waits"), [(8, 0, False), (60, 2900, True), (60, 3100, False), (60, -5000, False)]
)
def test_a_costly_set_is_written_again_after_fifty_times_as_long(
    history: History, tmp_path: Path, seconds: float, ago: float, *, waits: bool
) -> None:
    assert published(history)
    costly(tmp_path / "parquet", seconds, ago)
    assert expected_cost(tmp_path / "parquet", time.time()) == pytest.approx(0 if waits else seconds * 2)
    before = files(tmp_path)
    history.seen("03:00:00", count("31", "03:00:00", figures({A: 100}, 4)))
    publish(history.database, tmp_path / "realcount.duckdb")
    written = publish_parquet(tmp_path / "realcount.duckdb", tmp_path / "parquet", may_wait=True)
    assert (written, files(tmp_path) == before) == (not waits, waits)
    assert published(history) == waits, "who cannot wait need not"
    assert files(tmp_path) != before


@pytest.mark.parametrize(
    ("place", "step"), [(Path, "mkdir"), (parquet_files, "write_set"), (Path, "symlink_to"), (Path, "replace")]
)
def test_killed_at_any_step_the_old_set_stays_and_the_next_publication_cleans_up(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, step: str
) -> None:
    published(history)
    old = files(tmp_path)
    history.seen("02:40:00", count("31", "02:30:00", figures({A: 6}, 4)))
    publish(history.database, tmp_path / "realcount.duckdb")
    with monkeypatch.context() as power:
        power.setattr(parquet_files, "_remove", lambda _: None)  # the dead do not clean up
        power.setattr(place, step, killed)
        with pytest.raises(Killed):
            publish_parquet(tmp_path / "realcount.duckdb", tmp_path / "parquet")
    assert files(tmp_path) == old
    assert published(history)
    assert files(tmp_path) != old
    assert leftovers(tmp_path) == []


def test_killed_before_it_could_clean_up_the_new_set_is_there_and_the_next_publication_does(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as power:
        power.setattr(parquet_files, "_remove", lambda _: None)
        for number in range(4):
            history.seen(f"03:0{number}:00", count("31", f"03:0{number}:00", figures({A: 100 + number}, 4)))
            assert published(history)
    assert len(leftovers(tmp_path)) == 2
    history.seen("03:10:00", count("31", "03:10:00", figures({A: 200}, 4)))
    assert published(history)
    assert leftovers(tmp_path) == []


class Killed(BaseException):
    """The end of the process."""


def killed(*_: Any, **__: Any) -> None:
    raise Killed


@pytest.mark.parametrize("refusal", ["fsync", "write"])
def test_a_full_disk_leaves_the_old_set_and_no_half_of_a_new_one(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: str
) -> None:
    published(history)
    old = files(tmp_path)
    history.seen("02:40:00", count("31", "02:30:00", figures({A: 6}, 4)))
    publish(history.database, tmp_path / "realcount.duckdb")
    with monkeypatch.context() as full:
        if refusal == "fsync":
            full.setattr(os, "fsync", no_space_left)
        else:
            full.setattr(parquet_files, "write_set", no_space_for_duckdb)
        with pytest.raises(StorageError, match="No space left") as error:
            publish_parquet(tmp_path / "realcount.duckdb", tmp_path / "parquet")
    assert "\n" not in str(error.value)
    assert files(tmp_path) == old
    assert leftovers(tmp_path) == []
    assert published(history), "there is room again"


def no_space_left(*_: Any) -> None:
    raise OSError(ENOSPC, os.strerror(ENOSPC))


def no_space_for_duckdb(*_: Any) -> None:
    raise duckdb.IOException("IO Error: Could not write file:\nNo space left on device")


def test_a_directory_of_somebody_else_s_is_left_alone(history: History, tmp_path: Path) -> None:
    (tmp_path / "parquet").mkdir()
    (tmp_path / "parquet" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="in the way"):
        published(history)
    assert [path.name for path in (tmp_path / "parquet").iterdir()] == ["mine.txt"]


def test_an_old_set_loses_its_name_before_its_files(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, removed = shutil.rmtree, []

    def watched(path: Path, **options: Any) -> None:
        if Path(path).exists() and Path(path).parent == tmp_path:
            removed.append(Path(path).name)
        remove(path, **options)

    published(history)
    oldest = (tmp_path / "parquet").readlink().name
    monkeypatch.setattr(shutil, "rmtree", watched)
    for minute in range(2):
        history.seen(f"03:0{minute}:00", count("31", f"03:0{minute}:00", figures({A: 100 + minute}, 4)))
        published(history)
    assert removed == [f"{oldest}.gone"]


def test_a_set_that_was_copied_without_links_makes_way_for_the_next(history: History, tmp_path: Path) -> None:
    published(history)
    place, copied = tmp_path / "parquet", tmp_path / "copied"
    shutil.copytree(place, copied)
    place.unlink()
    copied.rename(place)
    published(history)
    assert place.is_symlink()
    assert not (tmp_path / ".parquet.0").exists()


def test_views_that_find_no_memory_at_all_are_written_in_parts_and_are_the_same(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.seen("03:00:00", count("31", "02:45:00", figures({A: 7, B: 1}, 4), contest_type="pkwkk"))
    assert published(history)
    whole = rows_of(tmp_path, "rollup"), rows_of(tmp_path, "timeline")
    write = export._write_parquet

    def crowded(connection: Any, view: Any, path: Path, at: Any) -> int:
        if view.name in ("rollup", "timeline"):
            raise duckdb.OutOfMemoryException("none left")
        return write(connection, view, path, at)

    monkeypatch.setattr(export, "_write_parquet", crowded)
    os.utime(tmp_path / "realcount.duckdb")  # as if it were another state
    assert publish_parquet(tmp_path / "realcount.duckdb", tmp_path / "parquet")
    assert (rows_of(tmp_path, "rollup"), rows_of(tmp_path, "timeline")) == whole
    assert {row[1] for row in whole[1]} == {"pkwkp", "pkwkk"}
    assert leftovers(tmp_path) == []


def rows_of(place: Path, view: str) -> list[tuple[Any, ...]]:
    """A view's rows as its Parquet file has them, in their order."""
    with duckdb.connect() as connection:
        return connection.read_parquet(str(place / "parquet" / f"{view}.parquet")).fetchall()


def test_names_from_outside_are_only_text_in_the_files(history: History, tmp_path: Path) -> None:
    hostile = "=cmd|' /C calc'!A0\n\x1b[31m\u202e<img onerror=x>"
    history.seen("03:00:00", pairs({"31": {A: {"nama": hostile, "nomor_urut": 1}, B: {"nama": "B", "nomor_urut": 2}}}))
    published(history)
    with duckdb.connect() as connection:
        names = connection.read_parquet(str(tmp_path / "parquet" / "results.parquet")).project("candidate_name")
        assert hostile in {name for (name,) in names.fetchall()}


def test_a_set_that_finds_no_memory_leaves_the_old_one_and_is_not_tried_again_at_once(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert published(history)
    before = files(tmp_path)
    history.seen("03:00:00", count("31", "03:00:00", figures({A: 100}, 4)))
    publish(history.database, tmp_path / "realcount.duckdb")

    began_and_ended = iter([time.time() - 60, time.time()])

    def too_big(*_: object) -> None:
        raise WarehouseError("the views need more memory")

    with monkeypatch.context() as patched:
        patched.setattr(parquet_files, "write_set", too_big)
        assert not publish_parquet(tmp_path / "realcount.duckdb", tmp_path / "parquet", clock=began_and_ended.__next__)
    assert "stay as they are" in caplog.text
    assert files(tmp_path) == before
    assert not publish_parquet(tmp_path / "realcount.duckdb", tmp_path / "parquet", may_wait=True)
    assert published(history)


def test_a_set_for_which_duckdb_makes_a_wrong_plan_is_written_with_plainer_ones(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write, plans = export._write_parquet, []

    def planned(connection: Any, view: Any, path: Path, at: Any) -> int:
        if view.name == "timeline":
            ((off,),) = connection.execute("SELECT current_setting('disabled_optimizers')").fetchall()
            plans.append(off)
            if not off:
                raise duckdb.InternalException("INTERNAL Error: dict-surviving join")
        return write(connection, view, path, at)

    monkeypatch.setattr(export, "_write_parquet", planned)
    assert published(history)
    assert plans == ["", "build_side_probe_side"]
    assert "plainer plans, because DuckDB says: INTERNAL Error: dict-surviving join" in caplog.text
    assert files(tmp_path).keys() >= {"timeline.parquet", "results.parquet"}


def test_a_view_that_finds_no_memory_beside_another_is_written_alone(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, refused = export._write_parquet, []

    def crowded(connection: Any, view: Any, path: Path, at: Any) -> int:
        if view.name == "timeline" and not refused:
            refused.append(view.name)
            raise duckdb.OutOfMemoryException("none left")
        return write(connection, view, path, at)

    monkeypatch.setattr(export, "_write_parquet", crowded)
    assert published(history)
    assert refused
    assert "timeline.parquet" in files(tmp_path)
