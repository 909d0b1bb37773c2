"""The benchmark: whole processes and single queries on the captured Pilkada archive, beside their limits.

Run by `make bench`. Every figure is the median of several runs on this machine; the decoding limits are measured
in the same run, so that ratios hold when the machine is slow today.
"""

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb
import orjson

from extract.archive import Archive

BUNDLE = Path(__file__).parents[3] / "shared" / "real" / "pilkada-scrap.bundle"
COMMAND = Path(sys.executable).with_name("realcount")
RUNS = 5
QUERY_RUNS = 15
MOMENT = "2024-11-28 10:00:05+07"
AS_OF = f"""
    SELECT sum(votes), sum(margin), sum(rank), sum(share_pct), max(unit_name), max(candidate_name)
    FROM results_as_of(TIMESTAMPTZ '{MOMENT}')
"""  # every row and every computed column of the country, without the cost of carrying 44,000 rows into Python


class Process(NamedTuple):
    """A finished process: seconds by the wall, seconds of processor, and its largest memory in MB."""

    wall: float
    cpu: float
    memory: float


def run(*arguments: str, data: Path, expect: int = 0) -> Process:
    """Run the command once, from outside, as a user would."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(COMMAND), "--data-dir", str(data), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != expect:
        raise SystemExit(f"realcount {' '.join(arguments)}: exit code {process.returncode}, expected {expect}")
    return Process(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def median(measure: Callable[[], float], runs: int) -> float:
    """The median of several measurements, after one that does not count."""
    measure()
    return statistics.median(measure() for _ in range(runs))


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Seconds that a piece of work takes."""

    def measure() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return measure


def fresh_replays(directory: Path) -> list[Process]:
    """Replays into an empty directory; the last one's data stays."""
    processes = []
    for _ in range(RUNS + 1):
        shutil.rmtree(directory, ignore_errors=True)
        processes.append(run("replay", "git", str(BUNDLE), data=directory))
    return processes[1:]


def table(directory: Path) -> list[tuple[str, str, str]]:
    """What was measured, the figure, its limit."""
    first = fresh_replays(directory)
    archive = Archive(directory / "archive")
    captures = [capture for name in archive.segment_names() for _, capture in archive.captures(name)]
    bodies = [capture.body for capture in captures if capture.body and "/hhcw/" in capture.url]
    lines = directory / "bodies.jsonl"
    lines.write_bytes(b"".join(orjson.dumps(orjson.loads(body)) + b"\n" for body in bodies))

    wall = statistics.median(process.wall for process in first)
    decoding = median(timed(lambda: [orjson.loads(body) for body in bodies]), RUNS)
    typed = 'STRUCT(chart MAP(VARCHAR, JSON), "table" MAP(VARCHAR, MAP(VARCHAR, JSON)))'
    decode = f"SELECT count(ts), sum(cardinality(tungsura.\"table\")) FROM read_json('{lines}', columns = {{ts: 'VARCHAR', tungsura: '{typed}'}})"  # noqa: E501 (one expression)
    reading = median(timed(lambda: duckdb.sql(decode).fetchall()), RUNS)
    lines.unlink()
    second = median(lambda: run("replay", "git", str(BUNDLE), data=directory, expect=64).wall, RUNS)
    rebuilt = median(lambda: run("rebuild", data=directory).wall, RUNS)
    status = median(lambda: run("status", data=directory).wall, RUNS)
    listing = median(lambda: run("archive", "list", data=directory).wall, RUNS)
    size = sum(path.stat().st_size for path in (directory / "archive").rglob("*") if path.is_file())
    with duckdb.connect(str(directory / "realcount.duckdb"), read_only=True) as connection:
        as_of = median(timed(lambda: connection.execute(AS_OF).fetchall()), QUERY_RUNS)
        jakarta = f"SELECT * FROM results_as_of(TIMESTAMPTZ '{MOMENT}') WHERE unit_code = '31'"
        one = median(timed(lambda: connection.execute(jakarta).fetchall()), QUERY_RUNS)
        grown = median(
            timed(lambda: connection.execute("SELECT * FROM timeline WHERE unit_code = '31'").fetchall()), QUERY_RUNS
        )
    return [
        ("first replay of the bundle, whole process", f"{wall:.2f} s", "4 s (aim 2)"),
        ("  its processor time", f"{statistics.median(p.cpu for p in first):.2f} s", ""),
        ("  its memory", f"{max(p.memory for p in first):.0f} MB", "400 MB"),
        (
            f"  orjson decoding the {len(bodies):,} counts, for comparison",
            f"{decoding:.2f} s",
            f"{wall / decoding:.1f} times",
        ),
        ("  DuckDB read_json of the same, for comparison", f"{reading:.2f} s", f"{wall / reading:.1f} times"),
        ("second replay, nothing new", f"{second:.2f} s", "0.6 s"),
        ("rebuild from the archive", f"{rebuilt:.2f} s", ""),
        ("archive on disk", f"{size / 1e6:.3f} MB", "1.0 MB (aim 0.8)"),
        ("results_as_of, whole country, every column", f"{as_of * 1000:.0f} ms", "50 ms"),
        ("results_as_of, Jakarta", f"{one * 1000:.0f} ms", ""),
        ("timeline, Jakarta", f"{grown * 1000:.0f} ms", ""),
        ("realcount status, whole process", f"{status:.2f} s", "0.5 s"),
        ("realcount archive list, whole process", f"{listing:.2f} s", "0.5 s"),
    ]


def main() -> None:
    """Print the table."""
    if not BUNDLE.exists():
        raise SystemExit("make bench needs the captured archive, shared/real/pilkada-scrap.bundle beside the checkout")
    with tempfile.TemporaryDirectory(prefix="realcount-bench-") as directory:
        rows = table(Path(directory) / "data")
    cores = len(os.sched_getaffinity(0))
    print(f"Medians of {RUNS} runs ({QUERY_RUNS} for queries), {cores} cores, ", end="")
    print(f"Python {platform.python_version()}, DuckDB {duckdb.__version__}\n")
    width = max(len(name) for name, _, _ in rows)
    for name, figure, limit in [("what", "measured", "limit"), *rows]:
        print(f"{name:<{width}}  {figure:>10}  {limit}")


if __name__ == "__main__":
    main()
