"""Killed at any moment and started again: the archive is clean and the database says the same."""

import os
import random
import signal
import subprocess
from pathlib import Path

import commands
import pytest
from commands import COMMAND, Answer
from conftest import REAL

KILLS = 10


def sources() -> list[object]:
    """A simulated night, and the captured one where it is there."""
    bundle = REAL / "pilkada-scrap.bundle"
    return [
        pytest.param(["replay", "simulated", "--seed", "3", "--slips", "0.01"], id="simulated"),
        pytest.param(
            ["replay", "git", str(bundle)],
            id="captured",
            marks=pytest.mark.skipif(not bundle.exists(), reason="the real data is not beside this checkout"),
        ),
    ]


def realcount(data: Path, *arguments: str) -> Answer:
    return commands.realcount("--data-dir", data, *arguments)


@pytest.mark.parametrize("command", sources())
def test_killed_at_random_moments_and_run_again_it_ends_the_same(tmp_path: Path, command: list[str]) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    assert realcount(undisturbed, *command).returncode == 0
    chance = random.Random(20241128)
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [str(COMMAND), "--data-dir", str(disturbed), *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=chance.uniform(0.15, 2.2))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
            process.wait()
    assert killed, "not one run was slow enough to be killed: the test shows nothing"
    assert realcount(disturbed, *command).returncode in (0, 64)
    verified = realcount(disturbed, "archive", "verify")
    assert verified.returncode == 0, verified.stdout
    assert realcount(disturbed, "fingerprint").stdout == realcount(undisturbed, "fingerprint").stdout


def test_ctrl_c_keeps_what_was_archived_and_says_so(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [str(COMMAND), "--data-dir", str(tmp_path), "replay", "simulated", "--depth", "village"],
        stderr=subprocess.PIPE,
        text=True,
    )
    segments = tmp_path / "archive" / "segments"
    while process.poll() is None and not any(segments.glob("*")):
        pass  # until the first frame is on disk
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "What was archived is safe" in said
    assert "Traceback" not in said
    (run,) = realcount(tmp_path, "archive", "list", "--format", "csv").stdout.splitlines()[1:]
    assert ",interrupted," in run
    assert realcount(tmp_path, "archive", "verify").returncode == 0
