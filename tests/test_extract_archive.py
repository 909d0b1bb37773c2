"""Bytes go into the archive once and come back as they were, whatever kills the run that wrote them."""

import base64
import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from itertools import count, islice
from pathlib import Path

import duckdb
import msgspec
import pytest
from conftest import Ticking
from hypothesis import example, given
from hypothesis import strategies as st

import extract
from extract import segments
from extract.archive import Archive
from extract.capture import Capture, capture, digest_of
from extract.errors import ArchiveError, BusyError, StorageError
from extract.manifests import Manifest
from extract.recording import record
from extract.verification import verify

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NIGHT = datetime(2024, 11, 28, 2, 0, 0, tzinfo=UTC)
VERSIONS = {"realcount": "0.1.0"}
ODD_BODIES = (
    b"",
    b"\0",
    b'{"a":"\0"}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\0",
    b"\xed\xa0\x80",
    b"a\r\nb\n",
    b"\xe2\x80\xa8",
)


def seen(body: bytes, url: str = "https://kpu/31.json", at: datetime = NIGHT, source: str = "kpu") -> Capture:
    return capture(url, body, at, source)


def seen_in_turn(bodies: Iterable[bytes]) -> list[Capture]:
    """One capture a second, of one document a second."""
    return [seen(body, f"https://kpu/{n}.json", NIGHT + timedelta(seconds=n)) for n, body in enumerate(bodies)]


def write(archive: Archive, clock: Ticking, captures: Iterable[Capture], kind: str = "poll") -> list[bool]:
    """One run; each second capture closes a frame. What was new?"""
    with record(archive, kind, {"roots": ["31"]}, clock, VERSIONS) as run:
        new = []
        for number, given_capture in enumerate(captures):
            clock.advance(number % 2)
            new.append(run.append(given_capture))
        return new


def stored(archive: Archive) -> list[Capture]:
    """All captures as they lie there, run after run."""
    return [capture for name in archive.segment_names() for _, capture in archive.captures(name)]


def bodies(archive: Archive) -> list[bytes | None]:
    return [capture.body for capture in archive.history()]


def frame_sizes(archive: Archive) -> list[int]:
    """Captures per frame, as far as the disk has them."""
    names = archive.segment_names()
    return [len(frame.lines()) for name in names for frame in segments.frames(archive.segments_directory / name)]


def snapshot(archive: Archive) -> dict[str, bytes]:
    """Every file of the archive but the lock."""
    files = (path for path in archive.directory.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(archive.directory).as_posix(): path.read_bytes() for path in files}


def restore(files: dict[str, bytes], directory: Path) -> Archive:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Archive(directory)


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk is for power cuts, and most of these tests' time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


# Bytes


@given(st.lists(st.binary() | st.text().map(str.encode) | st.sampled_from(ODD_BODIES)))
@example(list(ODD_BODIES))
def test_every_byte_comes_back(contents: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive = Archive(Path(directory))
        captures = seen_in_turn(contents)
        assert write(archive, Ticking(NIGHT), captures) == [True] * len(captures)
        assert list(archive.history()) == captures
        assert [archive.body(digest_of(content)) for content in contents] == contents
        assert verify(archive).problems == ()


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_it_does_not_matter_where_a_read_ends(
    archive: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    captures = seen_in_turn(b'{"votes":%d}' % n for n in range(9))
    write(archive, clock, captures)
    monkeypatch.setattr(segments, "_CHUNK", chunk)
    assert stored(archive) == captures


def test_a_capture_keeps_the_headers_that_are_evidence_and_the_time_in_utc(archive: Archive, clock: Ticking) -> None:
    jakarta = datetime(2024, 11, 28, 10, 0, 5, 123456, tzinfo=timezone(timedelta(hours=7)))
    headers = {"ETag": '"1a"', "Set-Cookie": "no", "Last-Modified": "Thu, 28 Nov 2024 02:15:00 GMT"}
    asked = capture("https://kpu/31.json", b"{}", jakarta, "kpu", status=503, mimetype="text/html", headers=headers)
    write(archive, clock, [asked])
    (answer,) = archive.history()
    assert answer == asked
    assert answer.observed_at.isoformat() == "2024-11-28T03:00:05.123456+00:00"
    assert answer.headers == {"etag": '"1a"', "last-modified": "Thu, 28 Nov 2024 02:15:00 GMT"}
    assert (answer.status, answer.mimetype, answer.length, answer.source) == (503, "text/html", 2, "kpu")


def test_a_capture_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a time zone: 2024-11-28T10:00:00"):
        seen(b"{}", at=datetime(2024, 11, 28, 10))  # noqa: DTZ001 - the point


# Once


def test_a_body_seen_before_is_stored_once_and_found_by_its_digest(archive: Archive, clock: Ticking) -> None:
    again = NIGHT + timedelta(minutes=15)
    write(archive, clock, [seen(b'{"ts":1}'), seen(b'{"ts":1}', "https://kpu/32.json"), seen(b"{}")])
    write(archive, clock, [seen(b'{"ts":1}', at=again), seen(b"{}", at=again)])
    assert [capture.body for capture in stored(archive)] == [b'{"ts":1}', None, b"{}", None, None]
    assert sorted(map(str, bodies(archive))) == sorted(map(str, [b'{"ts":1}'] * 3 + [b"{}"] * 2))
    assert [manifest.bodies for manifest in archive.manifests()] == [2, 0]
    assert archive.body(digest_of(b"{}")) == b"{}"


def test_a_digest_nobody_holds_is_an_error_that_names_it(archive: Archive) -> None:
    with pytest.raises(ArchiveError, match=digest_of(b"never seen")):
        archive.body(digest_of(b"never seen"))


def test_every_body_is_found_also_among_more_frames_than_are_kept_in_memory(archive: Archive, clock: Ticking) -> None:
    contents = [b"%d" % n for n in range(100)]
    write(archive, clock, seen_in_turn(contents))
    assert len(frame_sizes(archive)) == 50
    assert [archive.body(digest_of(content)) for content in (*contents, *reversed(contents))] == [
        *contents,
        *reversed(contents),
    ]


def test_the_same_capture_is_not_archived_twice(archive: Archive, clock: Ticking) -> None:
    night = [seen(b"{}"), seen(b"[]"), seen(b"{}")]
    assert write(archive, clock, night) == [True, True, False]
    before = snapshot(archive)
    assert write(archive, clock, night) == [False, False, False]
    assert write(Archive(archive.directory), clock, night) == [False, False, False]
    assert snapshot(archive) == before


def test_bodies_whose_segments_were_taken_away_are_archived_again(archive: Archive, clock: Ticking) -> None:
    write(archive, clock, [seen(b"{}")])
    assert archive.index.bodies
    for path in (*archive.segments_directory.iterdir(), *archive.manifests_directory.iterdir()):
        path.unlink()
    clock.advance(60)
    assert write(archive, clock, [seen(b"{}")]) == [True]
    assert [capture.body for name in archive.segment_names() for _, capture in archive.captures(name)] == [b"{}"]


def test_what_another_process_wrote_meanwhile_is_known(archive: Archive, clock: Ticking) -> None:
    write(archive, clock, [seen(b"{}")])
    assert len(archive.index.keys) == 1
    write(Archive(archive.directory), clock, [seen(b"[]")])
    assert write(archive, clock, [seen(b"[]"), seen(b"[]", "https://kpu/32.json")]) == [False, True]
    assert [capture.body for capture in stored(archive)].count(b"[]") == 1


def test_a_run_that_writes_nothing_leaves_nothing(archive: Archive, clock: Ticking) -> None:
    assert write(archive, clock, []) == []
    assert snapshot(archive) == {}
    write(archive, clock, [seen(b"{}")])
    before = snapshot(archive)
    write(archive, clock, [])
    assert snapshot(archive) == before


def test_opening_an_archive_that_is_not_there_touches_nothing(archive: Archive) -> None:
    assert (archive.manifests(), archive.segment_names(), list(archive.history())) == ([], [], [])
    assert not archive.directory.exists()


# History


def test_history_follows_either_clock(archive: Archive, clock: Ticking) -> None:
    """KPU's own time says otherwise than the time of fetching: an old copy was put back."""
    first, second, third = (NIGHT + timedelta(minutes=minutes) for minutes in (0, 15, 30))
    write(archive, clock, [seen(b'{"ts":"10:00"}', at=second), seen(b'{"ts":"09:45"}', at=third)])
    write(archive, clock, [seen(b'{"ts":"09:45"}', at=first)])
    asked: list[bytes | None] = []

    def ts(capture: Capture) -> str:
        asked.append(capture.body)
        return json.loads(capture.body or b"")["ts"]

    assert [(c.observed_at, c.body) for c in archive.history()] == [
        (first, b'{"ts":"09:45"}'),
        (second, b'{"ts":"10:00"}'),
        (third, b'{"ts":"09:45"}'),
    ]
    assert [(c.body, c.observed_at) for c in archive.history(lambda c: (ts(c), c.observed_at))] == [
        (b'{"ts":"09:45"}', first),
        (b'{"ts":"09:45"}', third),
        (b'{"ts":"10:00"}', second),
    ]
    assert len(asked) == 3  # the clock is asked once a capture


@given(st.permutations(range(6)), st.integers(1, 6))
def test_history_is_the_same_whatever_the_order_of_arrival(order: list[int], size: int) -> None:
    night = seen_in_turn([b"{}", b"[]", b"{}", b"1", b"", b"[]"])
    with tempfile.TemporaryDirectory() as directory:
        archive, clock = Archive(Path(directory)), Ticking(NIGHT)
        for start in range(0, len(order), size):
            write(archive, clock, [night[n] for n in order[start : start + size]])
        assert list(archive.history()) == night


# The chain


def test_a_run_leaves_a_manifest_of_what_was_asked_and_got(archive: Archive, clock: Ticking) -> None:
    with record(archive, "poll", {"roots": ["31"], "rate": 5.0}, clock, VERSIONS) as run:
        for status in (200, 200, 404):
            run.append(capture(f"https://kpu/{run.captures}.json", b"{}", NIGHT, "kpu", status=status))
        clock.advance(90)
    (manifest,) = archive.manifests()
    (segment,) = manifest.segments
    content = (archive.segments_directory / segment.name).read_bytes()
    assert manifest == Manifest(
        sequence=1,
        run=run.name,
        kind="poll",
        asked={"roots": ["31"], "rate": 5.0},
        outcome="complete",
        started_at=NIGHT + timedelta(hours=1),
        ended_at=NIGHT + timedelta(hours=1, seconds=90),
        answered={"200": 2, "404": 1},
        captures=3,
        bodies=1,
        segments=(segment,),
        versions=VERSIONS,
        previous=None,
        digest=manifest.own_digest(),
    )
    assert (segment.digest, segment.length, segment.torn_bytes) == (digest_of(content), len(content), 0)
    assert re.fullmatch(r"20241128T030000Z-[0-9a-f]{6}", run.name)
    assert sorted(snapshot(archive)) == [f"manifests/000001-{run.name}.json", f"segments/{run.name}.jsonl.zst"]


def test_every_manifest_names_the_one_before_it_also_when_the_clock_was_set_back(
    archive: Archive, clock: Ticking
) -> None:
    for step in range(12):  # more than nine: names must sort as numbers
        write(archive, clock, [seen(b"%d" % step)])
        clock.advance(-3600)
    chain = archive.manifests()
    assert [manifest.sequence for manifest in chain] == list(range(1, 13))
    assert [manifest.previous for manifest in chain] == [None, *(manifest.digest for manifest in chain[:-1])]
    assert [manifest.started_at for manifest in chain] == sorted((m.started_at for m in chain), reverse=True)
    assert archive.segment_names() == [manifest.segments[0].name for manifest in reversed(chain)]
    assert verify(archive).problems == ()


def test_a_file_that_is_no_manifest_is_an_error_that_names_it(archive: Archive, clock: Ticking) -> None:
    write(archive, clock, [seen(b"{}")])
    (path,) = archive.manifests_directory.glob("*.json")
    for content in (b"", b"\xff", b"[]", path.read_bytes()[:-1]):
        path.write_bytes(content)
        with pytest.raises(ArchiveError, match=rf"{path.name}: not a manifest .*restore it"):
            archive.manifests()


# Without this project


def read_by_hand(archive: Archive) -> list[dict[str, str]]:
    """What anybody can write who has Zstandard and JSON."""
    files = sorted((archive.directory / "segments").glob("*.jsonl.zst"))
    text = b"".join(zstd.decompress(file.read_bytes()) for file in files)
    return [json.loads(line) for line in text.split(b"\n") if line]


def test_it_can_be_read_with_zstandard_and_json_alone(archive: Archive, clock: Ticking) -> None:
    contents = [b'{"mode":"hhcw"}', *ODD_BODIES]
    write(archive, clock, seen_in_turn(contents))
    write(archive, clock, [seen(b'{"mode":"hhcw"}', at=NIGHT + timedelta(days=1))])
    *lines, revisit = read_by_hand(archive)
    assert [
        base64.b64decode(line["body_base64"]) if "body_base64" in line else line["body"].encode() for line in lines
    ] == contents
    assert ["body_base64" in line for line in lines] == [
        content in (b"\xff\xfe{\0", b"\xed\xa0\x80") for content in contents
    ]
    assert revisit == {
        "timestamp": "2024-11-29T02:00:00Z",
        "original": "https://kpu/31.json",
        "statuscode": 200,
        "mimetype": "application/json",
        "digest": lines[0]["digest"],
        "length": 15,
        "source": "kpu",
    }


def test_a_manifest_s_digest_can_be_computed_by_hand(archive: Archive, clock: Ticking) -> None:
    with record(archive, "poll", {"roots": ["31", "Pápua"], "depth": "tps", "a": None}, clock, VERSIONS) as run:
        run.append(seen(b"{}"))
    (path,) = archive.manifests_directory.iterdir()
    manifest = json.loads(path.read_bytes())
    digest, manifest["digest"] = manifest["digest"], ""
    by_hand = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert digest == f"sha256:{hashlib.sha256(by_hand).hexdigest()}"
    assert path.read_bytes() == by_hand.replace(b'"digest":"",', f'"digest":"{digest}",'.encode())


def test_it_can_be_read_with_duckdb_alone(archive: Archive, clock: Ticking) -> None:
    contents = ['{"mode":"hhcw"}', "", "\ufeff[]", "a\0b", "Kep. Seribu\u2019s"]
    write(archive, clock, seen_in_turn(content.encode() for content in contents))
    write(archive, clock, [seen(b"\xff\xfe", at=NIGHT + timedelta(days=1))])
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT original, epoch(timestamp)::BIGINT, body, body_base64 FROM read_json(?) ORDER BY timestamp",
            [str(archive.directory / "segments" / "*.jsonl.zst")],
        ).fetchall()
    night = int(NIGHT.timestamp())
    assert rows == [
        *((f"https://kpu/{n}.json", night + n, content, None) for n, content in enumerate(contents)),
        ("https://kpu/31.json", night + 86400, None, "//4="),
    ]


# Frames


def test_a_frame_is_on_disk_after_256_captures(archive: Archive, clock: Ticking) -> None:
    endless = (seen(b"%d" % n) for n in count())
    with record(archive, "poll", {}, clock, VERSIONS) as run:
        assert all(run.append(capture) for capture in islice(endless, 255))
        assert frame_sizes(archive) == []
        run.append(next(endless))
        assert frame_sizes(archive) == [256]
        run.append(next(endless))
        assert frame_sizes(archive) == [256]
    assert frame_sizes(archive) == [256, 1]


def test_a_frame_is_on_disk_after_a_second(archive: Archive, clock: Ticking) -> None:
    with record(archive, "poll", {}, clock, VERSIONS) as run:
        run.append(seen(b"1"))
        clock.advance(0.999)
        run.append(seen(b"2"))
        assert frame_sizes(archive) == []
        clock.advance(0.001)
        run.append(seen(b"3"))
        assert frame_sizes(archive) == [3]
        clock.advance(3600)  # a pause between captures is not the next frame's age
        run.append(seen(b"4"))
        assert frame_sizes(archive) == [3]


def test_a_frame_is_on_disk_before_large_bodies_fill_the_memory(
    archive: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "FRAME_BYTES", 1000)
    with record(archive, "poll", {}, clock, VERSIONS) as run:
        run.append(seen(b"1" * 300))
        assert frame_sizes(archive) == []
        run.append(seen(b"2" * 300))
        assert frame_sizes(archive) == [2]


def test_a_frame_and_a_manifest_are_waited_for(
    archive: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_for: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: waited_for.add(os.fstat(descriptor).st_ino))
    write(archive, clock, [seen(b"{}")])
    lasting = [path for path in archive.directory.rglob("*.*") if path.is_file() and path.name != ".lock"]
    assert len(lasting) == 2
    assert waited_for >= {path.stat().st_ino for path in (*lasting, archive.manifests_directory)}


def test_what_lies_before_damage_can_be_read_and_the_damage_never_reads_as_other_bytes(
    archive: Archive, clock: Ticking
) -> None:
    captures = seen_in_turn([b"1", b"2", b"3", b"4"])
    write(archive, clock, captures)
    (name,) = archive.segment_names()
    path = archive.segments_directory / name
    _, second = segments.frames(path)
    whole = path.read_bytes()
    for place in range(second.offset, len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert [capture for _, capture in archive.captures(name)] in (captures[:2], captures)
        assert verify(archive).problems


@pytest.mark.parametrize("zeros", [1, 50, 5000])
def test_the_zeros_that_a_power_loss_leaves_are_no_more_than_a_torn_tail(
    archive: Archive, clock: Ticking, zeros: int
) -> None:
    captures = seen_in_turn([b"1", b"2"])
    write(archive, clock, captures)
    (path,) = archive.segments_directory.iterdir()
    (manifest,) = archive.manifests_directory.glob("*.json")
    manifest.unlink()
    with path.open("ab") as file:
        file.write(bytes(zeros))
    clock.advance(60)
    write(archive, clock, [seen(b"3", at=clock())])
    interrupted, complete = archive.manifests()
    assert (interrupted.outcome, interrupted.captures, interrupted.segments[0].torn_bytes) == ("interrupted", 2, zeros)
    assert (complete.outcome, complete.captures) == ("complete", 1)
    assert not verify(archive).problems


def test_while_answers_are_waited_for_a_tick_puts_on_disk_what_has_waited_a_second(
    archive: Archive, clock: Ticking
) -> None:
    with record(archive, "poll", {}, clock, VERSIONS) as run:
        run.append(seen(b"{}"))
        run.tick()
        assert not archive.segment_names()
        clock.advance(1)
        run.tick()
        (name,) = archive.segment_names()
        assert len(list(archive.captures(name))) == 1


def test_a_capture_without_its_body_must_repeat_bytes_that_are_there(archive: Archive, clock: Ticking) -> None:
    whole = seen(b"{}")
    confirmed = msgspec.structs.replace(
        whole, status=304, body=None, observed_at=whole.observed_at + timedelta(hours=1)
    )
    with record(archive, "poll", {}, clock, VERSIONS) as run, pytest.raises(ArchiveError, match="no capture holds"):
        run.append(confirmed)
    write(archive, clock, [whole, confirmed])
    assert bodies(archive) == [b"{}", b"{}"]
    assert not verify(archive).problems


# Two at a time


def test_a_second_writer_is_told_to_wait_and_disturbs_nothing(archive: Archive, clock: Ticking) -> None:
    with record(archive, "poll", {}, clock, VERSIONS) as run:
        run.append(seen(b"{}"))
        with pytest.raises(BusyError, match="written by another process; try again") as busy:
            write(Archive(archive.directory), clock, [seen(b"[]")])
    assert busy.value.exit_code == 75
    assert busy.value.place == archive.directory
    assert bodies(archive) == [b"{}"]
    assert write(archive, clock, [seen(b"[]")]) == [True]


# Kills


@pytest.mark.parametrize(("error", "outcome"), [(RuntimeError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_what_was_archived_before_an_error_stays(
    archive: Archive, clock: Ticking, error: type[BaseException], outcome: str
) -> None:
    def night() -> Iterable[Capture]:
        yield seen(b"{}")
        raise error

    with pytest.raises(error):
        write(archive, clock, night())
    assert [(manifest.outcome, manifest.captures) for manifest in archive.manifests()] == [(outcome, 1)]
    assert write(archive, clock, [seen(b"{}"), seen(b"[]")]) == [False, True]  # the same Archive knows it, too
    assert verify(archive).problems == ()


def test_a_run_killed_at_any_byte_loses_only_the_frame_it_was_writing(
    archive: Archive, clock: Ticking, tmp_path: Path
) -> None:
    night = seen_in_turn([b"{}", b"[]", b"\xff", b"{}"])
    before = seen(b"[]", at=NIGHT - timedelta(hours=1))
    write(archive, clock, [before])
    ends = []
    with record(archive, "poll", {"roots": ["31"]}, clock, VERSIONS) as run:
        file = archive.segments_directory / f"{run.name}.jsonl.zst"
        for number, observed in enumerate(night):
            clock.advance(number % 2)
            run.append(observed)
            ends += [file.stat().st_size] if number % 2 else []
        files = snapshot(archive)
    whole = files[f"segments/{file.name}"]
    assert ends[-1] == len(whole)
    for length in range(len(whole) + 1):
        torn = {f"segments/{file.name}": whole[:length], "manifests/.000002-torn.json.part": b'{"answered"'}
        killed = restore(files | torn, tmp_path / str(length))
        intact = max((end for end in ends if end <= length), default=0)
        kept = 2 * sum(end <= length for end in ends)
        assert [capture.key for _, capture in killed.captures(file.name)] == [capture.key for capture in night[:kept]]
        assert write(killed, clock, night) == [False] * kept + [True] * (len(night) - kept)
        assert list(killed.history()) == [before, *night]
        manifest = killed.manifests()[1]
        assert (manifest.run, manifest.kind, manifest.asked) == (run.name, "poll", {"roots": ["31"]})
        assert (manifest.outcome, manifest.captures) == ("interrupted", kept)
        assert manifest.segments[0].torn_bytes == length - intact
        assert verify(killed).problems == ()
        assert [name for name in snapshot(killed) if not name.endswith((".json", ".zst"))] == []


def test_a_killed_run_whose_note_is_lost_is_recorded_as_unknown(
    archive: Archive, clock: Ticking, tmp_path: Path
) -> None:
    with record(archive, "poll", {"roots": ["31"]}, clock, VERSIONS) as run:
        for observed in seen_in_turn([b"{}", b"[]"]):
            clock.advance(1)
            run.append(observed)
        files = snapshot(archive)
    note = f"manifests/{run.name}.open"
    for left in ({}, {note: b""}, {note: files.pop(note)[:-9]}):
        killed = restore(files | left, tmp_path / f"note of {len(left.get(note, b''))} bytes {len(left)}")
        write(killed, clock, [])
        (manifest,) = killed.manifests()
        assert (manifest.kind, manifest.asked, manifest.outcome) == ("unknown", {}, "interrupted")
        assert (manifest.run, manifest.captures) == (run.name, 2)
        assert verify(killed).problems == ()


def test_a_process_that_was_killed_leaves_no_lock_and_every_whole_frame(archive: Archive, clock: Ticking) -> None:
    script = f"""if True:
        import os, pathlib, signal
        from datetime import UTC, datetime
        from extract.archive import Archive
        from extract.capture import capture
        from extract.recording import record
        now = datetime(2024, 11, 28, 2, tzinfo=UTC)
        with record(Archive(pathlib.Path({str(archive.directory)!r})), "poll", {{}}, lambda: now, {{}}) as run:
            for number in range(300):
                run.append(capture(f"https://kpu/{{number}}.json", b"%d" % number, now, "kpu"))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    project = str(Path(extract.__file__).parents[1])
    killed = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": project}, check=False)
    assert killed.returncode == -signal.SIGKILL
    write(archive, clock, [])
    (manifest,) = archive.manifests()
    assert (manifest.outcome, manifest.captures, manifest.kind) == ("interrupted", 256, "poll")
    assert [capture.body for capture in stored(archive)] == [b"%d" % number for number in range(256)]


# A disk that refuses


def full_after(room: int) -> Callable[[int, bytes], int]:
    """`os.write` on a disk with room for so many bytes: the last write is short, the next one fails."""
    really_write = os.write

    def write(descriptor: int, content: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = really_write(descriptor, content[:room])
        room -= written
        return written

    return write


def test_a_disk_that_is_full_at_any_byte_costs_only_the_frame_it_refused(
    clock: Ticking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = seen_in_turn([b"{}", b'{"votes":1}', b"[]", b"{}"])
    write(Archive(tmp_path / "whole"), clock, night)
    (whole,) = (tmp_path / "whole" / "segments").iterdir()
    ends = [frame.offset + frame.length for frame in segments.frames(whole)]
    assert len(ends) == 2
    for room in range(ends[-1]):
        archive = Archive(tmp_path / str(room))
        with monkeypatch.context() as disk:
            disk.setattr(os, "write", full_after(room))
            with pytest.raises(StorageError, match=r"No space left on device; make room .*run the same command again"):
                write(archive, clock, night)
        kept = 2 * sum(end <= room for end in ends)
        assert [capture.key for capture in stored(archive)] == [capture.key for capture in night[:kept]]
        (failed,) = archive.manifests()
        assert (failed.kind, failed.outcome, failed.captures) == ("poll", "failed", kept)
        assert write(archive, clock, night) == [False] * kept + [True] * (len(night) - kept)
        assert list(archive.history()) == night
        assert verify(archive).problems == ()


def test_nothing_follows_a_torn_frame_even_if_the_caller_goes_on(
    archive: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_on() -> None:
        with record(archive, "poll", {}, clock, VERSIONS) as run:
            for number, observed in enumerate(seen_in_turn([b"1", b"2", b"3", b"4", b"5", b"6", b"7"])):
                clock.advance(number % 2)
                with monkeypatch.context() as disk, suppress(StorageError):
                    if number == 3:
                        disk.setattr(os, "write", full_after(10))
                    run.append(observed)

    with pytest.raises(StorageError):
        go_on()
    write(archive, clock, [])
    assert bodies(archive) == [b"1", b"2"]
    assert [(manifest.kind, manifest.captures) for manifest in archive.manifests()] == [("poll", 2)]
    assert verify(archive).problems == ()


@pytest.mark.parametrize("refused", [(os, "fsync"), (Path, "replace")], ids=["fsync", "replace"])
def test_a_disk_that_refuses_the_end_of_a_run_leaves_it_to_the_next(
    archive: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch, refused: tuple[object, str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def poll() -> None:
        with monkeypatch.context() as disk, record(archive, "poll", {"roots": ["31"]}, clock, VERSIONS) as run:
            run.append(seen(b"{}"))
            disk.setattr(*refused, refuse)

    with pytest.raises(StorageError, match="Input/output error"):
        poll()
    assert archive.manifests() == []
    assert write(archive, clock, [seen(b"{}"), seen(b"[]")]) == [False, True]
    assert [(manifest.kind, manifest.outcome) for manifest in archive.manifests()] == [
        ("poll", "interrupted"),
        ("poll", "complete"),
    ]
    assert verify(archive).problems == ()


def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path, clock: Ticking) -> None:
    (tmp_path / "occupied").write_bytes(b"")
    with pytest.raises(StorageError, match="occupied") as refused:
        write(Archive(tmp_path / "occupied" / "archive"), clock, [seen(b"{}")])
    assert refused.value.place == tmp_path / "occupied" / "archive"
