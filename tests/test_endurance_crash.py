"""Killed at every step, cut off from power, out of disk, out of time: nothing archived is lost, and what readers see is
the old state or the new one, whole."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest
from conftest import Ticking
from crashes import (
    _FORKING,
    EVENING,
    MORNING,
    NIGHT,
    State,
    assert_whole,
    die,
    elsewhere,
    load_only,
    refused,
    second_run,
    state,
    steps,
    take,
)
from crawls import place

from extract.archive import Archive
from extract.capture import Capture
from extract.errors import ArchiveError, BusyError, WarehouseError
from extract.recording import record
from extract.verification import verify
from flows.cadence import next_cycle, next_fixed
from flows.replay import bring_up_to_date, rebuild
from flows.settings import Settings
from warehouse.connection import alone, reading

Work = Callable[[Settings], None]


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A directory after one run, which tests only copy."""
    settings = place(tmp_path_factory.mktemp("evening") / "data")
    take(settings, EVENING)
    return settings


@pytest.fixture(scope="module")
def morning(evening: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same after a second run."""
    settings = place(shutil.copytree(evening.data_dir, tmp_path_factory.mktemp("morning") / "data"))
    second_run(settings)
    return settings


@pytest.fixture
def copy(evening: Settings, tmp_path: Path) -> Callable[[], Settings]:
    """A fresh copy of the evening's directory, as often as it is wanted."""

    def copied() -> Settings:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        return place(shutil.copytree(evening.data_dir, tmp_path / "data"))

    return copied


def held(archive: Archive) -> set[tuple[object, ...]]:
    """The captures in an archive."""
    return {one.key for name in archive.segment_names() for _, one in Archive(archive.directory).captures(name)}


def assert_survived(settings: Settings, before: State | None, after: State) -> None:
    """Right after a crash: what was archived is there, and readers see the old state or the new one."""
    assert {one.key for one in EVENING} <= held(settings.archive)
    assert state(settings) in (before, after)
    assert all("no manifest names this segment" in problem.what for problem in verify(settings.archive).problems)


def assert_mended(settings: Settings, work: Work, after: State) -> None:
    """The same work again brings everything to where it would have been."""
    work(settings)
    assert state(settings) == after
    assert_whole(settings)


# Killed


def test_killed_at_every_step_of_a_run_it_loses_nothing_and_shows_no_half(
    copy: Callable[[], Settings], evening: Settings, morning: Settings, tmp_path: Path
) -> None:
    before, after = state(evening), state(morning)
    assert after is not None
    taken = steps(copy(), second_run, tmp_path / "notes")
    assert {(step.kind, step.about) for step in taken} >= {
        ("write", ".zst"), ("fsync", ".zst"), ("rename", ".open"), ("rename", ".json"), ("unlink", ".open"),
        ("SQL", "BEGIN"), ("SQL", "CREATE OR REPLACE TEMP TABLE capture_placed AS"), ("SQL", "COMMIT"),
        ("SQL", "CHECKPOINT"), ("copy", "published"), ("rename", ".duckdb"),
    }  # fmt: skip
    for step in taken:
        settings = copy()
        assert die(settings, second_run, step) == -9, step
        assert_survived(settings, before, after)
        assert_mended(settings, second_run, after)


def test_killed_while_a_database_is_made_or_upgraded_it_is_made_by_the_next_run(
    copy: Callable[[], Settings], evening: Settings, tmp_path: Path
) -> None:
    after = state(evening)
    assert after is not None

    def without_database() -> Settings:
        settings = copy()
        settings.database.unlink()
        settings.published.unlink()
        return settings

    taken = [
        step for step in steps(without_database(), load_only, tmp_path / "notes") if step.kind in ("SQL", "rename")
    ]
    made = [step for step in taken if step.about.startswith(("CREATE", "ALTER"))]
    assert len(made) > 20
    altered = [step for step in made if step.about.startswith("ALTER")]
    chosen = [*taken[:6], *altered, *made[6::9], *taken[-12:]]  # each migration, some views and macros, then the load
    for step in dict.fromkeys(chosen):
        settings = without_database()
        assert die(settings, load_only, step) == -9, step
        assert_survived(settings, None, after)
        assert_mended(settings, load_only, after)


def test_a_load_that_was_killed_can_be_rebuilt_although_its_log_lies_there(
    copy: Callable[[], Settings], morning: Settings, tmp_path: Path
) -> None:
    """DuckDB refuses a database beside which another one's write-ahead log lies."""
    settings = copy()
    commit = next(step for step in steps(copy(), second_run, tmp_path / "notes") if step.about == "CHECKPOINT")
    settings = copy()
    assert die(settings, second_run, commit) == -9
    log = settings.database.with_name(f"{settings.database.name}.wal")
    assert log.stat().st_size
    rebuild(settings)
    bring_up_to_date(settings)
    assert state(settings) == state(morning)

    settings = copy()
    assert die(settings, second_run, commit) == -9
    settings.database.unlink()  # moved away, as the message says; its log stays
    bring_up_to_date(settings)
    assert state(settings) == state(morning)


# Power lost


def lengths(path: Path, number: int) -> Iterator[int]:
    """Lengths to cut a file to: none, one byte, all but one, and some between."""
    size = path.stat().st_size
    yield from sorted({0, 1, size - 1, *(size * part // number for part in range(number))})


def cut(path: Path, length: int, *, zeros: bool = False) -> None:
    """What a power loss may leave of a file: its beginning, perhaps with zeros to its end."""
    size = path.stat().st_size
    os.truncate(path, length)
    if zeros:
        os.truncate(path, size)


@pytest.mark.parametrize("zeros", [False, True], ids=["cut", "zeros"])
def test_a_segment_cut_anywhere_is_told_and_readers_keep_what_they_had(
    copy: Callable[[], Settings], evening: Settings, zeros: bool
) -> None:
    settings = copy()
    (name,) = settings.archive.segment_names()
    segment = settings.archive.segments_directory / name
    whole, before = segment.read_bytes(), state(evening)
    for length in lengths(segment, 9):
        segment.write_bytes(whole)
        cut(segment, length, zeros=zeros)
        assert {problem.file for problem in verify(Archive(settings.archive.directory)).problems} == {name}
        with pytest.raises(ArchiveError, match=f"{name}.*realcount archive verify"):
            rebuild(settings)
        assert state(settings) == before


@pytest.mark.parametrize("zeros", [False, True], ids=["cut", "zeros"])
def test_a_note_cut_anywhere_costs_the_name_of_what_was_asked_and_no_capture(
    tmp_path: Path, zeros: bool, clock: Ticking
) -> None:
    archive = Archive(tmp_path / "archive")
    with record(archive, "poll", {"region": "31"}, clock, {}) as run:
        for one in EVENING:
            run.append(one)
    (manifest,) = archive.manifests_directory.iterdir()
    (opened,) = archive.manifests()
    note = archive.manifests_directory / f"{opened.run}.open"
    whole = msgspec.json.encode(
        {"run": opened.run, "kind": "poll", "asked": {"region": "31"}, "started_at": NIGHT, "versions": {}}
    )
    for length in range(0, len(whole) + 1, 5):
        manifest.unlink(missing_ok=True)
        note.write_bytes(whole)
        cut(note, length, zeros=zeros)
        with record(archive, "test", {}, clock, {}):
            pass
        (sealed,) = archive.manifests()
        assert (sealed.run, sealed.outcome, sealed.captures) == (opened.run, "interrupted", len(EVENING))
        assert sealed.kind in ("poll", "unknown")
        assert verify(archive).problems == ()


@pytest.mark.parametrize("zeros", [False, True], ids=["cut", "zeros"])
def test_a_manifest_cut_anywhere_stops_writers_with_what_to_do_and_doing_it_helps(
    copy: Callable[[], Settings], evening: Settings, morning: Settings, zeros: bool
) -> None:
    settings, before, after = copy(), state(evening), state(morning)
    (manifest,) = settings.archive.manifests_directory.iterdir()
    whole = manifest.read_bytes()
    for length in lengths(manifest, 12):
        manifest.write_bytes(whole)
        cut(manifest, length, zeros=zeros)
        with pytest.raises(ArchiveError, match=r"restore it from a copy .* without one, move it away"):
            second_run(settings)
        assert state(settings) == before
    manifest.unlink()
    second_run(settings)
    assert after is not None
    assert state(settings) == after
    assert_whole(settings)


def test_a_database_cut_anywhere_is_told_and_rebuilt_from_the_archive(
    copy: Callable[[], Settings], morning: Settings
) -> None:
    after = state(morning)
    settings = copy()
    whole, told = settings.database.read_bytes(), 0
    for length in lengths(settings.database, 7):
        settings = copy()
        settings.database.write_bytes(whole[:length])
        try:
            second_run(settings)
        except WarehouseError as error:
            told += 1
            said = str(error)
            settings.database.unlink()
            rebuild(settings)
            assert "move it away and run: realcount rebuild" in said
        assert state(settings) == after
        assert_whole(settings)
    assert told


def test_a_published_copy_cut_anywhere_gives_no_wrong_number_and_is_put_back(
    copy: Callable[[], Settings], evening: Settings
) -> None:
    settings, before = copy(), state(evening)
    whole, times = settings.published.read_bytes(), settings.published.stat()
    told = 0
    for length in lengths(settings.published, 9):
        settings.published.write_bytes(whole[:length])
        os.utime(settings.published, ns=(times.st_atime_ns, times.st_mtime_ns))
        try:
            assert state(settings) == before
        except WarehouseError as error:
            told += 1
            assert "realcount rebuild" in str(error)  # noqa: PT017 (only some lengths raise)
        bring_up_to_date(settings)
        assert state(settings) == before
    assert told > 3


# Disks


@pytest.mark.parametrize("share", [0, 0.0001, 0.003, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_disk_that_is_full_at_any_write_is_told_and_the_same_run_later_completes_the_work(
    copy: Callable[[], Settings], evening: Settings, morning: Settings, tmp_path: Path, share: float
) -> None:
    """A limit on the size of files stands for the full disk, at shares of the largest file: the database."""
    before, after, settings = state(evening), state(morning), copy()
    assert after is not None
    said = refused(settings, second_run, int(share * morning.database.stat().st_size), tmp_path / "said")
    assert said.startswith("StorageError: cannot write ") or not said, said
    assert "make room" in said or state(settings) == after
    assert_survived(settings, before, after)
    assert_mended(settings, second_run, after)


def test_a_new_database_on_a_full_disk_is_made_when_there_is_room(
    copy: Callable[[], Settings], evening: Settings, tmp_path: Path
) -> None:
    after = state(evening)
    assert after is not None
    for share in (0, 0.01, 0.5, 0.9):
        settings = copy()
        settings.database.unlink()
        settings.published.unlink()
        said = refused(settings, load_only, int(share * evening.database.stat().st_size), tmp_path / "said")
        assert said.startswith("StorageError: cannot write "), said
        assert state(settings) is None
        assert_mended(settings, load_only, after)


def test_a_directory_that_may_only_be_read_is_told_and_can_be_read(
    copy: Callable[[], Settings], evening: Settings
) -> None:
    settings, before = copy(), state(evening)
    shared = Path("/tmp") / f"realcount-test-{os.getpid()}"  # where somebody else may look, unlike pytest's own
    shutil.copytree(settings.data_dir, shared / "data")
    said = shared / "said"
    said.touch()
    for path in (shared, *shared.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o666 if path == said else 0o444)
    try:
        readable = place(shared / "data")
        for work in (second_run, load_only):
            assert refused(readable, work, None, said).startswith("StorageError: cannot write ")
        assert refused(readable, _read, None, said) == ""
        assert state(readable) == before
        assert verify(readable.archive).problems == ()
    finally:
        for path in (shared, *shared.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(shared)


def _read(settings: Settings) -> None:
    assert state(settings)


# Clocks


def test_a_clock_that_is_set_back_between_runs_and_within_one_changes_no_result(
    tmp_path: Path, morning: Settings
) -> None:
    """Hours and days back: names of runs go out of order, the chain and the count do not."""
    settings, clock = place(tmp_path / "data"), Ticking(NIGHT)
    for captures, hours in ((EVENING, 0), (MORNING, -30)):
        clock.advance(hours * 3600)
        with record(settings.archive, "test", {}, clock, {}) as run:
            for one in captures:
                clock.advance(-1800)
                run.append(one)
        bring_up_to_date(settings)
    assert [manifest.started_at for manifest in settings.archive.manifests()] == sorted(
        (manifest.started_at for manifest in settings.archive.manifests()), reverse=True
    )
    assert state(settings) == state(morning)
    assert_whole(settings)
    rebuild(settings)
    assert state(settings) == state(morning)


def test_a_clock_that_is_set_back_does_not_keep_captures_in_memory(tmp_path: Path, clock: Ticking) -> None:
    archive = Archive(tmp_path / "archive")
    with record(archive, "test", {}, clock, {}) as run:
        run.append(EVENING[0])
        clock.advance(-3600)
        run.tick()
        (name,) = archive.segment_names()
        assert len(list(archive.captures(name))) == 1
        run.append(EVENING[1])
        clock.advance(-1)
        run.append(EVENING[2])
        assert len(list(archive.captures(name))) == 3


@pytest.mark.parametrize("hours", [-48, -1, 0, 1, 48])
def test_a_clock_that_jumps_does_not_put_the_next_cycle_off_for_long(hours: int) -> None:
    """KPU's newest time and when it was seen are of before the jump."""
    seen = [(NIGHT + timedelta(minutes=15 * n), NIGHT + timedelta(minutes=15 * n + 8)) for n in range(4)]
    now = seen[-1][1] + timedelta(hours=hours)
    assert timedelta(minutes=1) <= next_cycle(now, seen, 0) - now <= timedelta(minutes=16)
    every = timedelta(minutes=15)
    assert timedelta() <= next_fixed(now, seen[-1][1], every) - now <= every


# Others at work


def test_two_loads_at_once_are_one_after_the_other(copy: Callable[[], Settings], morning: Settings) -> None:
    """While one copies the database for readers, which is closed then, another must not write to it."""
    settings = copy()
    here, there = _FORKING.Pipe()
    process = elsewhere(_hold, settings, there)
    assert here.recv() == "held"
    with pytest.raises(BusyError, match="try again"):
        second_run(settings)
    with pytest.raises(BusyError, match="try again"):
        rebuild(settings)
    here.send("go on")
    process.join(60)
    assert process.exitcode == 0
    second_run(settings)
    assert state(settings) == state(morning), "what was archived meanwhile is loaded by the next run"
    assert_whole(settings)


def _hold(settings: Settings, pipe: Connection) -> None:
    with alone(settings.database):
        pipe.send("held")
        pipe.recv()


def test_a_reader_who_has_the_old_copy_open_keeps_it_and_the_next_one_gets_the_new(
    copy: Callable[[], Settings], evening: Settings, morning: Settings
) -> None:
    settings = copy()
    here, there = _FORKING.Pipe()
    process = elsewhere(_go_on_reading, settings, there)
    before = here.recv()
    second_run(settings)
    here.send("again")
    assert here.recv() == before
    process.join(60)
    assert process.exitcode == 0
    new, old = state(settings), state(evening)
    assert new == state(morning)
    assert new is not None
    assert old is not None
    assert sum(row[2] for row in old.results) == before < sum(row[2] for row in new.results)


def _go_on_reading(settings: Settings, pipe: Connection) -> None:
    with reading(settings.published) as connection:
        for _ in range(2):
            (votes,) = connection.execute("SELECT sum(votes)::BIGINT FROM results").fetchone() or (None,)
            pipe.send(votes)
            if votes and not pipe.poll(0) and _ == 0:
                pipe.recv()


def test_an_archive_whose_segment_is_gone_says_which_one(copy: Callable[[], Settings], evening: Settings) -> None:
    settings = copy()
    (name,) = settings.archive.segment_names()
    (settings.archive.segments_directory / name).unlink()
    with pytest.raises(ArchiveError, match=f"{name} is gone"):
        rebuild(settings)
    assert state(settings) == state(evening)


def test_every_capture_of_the_two_runs_is_another(evening: Settings) -> None:
    """Or the tests above would lose some without noticing."""
    both: list[Capture] = [*EVENING, *MORNING]
    assert len({one.key for one in both}) == len(both) == 8
    assert held(evening.archive) == {one.key for one in EVENING}
