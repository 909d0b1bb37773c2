"""What several tests share: the real data, where it is there, and a clock that goes on only when told to."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import commands
import hypothesis
import pytest
from commands import NIGHT, Run
from histories import History, empty_database

if TYPE_CHECKING:
    from object_store import ObjectStore

REAL = Path(__file__).parents[1].parent / "shared" / "real"  # stays outside of the project

hypothesis.settings.register_profile("realcount", deadline=None)  # a slow machine is no bug
hypothesis.settings.load_profile("realcount")


class Ticking:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Ticking:
    """Ten in the morning in Jakarta, the day after the vote of 2024."""
    return Ticking(datetime(2024, 11, 28, 3, 0, 0, tzinfo=UTC))


@pytest.fixture(scope="session")
def real() -> Path:
    """The directory of what KPU really served."""
    if not REAL.is_dir():
        pytest.skip("the real data is not beside this checkout")
    return REAL


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its schema and no rows, to copy: making one takes longer than the load of a small history."""
    return empty_database(tmp_path_factory.mktemp("empty") / "empty.duckdb")


@pytest.fixture
def history(tmp_path: Path, empty: Path) -> History:
    """An archive and its database, with nothing in them."""
    return History(tmp_path, empty)


@pytest.fixture(scope="session")
def new_history(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> Callable[[], History]:
    """Another such history at each call."""
    return lambda: History(tmp_path_factory.mktemp("history"), empty)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """S3 on loopback."""
    from object_store import ObjectStore  # moto takes a second to import

    store = ObjectStore()
    yield store
    store.stop()


@pytest.fixture
def s3(object_store: ObjectStore) -> Iterator[ObjectStore]:
    """The same, in good order."""
    yield object_store
    object_store.fault, object_store.ignores_conditions = lambda *_: None, False


@pytest.fixture
def prefix() -> str:
    """A prefix of its own for every test."""
    return uuid.uuid4().hex


@pytest.fixture
def realcount(tmp_path: Path) -> Run:
    """The command in an empty directory, with nothing set but what the test sets."""
    return partial(commands.realcount, cwd=tmp_path)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a simulated night, which tests only read."""
    directory = tmp_path_factory.mktemp("night")
    commands.realcount("--data-dir", directory, *NIGHT).check_returncode()
    return directory
