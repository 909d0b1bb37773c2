"""Processes that die at a named step, and what a data directory must be like after any of them.

A step is a call that changes something on the disk: a write, a wait for the disk, a new name, a copy, an SQL statement.
The process is killed (SIGKILL) before or after it, or in the middle of a write. Each child is forked from a server that
has imported everything, so that a death costs some tenths of a second.
"""

import multiprocessing
import os
import resource
import shutil
import signal
import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from answers import A, B, count, figures, listed, pairs, taken, wib

from extract.capture import Capture
from extract.errors import RealcountError
from extract.recording import record
from extract.verification import verify
from flows.replay import bring_up_to_date
from flows.settings import Settings
from warehouse import connection as warehouse_connection
from warehouse import queries
from warehouse.connection import reading

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["flows.replay", "warehouse.queries"])

NIGHT = datetime(2024, 11, 28, 3, tzinfo=UTC)
EVENING, MORNING = (
    [
        taken(count("31", ts, figures({A: 10 + more, B: 5}), {"3101": figures({A: 4 + more, B: 1})}), wib(seen)),
        taken(count("3101", ts, figures({A: 4 + more, B: 1})), wib(seen)),
        taken(listed("31", {"3101": "KEPULAUAN SERIBU"}), wib(seen)),
        taken(pairs(), wib(seen)),
    ]
    for ts, seen, more in (("02:00:03", "02:10:00", 0), ("09:45:02", "09:50:00", 30))
)
"""What was seen in two runs: the second has more votes for A."""


def take(settings: Settings, captures: Iterable[Capture], at: datetime = NIGHT) -> None:
    """A run: archive, load, publish."""
    with record(settings.archive, "test", {}, lambda: at, {"python": "3"}) as run:
        for one in captures:
            run.append(one)
    bring_up_to_date(settings)


def load_only(settings: Settings) -> None:
    """What a run does after archiving."""
    bring_up_to_date(settings)


def second_run(settings: Settings) -> None:
    """The run of the morning."""
    take(settings, MORNING, NIGHT + timedelta(hours=8))


class State(NamedTuple):
    """What readers see, and all that the database says."""

    results: list[tuple[Any, ...]]
    fingerprint: list[dict[str, Any]]


def state(settings: Settings) -> State | None:
    """What the published copy says; None if there is none."""
    if not settings.published.exists():
        return None
    with reading(settings.published) as connection:
        sql = "SELECT unit_code, candidate_id, votes, stations_reported, reported_at FROM results ORDER BY ALL"
        return State(list(queries.query(connection, sql).rows), queries.fingerprint(connection))


def assert_whole(settings: Settings) -> None:
    """The archive is intact and nothing is left lying about."""
    assert verify(settings.archive).problems == ()
    assert not [path.name for path in settings.data_dir.rglob("*") if path.suffix in (".part", ".open", ".wal", ".new")]


# Dying


class Step(NamedTuple):
    """The so-manyth call of a kind, what it was about, and whether to die before, after or within it."""

    kind: str
    number: int
    about: str = ""
    when: str = "before"

    def __str__(self) -> str:
        return f"{self.when} {self.kind} {self.number} ({self.about})"


class _Watch:
    """Counts steps; notes them, or dies at one."""

    def __init__(self, last: Step | None, notes: Path | None) -> None:
        self._last, self._notes = last, notes
        self._counted: dict[str, int] = {}

    def call(self, kind: str, about: str, do: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        number = self._counted[kind] = self._counted.get(kind, 0) + 1
        if self._notes:
            with self._notes.open("a") as notes:
                notes.write(f"{kind}\t{number}\t{about}\t{'half' if half else ''}\n")
        is_last = self._last is not None and (kind, number) == self._last[:2]
        if is_last and self._last and self._last.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if is_last and self._last and self._last.when == "within" and half:
            half()
            os.kill(os.getpid(), signal.SIGKILL)
        answer = do()
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


class _Connection:
    """DuckDB's connection, watched."""

    def __init__(self, real: duckdb.DuckDBPyConnection, watch: _Watch) -> None:
        self._real, self._watch = real, watch

    def execute(self, sql: str, *parameters: Any) -> Any:
        first = next(line for line in sql.splitlines() if line and not line.startswith("--"))
        if first.split()[0] in ("SELECT", "SET"):
            return self._real.execute(sql, *parameters)
        return self._watch.call("SQL", first[:60], lambda: self._real.execute(sql, *parameters))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _watched(watch: _Watch) -> None:
    """Put the watch into every seam by which this process can change the disk."""
    write, fsync, copy, connect = os.write, os.fsync, shutil.copyfileobj, duckdb.connect
    replace, unlink = Path.replace, Path.unlink

    def name(descriptor: int) -> str:
        return Path(f"/proc/self/fd/{descriptor}").readlink().suffix or "directory"

    def watched_write(descriptor: int, content: bytes) -> int:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return write(descriptor, content)
        written: int = watch.call(
            "write", name(descriptor), lambda: write(descriptor, content),
            lambda: write(descriptor, content[: len(content) // 2]),
        )  # fmt: skip
        return written

    def watched_copy(source: Any, target: Any, length: int = 0) -> None:
        def half() -> None:
            target.write(source.read(os.fstat(source.fileno()).st_size // 2))
            target.flush()

        watch.call("copy", "published", lambda: copy(source, target, length), half)

    os.write = watched_write  # type: ignore[assignment]
    os.fsync = lambda fd: watch.call("fsync", name(fd), lambda: fsync(fd))  # type: ignore[assignment]
    shutil.copyfileobj = watched_copy  # type: ignore[assignment]
    Path.replace = lambda self, target: watch.call("rename", Path(target).suffix, lambda: replace(self, target))  # type: ignore[method-assign,assignment]
    Path.unlink = lambda self, missing_ok=False: watch.call(  # type: ignore[method-assign]
        "unlink", self.suffix, lambda: unlink(self, missing_ok)
    )
    warehouse_connection.duckdb = _DuckDB(lambda *a, **k: _Connection(connect(*a, **k), watch))  # type: ignore[assignment]


class _DuckDB:
    """The module, with another `connect`."""

    def __init__(self, connect: Callable[..., Any]) -> None:
        self.connect = connect

    def __getattr__(self, name: str) -> Any:
        return getattr(duckdb, name)


def _work(settings: Settings, work: Callable[[Settings], None], last: Step | None, notes: Path | None) -> None:
    _watched(_Watch(last, notes))
    work(settings)


def steps(settings: Settings, work: Callable[[Settings], None], notes: Path) -> list[Step]:
    """Every step that a piece of work takes: each to die before, those that write to die within, and the last after."""
    assert die(settings, work, None, notes) == 0
    lines = [line.split("\t") for line in notes.read_text().splitlines()]
    found = [Step(kind, int(number), about) for kind, number, about, _ in lines]
    within = [Step(kind, int(number), about, "within") for kind, number, about, half in lines if half]
    return [*found, *within, found[-1]._replace(when="after")]


def die(
    settings: Settings, work: Callable[[Settings], None], last: Step | None, notes: Path | None = None
) -> int | None:
    """Do a piece of work in a process that is killed at a step; its exit code."""
    return _ended(_FORKING.Process(target=_work, args=(settings, work, last, notes)))


# Disks that refuse


def refused(settings: Settings, work: Callable[[Settings], None], most_bytes: int | None, said: Path) -> str:
    """Do a piece of work while no file may grow beyond a size, or as somebody who may not write at all (None); what the
    person is told, nothing if it could be done."""
    code = _ended(_FORKING.Process(target=_refused, args=(settings, work, most_bytes, said)))
    assert code == 0, code
    return said.read_text()


def _refused(settings: Settings, work: Callable[[Settings], None], most_bytes: int | None, said: Path) -> None:
    out = said.open("w")
    told = ""
    if most_bytes is None:
        if os.getuid() == 0:  # for whom no directory is read-only
            os.setgid(65534)
            os.setuid(65534)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
    try:
        work(settings)
    except RealcountError as error:
        told = f"{type(error).__name__}: {error}"
    except BaseException as error:
        told = f"not ours: {type(error).__name__}: {error}"
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    out.write(told)
    out.close()


def elsewhere(work: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """A piece of work in another process, begun."""
    process = _FORKING.Process(target=work, args=arguments)
    process.start()
    return process


def _ended(process: ForkServerProcess) -> int | None:
    process.start()
    process.join(120)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
    process.close()
    return code
