"""The crawl benchmark: station documents of the simulated night over loopback, politeness off, 16 connections.

Server and client share the machine's cores. Ours archives every answer as it would at night, Scrapy writes the bodies
to a JSON lines file, aiohttp keeps nothing.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from extract.archive import Archive
from extract.client import Client
from extract.night import Night
from extract.politeness import Manners, authority
from extract.recording import record
from extract.simulator import Simulation

CONNECTIONS = 16
DOCUMENTS = 4_000
COMMAND = Path(sys.executable).with_name("realcount")
PEERS = Path(__file__).parent / "peers"
AIOHTTP = Path(__file__).parents[2] / ".venv-peers" / "aiohttp" / "bin" / "python"
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


def peer(command: list[str], addresses: list[str], directory: Path) -> float:
    """Documents a second of a peer's process, less the time it takes to start and stop without work."""
    directory.mkdir()
    listed = directory / "addresses.txt"

    def seconds(some: list[str]) -> float:
        listed.write_text("\n".join(some), "utf-8")
        started = time.perf_counter()
        subprocess.run([*command, str(listed), str(CONNECTIONS)], check=True, stdout=subprocess.DEVNULL, cwd=directory)
        return time.perf_counter() - started

    idle = seconds([])
    return len(addresses) / (seconds(addresses) - idle)


def scrapys(addresses: list[str], directory: Path) -> float:
    """Scrapy, which writes the bodies to a JSON lines file."""
    rate = peer([sys.executable, str(PEERS / "scrapy_crawl.py")], addresses, directory)
    if (written := sum(1 for _ in (directory / "bodies.jsonl").open())) != len(addresses):
        raise SystemExit(f"Scrapy wrote {written} of {len(addresses)} documents")
    return rate


def aiohttps(addresses: list[str], directory: Path) -> float:
    """aiohttp, which fetches and keeps nothing."""
    return peer([str(AIOHTTP), str(PEERS / "aiohttp_crawl.py")], addresses, directory)


def httpxs(addresses: list[str], _: Path) -> float:
    """httpx, which our client is built on, as its documentation has it: one client, as many workers as connections."""

    async def crawl() -> None:
        waiting = iter(addresses)
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=CONNECTIONS), trust_env=False) as client:

            async def fetch() -> None:
                for address in waiting:
                    (await client.get(address)).raise_for_status()

            await asyncio.gather(*(fetch() for _ in range(CONNECTIONS)))

    started = time.perf_counter()
    asyncio.run(crawl())
    return len(addresses) / (time.perf_counter() - started)


CRAWLERS = {"realcount": ours, "Scrapy": scrapys, "httpx": httpxs, "aiohttp": aiohttps}


def rates(runs: int) -> dict[str, list[float]]:
    """Documents a second by crawler, measured in turn against one server."""
    command = [str(COMMAND), "serve-archive", "--simulated", "--at", MORNING, "--speed", "0", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    measured: dict[str, list[float]] = {name: [] for name in CRAWLERS}
    try:
        assert server.stderr is not None
        lines = iter(server.stderr.readline, "")
        base_url = next(line.split()[-1] for line in lines if line.startswith("Serving at"))
        addresses = stations(base_url)
        with tempfile.TemporaryDirectory(prefix="realcount-bench-") as place:
            for number in range(runs):
                for name, crawler in CRAWLERS.items():
                    measured[name].append(crawler(addresses, Path(place) / f"{name}-{number}"))
    finally:
        server.terminate()
        server.wait()
    return measured
