"""Following the change instead of the tree: which documents to ask for in a cycle.

Every count document lists its children's figures. A child is *stale* when its parent's row differs from the child's
own chart; only stale children are asked for, level by level from the top, so that the national picture is there
first. All of it is derived from the warehouse, so nothing has to be remembered between cycles or after a crash.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import ceil

import msgspec

from extract.answers import Validators
from extract.endpoints import LEVELS, NATIONAL, ContestType, ElectionId, Endpoint, Level, level_of, parent_of
from extract.errors import UsageError
from extract.provinces import provinces
from flows.shards import Shard
from transform.model import Document

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
        region = endpoint.region
        if self.shard and Shard.of(endpoint).name != self.shard:
            return False
        return region == NATIONAL or any(
            region.startswith(root) or (endpoint.document == "wilayah" and root.startswith(region))
            for root in self.roots or provinces(endpoint.contest_type)
        )


class Figures(msgspec.Struct, frozen=True):
    """What a chart or a row says of a region, as far as it shows whether the region's own document has news."""

    votes: Mapping[str, int]
    stations: int | None
    reported_at: datetime | None

    @property
    def says_something(self) -> bool:
        """Before the first station reports there is nothing below to see."""
        return bool(self.stations) or any(self.votes.values())

    def agrees_with(self, other: "Figures") -> bool:
        """Same votes, same stations."""
        return (self.votes, self.stations) == (other.votes, other.stations)

    def is_no_older_than(self, other: "Figures | None") -> bool:
        """Caches serve old copies again: what they say is no news."""
        return not (other and other.reported_at and self.reported_at and self.reported_at < other.reported_at)


class State(msgspec.Struct):
    """What is known of one document: its own chart, its parent's row, when and how often it was asked."""

    own: Figures | None = None
    row: Figures | None = None
    last_run: int | None = None
    last_observed_at: datetime | None = None
    validators: Validators | None = None
    tries: int = 0

    @property
    def is_stale(self) -> bool:
        """Whether the parent tells of something that the document as we have it does not."""
        if self.row is None or not (self.row.says_something or self.own):
            return False
        if self.own is None:
            return True
        # KPU writes parents later than children: a row older than the document has nothing to tell about it
        return not self.row.agrees_with(self.own) and self.row.is_no_older_than(self.own)


class Known(msgspec.Struct, frozen=True):
    """A document and what is known of it."""

    endpoint: Endpoint
    state: State


class Plan:
    """The documents of one cycle. Ask it level by level, and tell it what every answer said."""

    def __init__(self, scope: Scope, sequence: int, known: Iterable[Known] = ()) -> None:
        self.scope = scope
        self.asked: set[Endpoint] = set()
        self.requests = 0
        self._sequence = sequence
        self._levels: dict[Level, dict[Endpoint, State]] = {level: {} for level in ORDER}
        for one in known:
            if scope.covers(one.endpoint):
                self._levels[level_of(one.endpoint.region)][one.endpoint] = one.state

    def wanted(self, level: Level) -> list[Endpoint]:
        """What to ask for at this level now: roots, stale documents, and the lists that name what is there."""
        wanted = dict.fromkeys((*self._starting_points(level), *self._stale(level), *self._unnamed(level)))
        return self.within_budget(endpoint for endpoint in wanted if endpoint not in self.asked)

    def reasked(self) -> list[Endpoint]:
        """The oldest documents, a small share of all: so that changes that cancel out are found too."""
        captured = [
            (state.last_observed_at, endpoint)
            for states in self._levels.values()
            for endpoint, state in states.items()
            if state.last_observed_at and state.validators
        ]
        share = ceil(self.scope.reask_share * len(captured))
        oldest = sorted(entry for entry in captured if entry[1] not in self.asked)[:share]
        return self.within_budget(endpoint for _, endpoint in oldest)

    def within_budget(self, wanted: Iterable[Endpoint]) -> list[Endpoint]:
        """As many as the cycle has left; the others are still stale in the next one."""
        found = list(wanted)
        return found[: max(0, self.scope.budget - self.requests)] if self.scope.budget else found

    def validators(self, endpoint: Endpoint) -> Validators | None:
        """The bytes we have of a document, and what the source gave to recognise them by."""
        return self._state(endpoint).validators

    def ask(self, endpoint: Endpoint) -> None:
        """Note that a document is being asked for: once a cycle is enough."""
        self.asked.add(endpoint)
        self.requests += 1

    def learn(self, document: Document) -> None:
        """Take in what an answer said of its own region and of the region's children."""
        endpoint = document.endpoint
        for tally in document.tallies:
            said = Figures(tally.votes, tally.stations_reported, document.reported_at)
            if tally.witness == "self":
                state = self._state(endpoint)
                if said.is_no_older_than(state.own):
                    state.own = said
            elif len(tally.unit_code) <= self.scope.longest_code:
                state = self._state(msgspec.structs.replace(endpoint, region=tally.unit_code))
                if said.is_no_older_than(state.row):
                    state.tries = state.tries if state.row and state.row.agrees_with(said) else 0
                    state.row = said

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
                is_here = level_of(region) == level and self.scope.covers(root)
                if is_here and (self._state(root).validators or self._is_due(self._state(root))):
                    yield root

    def _stale(self, level: Level) -> Iterator[Endpoint]:
        """Documents whose parents tell of news, those that keep disagreeing at growing distance; the oldest first,
        so that a budget leaves none behind for ever."""
        stale = [
            (state.last_observed_at or _NEVER, endpoint)
            for endpoint, state in self._levels[level].items()
            if endpoint.document == "hhcw" and state.is_stale and self._is_due(state)
        ]
        yield from (endpoint for _, endpoint in sorted(stale))

    def _unnamed(self, level: Level) -> Iterator[Endpoint]:
        """Region lists that were never captured, of regions whose count was."""
        if level != "tps":
            for endpoint, state in list(self._levels[level].items()):
                if endpoint.document == "hhcw" and state.own:
                    names = msgspec.structs.replace(endpoint, document="wilayah")
                    if self._is_missing(names):
                        yield names

    def _is_missing(self, endpoint: Endpoint) -> bool:
        """Whether it never answered with something understood, and is due to be asked again."""
        state = self._state(endpoint)
        return not state.validators and self._is_due(state)

    def _is_due(self, state: State) -> bool:
        """Whether enough cycles went by: 1, 2, 4, … after each fruitless try, as for a document that answers 404."""
        if state.last_run is None or not state.tries:
            return True
        return self._sequence - state.last_run >= 1 << min(state.tries - 1, _FARTHEST)

    def _state(self, endpoint: Endpoint) -> State:
        return self._levels[level_of(endpoint.region)].setdefault(endpoint, State())
