"""Parquet for readers without DuckDB: one file a view, replaced as a set in one step.

A set is written after every load. Of the whole country that takes a minute: then it is only written when at most a
fiftieth of the time goes into it. What was put off is written by a later cycle, also by one that finds nothing new.

`parquet` is a link to a directory beside it, which is named after the state of the database that it was made from.
Publishing writes another one and replaces the link. Who resolves the link once can read one set to its end: the set
before the current one stays.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from extract.errors import UsageError, WarehouseError
from warehouse.connection import Place, copying, replanned, state_of
from warehouse.datapackage import FILE, NAME
from warehouse.export import choose, refusals, write_set

log = logging.getLogger(__name__)

_GONE = ".gone"
_CHEAP = 10.0  # seconds that a set may take after every load, as the captured night's 2 do
_GROWTH = 2.0  # how much longer the next set may take: a night grows, and at some size views no longer fit side by side
_SHARE = 50  # a costlier one is written again after so many times as long


def expected_cost(place: Path, at: float) -> float:
    """Seconds that the next set will take about, if it does not wait at that time; 0 if it will, or nobody knows."""
    cost, finished = _last(place) or (0.0, at)
    return 0.0 if _is_too_soon(cost, finished, at) else cost * _GROWTH


def publish_parquet(
    published: Place, place: Path, *, may_wait: bool = False, clock: Callable[[], float] = time.time
) -> bool:
    """Put the published database's views at `place` as Parquet; False if what is there is of the same state, or if
    another set `may_wait` and would come too soon after a costly one.

    Killed at any point it leaves the old set or the new one. One that finds no memory is told in the log, and counts as
    a costly one. `clock` gives seconds since 1970. Raises UsageError if something that is not ours is in the way,
    StorageError if the disk refuses; the old set then stays, and the next call tries again.
    """
    if place.exists() and not place.is_symlink():
        _make_way(place)
    current = place.with_name(place.readlink().name) if place.is_symlink() else None
    fresh = place.with_name(f".{place.name}.{state_of(published)}")
    if fresh == current and fresh.exists():
        return False
    began = clock()
    if may_wait and (last := _last(place)) and _is_too_soon(*last, began):
        return False
    with refusals(place):
        _remove([fresh])  # of a run that was killed
        try:
            fresh.mkdir(parents=True)
            replanned(lambda plain: _write(published, fresh, plain=plain))
            _date(fresh, began, clock())
            link = place.with_name(f".{place.name}.link")
            link.unlink(missing_ok=True)
            link.symlink_to(fresh.name)
            link.replace(place)
        except WarehouseError as error:
            _remove([fresh])
            log.warning("the Parquet files stay as they are: %s", error)
            if current:
                _date(current, began, clock())  # as if it were the new one: the next attempt waits as after a success
            return False
        except BaseException:
            _remove([fresh])
            raise
    sets = (path for path in place.parent.glob(f".{place.name}.*") if path.suffix[1:].isdecimal())
    _remove(path for path in sets if path not in (fresh, current))
    for leftover in place.parent.glob(f".{place.name}.*{_GONE}"):  # of a run that was killed here
        shutil.rmtree(leftover, ignore_errors=True)
    return True


def _write(published: Place, fresh: Path, *, plain: bool) -> None:
    with copying(published, plain=plain) as connection:
        write_set(connection, fresh, "parquet", choose(connection))


def _last(place: Path) -> tuple[float, float] | None:
    """How long the set that is there took, and when it was finished; None if there is none."""
    try:
        finished = (place / FILE).stat().st_mtime
        return finished - place.stat().st_mtime, finished
    except OSError:
        return None


def _date(written: Path, began: float, finished: float) -> None:
    """A set's folder has the time at which writing it began, its description that at which it was done."""
    with suppress(OSError):
        os.utime(written / FILE, (finished, finished))
        os.utime(written, (began, began))


def _is_too_soon(cost: float, finished: float, at: float) -> bool:
    """Whether the last set was so costly that the next one must wait. After a clock set back none waits."""
    return cost > _CHEAP and 0 <= at - finished < _SHARE * cost


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
