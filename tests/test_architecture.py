"""The shape of the code: who may import whom, what is exported, and what every public name must have."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from extract import errors

ROOT = Path(__file__).parents[1]
FOLDERS = ("extract", "flows", "load", "transform", "warehouse")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_imports_go_one_way_and_every_library_stays_in_its_folder() -> None:
    checker = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run([str(checker), "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
    assert "0 broken" in answer.stdout


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_says_in_a_few_lines_what_it_may_know(folder: str) -> None:
    module = importlib.import_module(folder)
    assert module.__doc__
    assert len(module.__doc__.splitlines()) >= 3


@pytest.mark.parametrize("folder", ["extract", "load", "transform", "warehouse"])
def test_everything_a_folder_exports_is_there(folder: str) -> None:
    module = importlib.import_module(folder)
    assert module.__all__
    assert list(module.__all__) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_name_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree), "the module has none"
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    for node in (*tree.body, *(member for kind in classes for member in kind.body)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has none"


def test_the_drawn_error_tree_is_the_real_one() -> None:
    drawn = [line for line in (errors.__doc__ or "").splitlines() if "Error " in line]
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert {line.split("─ ")[-1].split()[0] for line in drawn} == {kind.__name__ for kind in classes}
    for kind in classes:
        (line,) = (line for line in drawn if line.split("─ ")[-1].split()[0] == kind.__name__)
        code = next((word.rstrip(":") for word in line.split() if word.rstrip(":").isdigit()), None)
        assert code is None or int(code) == kind.exit_code, line
        assert kind.__doc__


def test_sql_is_never_built_from_text() -> None:
    """Every statement lies in a .sql file; only the session's own settings are written in code."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
                assert not text.lstrip().startswith(("SELECT ", "INSERT ", "DELETE ", "UPDATE ", "CREATE ")), path
