"""Crawls without HTTP, to test the planner: a source in the process, a small country, and what should be known."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from extract.answers import Validators
from extract.capture import Capture, capture
from extract.endpoints import LEVELS, NATIONAL, Endpoint, level_of
from flows.cycle import Cycle, open_cycle
from flows.knowledge import Figures, Knowledge, State, packed
from flows.plan import Scope
from flows.replay import bring_up_to_date
from flows.settings import Settings
from transform.model import Document
from transform.normalise import read

PAIRS = {"31": {str(1000023 + n): {"nama": f"PAIR {n}", "nomor_urut": n + 1, "ts": None} for n in range(2)}}
QUARTER = timedelta(minutes=15)
OPENING = datetime(2024, 11, 27, 8, 0, tzinfo=UTC)  # 15:00 in Jakarta


def place(directory: Path) -> Settings:
    """Where a test's crawl lies: without Parquet files and page, which other tests look at and forty cycles pay for."""
    return Settings(directory, parquet="off", report="off")


class Answering(Protocol):
    """What a source in the process says of an endpoint: status and body, the bytes it would serve."""

    def __call__(self, endpoint: Endpoint) -> tuple[int, bytes]: ...


class InProcess:
    """Answers like a polite client over a source with validators: conditional requests, 304, every answer kept.

    It remembers what it served, so that tests count from the source's side: `asked` in order, and `news`, those
    answers that said something else than the answer before under the same address.
    """

    def __init__(self, answer: Answering, clock: Callable[[], datetime]) -> None:
        self.asked: list[Endpoint] = []
        self.news: list[Endpoint] = []
        self.keep: Callable[[Capture], object] = lambda _: None
        self.watch: Callable[[Capture], object] = lambda _: None  # hears of every answer that was kept
        self._answer = answer
        self._clock = clock
        self._served: dict[Endpoint, str] = {}

    async def fetch_all(self, wanted: Iterable[tuple[str, Validators | None]]) -> AsyncIterator[tuple[str, Capture]]:
        for url, known in wanted:
            endpoint = Endpoint.from_url(url)
            status, body = self._answer(endpoint)
            etag = f'"{status}-{len(body)}-{hash(body):x}"'
            answer = capture(url, body, self._clock(), "test", status=status, headers={"etag": etag})
            if status == 200 and known and known.etag == etag:
                answer = msgspec.structs.replace(answer, status=304, body=None)
            self.asked.append(endpoint)
            if self._served.get(endpoint) != answer.digest:
                self.news.append(endpoint)
            self._served[endpoint] = answer.digest
            self.keep(answer)
            self.watch(answer)
            yield url, answer


def crawl(
    settings: Settings,
    scope: Scope,
    source: InProcess,
    clock: Callable[[], datetime],
    begun: Callable[[Cycle], object] = lambda _: None,
    knowledge: Knowledge | None = None,
) -> Cycle:
    """One cycle, as a process just started would do it: all it knows is in the data directory. Or as one that goes on
    would, with what it knew.
    """

    async def levels(cycle: Cycle) -> None:
        for level in cycle.levels:
            await cycle.ask_level(source, level)
        await cycle.reask(source)

    with open_cycle(settings, scope, None, clock, knowledge=knowledge) as cycle:
        source.keep = cycle.keep
        begun(cycle)
        asyncio.run(levels(cycle))
    bring_up_to_date(settings)
    return cycle


class Steps:
    """A clock that never says the same moment twice: each answer has its own."""

    def __init__(self, now: datetime = OPENING) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=10)
        return self.now


Votes = tuple[int, int, int]
"""Stations reported, votes of the two pairs."""


class Change(NamedTuple):
    """At a moment (a step of the night) a village's figures become these."""

    step: int
    village: str
    figures: Votes


class Country:
    """A small country to the villages: its documents at any step of its night, as KPU would have written them.

    `lag` is how many steps the files above the districts are behind those below them.
    """

    def __init__(self, villages: Iterable[str], changes: Iterable[Change], lag: int = 0) -> None:
        self._changes = sorted(changes)
        self._lag = lag
        self._history: dict[str, list[tuple[int, Votes]]] = {village: [] for village in villages}
        for step, village, figures in self._changes:
            self._history.setdefault(village, []).append((step, figures))
        self.last_step = max((change.step for change in self._changes), default=0) + 2 * lag

    def figures(self, region: str, step: int) -> Votes:
        """The sum over a region's villages: what is true at this step."""
        return _sum(self._of_village(village, step) for village in self._history if village.startswith(region))

    def children(self, region: str, step: int) -> list[str]:
        """The regions right below that are there at this step: those with a village that was there or has reported."""
        longer = list(LEVELS)[list(LEVELS.values()).index(level_of(region)) + 1]
        first = {village: history[0][0] if history else 0 for village, history in self._history.items()}
        return sorted({village[:longer] for village in first if village.startswith(region) and first[village] <= step})

    def regions(self) -> Iterator[str]:
        """Every region with a document of its own: those above the villages."""
        yield from sorted({village[:length] for village in self._history for length in (2, 4, 6)})

    def document(self, endpoint: Endpoint, step: int) -> tuple[int, bytes]:
        """The newest file at this step."""
        match endpoint.document:
            case "paslon":
                return 200, msgspec.json.encode(PAIRS)
            case "wilayah" if endpoint.region == NATIONAL:
                return 200, msgspec.json.encode([_listed("31")])
            case "wilayah":
                codes = self.children(endpoint.region, 10**6)
                return 200, msgspec.json.encode([_listed(code) for code in codes])
        version = self.version(
            endpoint.region, step - self._lag * {"province": 2, "regency": 1}.get(level_of(endpoint.region), 0)
        )
        return 200, self.count(endpoint.region, version)

    def version(self, region: str, step: int) -> int:
        """The step at which the file was written that is served at a step: -1 for the empty one."""
        return max(
            (change.step for change in self._changes if change.village.startswith(region) and change.step <= step),
            default=-1,
        )

    def count(self, region: str, version: int) -> bytes:
        """The file of a version."""
        rows = {code: self.figures(code, version) for code in self.children(region, version)}
        chart = _cells(self.figures(region, version))
        body = {
            "mode": "hhcw",
            "tungsura": {"chart": chart, "table": {code: _cells(row) for code, row in rows.items()}},
            "progres": chart["progres"],
            "ts": f"{OPENING + timedelta(hours=7) + version * QUARTER:%Y-%m-%d %H:%M:%S}",
        }
        return msgspec.json.encode(body)

    def _of_village(self, village: str, step: int) -> Votes:
        return next((figures for since, figures in reversed(self._history[village]) if since <= step), (0, 0, 0))


def _sum(figures: Iterable[Votes]) -> Votes:
    stations, first, second = map(sum, zip((0, 0, 0), *figures, strict=True))
    return stations, first, second


def _cells(figures: Votes) -> dict[str, Any]:
    stations, *votes = figures
    shown = {str(1000023 + n): cell for n, cell in enumerate(votes)} if stations else {}
    return shown | {"progres": {"total": 100, "persen": float(stations), "progres": stations}}


def _listed(code: str) -> dict[str, Any]:
    return {"nama": f"REGION {code}", "id": int(code[-6:]), "kode": code, "tingkat": list(LEVELS).index(len(code))}


class Memory:
    """What a crawler would know that had kept every capture in memory: the measure for what the database says."""

    def __init__(self) -> None:
        self._cycle = 0
        self._seen: dict[Endpoint, list[tuple[int, Capture, Document | None]]] = defaultdict(list)
        self._bodies: dict[str, bytes] = {}

    def begin_cycle(self) -> None:
        self._cycle += 1

    def keep(self, answer: Capture) -> None:
        """Take in a capture of the cycle."""
        if answer.body is not None:
            self._bodies[answer.digest] = answer.body
        said = read(msgspec.structs.replace(answer, body=self._bodies[answer.digest]))
        understood = said if isinstance(said, Document) else None
        self._seen[Endpoint.from_url(answer.url)].append((self._cycle, answer, understood))

    def known(self) -> dict[Endpoint, State]:
        """Every document that was asked for, or that a table names."""
        rows = {}
        for endpoint in list(self._seen):
            for told in self._versions(endpoint)[-1:]:
                for tally in told[1].tallies:
                    if tally.witness == "parent":
                        rows[msgspec.structs.replace(endpoint, region=tally.unit_code)] = self._row(
                            endpoint, tally.unit_code
                        )
        return {one: self._state(one, *rows.get(one, (None, None))) for one in {*self._seen, *rows}}

    def knowledge(self) -> Knowledge:
        """The same, as a planner has it."""
        knowledge = Knowledge()
        knowledge.take(self.known().items())
        return knowledge

    def _versions(self, endpoint: Endpoint) -> list[tuple[datetime, Document]]:
        """What was understood of a document, in the order of KPU's own time."""
        versions = [(answer.observed_at, said) for _, answer, said in self._seen[endpoint] if said]
        return sorted(versions, key=lambda version: (version[1].reported_at or version[0], version[0]))

    def _row(self, parent: Endpoint, unit: str) -> tuple[Figures, datetime]:
        """What the parent's table says of a unit, and when it was first seen to say so."""
        told = [
            (observed_at, said.reported_at, next((t for t in said.tallies if t.unit_code == unit), None))
            for observed_at, said in self._versions(parent)
        ]
        newest = told[-1][2]
        since = next(n for n in range(len(told), 0, -1) if n == 1 or told[n - 2][2] != newest) - 1
        assert newest
        return Figures.of(newest.votes, newest.stations_reported), told[since][0]

    def _state(self, endpoint: Endpoint, row: Figures | None, since: datetime | None) -> State:
        seen, versions = self._seen.get(endpoint, []), self._versions(endpoint) if endpoint in self._seen else []
        own = None
        for _, said in versions[-1:]:
            for tally in said.tallies:
                if tally.witness == "self":
                    own = Figures.of(tally.votes, tally.stations_reported)
        whole = [answer for _, answer, said in seen if said and answer.status == 200]
        validators = None
        if whole:
            newest = max(whole, key=lambda answer: answer.observed_at)
            validators = packed(Validators(newest.digest, newest.length, newest.headers.get("etag")))
        tries = {cycle for cycle, answer, _ in seen if since is None or answer.observed_at >= since}
        return State(
            own,
            row,
            versions[-1][1].reported_at if versions else None,
            max((cycle for cycle, _, _ in seen), default=None),
            max((answer.observed_at for _, answer, _ in seen), default=None),
            validators,
            len(tries),
        )


def rank(endpoint: Endpoint) -> int:
    """How far from the top."""
    return 0 if endpoint.region == NATIONAL else list(LEVELS).index(len(endpoint.region))


def most_asked(asked: Iterable[Endpoint]) -> int:
    """How often the document was asked for that was asked for most."""
    return max(Counter(asked).values(), default=0)
