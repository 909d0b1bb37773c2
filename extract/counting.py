"""How the stations of one district report over a simulated night: when, and which votes, without asking them all.

A district's stations report in a shuffled order. How many have by each publication, and the votes of the first so
many, are given by formulas; a station's own votes are what it adds. So every sum is exact at every moment, a region
is summed over districts, and stations are looked at only where somebody asks for them.
"""

from array import array
from bisect import bisect_right

import msgspec

from extract.draws import draw, uniform
from extract.jakarta import CAPACITY

_REFERENCE = 76  # quarters of an hour from the first publication to the last of Jakarta's real night
_SPREAD = 5  # a pair's votes at a station differ from their mean by up to two fifths
_RISE, _FALL = 1.9, 23.0  # of Kumaraswamy's curve: half by 18:00, all but the late ones by midnight, as in Jakarta
_LATE = 0.006  # share of stations that trickle in through the night until the morning
_LONGEST = 16  # publications until a revision: four hours


class Revision(msgspec.Struct, frozen=True):
    """The station that reported as this one in its district had `moved` too many votes of a pair for some cycles."""

    rank: int
    pair: int
    moved: int
    since: int
    until: int

    def is_in(self, cycle: int) -> bool:
        """Whether the wrong figures are shown."""
        return self.since <= cycle < self.until


class Count(msgspec.Struct, frozen=True):
    """A contest in one district over the night: stations, those that report, their votes in the end, by pair.

    `invalid` is how many votes are invalid per valid one, `registered` how many voters a station has, about.
    `reached` is how many have reported by each cycle; bit n of `changes` says that something did in cycle n.
    """

    stream: int
    stations: int
    counted: int
    totals: tuple[int, ...]
    invalid: float
    registered: float
    reached: "array[int]"
    revisions: tuple[Revision, ...] = ()
    changes: int = 0

    def first(self, stations: int) -> list[int]:
        """The right votes of the first so many stations that reported."""
        if stations == 0 or stations == self.counted:
            return [total if stations else 0 for total in self.totals]
        noise = draw(self.stream, stations)
        sums = []
        for total in self.totals:
            mean = total / self.counted / _SPREAD
            sums.append(total * stations // self.counted + int(mean * ((noise & 0xFFFF) - 0x8000) / 0x8000))
            noise >>= 16
        return sums

    def shown(self, cycle: int) -> list[int]:
        """The votes of all that have reported by a cycle, with those that are revised later."""
        sums = self.first(self.reached[cycle])
        for revision in self.revisions:
            if revision.is_in(cycle):
                sums[revision.pair] += revision.moved
        return sums

    def station(self, rank: int) -> list[int]:
        """The right votes of the station that reported as this one."""
        return [after - before for before, after in zip(self.first(rank), self.first(rank + 1), strict=True)]

    def invalid_votes(self, rank: int, valid: int) -> int:
        """How many ballots were invalid there; a station has no more voters than it may have."""
        share = self.invalid * uniform(self.stream ^ 1, rank, 0.4, 1.6)
        return max(0, min(round(valid * share), CAPACITY - valid))

    def renewed(self, cycle: int) -> list[int]:
        """The ranks of the stations of which something new was shown in this cycle."""
        before = self.reached[cycle - 1] if cycle else 0
        return [
            *range(before, self.reached[cycle]),
            *(revision.rank for revision in self.revisions if revision.until == cycle),
        ]

    def cycle_of(self, rank: int) -> int:
        """The cycle in which the station that is this one in order reported; past the last cycle if it never does."""
        return bisect_right(self.reached, rank)


class Stations(msgspec.Struct, frozen=True):
    """The stations of a district: their ranks in the order of reports by place in the order of codes, and the reverse.

    `votes` are by rank, those of all pairs in a row; `revised` is by rank.
    """

    ranks: "array[int]"
    order: "array[int]"
    votes: "array[int]"
    revised: dict[int, Revision]
    pairs: int

    def votes_of(self, rank: int) -> "array[int]":
        """The right votes of the station that reported as this one."""
        return self.votes[rank * self.pairs : (rank + 1) * self.pairs]


def reached(stream: int, stations: int, cycles: int, early: float, pace: float) -> "array[int]":
    """How many stations have reported by each cycle, all of them by the last.

    `early` is how many quarters of an hour before Jakarta's the first come in, `pace` how much longer it all takes.
    """
    rounding, quarters = uniform(stream, -1), _REFERENCE / (cycles - 1)
    counts = array("H", [stations] * cycles)
    for cycle in range(cycles - 1):
        passed = max(0.0, (cycle * quarters + early) / (_REFERENCE * pace))
        prompt = 1 - (1 - passed**_RISE) ** _FALL if passed < 1 else 1.0
        share = (1 - _LATE) * prompt + _LATE * cycle / (cycles - 1)
        counts[cycle] = min(stations, int(stations * share + rounding * (passed > 0)))
    return counts


def counted(count: Count, revised: float) -> Count:
    """The count with its revisions, a share of its stations, and the cycles in which anything changes."""
    last = len(count.reached) - 1
    limit = revised * 2**64
    drawn = [
        _revision(count, rank, last)
        for rank in (range(count.counted) if revised else ())
        if draw(count.stream ^ 2, rank) < limit and count.cycle_of(rank) < last
    ]
    revisions = tuple(revision for revision in drawn if revision.moved)
    changes, before = 0, 0
    for cycle, now in enumerate(count.reached):
        changes |= (now > before) << cycle
        before = now
    for revision in revisions:
        changes |= 1 << revision.until
    return msgspec.structs.replace(count, revisions=revisions, changes=changes)


def _revision(count: Count, rank: int, last: int) -> Revision:
    """A few invalid votes taken for valid at first, or the reverse: as many ballots as before."""
    votes = count.station(rank)
    bits = draw(count.stream ^ 3, rank)
    pair, since = bits % len(votes), count.cycle_of(rank)
    most = count.invalid_votes(rank, sum(votes))
    moved = min(most, 1 + (bits >> 8) % 5) if bits >> 16 & 1 and most else -min(votes[pair], 1 + (bits >> 8) % 5)
    return Revision(rank, pair, moved, since, min(since + 1 + (bits >> 24) % _LONGEST, last))


def stations(count: Count, specials: frozenset[int] = frozenset()) -> Stations:
    """The stations of a district one by one; those at these places are the last that report."""
    order = sorted(set(range(count.stations)) - specials, key=lambda place: draw(count.stream ^ 4, place))
    regular = count.counted - len(specials)
    order[regular:regular] = sorted(specials)
    ranks, votes = array("H", bytes(2 * count.stations)), array("H")
    before = count.first(0)
    for rank, place in enumerate(order):
        ranks[place] = rank
        if rank < count.counted:
            after = count.first(rank + 1)
            votes.extend(now - then for then, now in zip(before, after, strict=True))
            before = after
    return Stations(
        ranks, array("H", order), votes, {revision.rank: revision for revision in count.revisions}, len(count.totals)
    )
