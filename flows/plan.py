"""Following the change instead of the tree: which documents to ask for in a cycle.

Every count document lists its children's figures. A child is *stale* when its parent's row differs from the child's
own chart; only stale children are asked for, level by level from the top, so that the national picture is there
first. All of it is derived from the warehouse, so nothing has to be remembered after a crash; who goes on for many
cycles may keep it.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from heapq import nsmallest
from math import ceil

import msgspec

from extract.answers import Validators
from extract.endpoints import (
    LEVELS,
    NATIONAL,
    ContestType,
    DocumentKind,
    ElectionId,
    Endpoint,
    Level,
    level_of,
    parent_of,
)
from extract.errors import UsageError
from extract.provinces import provinces
from flows.knowledge import Figures, Key, Knowledge, State
from flows.shards import Shard
from transform.model import Document, Tally

ORDER: tuple[Level, ...] = tuple(LEVELS.values())
"""From the top: a parent is always asked before its children."""

_FARTHEST = 5  # doublings: a document that never agrees is still asked every 32nd cycle, 8 hours in KPU's rhythm
_NEVER = datetime.min.replace(tzinfo=UTC)


class Scope(msgspec.Struct, frozen=True):
    """What a crawl is about: contest types, the regions to begin at (else every province of the contest), the finest
    level whose own documents are asked for, the share of the oldest documents asked again each cycle, and the most
    documents asked for in a cycle (0: any number). With a shard, only its share of all that."""

    election: ElectionId = "pilkada-2024"
    contest_types: tuple[ContestType, ...] = ("pkwkp",)
    roots: tuple[str, ...] = ()
    depth: Level = "district"
    reask_share: float = 0.02
    budget: int = 0
    shard: str | None = None

    def __post_init__(self) -> None:
        for root in self.roots:
            if ORDER.index(level_of(root)) > ORDER.index(self.depth):
                raise UsageError(f"region {root} lies below the depth {self.depth}; nothing of it would be asked for")
        if not 0 <= self.reask_share <= 1:
            raise UsageError(f"the share to ask again is 0 to 1, not {self.reask_share}")
        if self.budget < 0:
            raise UsageError(f"the budget is a number of requests, 0 for any, not {self.budget}")

    @property
    def longest_code(self) -> int:
        """Length of the codes at the finest level."""
        return next(length for length, level in LEVELS.items() if level == self.depth)

    def covers(self, endpoint: Endpoint) -> bool:
        """Whether a document is of this crawl: a database may hold others, from another crawl or a replay."""
        if self.shard and Shard.of(endpoint).name != self.shard:
            return False
        region, roots = endpoint.region, self.roots or provinces(endpoint.contest_type)
        if region == NATIONAL or region.startswith(roots):
            return True
        return endpoint.document == "wilayah" and any(root.startswith(region) for root in roots)


class Plan:
    """The documents of one cycle. Ask it level by level, and tell it what every answer said."""

    def __init__(self, scope: Scope, sequence: int, known: Knowledge | None = None) -> None:
        self.scope = scope
        self.known = Knowledge() if known is None else known
        self.asked: set[Key] = set()
        self.requests = 0
        self.budget = scope.budget
        """The most documents that this cycle asks for; 0 for any number."""
        self._sequence = sequence
        self._ration = scope.budget

    def ration(self, level: Level) -> None:
        """Give a level its part of what the cycle may still ask: half, so that those below it are never starved; the
        finest one nine tenths, so that there is something left for the oldest documents.
        """
        left = self.budget - self.requests
        self._ration = self.budget - (left // 10 if level == self.scope.depth else left // 2)

    def wanted(self, level: Level) -> list[Endpoint]:
        """What to ask for at this level now: roots, stale documents, and the lists that name what is there."""
        return self.within_budget(self._all_wanted(level))

    def waiting(self, levels: Iterable[Level]) -> int:
        """Documents that are wanted and were not asked for: the next cycle's."""
        return sum(len(self._all_wanted(level)) for level in levels)

    def reasked(self) -> list[Endpoint]:
        """The oldest documents, a small share of all: so that changes that cancel out are found too. Half of them above
        the finest level: one answer there tells of everything below.
        """
        self._ration = self.budget
        share = ceil(self.scope.reask_share * sum(_is_captured(state) for _, state in self.known))
        above = nsmallest(share // 2, (one for one in self._captured() if len(one[-1]) < self.scope.longest_code))
        taken = set(above)
        oldest = nsmallest(share - len(above), (one for one in self._captured() if one not in taken))
        return self.within_budget(
            Endpoint(self.scope.election, document, contest_type, region)
            for _, document, contest_type, region in (*above, *oldest)
        )

    def within_budget(self, wanted: Iterable[Endpoint]) -> list[Endpoint]:
        """As many as the level has left; the others are still stale in the next cycle."""
        found = list(wanted)
        return found[: max(0, self._ration - self.requests)] if self.budget else found

    def validators(self, endpoint: Endpoint) -> Validators | None:
        """The bytes we have of a document, and what the source gave to recognise them by."""
        return self._state(endpoint).validators

    def ask(self, endpoint: Endpoint) -> None:
        """Note that a document is being asked for: once a cycle is enough."""
        self.asked.add(_key(endpoint))
        self.requests += 1

    def learn(self, document: Document) -> None:
        """Take in what an answer said of its own region and of the region's children; caches serve old copies again:
        what they say is no news.
        """
        said_at, before = document.reported_at, self._state(document.endpoint).reported_at
        if not document.tallies or (before and said_at and said_at < before):
            return
        for tally in document.tallies:
            if tally.witness == "self":
                self._learn(document.endpoint, tally, said_at)
            elif len(tally.unit_code) <= self.scope.longest_code:
                self._learn_row(document.endpoint, tally)

    def _learn(self, endpoint: Endpoint, tally: Tally, said_at: datetime | None) -> None:
        state = self._state(endpoint)
        said = Figures.of(tally.votes, tally.stations_reported)
        state.own, state.reported_at = state.row if state.row == said else said, said_at
        self.known.put(_key(endpoint), state)

    def _learn_row(self, parent: Endpoint, tally: Tally) -> None:
        key: Key = (parent.contest_type, "hhcw", tally.unit_code)
        state = self.known.find(key) or State()
        said = Figures.of(tally.votes, tally.stations_reported)
        if state.row != said:
            state.row, state.tries = state.own if state.own == said else said, 0
            self.known.put(key, state)

    def _all_wanted(self, level: Level) -> list[Endpoint]:
        wanted = dict.fromkeys((*self._starting_points(level), *self._stale(level), *self._unnamed(level)))
        return [endpoint for endpoint in wanted if _key(endpoint) not in self.asked]

    def _starting_points(self, level: Level) -> Iterator[Endpoint]:
        """The roots of the crawl, every cycle; the pairs, and the lists that name the roots, until they are there."""
        for contest_type in self.scope.contest_types:
            roots = self.scope.roots or provinces(contest_type)
            lists = [
                Endpoint(self.scope.election, "paslon", contest_type),
                *(
                    Endpoint(self.scope.election, "wilayah", contest_type, parent_of(root) or NATIONAL)
                    for root in roots
                ),
            ]
            here = [one for one in lists if level_of(one.region) == level and self.scope.covers(one)]
            yield from (one for one in here if self._is_missing(one))
            for region in roots:
                root = Endpoint(self.scope.election, "hhcw", contest_type, region)
                state = self._state(root)
                is_here = level_of(region) == level and self.scope.covers(root)
                if is_here and (state.packed_validators or self._is_due(state)):
                    yield root

    def _stale(self, level: Level) -> Iterator[Endpoint]:
        """Documents whose parents tell of news, those that keep disagreeing at growing distance; the oldest first,
        so that a budget leaves none behind for ever."""
        stale = []
        for contest_type in self.scope.contest_types:
            for region in self.known.differing(contest_type, _length(level)):
                endpoint = Endpoint(self.scope.election, "hhcw", contest_type, region)
                state = self._state(endpoint)
                parent = self.known.find((contest_type, "hhcw", parent_of(region) or NATIONAL))
                if state.is_stale(parent) and self._is_due(state) and self.scope.covers(endpoint):
                    stale.append((state.last_observed_at or _NEVER, endpoint))
        yield from (endpoint for _, endpoint in sorted(stale))

    def _unnamed(self, level: Level) -> Iterator[Endpoint]:
        """Region lists that were never captured, of regions whose count was."""
        if level != "tps":
            for contest_type in self.scope.contest_types:
                for region in self.known.unnamed(contest_type, _length(level)):
                    names = Endpoint(self.scope.election, "wilayah", contest_type, region)
                    if self._is_missing(names):
                        yield names

    def _captured(self) -> Iterator[tuple[datetime, DocumentKind, ContestType, str]]:
        """What was captured, when it was last, and was not asked for in this cycle."""
        for (contest_type, document, region), state in self.known:
            if state.last_observed_at and _is_captured(state) and (contest_type, document, region) not in self.asked:
                yield state.last_observed_at, document, contest_type, region

    def _is_missing(self, endpoint: Endpoint) -> bool:
        """Whether it never answered with something understood, and is due to be asked again."""
        state = self._state(endpoint)
        return not state.packed_validators and self._is_due(state)

    def _is_due(self, state: State) -> bool:
        """Whether enough cycles went by: 1, 2, 4, … after each fruitless try, as for a document that answers 404."""
        if state.last_run is None or not state.tries:
            return True
        return self._sequence - state.last_run >= 1 << min(state.tries - 1, _FARTHEST)

    def _state(self, endpoint: Endpoint) -> State:
        return self.known.find(_key(endpoint)) or State()


def _key(endpoint: Endpoint) -> Key:
    return endpoint.contest_type, endpoint.document, endpoint.region


def _is_captured(state: State) -> bool:
    return state.last_observed_at is not None and state.packed_validators is not None


def _length(level: Level) -> int:
    """Length of the codes of a level; the country's is `0`."""
    return next(length for length, name in LEVELS.items() if name == level) or len(NATIONAL)
