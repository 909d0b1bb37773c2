"""The flows, for Prefect: the same steps as on the command line, as flow runs with tasks, logs and artifacts.

Prefect takes two seconds to import and reads its settings while it does: only commands that run flows import this.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.environment import DEFAULTS

os.environ.update({**DEFAULTS, **os.environ})

from prefect import State, flow, task
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging.handlers import APILogHandler
from prefect.states import Completed, Failed

from extract.endpoints import Level
from extract.errors import RealcountError
from flows import poll as polling
from flows import replay as replays
from flows.cadence import parse_every
from flows.crawling import Crawl
from flows.output import moment
from flows.plan import ORDER
from flows.settings import Settings
from flows.summary import markdown

log = logging.getLogger(__name__)
logging.getLogger("stamina").setLevel(logging.ERROR)  # Prefect would print that, but not what, is retried

_LAYERS = ("extract", "transform", "load", "warehouse", "flows")
_STEPS_BESIDE_LEVELS = 4  # the oldest documents, the load, the report and Parquet
_USUAL = Crawl()


@flow(name="poll", retries=0)
async def poll(
    data_dir: Path | None = None, crawl: Crawl = _USUAL, shard: str | None = None, within: str | None = None
) -> State[Any]:
    """One cycle, of a shard or of what `crawl` says: plan, ask level by level, load, publish. Fails in one line if the
    source does. It ends `within` a time such as 15m, if need be with documents left for the next."""
    try:
        settings = _settings(data_dir, shard)
        request = crawl.request(settings.shard)
        with _layers_logged():
            limit = parse_every(within) if within else None
            report = await polling.poll(settings, request, await _tasks(crawl.depth), within=limit)
            await _tell(settings, request, report)
    except RealcountError as error:
        return Failed(message=str(error))
    if report.source_down:
        return Failed(message=str(report.source_down))
    return Completed(message=_said(report), data=_counted(report))


@flow(name="follow", retries=0)
async def follow(
    data_dir: Path | None = None, crawl: Crawl = _USUAL, every: str = "auto", shard: str | None = None
) -> State[Any]:
    """Cycles until told otherwise, in KPU's own rhythm unless `every` says 90s, 15m or 1h; an artifact for each."""
    pages: list[asyncio.Task[None]] = []
    cycles = 0

    def tell(report: polling.CycleReport, begins: datetime) -> None:
        nonlocal cycles
        cycles += 1
        pages[:] = [page for page in pages if not page.done()]
        pages.append(asyncio.create_task(_tell(settings, request, report)))
        if report.source_down:
            log.warning("%s", report.source_down)
        if not report.is_stopped:
            log.info("the next cycle begins at %s", moment(begins))

    try:
        settings = _settings(data_dir, shard)
        request = crawl.request(settings.shard)
        with _layers_logged():
            await polling.follow(settings, request, parse_every(every), tell, await _tasks(crawl.depth))
            await asyncio.gather(*pages)
    except RealcountError as error:
        return Failed(message=str(error))
    return Completed(message=f"stopped in good order after {cycles:,} cycles", data={"cycles": cycles})


@flow(name="replay", retries=0)
def replay(place: Path, data_dir: Path | None = None, pattern: list[str] | None = None) -> State[Any]:
    """Replay a scraper's repository or bundle, or a folder, into the archive and the database."""
    place = Path(place)
    is_folder = place.is_dir() and not (place / ".git").exists() and not (place / "objects").exists()
    read = replays.replay_folder if is_folder else replays.replay_git

    def work() -> tuple[str, dict[str, int]]:
        report = read(_settings(data_dir), place, pattern or ())
        counts = {"read": report.read, "archived": report.archived, "changes": report.load.changes}
        return f"archived {report.archived:,} of {report.read:,} captures", counts

    return _as_one_task("read, load and publish", work)


@flow(name="rebuild", retries=0)
def rebuild(data_dir: Path | None = None) -> State[Any]:
    """Build the database again from the archive alone."""

    def work() -> tuple[str, dict[str, int]]:
        report = replays.rebuild(_settings(data_dir))
        counts = {"runs": report.runs, "captures": report.captures, "changes": report.changes}
        return f"loaded {report.captures:,} captures of {report.runs:,} runs", counts

    return _as_one_task("load from the archive", work)


def _settings(data_dir: Path | None, shard: str | None = None) -> Settings:
    """A worker has no options of ours, but its environment: that says where things lie, whoever made the deployment.

    Shards whose runs share a machine have a folder each, beside the archive that holds them all.
    """
    names = ("DATA_DIR", "PARQUET", "REPORT", "ARCHIVE", "SHARD", "WAREHOUSE", "WAREHOUSE_DATA")
    home, parquet, report, archive, named, *warehouse = (os.environ.get(f"REALCOUNT_{name}") for name in names)
    place = Path(data_dir or home or "data")
    if shard := shard or named:
        parquet, report = (told if told == "off" else None for told in (parquet, report))  # a place holds one
        archive, place = archive or str(place / "archive"), place / "shards" / shard
    return Settings(place, parquet, report, archive, shard, *warehouse)


async def _tasks(depth: Level) -> polling.Step:
    """Steps as Prefect tasks: each a batch of work on what lies in this process; only counts travel."""
    steps = ORDER.index(depth) + 1 + _STEPS_BESIDE_LEVELS
    artifact = await acreate_progress_artifact(0.0, key="cycle-progress", description="How far the cycle is")
    done = 0

    async def step(name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        nonlocal done
        outcome: list[Any] = []
        trouble: list[RealcountError] = []

        async def run() -> State[Any]:
            try:
                outcome.append(await work())
            except RealcountError as error:  # as a state: Prefect logs a whole traceback for an exception
                trouble.append(error)
                return Failed(message=str(error))
            return Completed()

        await _run_as_task(name, run)
        if trouble:
            raise trouble[0]
        done = done % steps + 1  # `follow` begins again with every cycle
        await aupdate_progress_artifact(artifact, 100.0 * done / steps)
        return outcome[0]

    return step


def _as_one_task(name: str, work: Callable[[], tuple[str, dict[str, int]]]) -> State[Any]:
    """A flow that is one piece of work: what it says and counts, or one line about why it failed."""
    outcome: list[State[Any]] = []

    def run() -> State[Any]:
        try:
            with _layers_logged():
                message, counts = work()
        except RealcountError as error:
            outcome.append(Failed(message=str(error)))
            return Failed(message=str(error))
        outcome.append(Completed(message=message, data=counts))
        return Completed(message=message)

    _run_as_task(name, run)
    return outcome[0]  # a state of the flow's own: of a task's state Prefect only tells that it is completed


def _run_as_task(name: str, run: Callable[[], Any]) -> Any:
    """No retries: the client has its own, and the next cycle is a cycle's. No cache: the outcome is the world's."""
    batch: Any = task(name=name, task_run_name=name, retries=0, cache_policy=NO_CACHE, persist_result=False)
    return batch(run)(return_state=True)


async def _tell(settings: Settings, request: polling.Request, report: polling.CycleReport) -> None:
    """One artifact per cycle, and its gist in the run's log."""
    page = markdown(settings, request, report)
    await acreate_markdown_artifact(page, key="cycle", description="What the cycle asked, what changed, who leads")
    log.info("the cycle %s", _said(report))


def _said(report: polling.CycleReport) -> str:
    counts = report.counts
    return (
        f"asked for {counts.asked.total():,} documents: {counts.changed:,} changed, {counts.unchanged:,} unchanged, "
        f"{counts.unfit.total():,} not understood, {counts.failed:,} unanswered"
    )


def _counted(report: polling.CycleReport) -> dict[str, int]:
    counts = report.counts
    return {
        "asked": counts.asked.total(),
        "changed": counts.changed,
        "unchanged": counts.unchanged,
        "unfit": counts.unfit.total(),
        "failed": counts.failed,
    }


@contextmanager
def _layers_logged() -> Iterator[None]:
    """What all layers log belongs to the flow run, wherever it runs: a worker reads no setting of ours in time."""
    handler = APILogHandler()
    loggers = [logging.getLogger(name) for name in _LAYERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
