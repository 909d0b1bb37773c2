"""The comparison: other tools at the same jobs on the same machine in the same run, written to docs/benchmarks.md.

Run by `make bench`, which makes the peers' environments. With --once everything is measured once and only printed.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

import anatomy
import crawl
import machine
import workers
from bench import BUNDLE
from table import Job, Row, written

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
RUNS, FEW = 5, 3
"""Of what takes seconds, and of what takes longer; what takes minutes is run once."""


def history(directory: Path, runs: int, few: int) -> list[Job]:
    """The history of the captured night, and of nothing new after it."""
    quick: dict[str, list[workers.Built]] = {}
    for _ in range(runs):  # in turn, so that a slow minute of the machine meets all of them
        for name in ("ours", "ours with Parquet", "lines"):
            quick.setdefault(name, []).append(workers.HISTORIES[name](BUNDLE, directory))
    slow = {name: [workers.HISTORIES[name](BUNDLE, directory) for _ in range(few)] for name in ("checkouts", "dlt")}
    rare = ("dlt, snapshots", "git-history", "git-history, files")
    once = {name: [workers.HISTORIES[name](BUNDLE, directory)] for name in rare}
    if memory := workers.ram_disk():
        with tempfile.TemporaryDirectory(prefix="realcount-bench-", dir=memory) as name:
            once["git-history, RAM disk"] = [workers.HISTORIES["git-history"](BUNDLE, Path(name))]
    first, again = Job("history of the night", "s"), Job("the same again, nothing new", "s")
    for name, found in (quick | slow | once).items():
        result = found[0].sample or f"{found[0].versions:,} versions of {found[0].series:,} rows"
        first.rows.append(Row(name, [one.seconds for one in found], result))
        if name in ("ours", "git-history"):
            again.rows.append(Row(name, [one.again for one in found if one.again], ""))
    return [first, again]


def crawling(runs: int) -> Job:
    """Documents a second."""
    rows = [Row(name, rates, f"{crawl.DOCUMENTS:,} documents") for name, rates in crawl.rates(runs).items()]
    return Job("crawl", "documents/s", rows)


def storing(directory: Path) -> Job:
    """Bytes on disk for the same captures."""
    return Job(
        "archive", "MB", [Row(name, [size / 1e6], found) for name, size, found in workers.sizes(BUNDLE, directory)]
    )


def phases(directory: Path, runs: int) -> dict[str, float]:
    """The median seconds of each phase of our own replay."""
    measured = [anatomy.seconds(BUNDLE, directory / f"anatomy-{number}") for number in range(runs)]
    return {phase: statistics.median(one[phase] for one in measured) for phase in measured[0]}


def main() -> None:
    """Measure, write the page, print it."""
    if not BUNDLE.exists():
        raise SystemExit(
            "the comparison needs the captured archive, shared/real/pilkada-scrap.bundle beside the checkout"
        )
    once = sys.argv[1:] == ["--once"]
    runs, few = (1, 1) if once else (RUNS, FEW)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="realcount-bench-") as name:
        directory = Path(name)
        jobs = [*history(directory, runs, few), crawling(few), storing(directory)]
        spent = phases(directory, few)
    page = written(jobs, spent, machine.described(before))
    if not once:
        PAGE.write_text(page, "utf-8")
    print(page)


if __name__ == "__main__":
    main()
