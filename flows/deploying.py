"""A deployment for every shard, in a work pool whose workers are on any machine: all from one definition.

What a run needs of its machine (data directory, archive, warehouse, credentials) is in its environment and never in a
deployment, which everybody reads who sees Prefect's pages.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prefect import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events import AutomationCore, ChangeFlowRunState, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType

from extract.errors import RealcountError, UsageError
from flows import deployments
from flows.cadence import written
from flows.crawling import Crawl
from flows.environment import RUNS
from flows.pacing import Bucket
from flows.prefect_limits import set_limit
from flows.shards import Shard

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

_MIDNIGHT = datetime(2024, 11, 27, tzinfo=UTC)  # schedules count from here: any full hour would do
_SPREAD = 3  # shards begin within the first third of the interval, one after the other
_SILENCE = timedelta(seconds=90)  # three heartbeats
_SILENCE_TOLD = f"Its process has not been heard of for {_SILENCE.total_seconds():.0f} s."
_SILENT = "realcount: runs that fell silent"

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
"""A cycle that comes due while another one runs is skipped, not queued."""


def deploy(crawl: Crawl, shards: Sequence[Shard], pool: str, every: timedelta | None, image: str | None) -> None:
    """Make or renew the limit of all crawlers together, a deployment for each shard, and what ends runs whose machine
    died. Without `every` no schedule starts them.

    Raises UsageError without a server or a work pool of this name, RealcountError if the server does not answer.
    """
    if not get_current_settings().api.url:
        raise UsageError("deployments lie on a Prefect server that all workers see; set PREFECT_API_URL")
    bucket = Bucket.of_rate(crawl.rate)
    crawl = replace(crawl, rate_limit=crawl.rate_limit or "realcount")
    for shard in shards:
        crawl.request(shard.name)  # what is wrong with it is said now, not by every run
    made = [_deployment(crawl, shard, every, n / len(shards), image) for n, shard in enumerate(shards)]

    async def register() -> None:
        async with get_client() as client:
            await _expect_pool(client, pool)
            await set_limit(client, str(crawl.rate_limit), bucket)
            await _end_silent_runs(client)
        for deployment in made:
            await deployment.aapply(work_pool_name=pool)

    try:
        asyncio.run(register())
    except RealcountError:
        raise
    except Exception as error:  # httpx's and Prefect's own
        why = " ".join(str(error).split()) or type(error).__name__
        raise RealcountError(f"Prefect's server did not take the deployments: {why}") from error


def _deployment(
    crawl: Crawl, shard: Shard, every: timedelta | None, place: float, image: str | None
) -> RunnerDeployment:
    """The deployment of a shard; `place`, from 0 to 1, is when it starts among the others."""
    schedule = every and IntervalSchedule(interval=every, anchor_date=_MIDNIGHT + place * every / _SPREAD)
    return RunnerDeployment.from_flow(
        deployments.poll,
        name=shard.name,
        schedules=[schedule] if schedule else [],
        concurrency_limit=ONE_AT_A_TIME,
        parameters={"crawl": asdict(crawl), "shard": shard.name, "within": written(every) if every else None},
        tags=["realcount", shard.contest_type],
        version=deployments.poll.version,
        job_variables={"env": RUNS, **({"image": image} if image else {})},
        entrypoint_type=EntrypointType.MODULE_PATH,  # realcount is installed where workers are; no path of this machine
    )


async def _expect_pool(client: "PrefectClient", pool: str) -> None:
    try:
        await client.read_work_pool(pool)
    except ObjectNotFound:
        raise UsageError(
            f"there is no work pool {pool!r}; make it with: prefect work-pool create {pool} --type process"
        ) from None


async def _end_silent_runs(client: "PrefectClient") -> None:
    """Have Prefect end a run whose heartbeat stops, so that the next one need not wait until its lease runs out."""
    heartbeat = "prefect.flow-run.heartbeat"
    ends = [f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")]
    automation = AutomationCore(
        name=_SILENT,
        description="A run whose machine died says nothing more: it is Crashed, and the next cycle may begin.",
        trigger=EventTrigger(
            after={heartbeat},
            expect={heartbeat, *ends},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=_SILENCE,
        ),
        actions=[ChangeFlowRunState(name=None, state=StateType.CRASHED, message=_SILENCE_TOLD, force=False)],
    )
    if found := await client.read_automations_by_name(_SILENT):
        await client.update_automation(found[0].id, automation)
    else:
        await client.create_automation(automation)
