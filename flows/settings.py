"""Where things lie, and what versions ran. Every setting has an environment variable `REALCOUNT_<NAME>`."""

import hashlib
import platform
from datetime import datetime
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from extract.archive import Archive
from extract.endpoints import WIB
from extract.politeness import Manners
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


_LAYERS = ("extract", "transform", "load", "warehouse", "flows")
_MANNERS = ("rate", "connections", "request_timeout", "total_timeout", "retries", "most_bytes", "most_bytes_on_wire")


def versions() -> dict[str, str]:
    """What ran, for the run's manifest. `code` tells two states of one version apart, such as checkouts."""
    return {
        "realcount": version("realcount"),
        "code": _code(),
        "python": platform.python_version(),
        "duckdb": version("duckdb"),
    }


def recorded(manners: Manners) -> dict[str, Any]:
    """The settings that a manifest keeps: only what is listed here, so that no address and no secret gets into it."""
    return {name: getattr(manners, name) for name in _MANNERS}


@cache
def _code() -> str:
    """A digest over all that decides what a run does: our code and SQL, by path."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for layer in _LAYERS:
        for file in sorted((root / layer).rglob("*")):
            if file.suffix in (".py", ".sql"):
                digest.update(f"{file.relative_to(root).as_posix()}\n".encode() + file.read_bytes())
    return f"sha256:{digest.hexdigest()}"


Here = Annotated[Settings, Parameter(parse=False)]
"""Where things lie, as a command's parameter: the launcher reads --data-dir and hands it over."""

Moment = Annotated[datetime, Parameter(help="a moment such as 2024-11-28T10:00:05+07:00; without an offset: WIB")]


def in_wib(value: datetime | None) -> datetime | None:
    """A moment without an offset is meant as KPU means it."""
    return value.replace(tzinfo=WIB) if value and value.tzinfo is None else value
