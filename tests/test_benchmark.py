"""The benchmark's own database, at the size of one province: whoever changes the loader's scripts changes it too."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

from pathlib import Path

import duckdb
import pytest
from bench.large import QUESTIONS, build

from warehouse.connection import reading


@pytest.fixture(scope="module")
def jakarta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night of the benchmark in one province."""
    path = tmp_path_factory.mktemp("large") / "large.duckdb"
    build(path, within="31")
    return path


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_every_question_of_the_benchmark_finds_something(jakarta: Path, question: str) -> None:
    with reading(jakarta) as connection:
        rows = connection.execute(question).fetchall()
    assert rows
    assert rows[0][0]


def test_what_the_benchmark_derives_is_what_the_tallies_say(jakarta: Path) -> None:
    with reading(jakarta) as connection:
        assert differing(connection, "core.standing", "core.standings_of('core.tally', TIMESTAMPTZ 'infinity')") == 0
        assert differing(connection, "core.version", "core.versions_of('core.tally')") == 0


def differing(connection: duckdb.DuckDBPyConnection, one: str, other: str) -> int:
    """Rows that are in one of the two only."""
    ((number,),) = connection.execute(
        f"SELECT count(*) FROM ((FROM {one} EXCEPT ALL FROM {other}) UNION ALL (FROM {other} EXCEPT ALL FROM {one}))"
    ).fetchall()
    return int(number)
