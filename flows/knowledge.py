"""What a crawler knows of every document, as small as it goes: half a kilobyte each, for a million of them.

All of it is derived from the warehouse. A process that goes on for many cycles keeps it and learns only what became
of the last cycle's runs.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import msgspec

from extract.answers import Validators
from extract.endpoints import ContestType, DocumentKind, Endpoint

_packer = msgspec.msgpack.Encoder(order="deterministic")  # equal figures must be equal bytes
_validators = msgspec.msgpack.Decoder(tuple[str, int, str | None, str | None])

Key = tuple[ContestType, DocumentKind, str]
"""A document of an election: contest type, kind, region."""


class Figures(msgspec.Struct, frozen=True, gc=False):
    """What a chart or a row says of a region, packed, as far as it shows whether the region's document has news."""

    packed: bytes

    @classmethod
    def of(cls, votes: Mapping[str, int], stations: int | None) -> "Figures":
        """Votes by candidate and stations reported. Before the first station reports, nothing is said."""
        return cls(_packer.encode((bool(stations) or any(votes.values()), stations, votes)))

    @property
    def says_something(self) -> bool:
        """Before the first station reports there is nothing below to see."""
        return self.packed[1] == 0xC3  # msgpack's "true", behind the byte that begins the array


class State(msgspec.Struct, gc=False):
    """What is known of one document: its own chart and KPU's time for it, its parent's row, when and how often it was
    asked since that row is what it is, and what the source gave to recognise its bytes by.
    """

    own: Figures | None = None
    row: Figures | None = None
    reported_at: datetime | None = None
    last_run: int | None = None
    last_observed_at: datetime | None = None
    packed_validators: bytes | None = None
    tries: int = 0

    @property
    def validators(self) -> Validators | None:
        """What to ask with: "only if it is no longer these bytes"."""
        return Validators(*_validators.decode(self.packed_validators)) if self.packed_validators else None

    @property
    def differs(self) -> bool:
        """Whether the parent's row tells of something that the document as we have it does not."""
        if self.row is None or self.row == self.own:
            return False
        return self.own is not None or self.row.says_something

    def is_stale(self, parent: "State | None") -> bool:
        """Whether asking for the document will tell more. KPU writes parents later than children: a row that is older
        than the document has nothing to tell about it.
        """
        if not self.differs:
            return False
        told_at = parent.reported_at if parent else None
        return self.own is None or not (self.reported_at and told_at and told_at < self.reported_at)


class _Said(msgspec.Struct, frozen=True):
    votes: dict[str, int] | None
    stations: int | None


def _figures(said: _Said | None) -> Figures | None:
    return Figures.of(said.votes or {}, said.stations) if said else None


class Known(msgspec.Struct, frozen=True):
    """A document as the warehouse tells of it (`warehouse/queries/documents.sql`)."""

    endpoint: Endpoint
    own: _Said | None
    row: _Said | None
    reported_at: datetime | None
    last_run: int | None
    last_observed_at: datetime | None
    validators: Validators | None
    tries: int


_known = msgspec.json.Decoder(Known, strict=False)  # moments come as seconds since 1970


def decoded(lines: Iterable[str]) -> Iterator[tuple[Endpoint, State]]:
    """The documents that lines of JSON tell of, one by one. What many have in common is there once."""
    moments: dict[datetime | None, datetime | None] = {}
    for line in lines:
        known = _known.decode(line)
        reported_at = moments.setdefault(known.reported_at, known.reported_at)
        own, row = _figures(known.own), _figures(known.row)
        yield (
            known.endpoint,
            State(
                own,
                own if row == own else row,
                reported_at,
                known.last_run,
                known.last_observed_at,
                packed(known.validators) if known.validators else None,
                known.tries,
            ),
        )


def packed(validators: Validators) -> bytes:
    """Validators as `State` keeps them."""
    return _packer.encode(msgspec.structs.astuple(validators))


class Knowledge:
    """States by document, and which of them may need asking: nothing looks at all of them but `oldest`."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.runs: set[str] = set()  # those that are taken in
        self._states: dict[tuple[ContestType, DocumentKind], dict[str, State]] = {}
        self._differing: dict[tuple[ContestType, int], dict[str, None]] = {}
        self._unnamed: dict[tuple[ContestType, int], dict[str, None]] = {}

    def take(self, known: Iterable[tuple[Endpoint, State]]) -> None:
        """Take in what is known of documents, instead of what was known of them."""
        for endpoint, state in known:
            self.put((endpoint.contest_type, endpoint.document, endpoint.region), state)

    def __len__(self) -> int:
        return sum(map(len, self._states.values()))

    def __iter__(self) -> Iterator[tuple[Key, State]]:
        for (contest_type, document), states in self._states.items():
            for region, state in states.items():
                yield (contest_type, document, region), state

    def find(self, key: Key) -> State | None:
        """The state of a document; None if nothing is known of it."""
        contest_type, document, region = key
        return self._states.get((contest_type, document), {}).get(region)

    def put(self, key: Key, state: State) -> None:
        """Take in a state, and note whether it may need asking."""
        contest_type, document, region = key
        states = self._states.setdefault((contest_type, document), {})
        states[sys.intern(region)] = state  # one text for the two contests' counts and lists
        at = (contest_type, len(region))
        if document == "hhcw":
            _mark(self._differing.setdefault(at, {}), region, state.differs)
            names = self.find((contest_type, "wilayah", region))
            _mark(
                self._unnamed.setdefault(at, {}),
                region,
                state.own is not None and not (names and names.packed_validators),
            )
        elif document == "wilayah" and region in (unnamed := self._unnamed.get(at, {})):
            _mark(unnamed, region, state.packed_validators is None)

    def differing(self, contest_type: ContestType, length: int) -> list[str]:
        """Regions with codes of a length whose parents' rows differ from what their documents say."""
        return list(self._differing.get((contest_type, length), ()))

    def unnamed(self, contest_type: ContestType, length: int) -> list[str]:
        """Regions whose count was captured, and the list of whose children was not."""
        return list(self._unnamed.get((contest_type, length), ()))


def _mark(marked: dict[str, None], region: str, is_so: bool) -> None:
    if is_so:
        marked[region] = None
    else:
        marked.pop(region, None)
