"""Where things lie, and what versions ran. Every setting has an environment variable `REALCOUNT_<NAME>`."""

import platform
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from extract.archive import Archive
from extract.endpoints import WIB
from warehouse.connection import PUBLISHED_FILE, WRITER_FILE


class Settings(msgspec.Struct, frozen=True):
    """The data directory and what lies in it, or elsewhere if it was told so."""

    data_dir: Path = Path("data")
    parquet: str | None = None
    report: str | None = None

    @property
    def archive(self) -> Archive:
        """The archive, the only truth."""
        return _archive(self.data_dir / "archive")

    @property
    def database(self) -> Path:
        """The writer's file; readers leave it alone."""
        return self.data_dir / WRITER_FILE

    @property
    def published(self) -> Path:
        """The copy for readers, replaced after every load."""
        return self.data_dir / PUBLISHED_FILE

    @property
    def parquet_files(self) -> Path | None:
        """Where the Parquet files for readers lie; None if none are wanted."""
        return self._place(self.parquet, "parquet")

    @property
    def report_file(self) -> Path | None:
        """Where cycles leave the page for people; None if none is wanted."""
        return self._place(self.report, "report.html")

    def _place(self, told: str | None, name: str) -> Path | None:
        if told == "off":
            return None
        return Path(told) if told else self.data_dir / name


@lru_cache(maxsize=1)  # one directory a process: cycle after cycle reads on in the same index
def _archive(directory: Path) -> Archive:
    return Archive(directory)


def versions() -> dict[str, str]:
    """What ran, for the run's manifest."""
    return {
        "realcount": version("realcount"),
        "python": platform.python_version(),
        "duckdb": version("duckdb"),
    }


Here = Annotated[Settings, Parameter(parse=False)]
"""Where things lie, as a command's parameter: the launcher reads --data-dir and hands it over."""

Moment = Annotated[datetime, Parameter(help="a moment such as 2024-11-28T10:00:05+07:00; without an offset: WIB")]


def in_wib(value: datetime | None) -> datetime | None:
    """A moment without an offset is meant as KPU means it."""
    return value.replace(tzinfo=WIB) if value and value.tzinfo is None else value
