"""The project's documents as they should be: their examples run, their tables made from the code and the database.

`make docs` writes them anew with this file; `test_docs.py` checks that they are current. README's commands start in an
empty directory. The cookbook's start in one directory for each of its databases: `<!-- in: night -->` says which.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import duckdb
from commands import CLEAN, COMMAND
from conftest import REAL
from sql_surface import page, surface_table, table

from extract import errors
from extract.naming import KNOWN_LAYOUTS
from flows.output import emit
from warehouse import queries
from warehouse.connection import PUBLISHED_FILE, reading, writing
from warehouse.migrate import migrate

ROOT = Path(__file__).parents[1]
README, SQL, COOKBOOK = ROOT / "README.md", ROOT / "docs" / "sql.md", ROOT / "docs" / "cookbook.md"
REAL_DATABASES = {"november": "pilkada-scrap.bundle", "february": "pemilu2024"}
"""Chapters of the cookbook on what KPU really served, and where it lies: they stay as they are where it does not."""

EXAMPLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
GENERATED = re.compile(r"(<!-- (\w+): generated -->\n).*?(<!-- end -->)", re.DOTALL)
CHAPTER = re.compile(r"(?=<!-- in: \w+ -->\n)")
CHAPTER_NAME = re.compile(r"<!-- in: (\w+) -->\n")
QUESTION = re.compile(r"```(console|sql|python)\n(.*?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)


def readme() -> str:
    """README as it should be."""
    text = README.read_text("utf-8")
    made = _tables()
    text = GENERATED.sub(lambda found: f"{found[1]}{made[found[2]]}{found[3]}", text)
    with tempfile.TemporaryDirectory() as directory:
        return EXAMPLE.sub(lambda found: f"```console\n{_typed(found[1], Path(directory))}```", text)


def sql() -> str:
    """docs/sql.md as it should be."""
    with empty_database() as connection:
        return page(connection)


def cookbook() -> str:
    """docs/cookbook.md as it should be; chapters on real data stay as they are where it is not."""
    return "".join(chapter if _is_unseen(chapter) else answered(chapter) for chapter in chapters_of_cookbook())


def chapters_of_cookbook() -> list[str]:
    """The cookbook's introduction, then a chapter for each of its databases."""
    return CHAPTER.split(COOKBOOK.read_text("utf-8"))


def database_of(chapter: str) -> str:
    """The name of the database that a chapter asks; nothing for the introduction."""
    named = CHAPTER_NAME.match(chapter)
    return named[1] if named else ""


def answered(chapter: str) -> str:
    """A chapter with the answers that its commands, questions and scripts get now."""
    name = database_of(chapter)
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        if name in REAL_DATABASES:
            (directory / REAL_DATABASES[name]).symlink_to(REAL / REAL_DATABASES[name])
        ways: dict[str, Callable[[str], str]] = {
            "console": lambda text: f"```console\n{_typed(text, directory)}```\n",
            "sql": lambda text: f"```sql\n{text}```\n\n```text\n{_queried(text, directory)}```\n",
            "python": lambda text: f"```python\n{text}```\n\n```text\n{_scripted(text, directory)}```\n",
        }
        return QUESTION.sub(lambda found: ways[found[1]](found[2]), chapter)


def _is_unseen(chapter: str) -> bool:
    return database_of(chapter) in REAL_DATABASES and not REAL.is_dir()


def _typed(example: str, directory: Path) -> str:
    """A command as it was typed, over several lines if they begin with `> `, and what it prints."""
    lines = example.splitlines()
    typed = [lines[0], *(line for line in lines[1:] if line.startswith("> "))]
    command = "\n".join(line[2:] for line in typed)
    return "".join(f"{line}\n" for line in typed) + _printed(["sh", "-c", command], directory)


def _scripted(script: str, directory: Path) -> str:
    return _printed([sys.executable, "-c", script], directory)


def _queried(question: str, directory: Path) -> str:
    """What `realcount sql` answers, without the half second in which it starts."""
    answered = StringIO()
    with reading(directory / "data" / PUBLISHED_FILE) as connection:
        answer = queries.query(connection, question)
        emit(answer.columns, answer.rows, "table", answered)
    return _plain(answered.getvalue())


def _printed(command: list[str], directory: Path) -> str:
    ran = subprocess.run(
        command,
        cwd=directory,
        env={**CLEAN, "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return _plain(ran.stdout)


def _plain(printed: str) -> str:
    """What was printed, without blanks at the ends of lines and without blank lines at the end."""
    lines = "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n")
    return f"{lines}\n" if lines else ""


def _tables() -> dict[str, str]:
    """The parts of README that are made from the code, by name."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    with empty_database() as connection:
        surface = surface_table(connection)
    return {
        "surface": surface,
        "errors": table(
            ("error", "exit code", "what it means"),
            [(f"`{kind.__name__}`", str(kind.exit_code), (kind.__doc__ or "").splitlines()[0]) for kind in kinds],
        ),
        "layouts": "".join(f"    {layout}\n" for layout in KNOWN_LAYOUTS),
    }


@contextmanager
def empty_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with its schema and no rows."""
    with tempfile.TemporaryDirectory() as directory, writing(Path(directory) / "empty.duckdb") as connection:
        migrate(connection, Path(directory))
        yield connection


if __name__ == "__main__":
    SQL.write_text(sql(), "utf-8")
    COOKBOOK.write_text(cookbook(), "utf-8")
    README.write_text(readme(), "utf-8")
