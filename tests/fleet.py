"""Several machines on one: a stand-in for KPU whose clock stands until it is told, a Prefect server on PostgreSQL, and
workers with nothing in common but what their environment names."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from commands import CLEAN, processes_of
from servers import free_port

from extract.national import NationalSimulation
from extract.request_log import RequestLog
from extract.server import SimulatedSource, serving
from flows.environment import DEFAULTS

POOL = "realcount"
PATIENCE = 180.0  # seconds for whatever is waited for; a busy machine is no bug
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def wait_for(what: str, condition: Callable[[], Any]) -> Any:
    """Until the condition holds; what it says then."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
    return found


class KPU:
    """A simulated night over HTTP, at the moment that `at` says."""

    def __init__(self, night: NationalSimulation, at: datetime) -> None:
        self.at = at
        self.log = RequestLog()
        self.base_url = ""
        self._night = night

    @contextmanager
    def serve(self) -> Iterator["KPU"]:
        """Serve from a thread while the block runs."""
        loop = asyncio.new_event_loop()
        up, told = threading.Event(), asyncio.Event()

        async def until_told() -> None:
            async with serving(SimulatedSource(self._night), lambda: self.at, log=self.log) as server:
                self.base_url = server.base_url
                up.set()
                await told.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(until_told(),))
        thread.start()
        assert up.wait(30)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(told.set)
            thread.join()
            loop.close()

    def asked(self, part: str) -> int:
        """How many requests had this in their path."""
        return sum(part in record.path for record in list(self.log.records))


class Prefect:
    """A Prefect server, asked over HTTP as a person's script would."""

    def __init__(self, home: Path, database: str, **environment: str) -> None:
        self.environment = {**DEFAULTS, **environment}  # what its clients need
        self.api = self.environment["PREFECT_API_URL"] = f"http://127.0.0.1:{free_port()}/api"
        self.log = home / "server.log"
        self._home, self._database = home, database

    @contextmanager
    def serve(self) -> Iterator["Prefect"]:
        """Run it while the block runs."""
        host, port = self.api.removeprefix("http://").removesuffix("/api").split(":")
        environment = {"PREFECT_HOME": str(self._home), "PREFECT_SERVER_DATABASE_CONNECTION_URL": self._database}
        with process(
            ["prefect", "server", "start", "--host", host, "--port", port], self.log, self.environment | environment
        ):
            wait_for("Prefect's server", lambda: self._answers("/health"))
            yield self

    def start(self, deployment: str) -> str:
        """Start a run of a deployment of the flow `poll`; its id."""
        found = self.ask(f"/deployments/name/poll/{deployment}")
        return str(self.ask(f"/deployments/{found['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"])

    def state(self, run: str) -> tuple[str, str]:
        """The type of a run's state, and its message."""
        state = self.ask(f"/flow_runs/{run}")["state"]
        return state["type"], state["message"] or ""

    def end_of(self, run: str) -> tuple[str, str]:
        """The state in which a run ends."""
        wait_for(f"the end of run {run}", lambda: self.is_over(run))
        return self.state(run)

    def run(self, *deployments: str) -> dict[str, str]:
        """Run deployments side by side to their ends; the types of their states then."""
        started = {deployment: self.start(deployment) for deployment in deployments}
        return {deployment: self.end_of(run)[0] for deployment, run in started.items()}

    def said(self) -> str:
        """The states of all runs so far, for whoever reads why a test failed."""
        runs = self.ask("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})
        return "\n".join(f"{run['name']}: {run['state_name']}, {run['state']['message']}" for run in runs)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What the API answers."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, content, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def is_over(self, run: str) -> bool:
        """Whether it has ended."""
        try:
            return self.state(run)[0] in FINAL
        except (urllib.error.URLError, OSError):  # its PostgreSQL may be restarting
            return False

    def _answers(self, path: str) -> bool:
        try:
            return self.ask(path) is True
        except (urllib.error.URLError, OSError):
            return False


class Worker:
    """A worker of the pool on a machine of its own: its data directory, and what it starts."""

    def __init__(self, process: "subprocess.Popen[bytes]", home: Path, log: Path) -> None:
        self.process, self.home, self.log = process, home, log

    def runs_one_of(self, runs: Iterable[str], prefect: Prefect) -> bool:
        """Whether it is at work on one of these runs."""
        here = {str(pid) for pid in processes_of(self.process.pid)}
        found = [prefect.ask(f"/flow_runs/{run}") for run in runs]
        return any(
            run["state"]["type"] == "RUNNING" and (run["infrastructure_pid"] or "").rpartition(":")[2] in here
            for run in found
        )

    def die(self) -> None:
        """End as with the power: the worker and all that it started, by SIGKILL."""
        for pid in processes_of(self.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def worker(home: Path, prefect: Prefect, **environment: str) -> Iterator[Worker]:
    """A worker while the block runs, if it does not die before."""
    own = {
        "REALCOUNT_DATA_DIR": str(home / "data"),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "TMPDIR": str(home / "tmp"),  # what a dead worker leaves behind is the test's to remove
        **environment,
    }
    (home / "tmp").mkdir(parents=True)
    command = ["prefect", "worker", "start", "--pool", POOL, "--type", "process", "--limit", "2", "--name", home.name]
    with process(command, home / "log", prefect.environment | own) as running:
        machine = Worker(running, home, home / "log")
        try:
            yield machine
        finally:
            if running.poll() is None:
                machine.die()


def prefect_command(prefect: Prefect, *words: str) -> None:
    """Run one of Prefect's commands to its end."""
    told = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *words],
        env=CLEAN | prefect.environment, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr


@contextmanager
def process(command: list[str], log: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A module of Python in a process of its own while the block runs."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=output,
            stderr=output,
            env=CLEAN | environment,
            cwd=log.parent,
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
