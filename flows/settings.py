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

from extract.archive import Archive, Holdings
from extract.endpoints import WIB
from extract.politeness import Manners
from extract.shards import Archives
from extract.stores import SHARDS, Folder, named
from flows.secrets import secrets
from warehouse.connection import PUBLISHED_FILE, WRITER_FILE, Place
from warehouse.lake import Lake


class Settings(msgspec.Struct, frozen=True):
    """The data directory and what lies in it, or elsewhere if it was told so."""

    data_dir: Path = Path("data")
    parquet: str | None = None
    report: str | None = None
    archive_at: str | None = None
    shard: str | None = None
    warehouse: str | None = None
    warehouse_data: str | None = None

    @property
    def archive(self) -> Archive:
        """The archive that is written, the only truth: a shard of it if one was named. Raises UsageError."""
        archives = _archives(self.archive_at or str(self.data_dir / "archive"), self.data_dir)
        return archives.shard(self.shard) if self.shard else archives.root

    @property
    def archives(self) -> Holdings:
        """What is read: the shard if one was named, else the archive with all its shards. Raises UsageError."""
        archives = _archives(self.archive_at or str(self.data_dir / "archive"), self.data_dir)
        return archives.shard(self.shard) if self.shard else archives

    @property
    def database(self) -> Place:
        """The writer's file; readers leave it alone. Or a lake, for both. Raises UsageError."""
        return self._lake or self.data_dir / WRITER_FILE

    @property
    def published(self) -> Place:
        """The copy for readers, replaced after every load; of a lake there is none. Raises UsageError."""
        return self._lake or self.data_dir / PUBLISHED_FILE

    @property
    def parquet_files(self) -> Path | None:
        """Where the Parquet files for readers lie; None if none are wanted. A lake is Parquet: only if told."""
        return None if self._lake and not self.parquet else self._place(self.parquet, "parquet")

    @property
    def report_file(self) -> Path | None:
        """Where cycles leave the page for people; None if none is wanted."""
        return self._place(self.report, "report.html")

    @property
    def _lake(self) -> Lake | None:
        if not self.warehouse:
            return None
        return Lake.named(self.warehouse, self.warehouse_data, secrets())

    def _place(self, told: str | None, name: str) -> Path | None:
        if told == "off":
            return None
        return Path(told) if told else self.data_dir / name


@lru_cache(maxsize=1)  # one archive a process: cycle after cycle reads on in the same index
def _archives(place: str, data_dir: Path) -> Archives:
    if "://" not in place:
        return Archives(Archive(Path(place)), lambda shard: Archive(Folder(Path(place, SHARDS, named(shard)), shard)))
    from extract.objects import Objects

    def opened(shard: str | None) -> Archive:
        return Archive(Objects(place, data_dir, secrets(), shard and named(shard)))

    return Archives(opened(None), opened)


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

RegionName = Annotated[str, Parameter(help="A code such as 31, or a name that only one region has.")]
ContestName = Annotated[
    str, Parameter(help="only this type: pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)")
]
StageName = Annotated[str, Parameter(help="Only hhcw (the stations' forms) or hr (recapitulation).")]


def in_wib(value: datetime | None) -> datetime | None:
    """A moment without an offset is meant as KPU means it."""
    return value.replace(tzinfo=WIB) if value and value.tzinfo is None else value
