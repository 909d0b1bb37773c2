"""What a process needs before it imports Prefect. Import this first."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager

DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # or the server phones home
    "DO_NOT_TRACK": "1",  # likewise its command line
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a first start takes 10 to 20 s, Prefect waits for 20
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # or a line logged beside a flow run is a warning
}
"""Prefect's settings, unless the user set them to something else."""


RUNS = {
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",  # Prefect's server answers so while its PostgreSQL starts again
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # seconds; the shortest there is
}
"""What runs on workers are told besides: Prefect reads its settings before it loads a flow."""


@contextmanager
def in_environment(**settings: str) -> Iterator[None]:
    """Prefect and all that it starts are told by their environment."""
    before = dict(os.environ)
    os.environ.update({**DEFAULTS, **before, **settings})
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _end_quietly() -> None:
    """Prefect's caches keep our modules to the very end, and DuckDB's bindings would list what was never freed: 50
    lines on stderr after every flow run (Prefect 3.8.8, DuckDB 2.0.0, November 2026)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


atexit.register(_end_quietly)  # before Prefect registers anything: the last to be called, when nobody else has a say
