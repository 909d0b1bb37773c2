"""The benchmark of loads: cycle after cycle of a whole night, in databases of three sizes. Run by hand, in 15 minutes.

    python tests/bench/loads.py [PROVINCES …]

What a crawler captures at village depth is made up in SQL (loads.sql) as the loader stages it, so only the load
itself is measured: what it costs by what it brings and by what is there, its memory, and the size of the file.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import duckdb

from load import loader
from load.publish import publish
from warehouse.connection import writing
from warehouse.migrate import migrate

HERE = Path(__file__).parent
WAREHOUSE = HERE.parents[1] / "warehouse"
PROVINCES = (4, 13, 38)
CYCLES = 60
SHOWN = 6  # every so many cycles a line


class Staged(NamedTuple):
    """The two files of a cycle, as load.staging.Staging has them."""

    captures: Path
    documents: Path


class Night:
    """A night of the first provinces, moved on cycle by cycle."""

    def __init__(self, directory: Path, provinces: int) -> None:
        self.staged = Staged(directory / "captures.jsonl", directory / "documents.jsonl")
        self._connection = duckdb.connect(str(directory / "night.duckdb"))
        self._run("SET TimeZone = 'Asia/Jakarta'; SET memory_limit = '1GB'")
        for name in ("schema/bookkeeping", "schema/0001_core"):
            self._run((WAREHOUSE / f"{name}.sql").read_text("utf-8"))
        for name in ("level_of", "parent_of", "area_length", "contest_of", "lineage"):
            self._run((WAREHOUSE / f"macros/core.{name}.sql").read_text("utf-8"))
        self._set(provinces=provinces, cycles=CYCLES, staged_captures=str(self.staged.captures))
        self._set(staged_documents=str(self.staged.documents))
        self._run((HERE / "loads.sql").read_text("utf-8"))

    def stage(self, cycle: int) -> int:
        """Write what is captured in a cycle; returns the number of count documents."""
        self._set(cycle=cycle, run=f"cycle {cycle}")
        self._run(
            "SET VARIABLE moment = TIMESTAMPTZ '2024-11-27 15:00:00+07' + INTERVAL 15 MINUTE * getvariable('cycle')"
        )
        self._run((HERE / "loads_cycle.sql").read_text("utf-8"))
        ((documents,),) = self._connection.execute("SELECT count(*) FROM document").fetchall()
        return int(documents)

    def _set(self, **variables: object) -> None:
        for name, value in variables.items():
            self._connection.execute(f"SET VARIABLE {name} = ?", [value])

    def _run(self, sql: str) -> None:
        self._connection.execute(sql)


def processor() -> float:
    """Seconds of processor so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def play(directory: Path, provinces: int) -> None:
    """Load a night and print what its cycles cost."""
    night, database = Night(directory, provinces), directory / "warehouse.duckdb"
    for cycle in range(CYCLES + 1):
        documents = night.stage(cycle)
        began, used = time.perf_counter(), processor()
        with writing(database) as connection:
            migrate(connection, database)
            connection.execute("BEGIN")
            loader._apply(connection, night.staged, [])  # type: ignore[arg-type]  # two paths are all it needs
            connection.execute("COMMIT")
            ((rows, versions),) = connection.execute(
                "SELECT (SELECT count(*) FROM core.tally), (SELECT count(*) FROM core.version)"
            ).fetchall()
        loaded, used = time.perf_counter() - began, processor() - used
        began = time.perf_counter()
        publish(database, directory / "realcount.duckdb")
        copied = time.perf_counter() - began
        if cycle % SHOWN == 0:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
            print(
                f"| {provinces} | {cycle} | {documents:,} | {rows:,} | {versions:,} | {loaded:.1f} s | {used:.1f} s "
                f"| {copied:.1f} s | {memory:,.0f} MB | {database.stat().st_size / 1e6:,.0f} MB |",
                flush=True,
            )


def main() -> None:
    """Print the table."""
    print("| provinces | cycle | documents | tallies | versions | load | processor | copy | memory so far | file |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for provinces in map(int, sys.argv[1:] or PROVINCES):
        with tempfile.TemporaryDirectory(prefix="realcount-bench-") as directory:
            play(Path(directory), provinces)


if __name__ == "__main__":
    main()
