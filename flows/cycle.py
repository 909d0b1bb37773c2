"""One cycle of a crawl: plan, ask, archive, learn. Prefect and the command line take the same steps."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

import msgspec

from extract.answers import Failure, Validators
from extract.capture import Capture
from extract.endpoints import Endpoint, Level
from extract.politeness import Manners
from extract.recording import Run, record
from flows.knowledge import Knowledge, decoded
from flows.plan import ORDER, Plan, Scope
from flows.replay import bring_up_to_date
from flows.settings import Settings, recorded, versions
from flows.shards import Shard
from transform.model import Document
from transform.normalise import read
from warehouse import queries
from warehouse.connection import reading, replanned


class Source(Protocol):
    """Whoever answers: KPU through the polite client, or a stand-in. It hands every capture to `Cycle.keep` first."""

    def fetch_all(
        self, wanted: Iterable[tuple[str, Validators | None]]
    ) -> AsyncIterator[tuple[str, Capture | Failure]]:
        """Each address with its last answer, as they come."""
        ...


class Counts(msgspec.Struct):
    """What became of a cycle: documents asked for by level, answers by status, what they said, and why not; and how
    many documents were wanted that there was no time for."""

    asked: Counter[str] = msgspec.field(default_factory=Counter)
    answered: Counter[str] = msgspec.field(default_factory=Counter)
    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    unfit: Counter[str] = msgspec.field(default_factory=Counter)
    waiting: int = 0

    @property
    def is_fruitless(self) -> bool:
        """Nothing came of all the asking. That a document is not there (yet) is an answer."""
        failures = self.failed or self.answered.keys() - {"404", "410"}
        return bool(failures) and not self.changed + self.unchanged


class Cycle:
    """A cycle under way: `ask_level` goes down the tree, `reask` looks at the oldest documents, `stop` ends it soon."""

    def __init__(self, scope: Scope, base_url: str | None, run: Run, plan: Plan) -> None:
        self.scope = scope
        self.counts = Counts()
        self.plan = plan
        self.is_stopping = False
        self.is_over: Callable[[], bool] = lambda: self.is_stopping
        self._base_url = base_url
        self._run = run

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels to ask, from the top."""
        return ORDER[: ORDER.index(self.scope.depth) + 1]

    def keep(self, capture: Capture) -> None:
        """Archive an answer, whatever it is, before anybody looks at it."""
        self._run.append(capture)
        self.counts.answered[str(capture.status)] += 1

    def tick(self) -> None:
        """Put on disk what was answered, also while the next answer is waited for."""
        self._run.tick()

    def end_at(self, moment: datetime, clock: Callable[[], datetime], rate: float) -> None:
        """Leave to the next cycle what there is no time for: asking ends then, at `rate` requests/s (0: no limit)."""
        self.is_over = lambda: self.is_stopping or clock() >= moment
        if rate:
            most = max(1, int(rate * (moment - clock()).total_seconds()))
            self.plan.budget = min(most, self.plan.budget or most)

    def stop(self) -> None:
        """Finish what is being asked, and ask nothing more."""
        self.is_stopping = True
        self._run.outcome = "interrupted"

    async def ask_level(self, source: Source, level: Level) -> int:
        """Ask for all that is wanted at a level, and once more for what came back unusable; returns the requests."""
        before = self.counts.asked.total()
        self.plan.ration(level)
        unusable: list[Endpoint] = []
        while (wanted := self.plan.wanted(level)) and not self.is_over():
            unusable += await self._ask(source, level, wanted)
        await self._ask(source, level, self.plan.within_budget(unusable))
        return self.counts.asked.total() - before

    async def reask(self, source: Source) -> int:
        """Ask again for the oldest documents; returns the requests."""
        self.counts.waiting = self.plan.waiting(self.levels)
        wanted = self.plan.reasked()
        await self._ask(source, "asked again", wanted)
        return len(wanted)

    async def _ask(self, source: Source, name: str, wanted: list[Endpoint]) -> list[Endpoint]:
        """Ask and learn; returns the documents that may tell more when asked once more."""
        endpoints = {endpoint.url(self._base_url): endpoint for endpoint in wanted}
        unusable = []
        async for url, answer in source.fetch_all(self._addresses(name, endpoints)):
            if isinstance(answer, Failure):
                self.counts.failed += 1
            elif not self._understand(endpoints[url], answer):
                unusable.append(endpoints[url])
        return unusable

    def _addresses(self, name: str, endpoints: dict[str, Endpoint]) -> Iterator[tuple[str, Validators | None]]:
        """Handed out one by one: what was not handed out when the cycle stops was not asked."""
        for url, endpoint in endpoints.items():
            if self.is_over():
                return
            self.plan.ask(endpoint)
            self.counts.asked[name] += 1
            yield url, self.plan.validators(endpoint)

    def _understand(self, endpoint: Endpoint, capture: Capture) -> bool:
        """False if the body is unfit and might be better next time. News go to the plan."""
        known = self.plan.validators(endpoint)
        if capture.body is None or (known and known.digest == capture.digest):
            self.counts.unchanged += 1
            return True
        said = read(capture)
        if isinstance(said, Document):
            self.counts.changed += 1
            self.plan.learn(said)
            return True
        self.counts.unfit[said.reason] += 1
        return capture.status in (404, 410)  # there is no such document: asking again at once is of no use


@contextmanager
def open_cycle(
    settings: Settings,
    scope: Scope,
    base_url: str | None,
    clock: Callable[[], datetime],
    manners: Manners | None = None,
    knowledge: Knowledge | None = None,
) -> Iterator[Cycle]:
    """A cycle with the archive locked: what a killed run left is loaded first, then the plan is made.

    The manifest keeps the `manners` with which the source is asked. `knowledge` is what the last cycle of the same
    scope knew, for a process that goes on.

    Raises BusyError if another process crawls into the same directory.
    """
    asked = {"base_url": base_url, **msgspec.structs.asdict(scope)}
    how = recorded(manners) if manners else {}
    with record(settings.archive, "poll", asked, clock, versions(), how) as run:
        bring_up_to_date(settings, parquet=False)
        yield Cycle(scope, base_url, run, read_plan(settings, scope, knowledge))


def read_plan(settings: Settings, scope: Scope, knowledge: Knowledge | None = None) -> Plan:
    """The plan of the next cycle, from what the database says of every document; of those that its runs since were
    about, if there is knowledge of the others."""
    knowledge = Knowledge() if knowledge is None else knowledge
    sequence = max((manifest.sequence for manifest in settings.archive.manifests()), default=0) + 1  # the shard's own

    def bring_up(plain: bool) -> None:
        with reading(settings.published, plain=plain) as connection:
            runs = queries.runs(connection)
            if not knowledge.runs <= runs:  # it is of another database
                knowledge.forget()
            lines = queries.ask(
                connection,
                "documents",
                election=scope.election,
                contest_types=list(scope.contest_types),
                longest_code=scope.longest_code,
                within=Shard.named(scope.shard).province if scope.shard else "",
                known_runs=list(knowledge.runs),
            )
            knowledge.take(one for one in decoded(line for (line,) in lines.rows) if scope.covers(one[0]))
            knowledge.runs |= runs

    replanned(bring_up)
    return Plan(scope, sequence, knowledge)
