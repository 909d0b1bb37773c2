"""Where things lie, and what versions ran. Every setting has an environment variable `REALCOUNT_<NAME>`."""

import platform
from importlib.metadata import version
from pathlib import Path

import msgspec

from extract.archive import Archive
from warehouse.connection import PUBLISHED_FILE, WRITER_FILE


class Settings(msgspec.Struct, frozen=True):
    """The data directory and what lies in it."""

    data_dir: Path = Path("data")

    @property
    def archive(self) -> Archive:
        """The archive, the only truth."""
        return Archive(self.data_dir / "archive")

    @property
    def database(self) -> Path:
        """The writer's file; readers leave it alone."""
        return self.data_dir / WRITER_FILE

    @property
    def published(self) -> Path:
        """The copy for readers, replaced after every load."""
        return self.data_dir / PUBLISHED_FILE


def versions() -> dict[str, str]:
    """What ran, for the run's manifest."""
    return {
        "realcount": version("realcount"),
        "python": platform.python_version(),
        "duckdb": version("duckdb"),
    }
