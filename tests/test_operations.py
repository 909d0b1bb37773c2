"""The operations page can be followed: its commands and settings exist, its questions are answered."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import realcount
from documents import ROOT

PAGE = ROOT / "docs" / "operations.md"
FILES = ROOT / "docs" / "operations"
UNITS = sorted([*FILES.glob("*.service"), *FILES.glob("*.timer")])
COMMAND = re.compile(r"(?:^ {4}|`|/bin/)(realcount [^`\n|&]+)", re.MULTILINE)


def commands() -> list[tuple[str, ...]]:
    """Every realcount command of page and files, in words; those with an ellipsis only as far as it."""
    text = "\n".join(path.read_text("utf-8") for path in [PAGE, *UNITS, FILES / "compose.yaml"])
    lines = (found[1].split("  ")[0].split("…")[0] for found in COMMAND.finditer(text))
    return sorted({tuple(shlex.split(line, comments=True)) for line in lines})


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_page_is_one_with_these_options(words: tuple[str, ...]) -> None:
    _, *rest = words
    while rest[:1] == ["--data-dir"]:
        del rest[:2]
    command = [word for word in rest[:2] if re.fullmatch("[a-z-]+", word) and not word.startswith("-")]
    helped = realcount(*command, "--help", COLUMNS="200")
    assert helped.returncode == 0, helped.stderr
    assert {word for word in rest if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", helped.stdout))


def test_every_question_of_the_page_gets_an_answer(tmp_path: Path) -> None:
    played = realcount(
        "replay", "simulated", "--depth", "regency", "--withdrawal", cwd=tmp_path, REALCOUNT_PARQUET="off"
    )
    assert played.returncode == 0, played.stderr
    questions = [words[2] for words in commands() if words[1] == "sql"]
    assert len(questions) >= 3
    for question in questions:
        answer = realcount("sql", question, "--format", "json", cwd=tmp_path)
        assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_every_unit_is_one_that_systemd_understands(path: Path, tmp_path: Path) -> None:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[method-assign,assignment]  # keys keep their capitals
    parsed.read(path)
    assert "Unit" in parsed
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not on this machine")
    name = path.name.replace("@", "@1")
    unit = tmp_path / name
    unit.write_text(path.read_text("utf-8").replace("/opt/realcount/.venv/bin/", "/usr/bin/env "))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    mine = [line for line in said.stderr.splitlines() if name in line and "realcount-tidy.service" not in line]
    assert not mine


def test_every_setting_of_the_files_is_one_of_the_program() -> None:
    known = {"REALCOUNT_SECRETS", "REALCOUNT_STORE_KEY", "REALCOUNT_STORE_SECRET"}  # the last two are compose's own
    for command in (["follow"], ["deploy"], ["replay", "git"], ["warehouse", "tidy"]):
        known |= set(re.findall(r"REALCOUNT_[A-Z_]+", realcount(*command, "--help", COLUMNS="200").stdout))
    for path in [PAGE, *FILES.iterdir()]:
        assert set(re.findall(r"REALCOUNT_[A-Z_]+", path.read_text("utf-8"))) <= known, path.name


def test_compose_starts_what_the_page_names_and_keeps_no_password() -> None:
    composed: dict[str, Any] = yaml.safe_load((FILES / "compose.yaml").read_text("utf-8"))
    services = composed["services"]
    assert {"postgres", "store", "prefect", "deploy", "worker-1", "worker-2", "worker-3"} == set(services)
    for name, service in services.items():
        for waited_for in service.get("depends_on", {}):
            assert waited_for in services
        for key, value in service.get("environment", {}).items():
            assert "PASSWORD" not in key.upper() or value.startswith("${"), f"{name}: {key}"
    assert {service["image"] for service in services.values() if service["image"].startswith("realcount")} == {
        "realcount:0.1.0"
    }
