"""The command as users' scripts run it: the installed one, in an environment with nothing set but what a test sets."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

COMMAND = Path(sys.executable).with_name("realcount")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("REALCOUNT_", "PREFECT_"))}

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
