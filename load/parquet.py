"""Parquet for readers without DuckDB: one file a view, replaced as a set in one step.

A set is written after every load. Of the whole country that takes minutes: then it is only written when at most a tenth
of the time goes into it, and what was put off is written as soon as a load finds nothing new.

`parquet` is a link to a directory beside it, which is named after the state of the database that it was made from.
Publishing writes another one and replaces the link. Who resolves the link once can read one set to its end: the set
before the current one stays.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from extract.errors import UsageError, WarehouseError
from warehouse.connection import Place, copying, state_of
from warehouse.datapackage import FILE, NAME
from warehouse.export import choose, refusals, write_set

log = logging.getLogger(__name__)

_GONE = ".gone"
_CHEAP = 10.0  # seconds that a set may take after every load, as the captured night's 2 do
_SHARE = 10  # a costlier one is written again after so many times as long


def publish_parquet(published: Place, place: Path, *, may_wait: bool = False) -> bool:
    """Put the published database's views at `place` as Parquet; False if what is there is of the same state, or if
    another set `may_wait` and would come too soon after a costly one.

    Killed at any point it leaves the old set or the new one. One that finds no memory is told in the log, and counts as
    a costly one. Raises UsageError if something that is not ours is in
    the way, StorageError if the disk refuses; the old set then stays, and the next call tries again.
    """
    if place.exists() and not place.is_symlink():
        _make_way(place)
    current = place.with_name(place.readlink().name) if place.is_symlink() else None
    fresh = place.with_name(f".{place.name}.{state_of(published)}")
    if fresh == current and fresh.exists():
        return False
    if may_wait and current and _is_too_soon(current, time.time()):
        return False
    began = time.time()
    with refusals(place):
        _remove([fresh])  # of a run that was killed
        try:
            fresh.mkdir(parents=True)
            with copying(published) as connection:
                write_set(connection, fresh, "parquet", choose(connection))
            os.utime(fresh, (began, began))  # its description has the time when it was finished
            link = place.with_name(f".{place.name}.link")
            link.unlink(missing_ok=True)
            link.symlink_to(fresh.name)
            link.replace(place)
        except WarehouseError as error:
            _remove([fresh])
            log.warning("the Parquet files stay as they are: %s", error)
            _count_as_costly(current, began)
            return False
        except BaseException:
            _remove([fresh])
            raise
    sets = (path for path in place.parent.glob(f".{place.name}.*") if path.suffix[1:].isdecimal())
    _remove(path for path in sets if path not in (fresh, current))
    for leftover in place.parent.glob(f".{place.name}.*{_GONE}"):  # of a run that was killed here
        shutil.rmtree(leftover, ignore_errors=True)
    return True


def _is_too_soon(current: Path, now: float) -> bool:
    """Whether the set that is there was so costly that the next one must wait. After a clock set back none waits."""
    try:
        finished = (current / FILE).stat().st_mtime
        cost = finished - current.stat().st_mtime
    except OSError:
        return False
    return cost > _CHEAP and 0 <= now - finished < _SHARE * cost


def _count_as_costly(current: Path | None, began: float) -> None:
    """The set that stays is given the times of the one that failed: the next attempt waits as after a success."""
    if current:
        with suppress(OSError):
            os.utime(current / FILE)
            os.utime(current, (began, began))


def _make_way(place: Path) -> None:
    """A set in the place of its link is one that was copied without links; anything else is somebody's."""
    try:
        is_ours = json.loads((place / FILE).read_bytes())["name"] == NAME
    except (OSError, ValueError, LookupError, TypeError):
        is_ours = False
    if not is_ours:
        raise UsageError(f"{str(place)!r} is in the way of the Parquet files; move it away or set --parquet elsewhere")
    with refusals(place):
        place.rename(place.with_name(f".{place.name}.0"))


def _remove(sets: Iterable[Path]) -> None:
    """Remove sets, each in one step: who still reads there finds all of it or nothing, never the half that is left.

    What cannot be removed now is removed by a later call.
    """
    for path in sets:
        gone = path.with_suffix(f"{path.suffix}{_GONE}")
        with suppress(OSError):
            path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
