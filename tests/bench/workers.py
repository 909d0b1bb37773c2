"""Ours and the peers at work: one function a way to do a job, all with the same input and an empty directory."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
from bench import run
from machine import interpreter

from extract.archive import Archive

PEERS = Path(__file__).parent / "peers"
sys.path.insert(0, str(PEERS))

import stores  # noqa: E402 (a peer, from the folder that was just named)

_COUNT = "SELECT count(*), count(DISTINCT (contest_type, region_code, unit_code, witness)) FROM core.tally"


class Built(NamedTuple):
    """A history that was built: seconds, what it holds, and the seconds to find out that nothing is new.

    `sample` says what was measured where it was not the whole.
    """

    seconds: float
    versions: int = 0
    series: int = 0
    again: float | None = None
    sample: str = ""


def ours(bundle: Path, directory: Path, *options: str) -> Built:
    """The whole command, from outside: archive, database, standings, findings."""
    place = _empty(directory / "ours")
    command = ("replay", "git", str(bundle), *options)
    first = run(*command, data=place).wall
    again = run(*command, data=place, expect=64).wall
    with duckdb.connect(str(place / "realcount.duckdb"), read_only=True) as connection:
        ((versions, series),) = connection.execute(_COUNT).fetchall()
    return Built(first, versions, series, again)


def peer(python: Path, script: str, *options: str) -> Callable[[Path, Path], Built]:
    """A peer's script, which tells its own seconds: without the start of Python and without its imports."""

    def build(bundle: Path, directory: Path) -> Built:
        place = _empty(directory / "peer")
        place.mkdir()
        command = [str(python), str(PEERS / script), str(bundle), str(place), *options]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return Built(**json.loads(answer.stdout.splitlines()[-1]))

    return build


HISTORIES: dict[str, Callable[[Path, Path], Built]] = {
    "ours": lambda bundle, directory: ours(bundle, directory, "--parquet", "off"),
    "ours with Parquet": ours,
    "lines": peer(Path(sys.executable), "plain_sql.py", "lines"),
    "checkouts": peer(Path(sys.executable), "plain_sql.py", "checkouts"),
    "dlt": peer(interpreter("dlt"), "dlt_scd2.py", "changes"),
    "dlt, snapshots": peer(interpreter("dlt"), "dlt_scd2.py", "snapshots"),
    "git-history": peer(interpreter("git-history"), "git_history.py", "merged"),
    "git-history, files": peer(interpreter("git-history"), "git_history.py", "files"),
}


def sizes(bundle: Path, directory: Path) -> Iterator[tuple[str, int, str]]:
    """Name, bytes and contents of each way to store the captures; ours first, with all it needs."""
    place = _empty(directory / "stored")
    run("replay", "git", str(bundle), "--parquet", "off", data=place)
    archive = Archive(place / "archive")
    captures = list(archive.history())
    bodies = len({capture.digest for capture in captures})
    all_of_them = f"{len(captures):,} captures, {bodies:,} bodies"
    yield "ours", sum(path.stat().st_size for path in archive.directory.rglob("*") if path.is_file()), all_of_them
    warc = directory / "night.warc.gz"
    run("archive", "export", "warc", str(warc), data=place)
    yield "ours as WARC", warc.stat().st_size, all_of_them
    work = _empty(directory / "stores")
    work.mkdir()
    for name, store in stores.STORES.items():
        yield name, store(captures, work), f"{bodies:,} bodies alone" if name in stores.BARE else all_of_them


def ram_disk() -> Path | None:
    """Where the machine keeps files in memory, if it does."""
    shared = Path("/dev/shm")  # Linux's own
    return shared if shared.is_dir() else None


def _empty(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    return directory
