"""Handing a finished database to readers: a copy that replaces the old one in one step."""

import os
import shutil
from pathlib import Path

from extract.errors import StorageError


def publish(database: Path, published: Path) -> bool:
    """Put a copy of the closed database in place; False if the one that is there is of the same state.

    Readers see the old copy or the new one, never half of it; who has the old one open keeps it.
    Raises StorageError if the disk refuses; the old copy then stays, and the next call tries again.
    """
    state = database.stat()
    if published.exists():
        shown = published.stat()  # its time is given below; clocks may be set back, and what a copy lost is put back
        if (shown.st_mtime_ns, shown.st_size) == (state.st_mtime_ns, state.st_size):
            return False
    draft = published.with_name(f".{published.name}.part")
    try:
        with database.open("rb") as source, draft.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        os.utime(draft, ns=(state.st_atime_ns, state.st_mtime_ns))
        draft.replace(published)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError(published, error.strerror or str(error)) from error
    return True
