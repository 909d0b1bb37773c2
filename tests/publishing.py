"""Readers in other processes, for the tests of publishing: each looks again and again, and checks all that it sees."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from answers import A, B, count, figures, taken, wib

from warehouse import queries
from warehouse.connection import reading

_CONTEXT = multiprocessing.get_context("spawn")  # a forked process would share our open database

SUMS = """
    SELECT
        (SELECT count(*) FROM runs) AS runs,
        (SELECT count(*) FROM captures) AS captures,
        (SELECT max(votes) FROM results WHERE unit_code = '31' AND candidate_id = $pair) AS votes,
        (SELECT sum(votes) FROM results WHERE level = 'regency' AND candidate_id = $pair)::BIGINT AS votes_below,
        (SELECT sum(votes_delta) FROM changes WHERE unit_code = '31' AND candidate_id = $pair)::BIGINT AS votes_gained,
        (SELECT max(version) FROM timeline WHERE unit_code = '31') AS versions
"""


def night_of(number: int) -> Any:
    """The numberth capture of a night in which every load can be told from every other, by each of its sums."""
    chart = figures({A: 7 * number, B: 5}, 5)
    rows = {"3101": figures({A: 3 * number, B: 2}, 2), "3171": figures({A: 4 * number, B: 3}, 3)}
    minutes = f"{number // 60:02}:{number % 60:02}"
    return taken(count("31", f"{minutes}:00", chart, rows), wib(f"{minutes}:30"))


def expected(number: int) -> dict[str, int]:
    """The sums of the night after so many loads."""
    return {
        "runs": number,
        "captures": number,
        "votes": 7 * number,
        "votes_below": 7 * number,
        "votes_gained": 7 * number,
        "versions": number,
    }


class Seen(NamedTuple):
    """What a reader saw: how often it looked at database and Parquet, which loads, which databases it had open."""

    looks: int
    sets: int
    loads: set[int]
    opened: set[str]
    trouble: str | None


@contextmanager
def readers(number: int, place: Path) -> Iterator[list[Seen]]:
    """So many processes that read what is published in a place while the block runs; afterwards the list has what they
    saw. The place has a file `<load>.fingerprint` for every load before it is published.
    """
    seen: list[Seen] = []
    stop = _CONTEXT.Event()
    ready = _CONTEXT.Barrier(number + 1)
    pipes, processes = [], []
    for _ in range(number):
        here, there = _CONTEXT.Pipe()
        processes.append(_CONTEXT.Process(target=_read_on, args=(place, ready, stop, there)))
        pipes.append(here)
        processes[-1].start()
    ready.wait(60)
    try:
        yield seen
    finally:
        stop.set()
        seen += [pipe.recv() for pipe in pipes]
        for process in processes:
            process.join()


def _read_on(place: Path, ready: Any, stop: Any, pipe: Connection) -> None:
    os.nice(19)  # eight of these and one writer share what cores there are
    looks, sets, loads, opened, trouble = 0, 0, set(), set(), None
    ready.wait(60)
    try:
        while True:
            is_last = stop.is_set()  # and once more after the last load
            load = look(place, opened)
            assert not loads or load >= max(loads), f"load {load} came after {max(loads)}"
            loads.add(load)
            looks += 1
            sets += look_at_parquet(place / "parquet")
            if is_last:
                break
    except Exception as error:
        trouble = repr(error)
    pipe.send(Seen(looks, sets, loads, opened, trouble))


def look(place: Path, opened: set[str]) -> int:
    """Which load the published database is of, if all that it says is of that load: asked twice of one connection."""
    with reading(place / "realcount.duckdb") as connection:
        opened |= {name for fd in Path("/proc/self/fd").iterdir() if ".duckdb" in (name := _open_file(fd))}
        (before,) = queries.query(connection, SUMS, {"pair": A}).records()
        assert before == expected(before["runs"]), before
        assert fingerprint(connection) == (place / f"{before['runs']}.fingerprint").read_text(), before
        (after,) = queries.query(connection, SUMS, {"pair": A}).records()
        assert after == before
    return int(before["runs"])


def look_at_parquet(parquet: Path) -> int:
    """1 if a whole set of files was read that says the same in every file, 0 if two newer sets came meanwhile."""
    place = parquet.resolve()
    try:
        package = json.loads((place / "datapackage.json").read_bytes())
        contents = {file["name"]: (place / file["path"]).read_bytes() for file in package["resources"]}
        with duckdb.connect() as connection:
            rows = {
                name: connection.read_parquet(str(place / f"{name}.parquet")).count("*").fetchall()[0][0]
                for name in ("runs", "captures", "results")
            }
    except (FileNotFoundError, duckdb.IOException):
        assert not place.exists(), "half a set"
        return 0
    for file in package["resources"]:
        assert file["hash"] == f"sha256:{hashlib.sha256(contents[file['name']]).hexdigest()}", file["name"]
    counts = {file["name"]: file["rowCount"] for file in package["resources"]}
    assert rows == {name: counts[name] for name in rows}
    assert counts["runs"] == counts["captures"]
    return 1


def fingerprint(connection: duckdb.DuckDBPyConnection) -> str:
    """One text over all that a database says."""
    return json.dumps(queries.fingerprint(connection))


def _open_file(fd: Path) -> str:
    """The name of an open file; a replaced one is still open."""
    try:
        return fd.readlink().name.removesuffix(" (deleted)")
    except FileNotFoundError:  # it was the listing itself
        return ""
