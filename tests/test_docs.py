"""The documents say what the program does: examples are run, tables are made from the code and the database.

`make docs` writes them anew; `documents.py` says how.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from documents import (
    COMMAND,
    COOKBOOK,
    QUESTION,
    README,
    REAL_DATABASES,
    ROOT,
    SQL,
    answered,
    chapters_of_cookbook,
    database_of,
    empty_database,
    readme,
    sql,
)
from sql_surface import Macro, chapters

from flows.cli import app

GLOSSARY = ROOT / "docs" / "glossary.md"
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def empty() -> Iterator[duckdb.DuckDBPyConnection]:
    with empty_database() as connection:
        yield connection


def test_every_example_in_the_readme_prints_what_it_says_and_its_tables_are_current() -> None:
    assert README.read_text("utf-8") == readme(), "run: make docs"


def test_the_page_on_sql_says_what_the_database_s_comments_say() -> None:
    assert SQL.read_text("utf-8") == sql(), "run: make docs"


@pytest.mark.parametrize("chapter", chapters_of_cookbook()[1:], ids=database_of)
def test_every_question_of_the_cookbook_gets_the_answer_that_it_shows(
    chapter: str, request: pytest.FixtureRequest
) -> None:
    if database_of(chapter) in REAL_DATABASES:
        request.getfixturevalue("real")
    assert answered(chapter) == chapter, "run: make docs"


def test_the_cookbook_asks_every_view_and_macro_and_gets_no_error(empty: duckdb.DuckDBPyConnection) -> None:
    text = COOKBOOK.read_text("utf-8")
    asked = [found[2] for found in QUESTION.finditer(text)]
    assert len(asked) >= 20
    for _, members in chapters(empty):
        for one in members:
            call = rf"\b(FROM|JOIN) {one.name}\b" + (r"\(" if isinstance(one, Macro) else r"(?!\()")
            assert any(re.search(call, question) for question in asked), f"nobody asks {one.name}"
    assert "Error" not in text
    assert "Traceback" not in text


def test_a_macro_tells_in_its_comment_of_the_columns_that_no_view_explains(empty: duckdb.DuckDBPyConnection) -> None:
    macros = [one for _, members in chapters(empty) for one in members if isinstance(one, Macro)]
    assert macros
    for macro in macros:
        assert macro.like
        for column in macro.columns:
            known = macro.like.has(column.name) or column.name in macro.comment
            assert known, f"{macro.name} does not tell of {column.name}"


def test_every_name_in_the_glossary_is_one_that_the_project_uses() -> None:
    sources = [path for folder in ("extract", "transform", "warehouse") for path in (ROOT / folder).rglob("*.py")]
    code = "".join(path.read_text("utf-8") for path in [*sources, *(ROOT / "warehouse").rglob("*.sql")])
    names = re.findall(r"`([^`]+)`", GLOSSARY.read_text("utf-8"))
    assert len(names) > 50
    for name in names:
        assert name.strip(" -") in code or name in ("code", "99BE"), f"nothing is called {name}"


@pytest.mark.parametrize("path", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text("utf-8")):
        assert (path.parent / target).exists(), f"{target} is not there"


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
