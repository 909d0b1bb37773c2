"""Polling a stand-in for KPU: little is asked, politely, and whatever happens the results end as the truth.

The night to station depth, 15,153 documents in 40 cycles, is asked for within the process: its point is which
documents are asked for, and over HTTP it would take three times as long. What happens on the wire is judged from the
replay server's log, over smaller nights.
"""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import pytest
from conftest import Ticking
from crawls import InProcess, crawl, place

from extract.endpoints import WIB, Endpoint
from extract.faults import KINDS, Faults, Spell
from extract.night import Night
from extract.recording import record
from extract.server import Record, ReplayServer, RequestLog, SimulatedSource, serving
from extract.simulator import Simulation
from extract.verification import verify
from flows.plan import Scope
from flows.poll import CycleReport, Memory, Request, parquet_time, poll
from flows.settings import Settings
from flows.summary import markdown
from load import parquet
from warehouse import queries
from warehouse.connection import reading

COMMAND = Path(sys.executable).with_name("realcount")
ROOT, REGENCY = "/pilkada/hhcw/pkwkp/31.json", "/pilkada/hhcw/pkwkp/31/3171.json"
EVENING = datetime(2024, 11, 27, 19, 0, 20, tzinfo=WIB)
MORNING = datetime(2024, 11, 28, 10, 30, tzinfo=WIB)
WITHDRAWN = datetime(2024, 11, 28, 10, 45, 4, tzinfo=WIB)
ISLANDS_AND_GAMBIR = ("3101", "317101")  # 182 stations: a night to station depth that is small enough for HTTP


def moments(simulation: Simulation, every: int) -> list[datetime]:
    """When a crawler looks: a little after each such publication, and after the last."""
    published = simulation.publications
    looks = [published[n] + timedelta(seconds=20) for n in range(0, len(published), every)]
    return [*looks, published[-1] + timedelta(minutes=10)]


def votes(settings: Settings) -> dict[str, dict[str, int]]:
    """The results as the published database has them: votes by unit and candidate."""
    found: dict[str, dict[str, int]] = {}
    with reading(settings.published) as connection:
        for line in queries.query(connection, "SELECT unit_code, candidate_id, votes FROM results").records():
            if line["votes"] is not None:
                found.setdefault(line["unit_code"], {})[line["candidate_id"]] = line["votes"]
    return found


def truth(simulation: Simulation, at: datetime, roots: Iterable[str] = ("31",), longest: int = 13) -> Any:
    """The votes that were really counted by then, of every unit below the roots that has reported."""
    return {
        code: counted.votes
        for code, counted in simulation.truth(at).items()
        if counted.stations and code.startswith(tuple(roots)) and len(code) <= longest
    }


def requested(server: ReplayServer, depth: Any = "district", rate: float = 0, **options: Any) -> Request:
    """A request to the stand-in: by default as fast as it can."""
    scope = Scope(roots=options.pop("roots", ("31",)), depth=depth, reask_share=options.pop("reask_share", 0.02))
    request = Request.of(scope, server.base_url, rate=rate, connections=options.pop("connections", 4))
    return msgspec.structs.replace(request, manners=msgspec.structs.replace(request.manners, **options))


def run(scenario: Awaitable[Any], seconds: float = 120) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(scenario, seconds)

    return asyncio.run(bounded())


class Ended(NamedTuple):
    """A command that ended: its exit code, and what it said to the person who called it."""

    code: int | None
    said: str


@asynccontextmanager
async def command(settings: Settings, *words: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command as a process of its own, which does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        str(COMMAND),
        "--data-dir",
        str(settings.data_dir),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"REALCOUNT_PARQUET": "off", "REALCOUNT_REPORT": "off"} | environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(settings: Settings, *words: str, **environment: str) -> Ended:
    async with command(settings, *words, **environment) as process:
        _, said = await process.communicate()
        return Ended(process.returncode, said.decode())


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.01)


def crawling(server: ReplayServer, **options: str) -> dict[str, str]:
    """How to crawl, said in the environment."""
    asked = {"BASE_URL": server.base_url, "REGION": "31", "DEPTH": "district", "RATE": "0", **options}
    return {f"REALCOUNT_{name}": value for name, value in asked.items()}


def roots_asked(log: RequestLog) -> list[Record]:
    return [record for record in log.records if record.path == ROOT]


def test_over_a_night_to_station_depth_little_more_is_asked_than_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulation = Simulation(Night(seed=5, revisions=0.02))
    documents, clock = SimulatedSource(simulation), Ticking(EVENING)

    def answer(endpoint: Endpoint) -> tuple[int, bytes]:
        found = documents.document(endpoint.path, clock.now)
        return (200, found.body) if found else (404, b"")

    source = InProcess(answer, lambda: clock.now.astimezone(UTC))
    scope = Scope(roots=("31",), depth="tps", reask_share=0.01)
    looks = moments(simulation, 2)
    shares = 0
    for clock.now in looks:
        shares += crawl(place(tmp_path), scope, source, source._clock).counts.asked["asked again"]
    asked, bound = len(source.asked), len(source.news) + len(looks) + shares
    whole = sum(1 for _ in simulation.endpoints("tps"))
    naive = whole * len(looks)
    with capsys.disabled():
        print(
            f"\n  {len(looks)} cycles: {asked:,} requests, {len(source.news):,} of them news; the naive tree: {naive:,}"
        )
    assert len(looks) == 40
    assert shares <= len(looks) * ceil(scope.reask_share * whole)
    assert asked <= 1.15 * bound
    expected = truth(simulation, clock.now)
    assert len(simulation.truth(clock.now)) == 15_153
    assert {code: votes for code, votes in votes(place(tmp_path)).items() if code != "0"} == expected


async def polled(
    settings: Settings, simulation: Simulation, looks: Iterable[datetime], faults: Faults | None = None, **options: Any
) -> tuple[RequestLog, list[CycleReport]]:
    """A night asked for over HTTP; the server's log, and the cycles' reports."""
    clock = Ticking(EVENING)
    reports = []
    async with serving(SimulatedSource(simulation), clock, faults=faults) as server:
        for clock.now in looks:
            reports.append(await poll(settings, requested(server, **options)))
    return server.log, reports


def test_with_a_fifth_of_all_answers_faulty_the_results_are_the_same(tmp_path: Path) -> None:
    simulation = Simulation(Night(seed=5, revisions=0.02))
    looks = moments(simulation, 8)
    options: Any = {"depth": "tps", "roots": ISLANDS_AND_GAMBIR}
    hasty = {"request_timeout": 0.4, "total_timeout": 2.0, "longest_wait": 0.02, "most_bytes": 1 << 20}
    faults = Faults.evenly(0.2, seed=7)
    faults = msgspec.structs.replace(faults, retry_after=1, hold_seconds=0.6, slow_seconds=0.2, bomb_bytes=2 << 20)
    clean, fire = place(tmp_path / "clean"), place(tmp_path / "fire")
    calm, _ = run(polled(clean, simulation, looks, **options))
    log, _ = run(polled(fire, simulation, [*looks, *looks[-1:] * 3], faults, **options, **hasty))
    struck = log.by_fault()
    assert struck.keys() == set(KINDS)
    assert votes(fire) == votes(clean) == truth(simulation, looks[-1], ISLANDS_AND_GAMBIR)
    assert len(log.records) <= 1.5 * len(calm.records)
    with reading(fire.published) as connection:
        quarantined = Counter(
            {
                line["quarantine_reason"]: line["captures"]
                for line in queries.query(
                    connection,
                    "SELECT quarantine_reason, count(*) AS captures FROM core.capture "
                    "WHERE quarantine_reason IS NOT NULL GROUP BY ALL",
                ).records()
            }
        )
        reached = queries.query(
            connection,
            "SELECT count(*) AS n FROM core.tally JOIN core.capture USING (capture_id) "
            "WHERE quarantine_reason IS NOT NULL",
        ).records()
    assert reached == [{"n": 0}]
    assert quarantined["http_status"] == sum(
        struck[kind] for kind in ("error_500", "error_503", "too_many", "redirect_away")
    )
    assert quarantined["not_json"] == struck["corrupt"] + struck["html"]
    assert quarantined["wrong_mode"] == struck["wrong_mode"]
    assert 0 < quarantined["wrong_region"] <= struck["wrong_region"]  # a station without a form looks like any other
    cut_short = struck["bomb"] + struck["garbled_encoding"] + struck["truncated"]
    assert cut_short <= quarantined["truncated"] <= cut_short + struck["reset"]  # a reset may take all that was sent
    assert verify(fire.archive).problems == ()


def test_a_source_is_asked_as_politely_as_was_set(tmp_path: Path) -> None:
    rate, connections = 60.0, 3

    async def scenario() -> tuple[RequestLog, RequestLog, list[str]]:
        simulation = Simulation(Night(seed=5))
        night = SimulatedSource(simulation)
        async with serving(night, lambda: EVENING) as elsewhere:
            faults = Faults(
                script=(Spell("too_many", first=30, last=30), Spell("redirect_away", first=50, last=52)),
                retry_after=1,
                elsewhere=elsewhere.base_url,
            )
            async with serving(night, lambda: EVENING, faults=faults) as server:
                for _ in range(2):
                    await poll(place(tmp_path), requested(server, rate=rate, connections=connections, reask_share=0.5))
        return server.log, elsewhere.log, [endpoint.path for endpoint in simulation.endpoints("tps")]

    log, elsewhere, paths = run(scenario())
    assert len(log.records) > 2 * rate
    assert log.busiest(2.0) <= 2 * rate
    assert log.most_connections() <= connections
    assert log.too_soon(0.05) == []
    assert log.outside(paths) == []
    assert list(elsewhere.records) == []
    seen: set[str] = set()
    for one in log.records:
        assert one.is_conditional == (one.path in seen)
        if one.status == 200:
            seen.add(one.path)
    archived = [capture for segment in place(tmp_path).archive.segment_names()
                for _, capture in place(tmp_path).archive.captures(segment)]  # fmt: skip
    unchanged = [capture for capture in archived if capture.status == 304]
    assert len(unchanged) == log.by_status()[304] > 20
    assert {capture.body for capture in unchanged} == {None}
    assert {urlsplit(capture.url).netloc for capture in archived} == {urlsplit(archived[0].url).netloc}


def test_killed_at_twenty_moments_of_a_night_it_ends_the_same_and_asks_for_nothing_twice(tmp_path: Path) -> None:
    simulation = Simulation(Night(seed=9, revisions=0.02))
    looks = moments(simulation, 4)
    undisturbed, disturbed = place(tmp_path / "undisturbed"), place(tmp_path / "disturbed")
    chance = random.Random(20241128)
    clock = Ticking(EVENING)

    async def scenario() -> tuple[int, RequestLog]:
        killed, n = 0, 0
        async with serving(SimulatedSource(simulation), clock) as server:
            how = crawling(server, REGION="3171", DEPTH="tps", REASK_SHARE="0")
            while killed < 20:
                clock.now, n = looks[n % len(looks)] if n < len(looks) else looks[-1], n + 1
                asked = server.asked
                async with command(disturbed, "poll", **how) as process:
                    is_over = asyncio.ensure_future(process.wait())
                    first = asyncio.ensure_future(until(lambda asked=asked: server.asked > asked))  # type: ignore[misc]
                    await asyncio.wait((is_over, first), return_when=asyncio.FIRST_COMPLETED)
                    first.cancel()
                    await asyncio.wait((is_over,), timeout=chance.uniform(0, 0.5))
                    if process.returncode is None:
                        os.kill(process.pid, signal.SIGKILL)
                        killed += 1
                    await is_over
            clock.now = looks[-1]
            for _ in range(2):
                assert (await ended(disturbed, "poll", **how)).code in (0, 64)
            log = server.log
        await polled(undisturbed, simulation, looks[::10], depth="tps", roots=("3171",))
        return killed, log

    killed, log = run(scenario())
    assert killed == 20
    assert verify(disturbed.archive).problems == ()
    assert votes(disturbed) == votes(undisturbed) == truth(simulation, looks[-1], ["3171"])
    assert {one.path for one in log.records if one.status == 304} <= {
        REGENCY
    }  # all else had changed, or was not archived
    outcomes = Counter(manifest.outcome for manifest in disturbed.archive.manifests())
    assert outcomes["interrupted"] >= 3, outcomes  # killed in the middle, with a frame on disk


def test_at_the_withdrawal_the_standings_stay_and_everybody_is_told(tmp_path: Path) -> None:
    simulation, settings, clock = Simulation(Night(seed=3, withdrawal=True)), place(tmp_path), Ticking(MORNING)

    async def scenario() -> tuple[list[CycleReport], Request, Ended, str]:
        async with serving(SimulatedSource(simulation), clock) as server:
            request = requested(server, depth="regency")
            reports = [await poll(settings, request)]
            before = votes(settings)
            clock.now = WITHDRAWN + timedelta(minutes=1)
            done = await ended(settings, "poll", **crawling(server, DEPTH="regency"))
            assert votes(settings) == before
            reports.append(await poll(settings, request))
        async with command(settings, "status") as process:
            status, _ = await process.communicate()
        return reports, request, done, status.decode()

    reports, request, done, status = run(scenario())
    assert done.code == 0, done.said
    assert votes(settings) == truth(simulation, MORNING, longest=6)
    with reading(settings.published) as connection:
        (leader, *_) = queries.results(connection, "31").records()
        assert leader["withdrawn_at"] == WITHDRAWN
    page = markdown(settings, request, reports[-1])
    assert "**KPU has withdrawn votes** since 2024-11-28 10:45:04 WIB: 51 tallies" in page, page
    assert "withdrawn" in status
    assert "10:45:04" in status


def test_where_and_how_to_crawl_can_be_said_in_the_environment(tmp_path: Path) -> None:
    async def scenario() -> tuple[Ended, Ended, RequestLog]:
        async with serving(SimulatedSource(Simulation(Night())), lambda: EVENING) as server:
            how = crawling(server, DEPTH="regency", RATE="40")
            first = await ended(place(tmp_path), "poll", **how)
            second = await ended(place(tmp_path), "poll", **how | {"REALCOUNT_REASK_SHARE": "0"})
        return first, second, server.log

    first, second, log = run(scenario())
    assert (first.code, second.code) == (0, 64)  # something new, then nothing
    assert {len(Endpoint.from_url(one.path).region) for one in log.records} == {1, 2, 4}
    assert log.busiest(0.5) <= 20


def test_a_source_that_is_down_ends_the_cycle_soon_and_the_last_results_stand(tmp_path: Path) -> None:
    settings = place(tmp_path)

    async def scenario() -> tuple[Ended, float, Any]:
        async with serving(SimulatedSource(Simulation(Night())), lambda: EVENING) as server:
            await poll(settings, requested(server, depth="regency"))
            how, before = crawling(server), votes(settings)
        began = monotonic()
        return await ended(settings, "poll", **how), monotonic() - began, before

    done, seconds, before = run(scenario())
    assert done.code == 75, done.said
    assert done.said.splitlines()[-1].startswith("realcount: 127.0.0.1:"), done.said
    assert "is failing" in done.said
    assert "Traceback" not in done.said
    assert seconds < 30
    assert before
    assert votes(settings) == before


@pytest.mark.parametrize("kind", ["error_503", "html", "reset"])
def test_a_source_that_answers_nothing_of_use_is_failing_too(tmp_path: Path, kind: Any) -> None:
    async def scenario() -> CycleReport:
        faults = Faults(rates={kind: 1.0})
        async with serving(SimulatedSource(Simulation(Night())), lambda: EVENING, faults=faults) as server:
            return await poll(place(tmp_path), requested(server, longest_wait=0.01))

    report = run(scenario())
    assert report.source_down is not None
    assert report.counts.changed == 0
    assert [manifest.outcome for manifest in place(tmp_path).archive.manifests()] in ([], ["failed"])


def test_documents_that_are_not_there_yet_are_no_failure(tmp_path: Path) -> None:
    async def scenario() -> CycleReport:
        async with serving(SimulatedSource(Simulation(Night())), lambda: EVENING) as server:
            elsewhere = requested(server, roots=("11",))
            return await poll(place(tmp_path), msgspec.structs.replace(elsewhere, scope=Scope(roots=("11",))))

    report = run(scenario())
    assert report.source_down is None
    assert report.counts.unfit.total() == 1


def test_the_second_crawler_in_a_directory_says_so_and_leaves(tmp_path: Path) -> None:
    settings = place(tmp_path)

    async def scenario() -> tuple[Ended, int]:
        async with serving(SimulatedSource(Simulation(Night())), lambda: EVENING) as server:
            with record(settings.archive, "poll", {}, lambda: datetime.now(UTC), {}):
                return await ended(settings, "poll", **crawling(server)), server.asked

    done, asked = run(scenario())
    assert (done.code, asked) == (75, 0)
    assert len(done.said.splitlines()) == 1
    assert "being written by another process" in done.said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_finishes_what_is_open_and_exits_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    settings = place(tmp_path)

    async def scenario() -> tuple[Ended, int]:
        async with serving(SimulatedSource(Simulation(Night())), lambda: EVENING) as server:
            async with command(settings, "poll", **crawling(server, RATE="20")) as process:
                await until(lambda: server.asked >= 10)
                process.send_signal(how)
                _, said = await process.communicate()
            return Ended(process.returncode, said.decode()), server.asked

    done, asked = run(scenario())
    assert done.code == 0, done.said
    assert "Traceback" not in done.said
    (manifest,) = settings.archive.manifests()
    assert (manifest.outcome, manifest.captures) == ("interrupted", asked)
    assert asked < 20
    assert votes(settings), "what was archived is loaded and published"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_follow_keeps_its_interval_and_stops_when_told_between_cycles(tmp_path: Path, how: signal.Signals) -> None:
    async def scenario() -> tuple[Ended, RequestLog]:
        async with serving(SimulatedSource(Simulation(Night())), lambda: EVENING) as server:
            async with command(
                place(tmp_path), "follow", "--every", "1s", **crawling(server, DEPTH="province")
            ) as process:
                assert process.stderr
                lines = [await process.stderr.readline() for _ in range(6)]
                process.send_signal(how)
                _, said = await process.communicate()
            return Ended(process.returncode, b"".join([*lines, said]).decode()), server.log

    done, log = run(scenario())
    assert done.code == 0, done.said
    assert done.said.endswith("Stopped in good order.\n"), done.said
    began = [manifest.started_at for manifest in place(tmp_path).archive.manifests()]
    assert len(began) == len(roots_asked(log)) == 3
    assert all(later - earlier > timedelta(seconds=0.9) for earlier, later in pairwise(began))


def test_a_cycle_keeps_time_for_the_parquet_set_that_is_due_when_it_ends(tmp_path: Path) -> None:
    settings, quarter = Settings(tmp_path), timedelta(minutes=15)
    clock = Ticking(datetime(2024, 11, 27, 19, 1, tzinfo=WIB))
    sets = []

    async def scenario() -> None:
        async with serving(SimulatedSource(Simulation(Night(seed=3))), clock) as server:
            for within in (None, None, timedelta(minutes=1), quarter):
                await poll(settings, requested(server, depth="regency"), clock=clock, within=within)
                sets.append((tmp_path / "parquet").readlink())
                finished = clock.now.timestamp() - 2_550  # the next is due fifty times 60 s after it
                parquet._date((tmp_path / "parquet").resolve(), finished - 60, finished)
                clock.advance(420)

    run(scenario())
    assert sets[0] == sets[1] == sets[2] != sets[3], "too soon, then too long for the cycle, then neither"
    assert parquet_time(settings, clock.now, timedelta()) == timedelta()
    assert parquet_time(settings, clock.now, timedelta(minutes=1)) is None
    assert parquet_time(settings, clock.now, quarter) == timedelta(seconds=120)
    ends = Memory(afterwards=timedelta(seconds=40)).asking_ends(clock.now, quarter, timedelta(seconds=120))
    assert ends == clock.now + quarter - timedelta(seconds=200)
