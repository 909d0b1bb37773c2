"""The crawl benchmark: station documents of the simulated night over loopback, politeness off, 16 connections.

Server and client share the machine's cores. Ours archives every answer as it would at night; Scrapy writes the bodies
to a JSON lines file. Run by `make bench`.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from extract.archive import Archive
from extract.client import Client
from extract.night import Night
from extract.politeness import Manners, authority
from extract.recording import record
from extract.simulator import Simulation

CONNECTIONS = 16
DOCUMENTS = 4_000
RUNS = 3
COMMAND = Path(sys.executable).with_name("realcount")
MORNING = "2024-11-28T10:05:00+07:00"  # the night is over: no document changes while it is asked for


def stations(base_url: str) -> list[str]:
    """Addresses of the first station documents, about 700 bytes each."""
    endpoints = (endpoint for endpoint in Simulation(Night()).endpoints("tps") if len(endpoint.region) == 13)
    return [endpoint.url(base_url) for endpoint, _ in zip(endpoints, range(DOCUMENTS), strict=False)]


async def crawl(addresses: list[str], directory: Path) -> int:
    """Ask for every address and archive the answers; returns how many."""
    manners = Manners(frozenset({authority(addresses[0])}), rate=0, connections=CONNECTIONS)
    with record(Archive(directory), "bench", {}, lambda: datetime.now(UTC), {}) as run:
        async with Client(manners, lambda: datetime.now(UTC), run.append) as client:
            async for _ in client.fetch_all((address, None) for address in addresses):
                pass
        return run.captures


def ours(addresses: list[str], directory: Path) -> float:
    """Documents a second, from the first request to the sealed manifest."""
    started = time.perf_counter()
    archived = asyncio.run(crawl(addresses, directory))
    if archived != len(addresses):
        raise SystemExit(f"archived {archived} of {len(addresses)} documents")
    return archived / (time.perf_counter() - started)


def scrapys(addresses: list[str], directory: Path) -> float:
    """Documents a second of Scrapy's process, less the time it takes to start and stop without work."""
    directory.mkdir()
    listed, bodies = directory / "addresses.txt", directory / "bodies.jsonl"

    def seconds(some: list[str]) -> float:
        listed.write_text("\n".join(some), "utf-8")
        bodies.unlink(missing_ok=True)
        script = str(Path(__file__).with_name("scrapy_crawl.py"))
        started = time.perf_counter()
        subprocess.run([sys.executable, script, str(listed), str(bodies), str(CONNECTIONS)], check=True)
        return time.perf_counter() - started

    idle = seconds([])
    busy = seconds(addresses)
    if (written := sum(1 for _ in bodies.open())) != len(addresses):
        raise SystemExit(f"Scrapy wrote {written} of {len(addresses)} documents")
    return len(addresses) / (busy - idle)


def main() -> None:
    """Print both, and their ratio, measured in turn."""
    command = [str(COMMAND), "serve-archive", "--simulated", "--at", MORNING, "--speed", "0", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        lines = iter(server.stderr.readline, "")
        base_url = next(line.split()[-1] for line in lines if line.startswith("Serving at"))
        addresses = stations(base_url)
        rates: dict[str, list[float]] = {"realcount": [], "Scrapy": []}
        with tempfile.TemporaryDirectory(prefix="realcount-bench-") as place:
            for number in range(RUNS):
                rates["realcount"].append(ours(addresses, Path(place) / f"ours-{number}"))
                rates["Scrapy"].append(scrapys(addresses, Path(place) / f"scrapy-{number}"))
    finally:
        server.terminate()
        server.wait()
    medians = {name: statistics.median(measured) for name, measured in rates.items()}
    print(f"\nCrawl of {DOCUMENTS:,} station documents, {CONNECTIONS} connections, medians of {RUNS} runs in turn\n")
    print(f"realcount, fetch and archive   {medians['realcount']:>8,.0f} documents/s   limit 800 (aim 1,500)")
    print(f"Scrapy, fetch and JSON lines   {medians['Scrapy']:>8,.0f} documents/s   ", end="")
    print(f"realcount is {medians['realcount'] / medians['Scrapy']:.1f} times as fast")


if __name__ == "__main__":
    main()
