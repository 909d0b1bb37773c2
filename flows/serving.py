"""Schedules on one machine: Prefect's server where there is none, and one process that runs what comes due."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from extract.errors import RealcountError
from extract.files import alone
from flows.cadence import written
from flows.crawling import Crawl
from flows.environment import in_environment
from flows.output import say
from flows.settings import Settings

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner import Runner

_SERVER_SECONDS = 120.0  # a first start makes Prefect's database: 10 to 20 s on two cores, more when they are busy
_STOP_SECONDS = 20.0
# Prefect's server knows nothing of us: it ends when the pipe we hold does, however we end, be it by SIGKILL
_SERVER = """
import os, runpy, signal, threading
def watch():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=watch, daemon=True).start()
runpy.run_module("prefect", run_name="__main__", alter_sys=True)
"""


def serve(settings: Settings, crawl: Crawl, interval: timedelta) -> None:
    """Serve the deployments until Ctrl-C or SIGTERM: one cycle at a time, late ones skipped, not queued."""
    crawl.request()  # what is wrong with it is said now, not by every run
    places = {"REALCOUNT_PARQUET": settings.parquet_files, "REALCOUNT_REPORT": settings.report_file}
    # absolute, because flow runs start elsewhere; unresolved, because Parquet's place is a link
    told = {name: str(place.absolute()) if place else "off" for name, place in places.items()}
    with in_environment(**told), server(settings.data_dir / "prefect") as is_ours:
        from prefect.runner import Runner

        deployments = list(_deployments(settings, crawl, interval))
        runner = Runner(
            pause_on_shutdown=False,  # or the schedule stays off for good
            limit=len(deployments),  # each has its own limit of one; a limit here would queue what is late
            query_seconds=min(10.0, interval / timedelta(seconds=5)),
            prefetch_seconds=0,  # or what is due next counts as one too many while a cycle runs
        )
        served = [str(runner.add_deployment(deployment)) for deployment in deployments]
        say(f"Polling every {interval}. Stop with Ctrl-C.")
        asyncio.run(_run_until_told(runner, served if is_ours else []))
    say("Stopped in good order.")


def _deployments(settings: Settings, crawl: Crawl, interval: timedelta) -> Iterator["RunnerDeployment"]:
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy

    from flows import deployments

    skipped = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    where = {"data_dir": str(settings.data_dir.resolve())}
    what = {"crawl": asdict(crawl), "within": written(interval)}
    # outside of an event loop these are no coroutines, whatever their types say
    poll = deployments.poll.to_deployment("poll", interval=interval, concurrency_limit=skipped, parameters=where | what)
    rebuild = deployments.rebuild.to_deployment("rebuild", concurrency_limit=1, parameters=where)
    replay = deployments.replay.to_deployment("replay", concurrency_limit=1, parameters=where)
    yield from cast("tuple[RunnerDeployment, ...]", (poll, rebuild, replay))


async def _run_until_told(runner: "Runner", to_free: Iterable[str]) -> None:
    await _free(to_free)
    running = asyncio.create_task(runner.start())
    await asyncio.sleep(0)  # now it has set its own handler of SIGTERM, which leaves a coroutine unawaited (3.8.8)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running


async def _free(deployments: Iterable[str]) -> None:
    """Runs that were killed with their server still hold its slots: every cycle would be skipped for ever (3.8.8)."""
    from prefect import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    async with get_client() as client:
        for deployment in deployments:
            await client.update_global_concurrency_limit(
                f"deployment:{deployment}", GlobalConcurrencyLimitUpdate(active_slots=0)
            )


@contextmanager
def server(home: Path) -> Iterator[bool]:
    """Prefect's API: the user's own, if PREFECT_API_URL or PREFECT_PROFILE say so, else a server of ours (true).

    Ours listens on loopback, keeps its files in `home` (or PREFECT_HOME), and ends with the block. To be entered
    before Prefect is imported, which reads the environment only once. Raises RealcountError if the server does not
    come up, BusyError if another process has one in the same place.
    """
    if "PREFECT_API_URL" in os.environ or "PREFECT_PROFILE" in os.environ:
        yield False
        return
    home = Path(os.environ.get("PREFECT_HOME", home)).resolve()
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    # two servers on one database would both schedule
    with (
        alone(home / ".lock", "Prefect's database in", home),
        in_environment(PREFECT_HOME=str(home), PREFECT_API_URL=f"{address}/api"),
    ):
        say("Starting Prefect's embedded server; the first time this takes up to 20 seconds…")
        with _process(home / "server.log", "server", "start", "--host", "127.0.0.1", "--port", str(port)) as process:
            _wait_until_up(process, f"{address}/api", home / "server.log")
            say(f"Prefect: {address}")
            yield True
            _send_what_waits()


@contextmanager
def _process(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Prefect's command in a process of its own, out of Ctrl-C's reach: it must outlive what still talks to it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()


def _wait_until_up(process: subprocess.Popen[bytes], api: str, log: Path) -> None:
    deadline = time.monotonic() + _SERVER_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{api}/health", timeout=1):  # noqa: S310 (our own server)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RealcountError(f"Prefect's server did not start; {str(log)!r} says why")


def _send_what_waits() -> None:
    """Prefect sends logs and events from threads, which would complain on stderr that the server is gone."""
    for handler in logging.getLogger("prefect.flow_runs").handlers:
        handler.flush()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
