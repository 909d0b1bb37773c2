"""A count night on many machines: a Prefect server on PostgreSQL, three workers, an object store, three provinces in
shards, and what can go wrong with all of them. What they say together is what one machine says."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from commands import realcount
from fleet import KPU, PATIENCE, POOL, Prefect, Worker, prefect_command, wait_for, worker
from lakes import expect_extensions
from servers import PASSWORD, S3, Postgresql, postgresql, s3

from extract.national import NationalNight, NationalSimulation
from flows import poll as polling
from flows.crawling import Crawl
from flows.replay import rebuild
from flows.settings import Settings
from warehouse import queries
from warehouse.connection import reading

__all__ = ["postgresql", "s3"]

PROVINCES = ("31", "65", "93")  # Jakarta, Kalimantan Utara, Papua Selatan
SHARDS = ("pkwkp-0", *(f"pkwkp-{province}" for province in PROVINCES))
NIGHT = NationalSimulation(NationalNight(seed=6, cycles=8, within=PROVINCES, revisions=0.05))
RATE = 40  # requests in any second, of all workers together
DEPTH = "district"

# Everything that KPU said, on KPU's clock: without when and by which capture we came to know it.
SAID = "SELECT * EXCLUDE (observed_at, capture_id) FROM timeline ORDER BY ALL"


class Fleet(NamedTuple):
    """What the machines have in common, and the machines."""

    kpu: KPU
    prefect: Prefect
    shared: dict[str, str]
    home: Path

    def machine(self, name: str) -> AbstractContextManager[Worker]:
        """Another machine with a worker."""
        return worker(self.home / name, self.prefect, **self.shared)


@pytest.fixture
def warehouse(postgresql: Postgresql, s3: S3) -> dict[str, str]:
    """A lake for all machines, where DuckDB has what it takes; else each has a file of its own."""
    with suppress(pytest.skip.Exception):
        expect_extensions()
        lake = {"REALCOUNT_WAREHOUSE": f"ducklake:postgres:{postgresql.database()}"}
        return lake | {"REALCOUNT_WAREHOUSE_DATA": f"s3://{s3.bucket()}/lake"}
    return {}


def said(settings: Settings) -> str:
    """A hash over everything that KPU said."""
    with reading(settings.published) as connection:
        rows = list(queries.query(connection, SAID).rows)
        assert rows
        return hashlib.sha256("\n".join(map(repr, rows)).encode()).hexdigest()


def fingerprint(settings: Settings) -> object:
    """A hash over all that a warehouse says, and what it is made of."""
    with reading(settings.published) as connection:
        return queries.fingerprint(connection)


def crawled_by_one(home: Path, moments: list[datetime]) -> Settings:
    """The same night, crawled by one process on one machine."""
    settings = Settings(home, parquet="off", report="off")
    with KPU(NIGHT, moments[0]).serve() as kpu:
        crawl = Crawl(region=list(PROVINCES), depth=DEPTH, base_url=kpu.base_url, rate=0)
        for kpu.at in moments:
            asyncio.run(polling.poll(settings, crawl.request()))
    return settings


@contextmanager
def fleet(kpu: KPU, database: Postgresql, store: S3, warehouse: dict[str, str], home: Path) -> Iterator[Fleet]:
    """A server, a deployment for each shard, and nobody who runs them yet."""
    (home / "prefect").mkdir()
    name = database.database().split("dbname=")[1].split()[0]
    url = f"postgresql+asyncpg://realcount@127.0.0.1:{database.port}/{name}"  # the password is in PGPASSWORD
    with Prefect(home / "prefect", url, PGPASSWORD=PASSWORD, **store.environment).serve() as prefect:
        prefect_command(prefect, "work-pool", "create", POOL, "--type", "process")
        options = ("--shards", ",".join(SHARDS), "--every", "never", "--rate", str(RATE), "--depth", DEPTH)
        told = realcount("deploy", *options, "--base-url", kpu.base_url, **prefect.environment)
        assert told.returncode == 0, told.stderr
        shared = {
            "REALCOUNT_ARCHIVE": f"s3://{store.bucket()}/night",
            "REALCOUNT_PARQUET": "off",
            "REALCOUNT_REPORT": "off",
        }
        yield Fleet(kpu, prefect, shared | warehouse, home)


def test_a_night_on_many_machines_says_what_one_machine_says(
    postgresql: Postgresql,
    s3: S3,
    warehouse: dict[str, str],
    tmp_path: Path,
) -> None:
    evening, night, midnight, morning = moments = [NIGHT.publications[n] + timedelta(minutes=1) for n in (2, 4, 5, 7)]
    with (
        KPU(NIGHT, evening).serve() as kpu,
        fleet(kpu, postgresql, s3, warehouse, tmp_path) as machines,
        machines.machine("one") as one,
        machines.machine("two") as two,
        machines.machine("three") as three,
        ExitStack() as replaced,
    ):
        prefect = machines.prefect
        assert set(prefect.run(*SHARDS).values()) == {"COMPLETED"}, prefect.said()

        kpu.at = night  # a machine dies
        asked = len(kpu.log.records)
        runs = {shard: prefect.start(shard) for shard in SHARDS}
        wait_for("requests of the night", lambda: len(kpu.log.records) > asked + 5)
        victim = next(machine for machine in (one, two, three) if machine.runs_one_of(runs.values(), prefect))
        victim.die()
        replaced.enter_context(machines.machine("four"))
        alone = crawled_by_one(tmp_path / "alone", moments)  # Prefect needs 90 s to be sure
        wait_for("the end of the runs, also of the dead", lambda: all(map(prefect.is_over, runs.values())))
        ended = {shard: prefect.state(run)[0] for shard, run in runs.items()}
        assert set(ended.values()) == {"COMPLETED", "CRASHED"}, prefect.said()
        died = [shard for shard, state in ended.items() if state == "CRASHED"]
        assert set(prefect.run(*died).values()) == {"COMPLETED"}, prefect.said()

        kpu.at = midnight  # PostgreSQL is restarted
        asked = len(kpu.log.records)
        runs = {shard: prefect.start(shard) for shard in SHARDS}
        wait_for("requests at midnight", lambda: len(kpu.log.records) > asked + 5)
        postgresql.restart()
        for shard, run in runs.items():
            if prefect.end_of(run)[0] != "COMPLETED":
                assert prefect.run(shard) == {shard: "COMPLETED"}, prefect.said()

        kpu.at = morning  # somebody crawls a shard that is crawled already
        asked = kpu.asked("/31/")
        runs = {shard: prefect.start(shard) for shard in SHARDS}
        wait_for("requests in the morning", lambda: kpu.asked("/31/") > asked)
        by_mistake = realcount(
            "--shard", "pkwkp-31", "poll", "--depth", DEPTH, "--rate-limit", "realcount", "--base-url", kpu.base_url,
            timeout=PATIENCE, cwd=tmp_path, **prefect.environment, **machines.shared,
        )  # fmt: skip
        refused = by_mistake.returncode == 75 and "is being written" in by_mistake.stderr
        assert refused or by_mistake.returncode in (0, 64), by_mistake.stderr  # too late to be in the way
        assert {prefect.end_of(run)[0] for run in runs.values()} == {"COMPLETED"}, prefect.said()

    assert kpu.log.busiest(1.0) <= RATE
    box = Settings(tmp_path / "box", "off", "off", machines.shared["REALCOUNT_ARCHIVE"])
    rebuild(box)
    if warehouse:
        lake = msgspec.structs.replace(
            box, warehouse=warehouse["REALCOUNT_WAREHOUSE"], warehouse_data=warehouse["REALCOUNT_WAREHOUSE_DATA"]
        )
        assert fingerprint(lake) == fingerprint(box)
    assert said(box) == said(alone)
