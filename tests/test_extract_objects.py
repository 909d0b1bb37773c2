"""An archive in a folder and one on an object store promise the same; whatever dies or fails in between."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from conftest import Ticking
from object_store import BUCKET, IMPATIENT, KEY, SECRET, ObjectStore

import extract
from extract import leases, objects
from extract.archive import Archive
from extract.caches import Cache
from extract.capture import Capture, capture, digest_of
from extract.errors import ArchiveError, BusyError, StorageError, UsageError
from extract.recording import record
from extract.stores import Folder
from extract.verification import verify

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NIGHT = datetime(2024, 11, 28, 2, 0, 0, tzinfo=UTC)
Opener = Callable[[], Archive]


def seen(body: bytes, url: str = "https://kpu/31.json", at: datetime = NIGHT) -> Capture:
    return capture(url, body, at, "kpu")


def seen_in_turn(bodies: Iterable[bytes]) -> list[Capture]:
    """One capture a second, of one document a second."""
    return [seen(body, f"https://kpu/{n}.json", NIGHT + timedelta(seconds=n)) for n, body in enumerate(bodies)]


def write(archive: Archive, clock: Ticking, captures: Iterable[Capture], seconds: float = 1) -> list[bool]:
    """One run, with so much time between two captures. What was new?"""
    with record(archive, "poll", {"roots": ["31"]}, clock, {}) as run:
        new = []
        for given_capture in captures:
            new.append(run.append(given_capture))
            clock.advance(seconds)
        return new


def bodies(archive: Archive) -> list[bytes | None]:
    return [capture.body for capture in archive.history()]


def sealed(archive: Archive) -> list[tuple[str, str, int]]:
    """What every run did, how it ended, and how many captures it left."""
    return [(manifest.kind, manifest.outcome, manifest.captures) for manifest in archive.manifests()]


def wait_for(answer: Callable[[], object]) -> None:
    """Until something is there that another thread is about to bring."""
    until = time.monotonic() + 30
    while not answer():
        assert time.monotonic() < until


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk is for power cuts, and most of these tests' time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(params=["folder", "folder's shard", "s3", "s3's shard"])
def another(request: pytest.FixtureRequest, tmp_path: Path, prefix: str) -> Opener:
    """Opens the archive as another process on the same machine would."""
    shard = "pkwkp-31" if "shard" in request.param else None
    if "folder" in request.param:
        return lambda: Archive(Folder(tmp_path / "archive", shard))
    store = request.getfixturevalue("s3")
    return lambda: store.archive(prefix, tmp_path, shard)


@pytest.fixture
def archive(another: Opener) -> Archive:
    return another()


@pytest.fixture
def here(s3: ObjectStore, prefix: str, tmp_path: Path) -> Archive:
    """An archive on an object store, from this machine."""
    return s3.archive(prefix, tmp_path / "here")


@pytest.fixture
def elsewhere(s3: ObjectStore, prefix: str, tmp_path: Path) -> Archive:
    """The same archive, from another machine whose clock is two minutes later: our lease is over there."""
    return s3.archive(prefix, tmp_path / "elsewhere", clock=lambda: datetime.now(UTC) + timedelta(minutes=2))


# What a folder promises


def test_every_byte_comes_back_and_all_of_it_is_verified(archive: Archive, clock: Ticking) -> None:
    night = seen_in_turn([b"", b"\0", b"\xff\xfe{\0", b'{"votes":1}', b"a\r\nb\n", b"", b"{}"] * 9)
    assert write(archive, clock, night) == [True] * len(night)
    assert list(archive.history()) == night
    assert verify(archive) == (1, 63, 6, ())


def test_a_body_is_stored_once_also_when_another_process_wrote_it(
    archive: Archive, another: Opener, clock: Ticking
) -> None:
    again = NIGHT + timedelta(minutes=15)
    write(archive, clock, [seen(b"{}"), seen(b"[]")])
    assert write(another(), clock, [seen(b"{}"), seen(b"{}", at=again), seen(b"1")]) == [False, True, True]
    assert write(archive, clock, [seen(b"1", at=again), seen(b"1")]) == [True, False]
    assert [manifest.bodies for manifest in archive.manifests()] == [2, 1, 0]
    assert bodies(archive).count(b"{}") == 2
    assert another().body(digest_of(b"1")) == b"1"
    with pytest.raises(ArchiveError, match=digest_of(b"never seen")):
        archive.body(digest_of(b"never seen"))


def test_a_run_that_writes_nothing_leaves_nothing(archive: Archive, clock: Ticking) -> None:
    assert write(archive, clock, []) == []
    assert (archive.manifests(), archive.segment_names(), list(archive.history())) == ([], [], [])


def test_manifests_make_a_chain_and_say_their_shard(archive: Archive, another: Opener, clock: Ticking) -> None:
    for step in range(11):  # more than nine: names must sort as numbers
        write(archive if step % 2 else another(), clock, [seen(b"%d" % step)])
    chain = archive.manifests()
    assert [manifest.sequence for manifest in chain] == list(range(1, 12))
    assert [manifest.previous for manifest in chain] == [None, *(manifest.digest for manifest in chain[:-1])]
    assert {manifest.shard or None for manifest in chain} == {archive.store.shard}
    assert all(manifest.run.endswith(archive.store.shard or "") for manifest in chain)
    assert verify(another()).problems == ()


def test_a_second_writer_is_told_to_wait_and_disturbs_nothing(
    archive: Archive, another: Opener, clock: Ticking
) -> None:
    with record(archive, "poll", {}, clock, {}) as run:
        run.append(seen(b"{}"))
        with pytest.raises(BusyError, match="is being written by another process"):
            write(another(), clock, [seen(b"[]")])
        run.append(seen(b"1"))
    assert sorted(map(str, bodies(archive))) == ["b'1'", "b'{}'"]
    assert write(another(), clock, [seen(b"[]")]) == [True]


@pytest.mark.parametrize(("error", "outcome"), [(RuntimeError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_what_was_archived_before_an_error_stays(
    archive: Archive, clock: Ticking, error: type[BaseException], outcome: str
) -> None:
    def poll() -> None:
        with record(archive, "poll", {}, clock, {}) as run:
            run.append(seen(b"{}"))
            raise error

    with pytest.raises(error):
        poll()
    assert sealed(archive) == [("poll", outcome, 1)]
    assert write(archive, clock, [seen(b"{}")]) == [False]


def test_manifests_that_were_read_are_not_read_again(
    archive: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(3):
        write(archive, clock, [seen(b"%d" % step)])
    before = archive.manifests()
    read: list[Sequence[str]] = []
    monkeypatch.setattr(archive.store, "contents", lambda names: read.append(names) or [])
    assert archive.manifests() == before
    assert read == [[]]


# An object store


def test_a_long_run_leaves_a_segment_every_ten_seconds_or_four_megabytes(
    here: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here, clock, seen_in_turn(b"%d" % n for n in range(25)))
    (manifest,) = here.manifests()
    names = [segment.name for segment in manifest.segments]
    assert names == [f"{manifest.run}.{number:04d}.jsonl.zst" for number in (1, 2, 3)] == here.segment_names()
    assert [segment.captures for segment in manifest.segments] == [11, 11, 3]
    monkeypatch.setattr(here.store, "spool", here.store.spool._replace(most_bytes=1000))
    write(here, clock, seen_in_turn(os.urandom(400) for _ in range(9)), seconds=0.5)
    assert [segment.captures for segment in here.manifests()[1].segments] == [3, 3, 3]
    assert verify(here).problems == ()


def test_it_can_be_read_with_zstandard_and_json_alone(
    s3: ObjectStore, here: Archive, prefix: str, clock: Ticking
) -> None:
    write(here, clock, seen_in_turn([b"{}", b"[]"] * 10))
    segments = [key for key in s3.keys(prefix) if key.startswith("segments/")]
    text = b"".join(zstd.decompress(s3.get(f"{prefix}/{key}")) for key in segments)
    assert [json.loads(line)["original"] for line in text.splitlines()] == [f"https://kpu/{n}.json" for n in range(20)]
    assert [key for key in s3.keys(prefix) if key not in segments] == ["lease.json", "manifests/000001.json"]


def test_a_copy_of_the_bucket_in_a_folder_is_the_same_archive(
    s3: ObjectStore, here: Archive, prefix: str, tmp_path: Path, clock: Ticking
) -> None:
    write(here, clock, seen_in_turn([b"{}", b"[]"]))
    for key in s3.keys(prefix):
        place = tmp_path / "copy" / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(s3.get(f"{prefix}/{key}"))
    copy = Archive(tmp_path / "copy")
    assert list(copy.history()) == list(here.history())
    assert write(copy, clock, [seen(b"1")]) == [True]
    assert verify(copy) == (2, 3, 3, ())


def test_another_machine_reads_all_of_it_and_what_it_keeps_may_be_removed(
    here: Archive, elsewhere: Archive, tmp_path: Path, clock: Ticking
) -> None:
    night = seen_in_turn(b"%d" % (n % 30) for n in range(200))
    write(here, clock, night)
    assert list(elsewhere.history()) == night
    for machine in ("here", "elsewhere"):
        shutil.rmtree(tmp_path / machine / "cache")
    assert [list(machine.history()) for machine in (here, elsewhere)] == [night, night]
    assert list((tmp_path / "here" / "spool").rglob("*.zst")) == []


def test_a_cycle_asks_the_store_no_more_after_many_runs_than_after_few(
    s3: ObjectStore, here: Archive, clock: Ticking
) -> None:
    asked = []
    for step in range(6):
        s3.asked.clear()
        write(here, clock, [seen(b"%d" % step), seen(b"0", at=clock())])
        here.manifests()
        asked.append(len(s3.asked))
    assert len(set(asked[2:])) == 1
    assert asked[-1] < 14


@pytest.mark.parametrize("part", ["segments", "manifests"])
def test_an_object_that_was_changed_removed_or_swapped_is_found(
    s3: ObjectStore, here: Archive, prefix: str, clock: Ticking, part: str
) -> None:
    for step in range(3):
        write(here, clock, [seen(b'{"votes":%d}' % step)])
    bodies(here)  # all of it is in the cache, which must not hide anything
    first, second, third = (f"{prefix}/{key}" for key in s3.keys(prefix) if key.startswith(part))
    whole = {key: s3.get(key) for key in (first, second, third)}

    def told() -> set[str]:
        return {problem.file for problem in verify(here).problems}

    s3.put(second, whole[second][:-1] + bytes([whole[second][-1] ^ 1]))
    assert told() >= {Path(second).name}
    s3.put(second, whole[third])
    s3.put(third, whole[second])
    assert told() >= {Path(second).name, Path(third).name}
    s3.put(third, whole[third])
    s3.delete(second)
    assert told()
    s3.put(second, whole[second])
    assert told() == set()


# Processes that die


def killed_at(step: str, store: ObjectStore, prefix: str, local: Path) -> None:
    """A process that archives 25 captures, one a second, and is killed at a step of it."""
    script = f"""if True:
        import os, signal
        from datetime import UTC, datetime, timedelta
        from pathlib import Path
        from extract import buckets, caches, leases, objects, recording, writing
        from extract.archive import Archive
        from extract.capture import capture

        def die(*_):
            os.kill(os.getpid(), signal.SIGKILL)

        def after(kind, name, number=1):
            really, calls = getattr(kind, name), []
            def called(*given, **options):
                calls.append(given)
                answer = really(*given, **options)
                return die() if len(calls) == number else answer
            setattr(kind, name, called)

        def before(kind, name, number=1):
            really, calls = getattr(kind, name), []
            def called(*given, **options):
                calls.append(given)
                return die() if len(calls) == number else really(*given, **options)
            setattr(kind, name, called)

        now = datetime(2024, 11, 28, 2, tzinfo=UTC)
        {step}
        archive = Archive(objects.Objects("s3://{BUCKET}/{prefix}", Path({str(local)!r}), {store.credentials!r}))
        with recording.record(archive, "poll", {{"roots": ["31"]}}, lambda: now, {{}}) as run:
            for number in range(25):
                run.append(capture(f"https://kpu/{{number}}.json", b"%d" % number, now, "kpu"))
                now += timedelta(seconds=1)
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(extract.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


STEPS = {
    "before the lease": ("before(buckets.Bucket, 'create')", 0, 0),
    "with the lease": ("after(buckets.Bucket, 'create')", 0, 0),
    "in the first segment": ("after(writing.SegmentWriter, 'flush', 5)", 5, 0),
    "before a segment is put": ("before(objects.Objects, 'keep', 2)", 11, 11),
    "after a segment was put": ("after(buckets.Bucket, 'create', 5)", 22, 22),
    "before it leaves the spool": ("before(caches.Cache, 'take', 2)", 22, 22),
    "between segments and manifest": ("before(recording, '_seal')", 25, 25),
    "before the manifest is put": ("before(objects.Objects, 'add')", 25, 25),
    "after the manifest was put": ("after(objects.Objects, 'add')", 25, 25),
    "before the lease is given back": ("before(leases.Held, 'free')", 25, 25),
}


@pytest.mark.parametrize("machine", ["here", "elsewhere"])
@pytest.mark.parametrize("step", STEPS)
def test_whatever_step_a_process_is_killed_at_the_next_one_seals_what_it_left(
    s3: ObjectStore,
    prefix: str,
    tmp_path: Path,
    clock: Ticking,
    request: pytest.FixtureRequest,
    step: str,
    machine: str,
) -> None:
    """On the same machine all that was flushed is there at once; on another one what the store had, and the rest when
    the first machine comes back."""
    code, on_disk, in_store = STEPS[step]
    killed_at(code, s3, prefix, tmp_path / "here")
    for next_machine in (machine, "here"):
        archive: Archive = request.getfixturevalue(next_machine)
        write(archive, clock, [seen(next_machine.encode(), at=clock())])
        kept = [one for one in archive.history() if one.url != "https://kpu/31.json"]
        assert len(kept) >= (on_disk if next_machine == "here" else in_store)  # other threads went on
        assert kept == [
            seen(b"%d" % n, f"https://kpu/{n}.json", NIGHT + timedelta(seconds=n)) for n in range(len(kept))
        ]
        assert verify(archive).problems == ()
        *left, last = sealed(archive)
        assert last == ("poll", "complete", 1)
        assert all(kind == "poll" for kind, *_ in left)
        assert sum(captures for *_, captures in left if captures != 1) == len(kept)
    assert list((tmp_path / "here" / "spool").rglob("*.zst")) == []
    runs = [manifest.run for manifest in archive.manifests()]
    assert len(set(runs)) == len(runs)


# Two writers, and one that is late


def test_whoever_lost_the_lease_in_a_long_pause_writes_no_manifest_and_loses_no_capture(
    here: Archive, elsewhere: Archive, clock: Ticking
) -> None:
    def sleep_through_it() -> None:
        with record(here, "poll", {}, clock, {}) as run:
            for late in seen_in_turn(b"%d" % n for n in range(20)):
                run.append(late)
                clock.advance(1)
            wait_for(here.segment_names)  # the first ten seconds are in the store
            write(elsewhere, clock, [seen(b"elsewhere")])

    with pytest.raises(BusyError, match="manifest 1 of the archive"):
        sleep_through_it()
    assert [(kind, outcome) for kind, outcome, _ in sealed(here)] == [("poll", "interrupted"), ("poll", "complete")]
    write(here, clock, [])
    assert sorted(map(int, filter(bytes.isdigit, map(bytes, filter(None, bodies(here)))))) == list(range(20))
    assert [manifest.run.partition(".")[2] for manifest in here.manifests()] == ["", "", "2"]
    assert verify(here).problems == ()


def test_a_lost_lease_is_noticed_by_the_next_renewal_and_told_with_the_holder(
    here: Archive, elsewhere: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TERM", timedelta(milliseconds=60))

    def be_pushed_out() -> None:
        with record(here, "poll", {}, clock, {}) as run, record(elsewhere, "poll", {}, clock, {}):
            for step in count():
                run.append(seen(b"%d" % step))

    with pytest.raises(BusyError, match=rf"'s3://{BUCKET}/.* is being written by \S+ \(process {os.getpid()}, until "):
        be_pushed_out()


def test_a_lease_is_renewed_while_a_run_lasts(
    s3: ObjectStore, here: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TERM", timedelta(milliseconds=30))
    renewed = threading.Event()
    puts = count()

    def seen_often(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("lease.json") and next(puts) == 8:
            renewed.set()

    s3.fault = seen_often
    with record(here, "poll", {}, clock, {}) as run:
        assert renewed.wait(30)
        run.append(seen(b"{}"))
    assert sealed(here) == [("poll", "complete", 1)]


def test_of_many_who_take_an_archive_at_once_exactly_one_gets_it(
    s3: ObjectStore, prefix: str, tmp_path: Path, clock: Ticking
) -> None:
    machines = [s3.archive(prefix, tmp_path / str(number)) for number in range(8)]
    for turn in range(3):
        start, end = threading.Barrier(8), threading.Barrier(8)

        def take(archive: Archive, start: threading.Barrier = start, end: threading.Barrier = end) -> bool:
            start.wait()
            try:
                with record(archive, "poll", {}, clock, {}) as run:
                    run.append(seen(b"%d" % len(archive.manifests())))
                    end.wait()
                    return True
            except BusyError:
                end.wait()
                return False

        with ThreadPoolExecutor(8) as together:
            assert sum(together.map(take, machines)) == 1
        assert len(machines[0].manifests()) == turn + 1
    assert verify(machines[0]).problems == ()


def test_a_store_that_ignores_conditions_is_refused(s3: ObjectStore, here: Archive, clock: Ticking) -> None:
    s3.ignores_conditions = True
    with pytest.raises(UsageError, match="ignores If-None-Match or If-Match"):
        write(here, clock, [])


# A store that fails


def test_while_the_store_is_down_the_disk_keeps_everything_and_the_next_run_brings_it(
    s3: ObjectStore, here: Archive, clock: Ticking
) -> None:
    night = seen_in_turn(b"%d" % n for n in range(40))

    def go_down() -> None:
        with record(here, "poll", {"roots": ["31"]}, clock, {}) as run:
            for number, observed in enumerate(night):
                if number == 15:
                    s3.stop()
                run.append(observed)
                clock.advance(1)

    with pytest.raises(
        StorageError, match=r"it does not answer; see that the store answers, then run the same command"
    ):
        go_down()
    with pytest.raises(StorageError):
        write(here, clock, [])
    s3.start()
    assert write(here, clock, night) == [False] * 40
    assert list(here.history()) == night
    assert sealed(here) == [("poll", "interrupted", 40)]
    assert verify(here).problems == ()


def test_a_short_failure_of_the_store_costs_nothing(s3: ObjectStore, here: Archive, clock: Ticking) -> None:
    failures = iter([("503 Slow Down", "SlowDown"), ("500 Internal Server Error", "InternalError")])
    s3.fault = lambda *_: next(failures, None)
    night = seen_in_turn(b"%d" % n for n in range(30))
    assert write(here, clock, night) == [True] * 30
    assert sealed(here) == [("poll", "complete", 30)]


def test_an_outage_that_ends_before_the_run_does_costs_nothing(s3: ObjectStore, here: Archive, clock: Ticking) -> None:
    night = seen_in_turn(b"%d" % n for n in range(40))
    refused = threading.Event()

    def refuse(method: str, path: str) -> tuple[str, str] | None:
        if method == "PUT" and "/segments/" in path:
            refused.set()
            return "400 Bad Request", "Unhappy"
        return None

    s3.fault = refuse
    with record(here, "poll", {}, clock, {}) as run:
        for number, observed in enumerate(night):
            run.append(observed)
            clock.advance(1)
            if number == 20:
                assert refused.wait(30)
                s3.fault = lambda *_: None
    assert sealed(here) == [("poll", "complete", 40)]
    assert list(here.history()) == night


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, r"refuses \(403 InvalidAccessKeyId\); see AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SESSION_TOKEN": SECRET}, r"refuses \(403"),
    ],
)
def test_wrong_credentials_are_told_and_none_is_repeated(
    s3: ObjectStore, tmp_path: Path, clock: Ticking, spoilt: dict[str, str], message: str
) -> None:
    archive = Archive(objects.Objects(f"s3://{BUCKET}/x", tmp_path, s3.credentials | spoilt, patience=IMPATIENT))
    for ask in (archive.manifests, archive.segment_names, lambda: write(archive, clock, [])):
        with pytest.raises(UsageError, match=message) as refused:
            ask()
        told = "".join(traceback.format_exception(refused.value))
        assert SECRET not in told
        assert "NOBODY" not in told


def test_a_bucket_that_is_not_there_is_told(s3: ObjectStore, tmp_path: Path, clock: Ticking) -> None:
    archive = Archive(objects.Objects("s3://nowhere/x", tmp_path, s3.credentials, patience=IMPATIENT))
    for ask in (archive.manifests, archive.segment_names, lambda: write(archive, clock, [])):
        with pytest.raises(UsageError, match=r"s3://nowhere/x: there is no such bucket; make it"):
            ask()


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "gs://count/x", f"s3://{KEY}:{SECRET}@count/x", "s3://a/b?c"])
def test_an_address_that_names_no_bucket_is_refused_and_no_secret_in_it_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        objects.Objects(url, tmp_path, {})
    assert SECRET not in str(refused.value)


def test_nothing_that_is_written_holds_a_credential(
    s3: ObjectStore, here: Archive, prefix: str, tmp_path: Path, clock: Ticking
) -> None:
    write(here, clock, seen_in_turn([b"{}", b"[]"]))
    left = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    stored = [
        zstd.decompress(s3.get(f"{prefix}/{key}")) if key.endswith("zst") else s3.get(f"{prefix}/{key}")
        for key in s3.keys(prefix)
    ]
    assert len(stored) == 3
    assert left
    assert not [content for content in (*left, *stored) if SECRET.encode() in content or KEY.encode() in content]


def test_hostile_names_in_a_bucket_are_passed_over(s3: ObjectStore, here: Archive, prefix: str, clock: Ticking) -> None:
    for name in ("segments/.hidden.jsonl.zst", "segments/a b.jsonl.zst", "segments/x/y.jsonl.zst", "manifests/x.json"):
        s3.put(f"{prefix}/{name}".replace(" ", "%20"), b"x")
    assert (here.segment_names(), here.manifests()) == ([], [])
    assert write(here, clock, [seen(b"{}")]) == [True]


def test_a_cache_drops_what_was_not_asked_for_for_long(tmp_path: Path) -> None:
    cache = Cache(tmp_path, most_bytes=250)
    for name in ("old", "asked for"):
        os.utime(cache.put(name, b"x" * 100), (0, 0))
    assert cache.get("asked for")
    cache.put("new", b"x" * 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked for", "new"]
