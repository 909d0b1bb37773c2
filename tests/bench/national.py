"""The whole country on one machine: a simulated night, crawled, archived, loaded and published. Run by
`make bench-national`.

The night stands still at every publication while a cycle runs. The rate limiter is lifted, and counted back in: a
cycle's virtual time is its requests at 60 a second and the measured seconds of all else. Everything is on that a user
would have: findings, Parquet, the page.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from outcome import answered, compared

from extract.endpoints import ContestType
from extract.provinces import provinces
from flows import replay as replaying
from flows.plan import Scope
from flows.poll import Memory, Request, parquet_time, poll
from flows.settings import Settings

HERE = Path(__file__).parent
RATE, EVERY = 60.0, timedelta(minutes=15)
CONTESTS: tuple[ContestType, ...] = ("pkwkp", "pkwkk")
QUIET, LATE = 6, 30  # cycles after the last publication: every district is asked again; what waited is asked for
COLUMNS = {
    "cycle": "cycle", "changed": "changed", "requests": "requests", "news": "news", "lists": "lists first seen",
    "reasked": "asked again", "waiting": "waiting", "plan_s": "plan s", "ask_s": "ask s", "load_s": "load s",
    "publish_s": "publish s", "parquet_s": "Parquet s", "report_s": "report s", "wall_s": "wall s", "cpu_s": "CPU s",
    "virtual_s": "virtual s", "peak_mb": "peak MB", "archive_mb": "archive MB", "warehouse_mb": "warehouse MB",
    "server_cpu_s": "server CPU s", "server_mb": "server MB",
}  # fmt: skip


class Server:
    """The stand-in, in its process."""

    def __init__(self, night: dict[str, Any], depth: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "night_server.py"), json.dumps([depth, night])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *words: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(words), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())  # type: ignore[no-any-return]

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Stopwatch:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def spent(self, name: str, since: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - since

    async def step(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """A cycle's step."""
        began = time.perf_counter()
        try:
            return await work()
        finally:
            self.spent("ask_s" if name.startswith("ask") else name, began)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time the parts of what Prefect sees as one step."""
        parts = {"load": "load_s", "publish": "publish_s"}
        before = {name: getattr(replaying, name) for name in parts}

        def timed(work: Callable[..., Any], name: str) -> Callable[..., Any]:
            def run(*arguments: Any, **options: Any) -> Any:
                began = time.perf_counter()
                try:
                    return work(*arguments, **options)
                finally:
                    self.spent(name, began)

            return run

        for name, key in parts.items():
            setattr(replaying, name, timed(before[name], key))
        try:
            yield
        finally:
            for name, work in before.items():
                setattr(replaying, name, work)


class Crawl:
    """A night crawled cycle by cycle; `line` is what each cycle came to."""

    def __init__(self, settings: Settings, scope: Scope, server: Server) -> None:
        self._settings, self._scope, self._server = settings, scope, server
        self._base_url = server.ask("begin")["base_url"]
        self._memory = Memory()
        self._planning = 0.0
        self._roots = sum(len(scope.roots or provinces(contest_type)) for contest_type in CONTESTS)

    async def cycle(self, number: int, step: int, **more: Any) -> dict[str, Any]:
        """One cycle at a publication."""
        stands = self._server.ask("go", step)
        at, began, watch = datetime.fromisoformat(stands["at"]), time.perf_counter(), Stopwatch()
        at += EVERY * (number - step)  # after the last publication time goes on
        parquet = parquet_time(self._settings, at, EVERY) or timedelta()
        until = self._memory.asking_ends(at, EVERY, parquet) - at
        budget = int(RATE * (until.total_seconds() - self._planning))
        scope = msgspec.structs.replace(self._scope, budget=budget, **more)
        request = Request.of(scope, self._base_url, rate=0, connections=8)
        used = _cpu()
        Path("/proc/self/clear_refs").write_text("5")  # the peak is this cycle's
        with watch.watching():
            report = await poll(
                self._settings,
                request,
                watch.step,
                lambda: at + timedelta(seconds=time.perf_counter() - began),
                memory=self._memory,
            )
        wall = time.perf_counter() - began
        if report.source_down:
            raise SystemExit(f"cycle {number}: {report.source_down}")
        parts, seen = watch.seconds, self._server.ask("seen")
        asking = parts["ask_s"]
        after = sum(parts.get(name, 0.0) for name in ("load and publish", "write the report", "write Parquet"))
        self._planning = wall - asking - after
        requests = seen.get("asked", 0)
        return {
            "cycle": number, "changed": stands["changed"], "requests": requests, "news": seen.get("news", 0),
            "lists": seen.get("lists", 0), "roots": self._roots, "reasked": report.counts.asked["asked again"],
            "waiting": report.counts.waiting, "plan_s": self._planning, "ask_s": asking,
            "load_s": parts.get("load_s", 0.0), "publish_s": parts.get("publish_s", 0.0),
            "parquet_s": parts.get("write Parquet", 0.0), "report_s": parts.get("write the report", 0.0),
            "wall_s": wall, "cpu_s": _cpu() - used, "virtual_s": requests / RATE + wall - asking, "peak_mb": _peak(),
            "archive_mb": _size(self._settings.data_dir / "archive"), "warehouse_mb": _size(self._settings.database),
            "known": len(self._memory.knowledge), "server_cpu_s": seen["cpu_s"], "server_mb": seen["rss_mb"],
        }  # fmt: skip


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak() -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) / 1024


def _size(place: Path) -> float:
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e6


def main() -> None:
    """Crawl a night and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=77, help="publications of the night, as many as in 2024")
    parser.add_argument("--stop-after", type=int, default=10**6, help="cycles to crawl of it, for a first look")
    parser.add_argument("--provinces", default="", help="codes such as 31,32; none: all")
    parser.add_argument("--depth", default="village", choices=("district", "village", "tps"))
    parser.add_argument("--parquet", help="off: without")
    parser.add_argument("--keep", type=Path, help="an empty directory that gets the night's data, to look into it")
    parser.add_argument("--into", type=Path, help="file that gets a line of JSON for each cycle and one for the end")
    options = parser.parse_args()
    within = tuple(filter(None, options.provinces.split(",")))
    directory = options.keep or Path(tempfile.mkdtemp(prefix="realcount-national-"))
    server = Server({"cycles": options.cycles, "within": within, "revisions": 0.01}, options.depth)
    try:
        measure(options, within, directory, server)
    finally:
        server.stop()
        if not options.keep:
            shutil.rmtree(directory)


def measure(options: argparse.Namespace, within: tuple[str, ...], directory: Path, server: Server) -> None:
    """The night cycle by cycle, then its outcome."""
    settings = Settings(directory / "data", options.parquet)
    crawl = Crawl(settings, Scope(contest_types=CONTESTS, roots=within, depth=options.depth), server)
    about = {"where": options.provinces or "country", "depth": options.depth, "publications": options.cycles}
    title = f"{about['where']}, to the depth {options.depth}, {options.cycles} publications"
    print(f"## {title}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}\n")
    print(cells(COLUMNS.values()), cells(["--:"] * len(COLUMNS)), sep="\n", flush=True)
    lines: list[dict[str, Any]] = []

    def look(step: int, **more: Any) -> None:
        lines.append(asyncio.run(crawl.cycle(len(lines), step, **more)))
        print(cells(lines[-1][name] for name in COLUMNS), flush=True)
        note(options.into, about | lines[-1])

    last = options.cycles - 1
    for step in range(min(options.cycles, options.stop_after)):
        look(step)
    if options.stop_after > last:
        while (lines[-1]["waiting"] or len(lines) <= last + QUIET) and len(lines) <= last + LATE:
            look(last)
        truth = directory / "truth.jsonl"
        outcome = server.ask("truth", str(truth)) | compared(settings, truth)
        print(told(outcome, "at the end of the night"))
        if outcome["missing"]:  # changes that cancel out in every table above them
            for _ in range(-(-lines[-1]["known"] // int(RATE * EVERY.total_seconds() * 0.8))):
                look(last, reask_share=1.0)
            outcome = outcome | {"missing_at_first": outcome["missing"]} | compared(settings, truth)
            print(told(outcome, "when all was asked again"))
    else:
        outcome = {}
    end = summed(lines) | outcome
    print(f"\n{end['requests']:,} requests, {end['economy']:.3f} of news, first lists, roots and what was asked again.")
    for name, (median, rows) in answered(settings).items():
        end[name] = median
        print(f"{name:<44} {median * 1000:>6.0f} ms   {rows:,} rows")
    note(options.into, about | end)


def summed(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """A night in one line."""
    total = {name: sum(line[name] for line in lines) for name in ("requests", "changed", "news", "cpu_s", "wall_s")}
    needed = sum(line["news"] + line["lists"] + line["reasked"] + line["roots"] for line in lines)
    most = {
        f"most_{name}": max(line[name] for line in lines) for name in ("virtual_s", "peak_mb", "load_s", "requests")
    }
    last = {name: lines[-1][name] for name in ("archive_mb", "warehouse_mb", "known", "server_mb")}
    return {"cycles": len(lines), **total, "economy": total["requests"] / needed, **most, **last}


def told(outcome: dict[str, int], when: str) -> str:
    """How true the results are."""
    pairs, units, missing, surplus = (outcome[name] for name in ("pairs", "units", "missing", "surplus"))
    return (
        f"\n{when}: {pairs:,} votes of pairs in {units:,} units; {missing:,} are not shown so, {surplus:,} otherwise."
    )


def cells(values: Iterable[Any]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(map(shown, values))} |"


def shown(value: Any) -> str:
    """A number that shows what is known of it."""
    if isinstance(value, float):
        return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def note(into: Path | None, line: dict[str, Any]) -> None:
    """A line of JSON, for whoever compares."""
    if into:
        with into.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


if __name__ == "__main__":
    main()
