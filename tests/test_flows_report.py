"""The page where people meet it: the command, the cycle that leaves it, and the link to it."""

import asyncio
import resource
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import commands
import duckdb
import pytest
from answers import A, count, figures, pairs, taken, wib
from bs4 import BeautifulSoup
from commands import COMMAND, Answer
from conftest import Ticking

from extract.endpoints import WIB
from extract.errors import QueryError
from extract.night import Night
from extract.recording import record
from extract.server import SimulatedSource, serving
from extract.simulator import Simulation
from flows import poll as polling
from flows.cycle import Counts
from flows.plan import Scope
from flows.poll import CycleReport, Request, poll
from flows.replay import bring_up_to_date, replay_simulated
from flows.reporting import write_report
from flows.settings import Settings
from flows.summary import markdown
from warehouse import queries

EVENING = datetime(2024, 11, 27, 19, 0, 20, tzinfo=WIB)
HOSTILE = "<img src=x onerror=alert(1)> [x](javascript:alert(2)) | `code` \u202etfel\x1b[31m"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A data directory with a simulated night, which tests only read."""
    settings = Settings(tmp_path_factory.mktemp("night"))
    replay_simulated(settings, Night(seed=7), "regency")
    return settings


def realcount(settings: Settings, *arguments: str) -> Answer:
    return commands.realcount("--data-dir", settings.data_dir, *arguments)


def title(path: Path) -> str:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser").h1.get_text()


def test_the_page_is_written_where_it_is_wanted_and_said_so_on_stderr(night: Settings, tmp_path: Path) -> None:
    answer = realcount(night, "report", "jakarta", "--output", str(tmp_path / "page.html"), "--lang", "en")
    assert (answer.returncode, answer.stdout) == (0, ""), answer.stderr
    assert answer.stderr.startswith(f"Report: {tmp_path / 'page.html'} (")
    assert title(tmp_path / "page.html") == "DKI JAKARTA"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_dash_writes_the_page_to_stdout_and_nothing_else(night: Settings) -> None:
    answer = realcount(night, "report", "3171", "--output", "-", "--depth", "district")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("<!doctype html>")
    assert answer.stdout.endswith("</html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("atlantis",), "atlantis"),
        (("31", "--depth", "national"), "province"),
        (("31", "--lang", "fr"), "--lang"),
        (("31", "--depth", "street"), "--depth"),
    ],
)
def test_what_cannot_be_shown_is_wrong_usage_in_one_line(
    night: Settings, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    answer = realcount(night, "report", *arguments, "--output", str(tmp_path / "page.html"))
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert said in answer.stderr.lower()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_page_before_in_its_place(night: Settings, tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    place.write_text("the page before")
    answer = subprocess.run(
        [str(COMMAND), "--data-dir", str(night.data_dir), "report", "--output", str(place)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )
    assert answer.returncode == 1, answer.stderr
    assert str(place) in answer.stderr
    assert place.read_text() == "the page before"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_every_cycle_leaves_the_page_and_its_summary_links_it(tmp_path: Path) -> None:
    settings, clock = Settings(tmp_path), Ticking(EVENING)

    async def scenario() -> tuple[Request, CycleReport]:
        async with serving(SimulatedSource(Simulation(Night(seed=3))), clock) as server:
            request = Request.of(Scope(roots=("3171",), depth="district"), server.base_url, rate=0)
            return request, await poll(settings, request, clock=clock)

    request, cycle = asyncio.run(scenario())
    place = settings.data_dir / "report.html"
    assert title(place) == "KOTA ADM. JAKARTA PUSAT", "the region that is polled"
    assert "27 Nov 2024 19.00 WIB" in place.read_text("utf-8"), "written by the cycle's clock"
    assert f"]({place.as_uri()})" in markdown(settings, request, cycle)


def test_a_cycle_does_all_its_work_though_duckdb_makes_wrong_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask = queries.ask

    def planned(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> queries.Answer:
        ((off,),) = connection.execute("SELECT current_setting('disabled_optimizers')").fetchall()
        if not off:
            raise duckdb.InternalException("INTERNAL Error: dict-surviving join")
        return ask(connection, name, **parameters)

    async def scenario() -> CycleReport:
        async with serving(SimulatedSource(Simulation(Night(seed=3))), lambda: EVENING) as server:
            request = Request.of(Scope(roots=("3171",), depth="district", reask_share=0), server.base_url, rate=0)
            await poll(Settings(tmp_path), request)
            monkeypatch.setattr(queries, "ask", planned)
            (tmp_path / "report.html").unlink()
            return await poll(Settings(tmp_path), request)

    again = asyncio.run(scenario())
    assert (again.counts.changed, again.counts.asked.total()) == (0, 1), "it knew all that was known"
    assert title(tmp_path / "report.html") == "KOTA ADM. JAKARTA PUSAT"
    assert caplog.text.count("once more with plainer plans, because DuckDB says: INTERNAL Error") == 3, "Parquet too"


def test_a_cycle_that_has_heard_nothing_of_its_region_leaves_no_page(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    bring_up_to_date(settings)
    asyncio.run(polling._report(settings, Scope(roots=("31",)), EVENING, is_published=True))
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_finds_no_memory_leaves_the_last_one_and_the_cycle_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(tmp_path)
    bring_up_to_date(settings)
    (tmp_path / "report.html").write_text("the last page")

    def too_big(*_: object) -> int:
        raise QueryError("Out of Memory")

    monkeypatch.setattr(polling, "write_report", too_big)
    asyncio.run(polling._report(settings, Scope(), EVENING, is_published=True))
    assert "the page stays as it is: the query cannot run: Out of Memory" in caplog.text
    assert (tmp_path / "report.html").read_text() == "the last page"


def test_a_hostile_name_stays_text_in_the_cycle_s_page_of_markdown(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    with record(settings.archive, "test", {}, lambda: EVENING, {}) as run:
        run.append(taken(pairs({"31": {A: {"nama": HOSTILE, "nomor_urut": 1, "ts": None}}}), wib("02:00:00")))
        run.append(taken(count("31", "01:45:00", figures({A: 5})), wib("02:00:00")))
    loaded, _ = bring_up_to_date(settings)
    request = Request.of(Scope(roots=("31",)), "http://127.0.0.1:9")
    write_report(settings, tmp_path / "report.html", EVENING)
    page = markdown(settings, request, CycleReport(EVENING, EVENING, Counts(), loaded, True))
    (line,) = (line for line in page.splitlines() if "onerror" in line)
    assert line.startswith(
        "| DKI JAKARTA | \\<img src=x onerror=alert\\(1\\)\\> \\[x\\]\\(javascript:alert\\(2\\)\\) \\| \\`code\\`"
    )
    assert not {"\u202e", "\x1b"} & set(page)
