"""Files that are there whole or not at all, and that one process writes at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extract.errors import BusyError, StorageError


@contextmanager
def refusals(place: Path) -> Iterator[None]:
    """What the operating system refuses, as StorageError about a place."""
    try:
        yield
    except OSError as error:
        raise StorageError(place, error.strerror or str(error)) from error


@contextmanager
def alone(lock: Path, what: str, place: Path | str) -> Iterator[None]:
    """No other process is in here with the same lock file; the kernel frees it when its process dies, however it dies.

    Raises BusyError about what is at the place if another one is, StorageError if the disk refuses.
    """
    with refusals(lock.parent):
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(place, what) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A draft to write, which then becomes the file in one step; what fails leaves the old file, and no draft.

    Raises StorageError if the disk refuses.
    """
    draft = path.with_name(f".{path.name}.part")
    with refusals(path):
        draft.unlink(missing_ok=True)  # what lies there may be a link to another place, if the archive was a stranger's
        try:
            yield draft
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in place in one step: it is there whole or not at all, also after a power loss."""
    with whole(path) as draft, draft.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    with refusals(path):
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # the new name, too, must survive a power loss
        finally:
            os.close(directory)
