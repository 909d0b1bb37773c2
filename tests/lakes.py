"""Lakes for tests: each in a database and a folder of its own; skipped with a reason where there can be none."""

import importlib.util
from pathlib import Path

import duckdb
import pytest
from servers import PASSWORD, Postgresql

from warehouse.lake import Lake

EXTENSIONS = ("ducklake", "postgres_scanner", "httpfs")


def expect_extensions() -> None:
    """Skip where the wheels with DuckDB's extensions are not installed, or are another DuckDB's."""
    for name in EXTENSIONS:
        found = importlib.util.find_spec(f"duckdb_extension_{name}")
        place = Path(next(iter((found and found.submodule_search_locations) or [""])))
        if not (place / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension").exists():
            pytest.skip(f"DuckDB {duckdb.__version__} has no extension {name} here; make test-ducklake has")


def lake_at(postgresql: Postgresql, files: Path | str) -> Lake:
    """A lake of its own, whose credentials are those that a secrets file would give."""
    return Lake.named(f"ducklake:postgres:{postgresql.database()}", str(files), {"PGPASSWORD": PASSWORD})


@pytest.fixture
def lake(postgresql: Postgresql, tmp_path: Path) -> Lake:
    """An empty lake, its Parquet files in a folder."""
    expect_extensions()
    return lake_at(postgresql, tmp_path / "lake")
