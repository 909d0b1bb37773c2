"""Commands on an archive elsewhere, and on one in shards: all is read, one is written."""

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import Ticking
from object_store import BUCKET, KEY, SECRET, ObjectStore

from extract.bundle import check
from extract.capture import Capture
from extract.errors import UsageError
from extract.recording import record
from extract.simulator import Night, Simulation
from extract.verification import verify
from flows.replay import bring_up_to_date, rebuild
from flows.settings import Settings
from warehouse import queries
from warehouse.connection import reading

COMMAND = Path(sys.executable).with_name("realcount")
JAKARTA = list(Simulation(Night(seed=5, withdrawal=True)).captures("regency"))
SHARDS = {"pkwkp-0": "wilayah", "pkwkp-31": "hhcw", "pkwkk-0": "paslon"}
"""Any division will do: what lies where is decided elsewhere."""


def part(shard: str) -> list[Capture]:
    return [one for one in JAKARTA if f"/{SHARDS[shard]}/" in one.url]


def write(settings: Settings, clock: Ticking, captures: Iterable[Capture]) -> None:
    clock.advance(60)
    with record(settings.archive, "poll", {}, clock, {}) as run:
        for capture in captures:
            run.append(capture)


def run(*arguments: str) -> tuple[int, str, str]:
    """A command: its exit code, what it answers and what it says."""
    done = subprocess.run([str(COMMAND), *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def fingerprint(settings: Settings) -> str:
    with reading(settings.published) as connection:
        return queries.fingerprint(connection)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fingerprint of the same captures in one archive in a folder."""
    settings = Settings(tmp_path_factory.mktemp("whole"), "off", "off")
    write(settings, Ticking(datetime(2024, 11, 28, 3, tzinfo=UTC)), JAKARTA)
    bring_up_to_date(settings)
    return fingerprint(settings)


@pytest.fixture(params=["folder", "s3"])
def at(request: pytest.FixtureRequest, tmp_path: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the archive lies."""
    if request.param == "folder":
        return str(tmp_path / "common")
    store: ObjectStore = request.getfixturevalue("s3")
    for name, value in store.credentials.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{prefix}"


@pytest.fixture
def machine(tmp_path: Path, at: str) -> Callable[..., Settings]:
    """A machine of a name, which crawls a shard or none."""
    return lambda name, shard=None: Settings(tmp_path / name, "off", "off", at, shard)


def test_shards_that_machines_write_side_by_side_load_to_the_fingerprint_of_one_archive(
    machine: Callable[..., Settings], clock: Ticking, whole: str
) -> None:
    for shard in SHARDS:
        write(machine(shard, shard), clock, part(shard)[::2])
    reader = machine("reader")
    bring_up_to_date(reader)
    assert fingerprint(reader) != whole
    for shard in SHARDS:
        write(machine(shard, shard), clock, part(shard))
    bring_up_to_date(reader)
    assert fingerprint(reader) == whole
    fresh = machine("fresh")
    rebuild(fresh)
    assert fingerprint(fresh) == whole


def test_a_load_with_a_shard_takes_in_that_shard_only_and_runs_say_which(
    machine: Callable[..., Settings], clock: Ticking
) -> None:
    for shard in SHARDS:
        write(machine(shard, shard), clock, part(shard))
    own = machine("pkwkp-31", "pkwkp-31")
    bring_up_to_date(own)
    with reading(own.published) as connection:
        found = list(queries.query(connection, "SELECT shard, captures FROM runs").rows)
    assert found == [("pkwkp-31", len(part("pkwkp-31")))]
    reader = machine("reader")
    bring_up_to_date(reader)
    with reading(reader.published) as connection:
        rows = list(queries.query(connection, "SELECT shard, sequence FROM runs ORDER BY ALL").rows)
    assert rows == [(shard, 1) for shard in sorted(SHARDS)]


def test_the_archive_itself_and_its_shards_are_read_side_by_side(
    machine: Callable[..., Settings], clock: Ticking, whole: str
) -> None:
    write(machine("reader"), clock, part("pkwkp-0") + part("pkwkk-0"))
    write(machine("crawler", "pkwkp-31"), clock, part("pkwkp-31"))
    reader = machine("reader")
    bring_up_to_date(reader)
    assert fingerprint(reader) == whole
    assert [manifest.sequence for manifest in reader.archives.manifests()] == [1, 1]
    assert [manifest.sequence for manifest in reader.archive.manifests()] == [1]


def test_verify_says_per_shard_what_is_damaged(
    machine: Callable[..., Settings], at: str, prefix: str, s3: ObjectStore, clock: Ticking, tmp_path: Path
) -> None:
    for shard in SHARDS:
        write(machine(shard, shard), clock, part(shard))
    options = ("--data-dir", str(tmp_path / "reader"), "--archive", at)
    code, _, said = run(*options, "archive", "verify")
    assert code == 0
    assert [line.split(" is intact: ")[0] for line in said.splitlines()] == [
        "The archive",
        *(f"The shard {shard}" for shard in sorted(SHARDS)),
    ]
    name = machine("reader").archives.members()[-1].segment_names()[0]
    if at.startswith("s3"):
        s3.delete(f"{prefix}/shards/pkwkp-31/segments/{name}")
    else:
        (Path(at) / "shards" / "pkwkp-31" / "segments" / name).unlink()
    code, told, said = run(*options, "archive", "verify")
    assert code == 1
    assert told.startswith(f"pkwkp-31/{name} (run ")
    assert "The shard pkwkp-31 is damaged" in said
    assert "The shard pkwkp-0 is intact" in said
    assert run(*options, "--shard", "pkwkp-0", "archive", "verify")[0] == 0


def test_a_shard_s_manifests_in_another_shard_s_place_are_found(tmp_path: Path, clock: Ticking) -> None:
    for shard in ("pkwkp-0", "pkwkp-31"):
        write(Settings(tmp_path, shard=shard), clock, part(shard))
    shards = tmp_path / "archive" / "shards"
    shutil.move(shards / "pkwkp-31", shards / "pkwkp-32")
    (problem,) = verify(Settings(tmp_path, shard="pkwkp-32").archive).problems
    assert problem.what == "it is no manifest of the shard pkwkp-32"


def test_every_command_reads_an_archive_in_shards(
    machine: Callable[..., Settings], at: str, clock: Ticking, tmp_path: Path
) -> None:
    for shard in SHARDS:
        write(machine(shard, shard), clock, part(shard))
    bring_up_to_date(machine("reader"))

    def told(*command: str) -> str:
        code, answer, said = run("--data-dir", str(tmp_path / "reader"), "--archive", at, *command)
        assert code == 0, said
        return answer + said

    listed = told("archive", "list", "--format", "csv").splitlines()[1:]
    assert [line.split(",")[-2] for line in listed] == sorted(SHARDS)
    assert '"mode":"hhcw"' in told("archive", "show", "hhcw/pkwkp/31.json")
    assert f"{at}: 3 runs" in told("status")
    captures = sum(len(part(shard)) for shard in SHARDS)
    assert f"Wrote {captures:,} captures" in told("archive", "export", "warc", str(tmp_path / "night.warc.gz"))
    assert "PROVEN" in told("prove", "31", "--bundle", str(tmp_path / "evidence.zip"))
    shown = check.check(check.members(tmp_path / "evidence.zip"))
    assert [line.split(":")[0] for line in shown if line.startswith("The chain")] == [
        "The chain of shard pkwkk-0",
        "The chain of shard pkwkp-31",
    ]


def test_failures_of_the_store_are_one_line_with_an_exit_code(
    s3: ObjectStore, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.credentials.items():
        monkeypatch.setenv(name, value)
    place, data = f"s3://{BUCKET}/{prefix}", tmp_path / "data"

    def told(at: str, *options: str) -> tuple[int, str]:
        where = ("--data-dir", str(data), "--parquet", "off", "--archive", at)
        code, answer, said = run(*where, *options, "replay", "simulated", "--depth", "regency")
        assert SECRET not in answer + said
        return code, said

    assert told("s3://nowhere") == (
        2,
        "realcount: s3://nowhere: there is no such bucket; make it, or name another one\n",
    )
    assert told(f"s3://{KEY}:{SECRET}@count")[0] == 2
    assert told(place, "--shard", "../31")[0] == 2
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
    code, said = told(place)
    assert (code, "refuses (403 InvalidAccessKeyId)" in said) == (2, True)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    s3.fault = lambda *_: ("400 Bad Request", "Unhappy")
    code, said = told(place)
    assert (code, "400 Unhappy; see that the store answers" in said) == (1, True)
    s3.fault = lambda *_: None
    assert told(place)[0] == 0
    assert told(place)[0] == 64
    assert not [path for path in data.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_without_the_library_an_object_store_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(UsageError, match=r"pip install 'realcount\[s3\]'"):
        _ = Settings(tmp_path, archive_at="s3://count/without").archive


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "pkwkp_31", "-", "a--b", "pkwkp-31\n"])
def test_a_shard_s_name_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    if name:
        with pytest.raises(UsageError, match="a shard is called by"):
            _ = Settings(tmp_path, shard=name).archive
    assert not (tmp_path / "archive").exists()


def test_the_command_line_has_a_variable_for_both() -> None:
    _, shown, _ = run("--help")
    assert {"REALCOUNT_ARCHIVE]", "REALCOUNT_SHARD]"} <= set(shown.split())


def test_a_replay_onto_an_object_store_killed_again_and_again_ends_the_same(
    s3: ObjectStore, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.credentials.items():
        monkeypatch.setenv(name, value)
    night = ("replay", "simulated", "--depth", "district", "--withdrawal")
    elsewhere = ("--parquet", "off", "--archive", f"s3://{BUCKET}/{prefix}")
    chance, killed = random.Random(1), 0
    for _ in range(3):
        process = subprocess.Popen(
            [str(COMMAND), "--data-dir", str(tmp_path / "killed"), *elsewhere, *night],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = len(s3.asked)
        after = chance.randrange(1, 9)  # requests
        while process.returncode is None and len(s3.asked) < before + after:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
        killed += process.poll() is None
        process.kill()
        process.wait()
    assert killed, "not one run was slow enough to be killed: the test shows nothing"
    for data, options in (("killed", elsewhere), ("whole", ("--parquet", "off")), ("another", elsewhere)):
        command = ("rebuild",) if data == "another" else night
        assert run("--data-dir", str(tmp_path / data), *options, *command)[0] in (0, 64)
    assert run("--data-dir", str(tmp_path / "another"), *elsewhere, "archive", "verify")[0] == 0
    fingerprints = {
        run("--data-dir", str(tmp_path / data), "fingerprint")[1] for data in ("killed", "whole", "another")
    }
    assert len(fingerprints) == 1
