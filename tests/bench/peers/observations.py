"""What every peer starts from: the count documents that each commit of a scraper's bundle brought, oldest first.

Needs git and Python alone, as the peers have environments of their own. A row is one line of one document's figures:
the region's own sums or one of its children, with the votes of every pair.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

CONTESTS = ("pkwkp", "pkwkk")
MADE_UP = "pkwkp/0"  # a summary that the scraper's author wrote; KPU served no such file


class Observation(NamedTuple):
    """One version of one document: the commit, its time, the document such as pkwkp/31/3171, and its bytes."""

    commit: str
    at: str
    document: str
    body: bytes


def observations(bundle: Path, directory: Path) -> Iterator[Observation]:
    """Every count document that a commit added or changed; `directory` gets a bare clone."""
    repository = directory / "bundle.git"
    subprocess.run(["git", "clone", "--bare", "--quiet", str(bundle), str(repository)], check=True)
    log = [
        "git",
        "-C",
        str(repository),
        "log",
        "--reverse",
        "--raw",
        "--no-renames",
        "--no-abbrev",
        "--format=%H %cI",
        "--all",
    ]
    listed, commit, at = [], "", ""
    for line in subprocess.run(log, check=True, capture_output=True, text=True).stdout.splitlines():
        if not line.startswith(":"):
            commit, at = line.split() if line else (commit, at)  # an empty line stands between a commit and its files
            continue
        fields, path = line.split("\t")
        document = path.removeprefix("script/").removesuffix(".json")
        is_count = document.startswith(CONTESTS) and document != MADE_UP
        if is_count and not fields.endswith("D"):
            listed.append((commit, at, document, fields.split()[3]))
    for (commit, at, document, _), body in zip(listed, bodies(repository, [blob for *_, blob in listed]), strict=True):
        yield Observation(commit, at, document, body)


def bodies(repository: Path, blobs: list[str]) -> Iterator[bytes]:
    """The contents of blobs, in one pass of git cat-file."""
    asked = "".join(f"{blob}\n" for blob in blobs).encode()
    command = ["git", "-C", str(repository), "cat-file", "--batch"]
    answer = subprocess.run(command, input=asked, check=True, capture_output=True).stdout
    start = 0
    for _ in blobs:
        head = answer.index(b"\n", start)
        size = int(answer[start:head].split()[2])
        yield answer[head + 1 : head + 1 + size]
        start = head + size + 2


def rows(observation: Observation) -> Iterator[dict[str, Any]]:
    """The lines of a document: who counted how much where; KPU's clock stays with the document."""
    counted = json.loads(observation.body)["tungsura"]
    region = observation.document.rpartition("/")[2]
    for unit, figures in [(region, counted["chart"] or {}), *(counted["table"] or {}).items()]:
        progress = figures.get("progres") or {}
        yield {
            "document": observation.document,
            "unit": unit,
            "is_own": unit == region,
            "votes": {pair: votes for pair, votes in figures.items() if pair.isdigit()},
            "stations_reported": progress.get("progres"),
            "stations_total": progress.get("total"),
            "reported_pct": progress.get("persen"),
            "is_reported": figures.get("status_progress"),
            "revote_status": figures.get("psu"),
        }


def digest(row: dict[str, Any]) -> str:
    """One hash of a row's identity and figures."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
