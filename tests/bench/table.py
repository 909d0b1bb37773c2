"""The page docs/benchmarks.md: one table, how each tool was used, and what it does not do."""

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).with_name("page.md")
BUNDLE = "pilkada-scrap.bundle"


class Row(NamedTuple):
    """One tool at one job: its name among TOOLS, what was measured, and what came out."""

    name: str
    measured: list[float]
    result: str

    @property
    def median(self) -> float:
        return statistics.median(self.measured)


@dataclass
class Job:
    """A job and its unit; the first row is ours, which the others are compared with."""

    title: str
    unit: str
    rows: list[Row] = field(default_factory=list)


TOOLS = {
    "history of the night": {
        "ours": ("realcount", f"`realcount replay git {BUNDLE} --parquet off`"),
        "ours with Parquet": ("realcount, and Parquet for readers", f"`realcount replay git {BUNDLE}`"),
        "lines": ("DuckDB SQL by hand, tuned", "`plain_sql.py lines`"),
        "checkouts": ("DuckDB SQL by hand, over checkouts", "`plain_sql.py checkouts`"),
        "dlt": ("dlt, SCD2 into DuckDB, changed documents", "`dlt_scd2.py changes`"),
        "dlt, snapshots": ("dlt, SCD2 into DuckDB, whole snapshots", "`dlt_scd2.py snapshots`"),
        "git-history": ("git-history, one file made of all", "`git-history file … --id document --id unit`"),
        "git-history, RAM disk": ("git-history, the same on a RAM disk", "the same"),
        "git-history, files": ("git-history, a run a file", "`git-history file … --namespace … --convert …`"),
    },
    "the same again, nothing new": {
        "ours": ("realcount", "the same command again"),
        "git-history": ("git-history, one file made of all", "the same command again"),
    },
    "crawl": {
        "realcount": ("realcount: fetched and archived", "`extract.client`, politeness off"),
        "Scrapy": ("Scrapy: fetched, bodies to JSON lines", "`scrapy_crawl.py`"),
        "httpx": ("httpx: fetched and dropped", "one `AsyncClient`, 16 workers"),
        "aiohttp": ("aiohttp: fetched and dropped", "`aiohttp_crawl.py`"),
    },
    "archive": {
        "ours": ("realcount's archive, manifests included", f"`realcount replay git {BUNDLE}`"),
        "ours as WARC": ("realcount's archive as WARC.gz", "`realcount archive export warc`"),
        "files": ("a file a capture, in blocks of 4 KiB", "`stores.py`, so are all below"),
        "WARC.gz": ("WARC.gz by warcio", "a response a capture"),
        "WARC.gz, revisits": ("WARC.gz by warcio, with revisits", "a revisit where the body is known"),
        "git gc": ("git pack and index", "a commit a moment, `git gc`"),
        "git gc --aggressive": ("git pack and index, searched hardest", "`git gc --aggressive` after the night"),
        "Parquet": ("Parquet, zstd 19", "DuckDB, a file a moment, a body once"),
        "Parquet, at once": ("Parquet, zstd 19, sorted", "one file after the night"),
        "zstd each": ("zstd 19 of each body", "bodies alone"),
        "zstd each, dictionary": (
            "zstd 19 of each body, with a dictionary",
            "bodies and a dictionary of the first hour",
        ),
        "tar.zst, at once": ("tar, zstd 19", "bodies alone, one stream after the night"),
    },
}


def written(jobs: list[Job], phases: dict[str, float], machine: list[str]) -> str:
    """The page."""
    lines = [
        "| job | tool | how | median | runs | against realcount | result |",
        "| --- | --- | --- | ---: | ---: | ---: | --- |",
    ]
    for job in jobs:
        for name, (tool, how) in TOOLS[job.title].items():
            row = next((row for row in job.rows if row.name == name), None)
            if row is None:  # no RAM disk
                continue
            median, runs = figure(row.median, job.unit), len(row.measured)
            lines.append(f"| {job.title} | {tool} | {how} | {median} | {runs} | {against(job, row)} | {row.result} |")
    first = {row.name: row for row in jobs[0].rows}
    mine, theirs = (int(first[name].result.split()[0].replace(",", "")) for name in ("ours", "dlt"))
    by_hand = first["lines"].median / first["ours"].median
    alike = sum(list(phases.values())[:3])
    return PAGE.read_text("utf-8").format(
        machine="\n".join(machine),
        table="\n".join(lines),
        stale=f"{theirs - mine:,}",
        versions=f"{mine:,}",
        sql=f"It takes {by_hand:.2f} of realcount's time" + (" and wins, for it does less." if by_hand < 1 else "."),
        phases="\n".join(f"  - {seconds:.2f} s: {phase}" for phase, seconds in phases.items()),
        alike=alike,
        dlt=first["dlt"].median / alike,
        git=first["git-history"].median / alike,
        ram=first["git-history, RAM disk"].median / alike if "git-history, RAM disk" in first else float("nan"),
        hand=first["lines"].median / alike,
        documents=next(job for job in jobs if job.title == "crawl").rows[0].result.split()[0],
    )


def figure(value: float, unit: str) -> str:
    """A number that shows what is known of it."""
    digits = {"s": 2 if value < 100 else 0, "MB": 3, "documents/s": 0}[unit]
    return f"{value:,.{digits}f} {unit}"


def against(job: Job, row: Row) -> str:
    """How many times worse than ours; in bold where it is better."""
    mine, theirs = job.rows[0].median, row.median
    if row is job.rows[0]:
        return "1"
    times = mine / theirs if job.unit == "documents/s" else theirs / mine
    if times >= 1 or row.name.startswith("ours"):
        return f"{times:,.1f}"
    return f"**{times:.2f}: it wins**"
