"""Handing a finished database to readers: a copy that replaces the old one in one step."""

import os
import shutil
from pathlib import Path

from extract.files import whole


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
    with whole(published) as draft:
        with database.open("rb") as source, draft.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        os.utime(draft, ns=(state.st_atime_ns, state.st_mtime_ns))
    return True
