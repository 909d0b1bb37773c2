"""README says what the program does: its examples are run, its tables are made from the code.

`make docs` writes both anew.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from extract import errors
from extract.naming import KNOWN_LAYOUTS
from flows.cli import app
from warehouse.connection import writing
from warehouse.migrate import migrate

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMAND = Path(sys.executable).with_name("realcount")
EXAMPLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
GENERATED = re.compile(r"(<!-- (\w+): generated -->\n).*?(<!-- end -->)", re.DOTALL)
SURFACE = (
    "results", "results_as_of", "results_as_known", "timeline", "changes", "lead_changes",
    "progress", "captures", "runs",
)  # fmt: skip


def answers(examples: list[str]) -> Iterator[str]:
    """What the examples' commands print, run one after the other in one empty directory; `…` stands for the rest."""
    with tempfile.TemporaryDirectory() as directory:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("REALCOUNT_")}
        for example in examples:
            command = example.splitlines()[0].removeprefix("$ ")
            answer = subprocess.run(
                ["sh", "-c", command.replace("realcount", str(COMMAND), 1)],
                cwd=directory,
                env=clean,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            lines = [line.rstrip() for line in answer.stdout.splitlines()]
            yield "\n".join([f"$ {command}", *_without_blank_ends(lines)]) + "\n"


def tables() -> dict[str, str]:
    """The parts of README that are made from the code, by name."""
    with tempfile.TemporaryDirectory() as directory, writing(Path(directory) / "empty.duckdb") as connection:
        migrate(connection, Path(directory))
        comments = dict(
            connection.execute(
                "SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal "
                "UNION SELECT function_name || '(t)', comment FROM duckdb_functions() "
                "WHERE schema_name = 'main' AND NOT internal"
            ).fetchall()
        )
    surface = [name if name in comments else f"{name}(t)" for name in SURFACE]
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return {
        "surface": _table(("view or macro", "answers"), [(f"`{name}`", comments[name]) for name in surface]),
        "errors": _table(
            ("error", "exit code", "what it means"),
            [(f"`{kind.__name__}`", str(kind.exit_code), (kind.__doc__ or "").splitlines()[0]) for kind in kinds],
        ),
        "layouts": "".join(f"    {layout}\n" for layout in KNOWN_LAYOUTS),
    }


def current() -> str:
    """README as it should be."""
    text = README.read_text("utf-8")
    made = tables()
    text = GENERATED.sub(lambda found: f"{found[1]}{made[found[2]]}{found[3]}", text)
    printed = answers(EXAMPLE.findall(text))
    return EXAMPLE.sub(lambda _: f"```console\n{next(printed)}```", text)


def test_every_example_in_the_readme_prints_what_it_says_and_its_tables_are_current() -> None:
    assert README.read_text("utf-8") == current(), "run: make docs"


def test_the_readme_tells_of_every_command_and_every_make_target() -> None:
    text = README.read_text("utf-8")
    names = [name for name in app if not name.startswith("-")]
    assert names
    for name in names:
        assert f"realcount {name}" in text or f"`{name}`" in text, f"README does not mention {name}"


@pytest.mark.parametrize("path", [(), *((name,) for name in app if not name.startswith("-"))], ids="/".join)
def test_every_option_says_in_help_what_it_is_for(path: tuple[str, ...]) -> None:
    asked = subprocess.run([str(COMMAND), *path, "--help"], capture_output=True, text=True, check=True, env=_WIDE)
    subcommands = (
        [line.split()[1] for line in asked.stdout.splitlines() if re.match(r"│ [a-z]+ ", line)] if path else []
    )
    for command in [(*path, name) for name in subcommands] or [path]:
        helped = subprocess.run(
            [str(COMMAND), *command, "--help"], capture_output=True, text=True, check=True, env=_WIDE
        )
        for line in helped.stdout.splitlines():
            if "--" in line and line.startswith("│"):
                described = re.sub(r"\[(env var|default|choices|required).*", "", line)
                assert re.search(r"[a-z]{3,} [a-z]{2,}", described.lower()), f"{' '.join(command)}: {line}"


def test_no_line_of_the_project_names_a_registry_or_a_place_on_this_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    forbidden = re.compile(r"pypi\.|files\.pythonhosted|index-url|deb\.debian|(?<![.\w])/(?:work|root|home)/")
    for name in listed:
        text = (ROOT / name).read_text("utf-8", errors="replace")
        found = forbidden.search(text) if name != "tests/test_docs.py" else None
        assert not found, f"{name}: {found and found[0]}"


def test_the_pinned_duckdb_is_a_supported_one() -> None:
    assert duckdb.__version__.startswith(("1.5", "2."))


_WIDE = {**os.environ, "COLUMNS": "220"}


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _without_blank_ends(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines.pop()
    return lines


if __name__ == "__main__":
    README.write_text(current(), "utf-8")
