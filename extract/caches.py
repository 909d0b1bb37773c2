"""Copies of files that never change, in a folder that may be removed at any time. The oldest make room for new ones."""

import os
import time
from pathlib import Path

from extract.files import refusals, write_whole

MOST_BYTES = 2 << 30
_SPARED = 300.0  # seconds since somebody, perhaps another process, asked for a file: it may be about to open it


class Cache:
    """Files by name, of `most_bytes` together, not counting what was asked for in the last five minutes."""

    def __init__(self, directory: Path, most_bytes: int = MOST_BYTES) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._size: int | None = None  # bytes, once they were counted

    def get(self, name: str) -> Path | None:
        """The file, if it is here."""
        file = self._directory / name
        try:
            os.utime(file)
        except OSError:
            return None
        return file

    def put(self, name: str, content: bytes) -> Path:
        """Keep this content. Raises StorageError if the disk refuses."""
        file = self._directory / name
        with refusals(file):
            self._directory.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)
        self._grown(len(content))
        return file

    def take(self, file: Path) -> None:
        """Move a file here from the same disk."""
        with refusals(file):
            self._directory.mkdir(parents=True, exist_ok=True)
            size = file.stat().st_size
            file.replace(self._directory / file.name)
        self._grown(size)

    def _grown(self, by: int) -> None:
        self._size = None if self._size is None else self._size + by
        if self._size is not None and self._size <= self._most_bytes:
            return
        try:
            files = sorted(((found := file.stat()).st_mtime, found.st_size, file) for file in self._directory.iterdir())
        except FileNotFoundError:  # another process makes room at the same time, or somebody removed it all
            return
        self._size = sum(size for _, size, _ in files)
        for used_at, size, file in files:
            if self._size <= self._most_bytes or used_at > time.time() - _SPARED:
                return
            file.unlink(missing_ok=True)
            self._size -= size
