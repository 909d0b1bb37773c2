"""The demonstration, as a stranger meets it: `realcount demo` in an empty directory."""

import json
import re
import shlex
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import commands
import pytest
from commands import Answer

from extract.endpoints import WIB
from extract.simulator import Simulation
from flows.demo import MOMENTS, NIGHT

BEFORE_THE_WITHDRAWAL = datetime(2024, 11, 28, 10, 31, tzinfo=WIB)
CYCLE = re.compile(r"2[78] Nov \d\d:\d\d WIB +([\d,]+) of 14,835 .* +(\d+) +(\d+)   PRAMONO ANUNG, [\d.]+ %")


def realcount(directory: Path, *arguments: str) -> Answer:
    return commands.realcount(*arguments, cwd=directory, timeout=180)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(place: Path) -> subprocess.CompletedProcess[str]:
    """The demonstration, played there once."""
    return realcount(place, "demo")


def records(place: Path, *question: str) -> list[dict[str, Any]]:
    """An answer from the demonstration's database."""
    answer = realcount(place, "--data-dir", "data/demo", *question, "--format", "json")
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found


def test_it_says_first_that_all_is_simulated_and_shows_a_line_for_every_cycle(
    demo: subprocess.CompletedProcess[str],
) -> None:
    assert demo.returncode == 0, demo.stderr
    assert demo.stdout.startswith("SIMULATED")
    cycles = CYCLE.findall(demo.stdout)
    assert len(cycles) == len(MOMENTS)
    stations = [int(reported.replace(",", "")) for reported, _, _ in cycles]
    assert stations == sorted(stations)
    assert "WITHDRAWN" in demo.stdout
    assert "2,181,939" in demo.stdout


def test_nothing_but_the_start_of_prefect_is_on_stderr(demo: subprocess.CompletedProcess[str]) -> None:
    starting, address = demo.stderr.splitlines()
    assert "up to 20 seconds" in starting
    assert address.startswith("Prefect: http://127.0.0.1:")


def test_it_asks_for_less_than_the_whole_tree_although_some_answers_are_faulty(
    demo: subprocess.CompletedProcess[str],
) -> None:
    found = re.search(r"Requests: ([\d,]+), .* every time: ([\d,]+)\.\nFaulty answers: (\d+) ", demo.stdout)
    assert found
    asked, tree, faulty = (int(number.replace(",", "")) for number in found.groups())
    assert 5 <= faulty < asked / 20
    assert asked < 0.75 * tree


@pytest.mark.usefixtures("demo")
def test_it_ends_with_the_truth_in_every_region_and_says_that_it_is_simulated(place: Path) -> None:
    truth = Simulation(NIGHT).truth(BEFORE_THE_WITHDRAWAL)
    gone = "withdrawn_at IS NOT NULL AS is_gone"
    query = f"SELECT unit_code, candidate_id, votes, {gone} FROM results WHERE level <> 'village'"
    rows = records(place, "sql", query)
    assert len(rows) == 3 * (1 + 6 + 44)
    for row in rows:
        assert row["votes"] == truth[row["unit_code"]].votes[row["candidate_id"]], row
        assert row["is_gone"], row
    assert records(place, "status")[0]["is_simulated"]


def test_what_it_suggests_to_try_works(demo: subprocess.CompletedProcess[str], place: Path) -> None:
    tries = [line.strip() for line in demo.stdout.splitlines() if line.strip().startswith(".venv/bin/realcount")]
    assert len(tries) == 2
    for line in tries:
        tried = realcount(place, *shlex.split(line)[1:])
        assert tried.returncode == 0, tried.stderr
        assert tried.stdout
