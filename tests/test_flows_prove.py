"""A number in the results can be proved to the bytes it came from, and is not when anything speaks against it."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import commands
import msgspec
import pytest
from answers import PAIRS, A, B, count, figures, pairs, taken, wib
from commands import Answer, Run
from conftest import Ticking

from extract.bundle import check
from extract.capture import Capture
from extract.errors import UsageError
from extract.recording import record
from flows.proving import Evidence, prove
from flows.replay import bring_up_to_date, replay_folder, replay_git
from flows.settings import Settings

MORNING = datetime(2024, 11, 28, 3, 0, 0, tzinfo=UTC)


def archived(settings: Settings, clock: Ticking, *captures: Capture) -> None:
    """One run, loaded and published."""
    clock.advance(60)
    with record(settings.archive, "test", {}, clock, {}) as run:
        for one in captures:
            run.append(one)
    bring_up_to_date(settings)


def at(minute: int) -> datetime:
    return MORNING + timedelta(minutes=minute)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Three runs: first votes, more votes, none: Jakarta's own document and its parts in its table."""
    settings, clock = Settings(tmp_path_factory.mktemp("told")), Ticking(MORNING)
    part = {"3171": figures({A: 3, B: 4}, 1)}
    archived(
        settings, clock, taken(pairs(), at(0)), taken(count("31", "09:45:00", figures({A: 30, B: 40}), part), at(1))
    )
    archived(settings, clock, taken(count("31", "10:00:00", figures({A: 50, B: 60}, 6), part), at(16)))
    none = {"3171": figures({A: 0, B: 0}, 2)}
    archived(settings, clock, taken(count("31", "10:45:00", figures({A: 0, B: 0}, 7), none), at(61)))
    return settings


@pytest.fixture
def spoilt(told: Settings, tmp_path: Path) -> Settings:
    """The same, to be spoilt."""
    return Settings(shutil.copytree(told.data_dir, tmp_path / "spoilt"))


@pytest.fixture
def realcount(tmp_path: Path) -> Run:
    def run(settings: Settings, *arguments: str) -> Answer:
        return commands.realcount("--data-dir", settings.data_dir, *arguments, cwd=tmp_path)

    return run


def votes(evidence: Evidence) -> list[int]:
    return [number["votes"] for proof in evidence.proofs for number in proof.numbers]


def roles(evidence: Evidence) -> list[tuple[str, str]]:
    """What each capture is shown for, and its number in the order of the minutes."""
    return [
        (shown.role, shown.capture.observed_at.strftime("%H:%M"))
        for proof in evidence.proofs
        for shown in proof.exhibits
    ]


def problems(settings: Settings, unit: str = "31") -> str:
    evidence = prove(settings, unit)
    return "\n".join([*evidence.problems, *(problem for proof in evidence.proofs for problem in proof.problems)])


# What is proven


def test_jakarta_s_figures_of_ten_o_clock_are_proved_to_the_vote(real: Path, tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    replay_git(settings, real / "pilkada-scrap.bundle")
    evidence = prove(settings, "jakarta", at=wib("10:00:05"), contest="pkwkp")
    assert evidence.is_proven
    assert votes(evidence) == [1_717_245, 458_886, 2_181_939]
    (proof,) = evidence.proofs
    shown = proof.exhibits[0]
    assert (shown.role, shown.ts, shown.capture.observed_at) == ("votes", "2024-11-28 10:00:05", wib("10:31:07"))
    assert shown.capture.url.endswith("/pilkada/hhcw/pkwkp/31.json")
    assert [figure.value for figure in shown.figures] == [1_717_245, 458_886, 2_181_939, 14_825, 14_835]

    place = tmp_path / "evidence.zip"
    assert evidence.write(settings.archive, place) == place.stat().st_size < 64_000
    files = check.members(place)
    told = "\n".join(check.check(files))
    for said in ("= 1,717,245", "= 458,886", "= 2,181,939", "RIDWAN KAMIL", "2024-11-28T03:31:07Z"):
        assert said in told

    for name, content in files.items():  # every 31st byte: test_extract_evidence takes all of a smaller one
        for position in range(0, len(content) if name not in check.TEXTS else 0, 31):
            changed = content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
            with pytest.raises(check.RejectedError):
                check.check({**files, name: changed})

    withdrawn = prove(settings, "31")
    assert withdrawn.is_proven
    assert votes(withdrawn) == votes(evidence)
    last, first_without = withdrawn.proofs[0].exhibits[:2]
    assert (last.role, last.capture) == ("votes", shown.capture)
    assert (first_without.role, first_without.ts) == ("withdrawal", "2024-11-28 10:45:04")


def test_documents_and_pages_of_every_level_of_february_are_proved_too(real: Path, tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    replay_folder(settings, real / "pemilu2024", observed_at=datetime(2024, 3, 7, tzinfo=UTC))
    for unit in ("0", "12", "1101", "110101", "1101012001", "1101012001001", "1101012001002", "8271021022008"):
        evidence = prove(settings, unit)
        assert evidence.is_proven, unit
        evidence.write(settings.archive, tmp_path / "evidence.zip")
        assert check.main([str(tmp_path / "evidence.zip")]) == 0


def test_a_withdrawn_number_is_shown_with_the_last_votes_and_with_their_withdrawal(told: Settings) -> None:
    evidence = prove(told, "31")
    assert evidence.is_proven
    assert votes(evidence) == [60, 50]  # in the order of the ballot
    assert roles(evidence) == [("votes", "03:16"), ("withdrawal", "04:01"), ("pairs", "03:00")]
    assert [manifest.sequence for manifest in evidence.manifests] == [1, 2, 3]


def test_a_number_of_an_earlier_moment_rests_on_the_capture_of_then(told: Settings) -> None:
    evidence = prove(told, "31", at=wib("09:50:00"))
    assert votes(evidence) == [40, 30]
    assert roles(evidence) == [("votes", "03:01"), ("pairs", "03:00")]


def test_a_number_told_by_the_parent_only_rests_on_its_row_there(told: Settings) -> None:
    evidence = prove(told, "3171")
    assert evidence.is_proven
    first, second = evidence.proofs[0].exhibits[:2]
    assert [figure.place for figure in first.figures][:2] == [
        ("tungsura", "table", "3171", B),
        ("tungsura", "table", "3171", A),
    ]
    assert (first.capture.observed_at, second.capture.observed_at) == (at(1), at(61))


@pytest.mark.parametrize("candidate", ["2", A])
def test_one_pair_can_be_named_by_its_number_or_its_id(told: Settings, candidate: str) -> None:
    assert votes(prove(told, "31", candidate)) == [50]


def test_a_unit_without_votes_has_nothing_to_prove(told: Settings) -> None:
    with pytest.raises(UsageError, match="there are no votes of candidate 7 in 31"):
        prove(told, "31", "7")
    with pytest.raises(UsageError, match="there are no votes in 31"):
        prove(told, "31", at=wib("01:00:00"))


# What is not


def test_a_changed_segment_contradicts_the_number(spoilt: Settings) -> None:
    segment = spoilt.archive.segments_directory / spoilt.archive.segment_names()[1]
    content = segment.read_bytes()
    segment.write_bytes(content + b"\0")
    assert "is not the one its manifest names" in problems(spoilt)
    segment.write_bytes(content[:-9])
    assert "no line of" in problems(spoilt)
    segment.unlink()
    assert "is gone" in problems(spoilt)


def test_a_changed_manifest_contradicts_every_number(spoilt: Settings) -> None:
    newest = sorted(spoilt.archive.manifests_directory.iterdir())[-1]
    newest.write_bytes(newest.read_bytes().replace(b"complete", b"finished"))
    assert newest.name in problems(spoilt)
    newest.unlink()
    assert "from another archive" in problems(spoilt)  # and not only by the withdrawal, which that run archived


def test_a_manifest_that_is_missing_breaks_the_chain_of_a_number_after_it(spoilt: Settings) -> None:
    sorted(spoilt.archive.manifests_directory.iterdir())[0].unlink()
    assert "manifest 1 should stand here" in problems(spoilt)


def test_a_database_that_says_something_else_contradicts_the_archive(spoilt: Settings) -> None:
    import duckdb

    with duckdb.connect(str(spoilt.published)) as connection:
        connection.execute(
            "UPDATE core.standing SET votes = map {'1000001': 51, '1000002': 60} WHERE votes['1000001'] = 50"
        )
    assert "the body says 50, the database 51" in problems(spoilt)


def test_a_database_of_another_archive_is_told_apart(told: Settings, spoilt: Settings, clock: Ticking) -> None:
    shutil.rmtree(spoilt.archive.directory)
    with record(spoilt.archive, "test", {}, clock, {}) as run:
        run.append(taken(count("31", "10:00:00", figures({A: 50, B: 60}, 6)), at(16)))
    assert "realcount rebuild" in problems(spoilt)
    assert prove(told, "31").is_proven


def test_names_of_pairs_that_the_pairs_file_does_not_have_are_found(spoilt: Settings) -> None:
    import duckdb

    with duckdb.connect(str(spoilt.published)) as connection:
        connection.execute(
            "UPDATE core.candidate_latest SET candidate_name = 'SOMEBODY ELSE' WHERE candidate_id = '1000001'"
        )
    assert "has another pair 1000001" in problems(spoilt)


# The command


def test_the_command_shows_each_link_and_ends_with_one_word(realcount: Run, told: Settings) -> None:
    answer = realcount(told, "prove", "31")
    assert (answer.returncode, answer.stderr) == (0, "")
    newest = told.archive.manifests()[-1]
    for said in (
        "2024-11-28 10:00:00 WIB = 2024-11-28 03:00:00 UTC",
        "2024-11-28 10:16:00 WIB = 2024-11-28 03:16:00 UTC, by test",
        "1 of 1 in ",
        "number 2 of 3",
        f"{newest.file_name}, number 3 of 3, {newest.digest}",
        PAIRS["31"][A]["nama"],
        "PROVEN: ",
    ):
        assert said in answer.stdout


def test_programs_get_a_row_for_each_number_and_capture(realcount: Run, told: Settings) -> None:
    rows = json.loads(realcount(told, "prove", "31", "--format", "json").stdout)
    assert [(row["ballot_number"], row["role"], row["found"]) for row in rows] == [
        (1, "votes", 60), (1, "withdrawal", 0), (1, "pairs", PAIRS["31"][B]["nama"]),
        (2, "votes", 50), (2, "withdrawal", 0), (2, "pairs", PAIRS["31"][A]["nama"]),
    ]  # fmt: skip
    assert {row["is_proven"] for row in rows} == {True}
    assert (rows[0]["line"], rows[0]["sequence"], rows[0]["manifests"]) == (1, 2, 3)
    assert rows[0]["digest"] == prove(told, "31").proofs[0].exhibits[0].capture.digest
    lines = realcount(told, "prove", "31", "--candidate", "1", "--format", "csv").stdout.splitlines()
    assert len(lines) == 4


def test_the_bundle_it_writes_is_accepted_by_the_checker_in_it(realcount: Run, told: Settings, tmp_path: Path) -> None:
    answer = realcount(told, "prove", "31", "--bundle", "evidence.zip")
    assert answer.returncode == 0
    assert "Wrote evidence.zip" in answer.stderr
    assert check.main([str(tmp_path / "evidence.zip")]) == 0


def test_what_is_contradicted_ends_with_1_and_leaves_no_bundle(
    realcount: Run, spoilt: Settings, tmp_path: Path
) -> None:
    segment = spoilt.archive.segments_directory / spoilt.archive.segment_names()[1]
    segment.write_bytes(segment.read_bytes() + b"\0")
    answer = realcount(spoilt, "prove", "31", "--bundle", "evidence.zip")
    assert answer.returncode == 1
    assert "CONTRADICTED: the segment" in answer.stderr
    assert "PROVEN" not in answer.stdout
    assert not (tmp_path / "evidence.zip").exists()
    rows = json.loads(realcount(spoilt, "prove", "31", "--format", "json").stdout)
    assert {row["is_proven"] for row in rows} == {False}
    assert all(row["problems"] for row in rows)
    segment.unlink()
    rows = json.loads(realcount(spoilt, "prove", "31", "--format", "json").stdout)
    assert {row["is_proven"] for row in rows} == {False}


@pytest.mark.parametrize(
    "arguments", [("9999",), ("31", "--candidate", "7"), ("31", "--bundle", "no/such/folder/evidence.zip"), ()]
)
def test_wrong_usage_ends_with_2_and_one_line(realcount: Run, told: Settings, arguments: tuple[str, ...]) -> None:
    answer = realcount(told, "prove", *arguments)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1


def test_simulated_numbers_say_so_in_the_proof_and_in_the_bundle(
    realcount: Run, tmp_path: Path, clock: Ticking
) -> None:
    settings = Settings(tmp_path / "simulated")
    simulated = msgspec.structs.replace(
        taken(count("31", "10:00:00", figures({A: 5, B: 6})), at(1)), source="simulated:1"
    )
    archived(settings, clock, simulated)
    answer = realcount(settings, "prove", "31", "--bundle", "evidence.zip")
    assert answer.returncode == 0
    assert "SIMULATED" in answer.stdout
    assert "SIMULATED" in "\n".join(check.check(check.members(tmp_path / "evidence.zip")))
