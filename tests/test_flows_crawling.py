"""The stand-in as a command: what it serves, at which time, with which faults."""

import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import CLEAN, COMMAND, realcount

Ask = Callable[[str], tuple[int, bytes]]


@contextmanager
def stand_in(*options: str, data: Path) -> Iterator[Ask]:
    """The command `serve-archive` on a free port of loopback; it must stop in good order when told."""
    command = [str(COMMAND), "--data-dir", str(data), "serve-archive", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=CLEAN)
    assert process.stderr
    base_url = next(line.split()[-1] for line in process.stderr if line.startswith("Serving at http://127.0.0.1:"))

    def ask(path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(base_url + path, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    try:
        yield ask
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 0
    assert "Stopped. Answered" in said


def test_it_serves_the_simulated_night_as_of_a_moment(tmp_path: Path) -> None:
    with stand_in("--simulated", "--at", "2024-11-28T10:00:10", "--speed", "0", data=tmp_path) as ask:
        status, body = ask("/pilkada/hhcw/pkwkp/31.json")
    count = json.loads(body)
    assert (status, count["ts"]) == (200, "2024-11-28 10:00:05")
    assert count["tungsura"]["chart"]["1000025"] == 2_181_939


def test_it_serves_the_country_or_some_provinces_of_it(tmp_path: Path) -> None:
    options = ("--country", "--within", "65", "--within", "31", "--cycles", "12", "--at", "2024-11-27T18:00")
    with stand_in(*options, "--speed", "0", data=tmp_path) as ask:
        assert ask("/pilkada/hhcw/pkwkk/65/6501.json")[0] == 200
        assert ask("/pilkada/hhcw/pkwkk/31.json")[0] == ask("/pilkada/hhcw/pkwkp/32.json")[0] == 404
        status, body = ask("/pilkada/hhcw/pkwkp.json")
    assert status == 200
    assert json.loads(body)["progres"]["total"] == 14_835 + 1_364


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--within", "65"), "--country"),
        (("--country", "--within", "20"), "20"),
        (("--country", "--cycles", "1"), "publications"),
    ],
)
def test_a_night_that_cannot_be_is_refused_in_one_line(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    answer = realcount("--data-dir", tmp_path, "serve-archive", "--simulated", *options, timeout=20)
    assert answer.returncode == 2
    assert told in answer.stderr.splitlines()[-1]
    assert "Traceback" not in answer.stderr


def test_a_province_of_the_country_is_replayed_with_both_contest_types(tmp_path: Path) -> None:
    night = ("replay", "simulated", "--country", "--within", "65", "--cycles", "6", "--depth", "regency")
    realcount("--data-dir", tmp_path, *night).check_returncode()
    assert realcount("--data-dir", tmp_path, *night).returncode == 64
    for question, contest in (("65", "Governor"), ("6501", "Regent or mayor")):
        answer = realcount("--data-dir", tmp_path, "results", question)
        assert contest in answer.stdout
        assert "CALON REKAAN" in answer.stdout
        assert "SIMULATED" in answer.stdout + answer.stderr


def test_it_serves_what_an_archive_holds_and_no_more(tmp_path: Path) -> None:
    realcount("--data-dir", tmp_path, "replay", "simulated", "--depth", "regency").check_returncode()
    with stand_in("--at", "2024-11-27T18:00", "--speed", "0", data=tmp_path) as ask:
        status, body = ask("/pilkada/hhcw/pkwkp/31/3171.json")
        assert (status, json.loads(body)["mode"]) == (200, "hhcw")
        assert ask("/pilkada/hhcw/pkwkp/32.json")[0] == 404


def test_it_follows_a_plan_of_faults(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"script": [{"kind": "error_503", "first": 2, "last": 2}]}))
    with stand_in("--simulated", "--fault-plan", str(plan), data=tmp_path) as ask:
        assert [ask("/pilkada/hhcw/pkwkp/31.json")[0] for _ in range(3)] == [200, 503, 200]


@pytest.mark.parametrize("content", ["", "[]", '{"rates": {"gremlins": 1}}', '{"rates": {"reset": 2}}'])
def test_a_plan_of_faults_that_is_none_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(content)
    answer = realcount("--data-dir", tmp_path, "serve-archive", "--simulated", "--fault-plan", plan, timeout=20)
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1].startswith("realcount: ")
    assert "Traceback" not in answer.stderr


def test_an_empty_archive_has_nothing_to_serve(tmp_path: Path) -> None:
    answer = realcount("--data-dir", tmp_path, "serve-archive", timeout=20)
    assert answer.returncode == 2
    assert "holds no captures to serve" in answer.stderr
