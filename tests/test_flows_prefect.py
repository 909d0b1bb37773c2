"""Under Prefect: what a flow run says of itself, and schedules that run, skip what is late, and end when told to."""

import asyncio
import fcntl
import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Answer, processes_of, realcount
from conftest import Ticking

from extract.endpoints import WIB, Endpoint
from extract.errors import BusyError, RateLimitError, UsageError
from extract.night import Night
from extract.recording import record
from extract.server import SimulatedSource, serving
from extract.simulator import Simulation
from flows import cadence
from flows import serving as prefect_serving
from flows.crawling import Crawl
from flows.pacing import Bucket, shared_turns
from flows.settings import Settings, versions

ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("realcount")
CLOSED = "http://127.0.0.1:9"  # the discard port: nobody listens
NIGHT = Simulation(Night(seed=5, withdrawal=True))
EVENING = datetime(2024, 11, 27, 18, 1, tzinfo=WIB)
AFTER_THE_WITHDRAWAL = datetime(2024, 11, 28, 10, 46, tzinfo=WIB)

# Prefect leaves its own connections to the garbage collector (3.8.8)
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


class Told:
    """What a flow run says of itself through Prefect's API."""

    def __init__(self, state: Any, logs: list[str], pages: dict[str, Any], tasks: dict[str, str]) -> None:
        self.state, self.logs, self.pages, self.tasks = state, logs, pages, tasks


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The flows, with one embedded server for all tests of this file."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    with prefect_serving.server(tmp_path_factory.mktemp("prefect")):
        from flows import deployments

        yield deployments
    gc.collect()  # here, where it is no fault of the next test


def run(flow: Any, *arguments: Any, at: datetime | None = None, depth: str = "regency") -> Told:
    """Run a flow, against the night at a moment if there is one, and read what it left in Prefect."""

    async def work() -> Told:
        if at is None:
            answer = flow(*arguments, return_state=True)
            return await told(await answer if flow.isasync else answer)
        async with serving(SimulatedSource(NIGHT), lambda: at) as stand_in:
            crawl = Crawl(region=["31"], depth=depth, base_url=stand_in.base_url, rate=0)  # type: ignore[arg-type]
            return await told(await flow(*arguments, crawl, return_state=True))

    return asyncio.run(work())


async def told(state: Any) -> Told:
    """State, logs, artifacts and tasks of the flow run that ended in this state."""
    from prefect import get_client
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterFlowRunId,
        FlowRunFilter,
        FlowRunFilterId,
        LogFilter,
        LogFilterFlowRunId,
    )
    from prefect.logging.handlers import APILogHandler

    run_id = state.state_details.flow_run_id
    await APILogHandler.aflush()
    async with get_client() as client:
        logs = await client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))
        artifacts = await client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
        tasks = await client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
        stored = await client.read_flow_run(run_id)
    return Told(
        stored.state,
        [log.message for log in logs],
        {str(artifact.key): artifact.data for artifact in artifacts},
        {task.name: task.state_name or "" for task in tasks},
    )


def test_a_cycle_is_a_completed_run_with_a_task_for_each_level_and_a_page_to_read(flows: Any, tmp_path: Path) -> None:
    first = run(flows.poll, tmp_path, at=EVENING)
    assert first.state.is_completed()
    assert first.state.message.startswith("asked for 16 documents: 16 changed, 0 unchanged")
    assert set(first.tasks) >= {"ask national", "ask province", "ask regency", "load and publish", "write Parquet"}
    assert set(first.tasks.values()) == {"Completed"}
    assert first.pages["cycle-progress"] == pytest.approx(100)
    page = first.pages["cycle"]
    assert "## Who leads" in page
    assert re.search(r"DKI JAKARTA \| \w+ .*\| [\d,]+ \| [\d.]+ % \| \+[\d,]+ \| [\d,]+ of 14,835", page)
    assert "the cycle asked for 16 documents: 16 changed" in " ".join(first.logs)

    second = run(flows.poll, tmp_path, at=AFTER_THE_WITHDRAWAL)
    assert second.state.is_completed()
    assert "KPU has withdrawn votes" in second.pages["cycle"]
    assert "since 2024-11-28 10:45:04 WIB" in second.pages["cycle"]


def test_what_a_cycle_says_of_a_simulated_night_is_marked_as_simulated(flows: Any, tmp_path: Path) -> None:
    assert "SIMULATED" in run(flows.poll, tmp_path, at=EVENING).pages["cycle"]


def test_a_failing_source_is_a_failed_run_with_one_line_that_says_why(
    flows: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    failed = run(flows.poll, tmp_path, Crawl(base_url=CLOSED, rate=0))
    assert failed.state.is_failed()
    assert "127.0.0.1:9 is failing: " in failed.state.message
    assert "\n" not in failed.state.message
    assert "The source is failing" in failed.pages["cycle"]
    assert "Failed" in failed.tasks.values()
    assert "Traceback" not in "".join(failed.logs) + capfd.readouterr().err


def test_a_second_crawler_in_the_same_place_is_a_failed_run_that_says_so(
    flows: Any, tmp_path: Path, clock: Ticking
) -> None:
    with record(Settings(tmp_path).archive, "poll", {}, clock, versions()):
        failed = run(flows.poll, tmp_path, Crawl(base_url=CLOSED))
    assert failed.state.is_failed()
    assert "is being written by another process" in failed.state.message


def test_a_share_that_is_none_is_a_failed_run_too(flows: Any, tmp_path: Path) -> None:
    failed = run(flows.poll, tmp_path, Crawl(reask_share=2.0))
    assert failed.state.is_failed()
    assert "0 to 1, not 2.0" in failed.state.message


def test_a_folder_is_replayed_and_the_database_rebuilt_by_flows(flows: Any, tmp_path: Path) -> None:
    for code in ("31", "3171"):
        endpoint = Endpoint("pilkada-2024", "hhcw", "pkwkp", code)
        path = tmp_path / "saved" / endpoint.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(NIGHT.document(endpoint, EVENING) or b"")
    replayed = run(flows.replay, tmp_path / "saved", tmp_path / "data")
    assert replayed.state.is_completed()
    assert replayed.state.message == "archived 2 of 2 captures"
    rebuilt = run(flows.rebuild, tmp_path / "data")
    assert rebuilt.state.message == "loaded 2 captures of 1 runs"
    missing = run(flows.replay, tmp_path / "nowhere", tmp_path / "data")
    assert missing.state.is_failed()
    assert "there is no such" in missing.state.message


def test_following_goes_on_from_cycle_to_cycle_until_it_is_told_to_stop(flows: Any, tmp_path: Path) -> None:
    async def follow() -> Told:
        async with serving(SimulatedSource(NIGHT), lambda: EVENING) as stand_in:
            crawl = Crawl(region=["31"], depth="province", base_url=stand_in.base_url, rate=0, reask_share=0)
            following = asyncio.ensure_future(flows.follow(tmp_path, crawl, "0.2s", return_state=True))
            async with asyncio.timeout(60):
                while sum(one.path.endswith("hhcw/pkwkp/31.json") for one in stand_in.log.records) < 3:
                    await asyncio.sleep(0.05)
            signal.raise_signal(signal.SIGTERM)
            return await told(await following)

    said = asyncio.run(follow())
    assert said.state.is_completed()
    assert re.fullmatch(r"stopped in good order after [34] cycles", said.state.message)
    assert "cycle" in said.pages


def test_a_scheduled_cycle_leaves_to_the_next_what_it_has_no_time_for(
    flows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cadence, "SHORTEST", timedelta())

    async def one() -> Told:
        async with serving(SimulatedSource(NIGHT), lambda: EVENING) as stand_in:
            crawl = Crawl(region=["31"], depth="district", base_url=stand_in.base_url, rate=4)
            return await told(await flows.poll(tmp_path, crawl, within="2s", return_state=True))

    said = asyncio.run(one())
    assert said.state.is_completed()
    assert re.match(r"asked for [1-7] documents", said.state.message)  # 1.8 s of 4 a second, and 60 are wanted


def test_every_flow_has_its_deployment_for_work_pools_and_cycles_are_skipped_there_too(flows: Any) -> None:
    from flows.environment import RUNS

    written = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
    deployments = {deployment["name"]: deployment for deployment in written["deployments"]}
    assert set(deployments) == {"poll", "follow", "replay", "rebuild"}
    for name, deployment in deployments.items():
        assert deployment["entrypoint"] == f"flows.deployments.{name}"
        assert callable(getattr(flows, name))
        assert "data_dir" not in deployment.get("parameters", {})  # it would be a place of the machine that deployed
    assert deployments["poll"]["parameters"] == {"within": "15m"}
    assert deployments["poll"]["schedules"] == [{"interval": 900}]
    assert deployments["poll"]["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    for kind in ("process", "docker", "kubernetes"):
        assert written["definitions"][kind]["job_variables"]["env"].items() >= RUNS.items()


def asked(path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    """What Prefect's API answers."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["PREFECT_API_URL"] + path, content, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.usefixtures("flows")
def test_what_the_pools_are_told_of_a_run_is_what_they_understand() -> None:
    written = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
    for kind in ("process", "docker", "kubernetes"):
        pool = asked("/work_pools/", {"name": kind, "type": kind})
        known = pool["base_job_template"].get("variables", {}).get("properties", {})
        if not known:  # of these types the server alone knows nothing
            [known] = [
                types[kind]["default_base_job_configuration"]["variables"]["properties"]
                for types in asked("/collections/views/aggregate-worker-metadata").values()
                if kind in types
            ]
        assert written["definitions"][kind]["job_variables"].keys() <= known.keys()


@pytest.mark.usefixtures("flows")
def test_every_shard_is_deployed_from_one_definition_and_all_share_one_rate(tmp_path: Path) -> None:
    def deploy(*options: str) -> Answer:
        names = ("PREFECT_API_URL", "PREFECT_HOME")
        return realcount("deploy", *options, cwd=tmp_path, **{name: os.environ[name] for name in names})

    nowhere = deploy("--pool", "nowhere")
    assert nowhere.returncode == 2
    assert "prefect work-pool create nowhere --type process" in nowhere.stderr

    asked("/work_pools/", {"name": "machines", "type": "process"})
    options = ("--pool", "machines", "--shards", "pkwkp-0,pkwkp-31,pkwkk-32", "--depth", "village", "--rate", "30")
    for _ in range(2):  # the second time renews
        told = deploy(*options)
        assert told.returncode == 0, told.stderr
        assert "All together send at most 30 requests in any second." in told.stderr

    limit = asked("/v2/concurrency_limits/realcount")
    assert Bucket(limit["limit"], limit["slot_decay_per_second"]) == Bucket.of_rate(30)
    made = {name: asked(f"/deployments/name/poll/{name}", method="GET") for name in ("pkwkp-0", "pkwkp-31", "pkwkk-32")}
    anchors = [deployment["schedules"][0]["schedule"]["anchor_date"] for deployment in made.values()]
    assert len(set(anchors)) == 3  # they do not all begin in the same second
    for name, deployment in made.items():
        assert deployment["work_pool_name"] == "machines"
        assert deployment["entrypoint"] == "flows.deployments.poll"
        assert deployment["schedules"][0]["schedule"]["interval"] == 900
        assert deployment["global_concurrency_limit"]["limit"] == 1
        assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        assert deployment["parameters"]["shard"] == name
        assert deployment["parameters"]["crawl"]["rate_limit"] == "realcount"
        assert deployment["parameters"]["within"] == "900s"
        assert str(tmp_path) not in json.dumps(deployment)
        assert str(ROOT) not in json.dumps(deployment)
    [silent] = asked("/automations/filter", {})
    assert silent["actions"][0]["state"] == "CRASHED"


@pytest.mark.usefixtures("flows")
@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--region", "31"), "use --shards"),
        (("--shards", "pkwkp-34"), "there is no shard 'pkwkp-34'"),
        (("--rate", "0"), "a number of requests a second above 0"),
        (("--every", "auto"), "a fixed interval such as 15m, or never"),
    ],
)
def test_what_cannot_be_deployed_is_refused(options: tuple[str, ...], why: str) -> None:
    told = realcount("deploy", *options, PREFECT_API_URL=os.environ["PREFECT_API_URL"])
    assert told.returncode == 2
    assert why in told.stderr


def test_a_flow_run_finds_its_places_in_the_environment_and_a_shard_has_a_folder_of_its_own(
    flows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALCOUNT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REALCOUNT_REPORT", "off")
    assert flows._settings(None) == Settings(tmp_path, report="off")
    shard = flows._settings(None, "pkwkp-31")
    assert shard == Settings(
        tmp_path / "shards" / "pkwkp-31", report="off", archive_at=str(tmp_path / "archive"), shard="pkwkp-31"
    )
    monkeypatch.setenv("REALCOUNT_ARCHIVE", "s3://bucket/night")
    monkeypatch.setenv("REALCOUNT_SHARD", "pkwkp-32")
    assert flows._settings(None).shard == "pkwkp-32"
    assert flows._settings(None, "pkwkp-31").archive_at == "s3://bucket/night"


def limited(name: str, bucket: Bucket, then: Callable[[], Awaitable[object]]) -> None:
    """Do something under a limit on Prefect's server."""
    from prefect import get_client

    from flows.prefect_limits import set_limit

    async def work() -> None:
        async with get_client() as client:
            await set_limit(client, name, bucket)
        await then()

    asyncio.run(work())


@pytest.mark.usefixtures("flows")
def test_on_prefects_server_three_crawlers_together_keep_to_the_rate() -> None:
    moments: list[float] = []

    async def crawl() -> None:
        async with shared_turns("together") as turn:
            assert turn
            for _ in range(8):
                await turn()
                moments.append(asyncio.get_running_loop().time())

    async def together() -> None:
        await asyncio.gather(*(crawl() for _ in range(3)))

    limited("together", Bucket.of_rate(10), together)
    assert len(moments) == 24
    assert max(bisect_left(moments, moment + 1) - n for n, moment in enumerate(moments)) <= 10


@pytest.mark.usefixtures("flows")
def test_a_limit_that_is_not_there_is_refused_and_says_how_to_make_it() -> None:
    async def turn() -> None:
        async with shared_turns("nowhere"):
            raise AssertionError

    with pytest.raises(RateLimitError, match=r"'nowhere' is failing: it is not there; 'realcount deploy --rate'"):
        asyncio.run(turn())


async def several(turn: Callable[[], Awaitable[None]]) -> None:
    """More turns than were taken at once."""
    for _ in range(6):
        await turn()


@pytest.mark.usefixtures("flows")
@pytest.mark.parametrize("what", ["deleted", "switched off", "without decay"])
def test_a_limit_that_ends_to_be_one_under_way_stops_everybody(what: str) -> None:
    from prefect import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    async def turns() -> None:
        async with shared_turns(f"soon {what}") as turn, get_client() as client:
            assert turn
            await turn()
            if what == "deleted":
                await client.delete_global_concurrency_limit_by_name(f"soon {what}")
            else:
                change = {"active": False} if what == "switched off" else {"slot_decay_per_second": 0.0}
                await client.update_global_concurrency_limit(
                    f"soon {what}", GlobalConcurrencyLimitUpdate.model_validate(change)
                )
            with pytest.raises(RateLimitError, match=f"the shared rate limit 'soon {what}' is failing"):
                await several(turn)

    limited(f"soon {what}", Bucket.of_rate(20), turns)


@pytest.mark.usefixtures("flows")
def test_without_a_server_there_is_no_turn() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    async def turn() -> None:
        async with shared_turns("kpu"):
            raise AssertionError

    nobody = temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"})  # the discard port
    with nobody, pytest.raises(RateLimitError, match="Prefect's server does not answer"):
        asyncio.run(turn())
    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(UsageError, match="set PREFECT_API_URL"):
        asyncio.run(turn())


@pytest.mark.usefixtures("flows")
def test_no_server_is_started_beside_the_users_own(tmp_path: Path) -> None:
    with prefect_serving.server(tmp_path / "prefect") as is_ours:  # the other tests' server is in PREFECT_API_URL
        assert not is_ours
    assert not (tmp_path / "prefect").exists()


def test_two_servers_in_one_place_would_both_schedule_so_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    with (tmp_path / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="Prefect's database"), prefect_serving.server(tmp_path):
            pass


class Service:
    """`realcount serve` in a process of its own, on its own embedded server."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log
        self.api = self._wait(lambda: re.search(r"Prefect: (http://\S+)", log.read_text()), "its server")[1] + "/api"

    def states(self) -> list[str]:
        """The states of all runs of the flow so far that were due."""
        body = json.dumps({"sort": "EXPECTED_START_TIME_ASC"}).encode()
        request = urllib.request.Request(
            f"{self.api}/flow_runs/filter", body, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return [found["state_name"] for found in json.load(answer)]

    def wait_for(self, **least: int) -> None:
        """Wait until so many runs are in each state."""
        self._wait(lambda: all(self.states().count(state) >= number for state, number in least.items()), least)

    def processes(self) -> set[int]:
        """This process and all it started."""
        return processes_of(self.process.pid)

    def _wait(self, condition: Callable[[], Any], what: object) -> Any:
        deadline = time.monotonic() + 60
        while not (found := condition()):
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, f"waited for {what}: {self._log.read_text()}"
            time.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a stand-in for KPU in another process, which publishes every 30 seconds."""
    log = tmp_path_factory.mktemp("stand-in") / "stderr"
    with log.open("wb") as errors:
        command = [
            str(COMMAND),
            "serve-archive",
            "--simulated",
            "--at",
            "2024-11-27T18:00",
            "--speed",
            "30",
            "--port",
            "0",
        ]
        process = subprocess.Popen(command, stderr=errors)
    try:
        deadline = time.monotonic() + 30
        while not (found := re.search(r"Serving at (http://\S+)", log.read_text())):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield found[1]
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def service(data: Path, stand_in: str, log: Path) -> Iterator[Service]:
    """`realcount serve`, every five seconds; the first cycle takes eight, as 16 documents at 2 a second do."""
    crawl = ("--region", "31", "--depth", "regency", "--rate", "2", "--base-url", stand_in)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "REALCOUNT_"))}
    with log.open("wb") as errors:
        command = [str(COMMAND), "--data-dir", str(data), "serve", "--every", "5s", *crawl]
        process = subprocess.Popen(command, stdout=errors, stderr=errors, env=clean)
    started = {process.pid}
    try:
        serving = Service(process, log)
        yield serving
    finally:
        started |= serving.processes() if process.poll() is None else set()
        for pid in started if process.poll() is None else ():
            os.kill(pid, signal.SIGKILL)
        process.wait(30)


def alive(pids: set[int]) -> set[int]:
    """Those of them that still run."""
    listed = subprocess.run(["ps", "-eo", "pid,stat"], capture_output=True, text=True, check=True).stdout
    running = {int(pid) for pid, stat in map(str.split, listed.splitlines()[1:]) if not stat.startswith("Z")}
    return pids & running


def test_schedules_run_skip_what_is_late_go_on_after_a_kill_and_end_when_told(
    stand_in: str, tmp_path: Path, clock: Ticking
) -> None:
    """One story, because Prefect's server takes its time to start."""
    data, log = tmp_path / "data", tmp_path / "log"
    with service(data, stand_in, log) as serving:
        serving.wait_for(Completed=3, Cancelled=1)
        assert not {"Failed", "Crashed", "Late"} & set(serving.states())
        serving.wait_for(Running=1)
        orphans = serving.processes() - {serving.process.pid}
        serving.process.kill()
        serving.process.wait()
    for pid in alive(orphans):
        os.kill(pid, signal.SIGKILL)  # as if the machine had gone down

    with service(data, stand_in, log) as serving:
        before = serving.states().count("Completed")
        serving.wait_for(Completed=before + 1)
        processes = serving.processes()
        serving.process.terminate()
        assert serving.process.wait(60) == 0, log.read_text()
        assert not alive(processes)
    assert "Traceback" not in log.read_text()
    assert "Warning" not in log.read_text()
    assert log.read_text().endswith("Stopped in good order.\n")
    with record(Settings(data).archive, "poll", {}, clock, versions()):
        pass  # nobody holds the archive any more
