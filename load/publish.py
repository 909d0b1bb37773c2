"""Handing a finished database to readers: a copy that replaces the old one in one step."""

import os
import shutil
from pathlib import Path

from extract.errors import StorageError


def publish(database: Path, published: Path) -> None:
    """Put a copy of the closed database in place. Readers see the old one or the new one, never half of it;
    one that has the old copy open keeps it. Raises StorageError if the disk refuses; the old copy then stays.
    """
    draft = published.with_name(f".{published.name}.part")
    try:
        with database.open("rb") as source, draft.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        draft.replace(published)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError(published, error.strerror or str(error)) from error
