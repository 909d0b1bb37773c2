"""Two days of a count in minutes: a crawler and a stand-in for KPU as processes, watched from outside (`make soak`).

Every quarter of an hour of virtual time the crawler's memory and file handles are noted. It must end with the figures
of the night, an intact archive, and within the bounds below of what it took in the night's second quarter.
"""

import argparse
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import IO, NamedTuple

from extract.night import OPENING, Night
from extract.simulator import Simulation
from extract.verification import verify
from flows.settings import Settings
from warehouse import queries
from warehouse.connection import reading

COMMAND = Path(sys.executable).with_name("realcount")
NIGHT = Night(seed=2024, revisions=0.01)
CYCLE = timedelta(minutes=15)
MOST_GROWTH = 32  # MiB from the second quarter to the last; the index of 48 hours' captures takes some
MOST_HANDLES = 2  # likewise; a cycle under way has a segment and a database open
PLAN = {"rates": dict.fromkeys(("error_500", "html", "truncated", "corrupt", "wrong_mode", "wrong_region"), 0.003)}
"""One answer in fifty is faulty, in ways that cost no waiting."""


class Sample(NamedTuple):
    """What a process holds: resident memory in MiB, open files and sockets, threads."""

    memory: float
    handles: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> "Sample":
        place = Path(f"/proc/{pid}")
        pages = int((place / "statm").read_text().split()[1])
        return cls(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20), len(list((place / "fd").iterdir())),
                   len(list((place / "task").iterdir())))  # fmt: skip


def main() -> int:
    """Soak, print the series, and say whether it stayed flat."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--hours", type=float, default=48, help="of virtual time")
    options.add_argument("--every", type=float, default=2.0, help="seconds that a cycle of 15 minutes takes")
    asked = options.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="realcount-soak-")))
        samples = watch(directory, int(asked.hours * timedelta(hours=1) / CYCLE), asked.every)
        return judge(Settings(directory / "data"), samples, asked.hours)


def watch(directory: Path, cycles: int, every: float) -> list[Sample]:
    """Run both processes for so many cycles; a sample of the crawler after each."""
    plan, said = directory / "plan.json", directory / "said"
    plan.write_text(json.dumps(PLAN))
    speed = CYCLE.total_seconds() / every
    server = _start("serve-archive", "--simulated", "--seed", str(NIGHT.seed), "--revisions", str(NIGHT.revisions),
                    "--at", OPENING.isoformat(), "--speed", str(speed), "--fault-plan", str(plan), "--port", "0",
                    said=subprocess.PIPE)  # fmt: skip
    crawler = None
    samples: list[Sample] = []
    try:
        assert server.stderr
        base_url = next(line.split()[-1] for line in server.stderr if line.startswith("Serving at"))
        with said.open("w") as stream:
            crawler = _start("--data-dir", str(directory / "data"), "follow", "--base-url", base_url, "--region", "31",
                             "--rate", "0", "--every", f"{every}s", said=stream)  # fmt: skip
        print(f"{'hour':>6} {'memory MiB':>12} {'handles':>9} {'threads':>9} {'server MiB':>12}")
        began = time.monotonic()
        for number in range(1, cycles + 1):
            time.sleep(max(0.0, began + number * every - time.monotonic()))
            if crawler.poll() is not None:
                raise SystemExit(f"the crawler ended with {crawler.returncode}: {said.read_text()[-2000:]}")
            samples.append(Sample.of(crawler.pid))
            if number % max(1, cycles // 24) == 0:
                hour, one = number * CYCLE / timedelta(hours=1), samples[-1]
                held = Sample.of(server.pid).memory
                print(f"{hour:>6.1f} {one.memory:>12.1f} {one.handles:>9} {one.threads:>9} {held:>12.1f}", flush=True)
        time.sleep(2 * every)  # the last publication is there for at least one whole cycle
        crawler.send_signal(signal.SIGTERM)
        if code := crawler.wait(60):
            raise SystemExit(f"the crawler ended with {code}: {said.read_text()[-2000:]}")
    finally:
        for process in filter(None, (crawler, server)):
            if process.poll() is None:
                process.kill()
            process.wait()
    return samples


def judge(settings: Settings, samples: list[Sample], hours: float) -> int:
    """Say what was held at the second and the last quarter, what was archived, and what is wrong; the exit code."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    before, after = (statistics.median(one.memory for one in part) for part in (early, late))
    handles = [max(one.handles for one in part) for part in (early, late)]
    manifests = settings.archive.manifests()
    print(f"\n{hours:g} hours: {len(manifests):,} runs, {sum(one.captures for one in manifests):,} captures; "
          f"memory {before:.1f} to {after:.1f} MiB (bound: +{MOST_GROWTH}), "
          f"handles {handles[0]} to {handles[1]} (bound: +{MOST_HANDLES})")  # fmt: skip
    wrong = []
    if after > before + MOST_GROWTH:
        wrong.append("memory grows")
    if handles[1] > handles[0] + MOST_HANDLES:
        wrong.append("file handles grow")
    if problems := verify(settings.archive).problems:
        wrong.append(f"the archive is not intact: {problems[0]}")
    if leftovers := [path.name for path in settings.data_dir.rglob("*") if path.suffix in (".part", ".open", ".wal")]:
        wrong.append(f"files are left lying about: {', '.join(leftovers)}")
    if hours >= 21 and shown(settings) != counted():
        wrong.append("the results are not those of the night")
    for what in wrong:
        print(f"FAILED: {what}")
    return len(wrong) > 0


def shown(settings: Settings) -> dict[str, int]:
    """The votes of every unit down to the districts, as readers see them."""
    with reading(settings.published) as connection:
        sql = "SELECT unit_code, sum(votes)::BIGINT FROM results WHERE length(unit_code) BETWEEN 2 AND 6 GROUP BY ALL"
        return dict(queries.query(connection, sql).rows)


def counted() -> dict[str, int]:
    """What the night ended with."""
    simulation = Simulation(NIGHT)
    end = simulation.truth(simulation.publications[-1])
    return {code: sum(one.votes.values()) for code, one in end.items() if 2 <= len(code) <= 6}


def _start(*words: str, said: int | IO[str]) -> "subprocess.Popen[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REALCOUNT_")}
    command = list(itertools.chain([str(COMMAND)], words))
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, text=True, env=clean)


if __name__ == "__main__":
    sys.exit(main())
