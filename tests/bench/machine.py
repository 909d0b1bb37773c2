"""What the figures were measured on and with: cores, memory, load, versions. Names no host and no path."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[2] / ".venv-peers"
PEERS = ("git-history", "dlt", "aiohttp")


def interpreter(peer: str) -> Path:
    """The Python of a peer's environment."""
    path = ENVIRONMENTS / peer / "bin" / "python"
    if not path.exists():
        raise SystemExit(f"no environment for {peer}: run make bench, which makes it")
    return path


def installed(peer: str) -> str:
    """A peer's version, asked in its environment."""
    question = f"from importlib.metadata import version; print(version('{peer}'))"
    answer = subprocess.run([interpreter(peer), "-c", question], check=True, capture_output=True, text=True)
    return f"{peer} {answer.stdout.strip()}"


def described(load_before: float) -> list[str]:
    """Lines for people."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    git = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    ours = [f"{name} {version(name.lower())}" for name in ("DuckDB", "httpx", "Scrapy", "warcio")]
    versions = [f"Python {platform.python_version()}", f"git {git}", *ours, *(installed(peer) for peer in PEERS)]
    return [
        f"{datetime.now(UTC):%d %B %Y}; {len(os.sched_getaffinity(0))} cores ({platform.machine()}), {memory:.0f} GB, "
        f"{platform.system()}; load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after.",
        ", ".join(versions) + ".",
    ]
