"""The commands that have Prefect run the crawl on a schedule: serve (on this machine), deploy (on any machines).

Prefect is imported when they run: that takes two seconds.
"""

from extract.errors import UsageError
from flows.crawling import Crawl
from flows.output import say
from flows.settings import Here

_USUAL = Crawl()


def serve(*, crawl: Crawl = _USUAL, every: str = "15m", settings: Here) -> int:
    """Run the crawl on a schedule with Prefect: on its embedded server, or on the one PREFECT_API_URL names.

    Parameters
    ----------
    every
        How long from cycle to cycle, such as 15m. A cycle that comes due while one runs is skipped.
    """
    from flows.cadence import parse_every
    from flows.serving import serve as serve_flows

    interval = parse_every(every)
    if interval is None:
        raise UsageError("Prefect's schedule needs a fixed interval such as 15m; auto is for 'realcount follow'")
    serve_flows(settings, crawl, interval)
    return 0


def deploy(
    *,
    crawl: Crawl = _USUAL,
    shards: str = "all",
    pool: str = "realcount",
    every: str = "15m",
    image: str | None = None,
    settings: Here,  # noqa: ARG001 (what lies where is for each worker's environment to say)
) -> int:
    """Register a deployment for each shard in a Prefect work pool, and one rate limit for all of them together.

    --rate is that limit: no second sees more requests than that, from however many machines.

    Parameters
    ----------
    shards
        Which, such as pkwkp-31,pkwkk-32; all: every contest type in every province that votes in it.
    pool
        The work pool; its workers may be on any machines that have realcount.
    every
        How long from cycle to cycle, such as 15m; never: no schedule.
    image
        For Docker and Kubernetes pools: the image with realcount, unless the pool names it.
    """
    from flows.cadence import parse_every
    from flows.environment import in_environment
    from flows.shards import Shard
    from flows.shards import shards as all_shards

    if crawl.region or crawl.contest != ["pkwkp"]:
        raise UsageError("shards say what to ask for; leave out --region and --contest, and use --shards")
    interval = None if every == "never" else parse_every(every)
    if interval is None and every != "never":
        raise UsageError("Prefect's schedule needs a fixed interval such as 15m, or never")
    names = [name.strip() for name in shards.split(",")]
    wanted = all_shards() if shards == "all" else tuple(dict.fromkeys(map(Shard.named, names)))
    with in_environment():
        from flows.deploying import deploy as register

        register(crawl, wanted, pool, interval, image)
    say(f"{len(wanted):,} deployments in the work pool {pool}: {wanted[0].name} to {wanted[-1].name}.")
    say(f"All together send at most {crawl.rate:g} requests in any second.")
    say(f"On each machine, with its settings in the environment: prefect worker start --pool {pool}")
    return 0
