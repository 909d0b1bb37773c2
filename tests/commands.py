"""The command as users' scripts run it: the installed one, in an environment with nothing set but what a test sets."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

COMMAND = Path(sys.executable).with_name("realcount")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("REALCOUNT_", "PREFECT_"))}

NIGHT = ("replay", "simulated", "--seed", "7", "--depth", "regency", "--withdrawal")
"""A small simulated night, as a command."""

Answer = subprocess.CompletedProcess[str]
Run = Callable[..., Answer]


def realcount(*arguments: str | Path, cwd: Path | None = None, timeout: float = 60, **environment: str) -> Answer:
    """Run it to its end; what it says is in the answer, whatever its exit code."""
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        cwd=cwd,
        env=CLEAN | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def processes_of(pid: int) -> set[int]:
    """A process and all that it started."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    parents = dict(map(int, line.split()) for line in listed.splitlines()[1:])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found
