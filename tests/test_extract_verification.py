"""No byte of an archive can be changed, lost or added without verification saying where."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import msgspec
import pytest
from conftest import Ticking
from hypothesis import given
from hypothesis import strategies as st

from extract.archive import Archive
from extract.capture import Capture, capture, digest_of
from extract.recording import record
from extract.verification import Problem, verify

NIGHT = datetime(2024, 11, 28, 2, 0, 0, tzinfo=UTC)
RUNS = 4
KILLED = 1  # the second run
PAIRS = list(combinations(range(RUNS), 2))


def seen(body: bytes, minute: int = 0) -> Capture:
    return capture("https://kpu/31.json", body, NIGHT + timedelta(minutes=minute), "kpu")


def write(archive: Archive, clock: Ticking, *captures: Capture) -> str:
    """One run; its name."""
    clock.advance(60)
    with record(archive, "poll", {}, clock, {}) as run:
        for observed in captures:
            run.append(observed)
    return run.name


def write_and_be_killed(archive: Archive, clock: Ticking, observed: Capture) -> None:
    """One run whose process dies in the middle of its second frame: the next run seals it."""
    name = write(archive, clock, observed)
    segment = archive.segments_directory / f"{name}.jsonl.zst"
    segment.write_bytes(segment.read_bytes() + b"\x28\xb5\x2f\xfd\x20")
    next(archive.manifests_directory.glob(f"*{name}.json")).unlink()


def segment_files(archive: Archive) -> list[Path]:
    return sorted(archive.segments_directory.iterdir())


def manifest_files(archive: Archive) -> list[Path]:
    return sorted(archive.manifests_directory.iterdir())


def found_in(archive: Archive) -> set[tuple[str, str | None]]:
    """The files and runs that verification finds fault with."""
    return {(problem.file, problem.run) for problem in verify(archive).problems}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Four small runs: a body, a killed run, another body, and one that revisits the first."""
    archive, clock = Archive(tmp_path_factory.mktemp("verification") / "archive"), Ticking(NIGHT)
    write(archive, clock, seen(b"{}", 1))
    write_and_be_killed(archive, clock, seen(b"[]", 2))
    write(archive, clock, seen(b"\xff", 3))
    write(archive, clock, seen(b"{}", 4))
    return archive


@pytest.fixture
def archive(whole: Archive, tmp_path: Path) -> Archive:
    """The same, to be spoilt."""
    return Archive(shutil.copytree(whole.directory, tmp_path / "archive"))


@pytest.fixture
def runs(archive: Archive) -> list[str]:
    return [manifest.run for manifest in archive.manifests()]


def changed(path: Path, position: int, mask: int, archive: Archive) -> tuple[Problem, ...]:
    """What verification says while one byte of a file is another."""
    with path.open("r+b", buffering=0) as file:
        right = os.pread(file.fileno(), 1, position)
        os.pwrite(file.fileno(), bytes([right[0] ^ mask]), position)
        try:
            return verify(archive).problems
        finally:
            os.pwrite(file.fileno(), right, position)


def tells_of(problems: tuple[Problem, ...], path: Path) -> bool:
    """Whether a problem names this file and the run whose name it carries."""
    run = path.name.split(".")[0].removeprefix(f"{path.name.split('-')[0]}-" if path.suffix == ".json" else "")
    return any(problem.file == path.name and problem.run == run and problem.what for problem in problems)


def test_an_archive_that_nobody_touched_is_intact(whole: Archive) -> None:
    assert verify(whole) == (RUNS, 4, 3, ())
    outcomes = [manifest.outcome for manifest in whole.manifests()]
    assert outcomes == ["complete", "interrupted", "complete", "complete"]
    assert whole.manifests()[KILLED].segments[0].torn_bytes == 5


def test_an_archive_that_is_not_there_has_no_problems_and_no_runs(tmp_path: Path) -> None:
    assert verify(Archive(tmp_path / "nowhere")) == (0, 0, 0, ())


def test_every_changed_byte_is_found_and_told_with_its_file_and_run(archive: Archive) -> None:
    files = [*segment_files(archive), *manifest_files(archive)]
    assert len(files) == 2 * RUNS
    for path in files:
        for position in range(path.stat().st_size):
            assert tells_of(changed(path, position, 1, archive), path), f"byte {position} of {path.name}"
    assert verify(archive).problems == ()  # it was put back as it was, so each was found on its own


@given(st.data())
def test_whatever_it_is_changed_to(whole: Archive, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([*segment_files(whole), *manifest_files(whole)]))
    position = data.draw(st.integers(0, path.stat().st_size - 1))
    assert tells_of(changed(path, position, data.draw(st.integers(1, 255)), whole), path)


def test_a_byte_more_or_less_is_found(archive: Archive) -> None:
    for path in (*segment_files(archive), *manifest_files(archive)):
        content = path.read_bytes()
        for spoilt in (content + b"\n", content + b"\0", content[:-1], b""):
            path.write_bytes(spoilt)
            assert tells_of(verify(archive).problems, path), f"{len(spoilt)} bytes of {path.name}"
        path.write_bytes(content)


@pytest.mark.parametrize("gone", range(RUNS - 1))
def test_a_manifest_that_is_gone_is_missed_by_the_next_and_by_its_segment(
    archive: Archive, runs: list[str], gone: int
) -> None:
    manifest_files(archive)[gone].unlink()
    assert found_in(archive) == {
        (f"{gone + 2:06d}-{runs[gone + 1]}.json", runs[gone + 1]),
        (f"{runs[gone]}.jsonl.zst", None),
        *([(f"{runs[3]}.jsonl.zst", runs[3])] if gone == 0 else []),  # what it revisits is nobody's now
    }
    assert f"manifest {gone + 1} should stand here" in {problem.what for problem in verify(archive).problems}


def test_the_last_manifest_is_missed_by_its_segment(archive: Archive, runs: list[str]) -> None:
    manifest_files(archive)[-1].unlink()
    (problem,) = verify(archive).problems
    assert (problem.file, problem.run) == (f"{runs[-1]}.jsonl.zst", None)
    assert "no manifest names this segment" in problem.what


@pytest.mark.parametrize("gone", range(RUNS))
def test_a_segment_that_is_gone_is_missed_by_its_run(archive: Archive, runs: list[str], gone: int) -> None:
    segment_files(archive)[gone].unlink()
    assert (f"{runs[gone]}.jsonl.zst", runs[gone]) in found_in(archive)
    assert "No such file" in verify(archive).problems[0].what


def test_a_revisit_whose_body_is_gone_is_told_with_the_run_that_revisits(archive: Archive, runs: list[str]) -> None:
    segment_files(archive)[0].unlink()
    assert found_in(archive) == {(f"{runs[0]}.jsonl.zst", runs[0]), (f"{runs[3]}.jsonl.zst", runs[3])}
    assert verify(archive).problems[-1].what == f"revisits {digest_of(b'{}')}, which no capture holds"


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_manifests_that_changed_places_are_found(archive: Archive, runs: list[str], one: int, other: int) -> None:
    first, second = manifest_files(archive)[one], manifest_files(archive)[other]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert {(first.name, runs[one]), (second.name, runs[other])} <= found_in(archive)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_segments_that_changed_places_are_found(archive: Archive, runs: list[str], one: int, other: int) -> None:
    first, second = segment_files(archive)[one], segment_files(archive)[other]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert {(first.name, runs[one]), (second.name, runs[other])} <= found_in(archive)


def test_a_segment_that_nobody_wrote_is_found(archive: Archive) -> None:
    shutil.copy(segment_files(archive)[0], archive.segments_directory / "20241128T000000Z-000000.jsonl.zst")
    (problem,) = verify(archive).problems
    assert (problem.file, problem.run) == ("20241128T000000Z-000000.jsonl.zst", None)
    assert "no manifest names this segment" in problem.what


def test_a_manifest_that_nobody_wrote_is_found(archive: Archive, runs: list[str]) -> None:
    last = manifest_files(archive)[-1]
    shutil.copy(last, last.with_name(f"000005-{runs[-1]}.json"))
    assert found_in(archive) == {(f"000005-{runs[-1]}.json", runs[-1])}


def test_a_manifest_under_another_name_is_found(archive: Archive) -> None:
    last = manifest_files(archive)[-1]
    last.rename(last.with_name("000004-20241128T020400Z-000000.json"))
    (problem,) = verify(archive).problems
    assert problem == ("000004-20241128T020400Z-000000.json", "20241128T020400Z-000000", "manifest 4 should stand here")


def test_a_run_that_was_dropped_with_all_its_files_is_missed_by_the_next(archive: Archive, runs: list[str]) -> None:
    """Also if the next manifest is numbered anew and sealed again."""
    forged = msgspec.structs.replace(archive.manifests()[3], sequence=3).sealed()
    for path in (segment_files(archive)[2], *manifest_files(archive)[2:]):
        path.unlink()
    (archive.manifests_directory / forged.file_name).write_bytes(forged.encoded())
    (problem,) = verify(archive).problems
    assert problem == (f"000003-{runs[3]}.json", runs[3], "it does not follow the manifest before it")


def test_a_forged_body_is_found_even_if_its_run_says_so_too(tmp_path: Path, clock: Ticking) -> None:
    archive, true = Archive(tmp_path / "archive"), seen(b'{"votes":1}')
    run = write(archive, clock, msgspec.structs.replace(true, body=b'{"votes":9}'))
    (problem,) = verify(archive).problems
    assert problem == (f"{run}.jsonl.zst", run, f"the body of https://kpu/31.json is not {true.digest}")
