"""When to look again: at a fixed interval, or in KPU's own rhythm as its times show it.

KPU published every 15 minutes in 2024, and what was served was 8 to 23 minutes old: so the rhythm is learned from
the times in the documents, and the delay from when they were first seen.
"""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from extract.errors import UsageError

USUAL = timedelta(minutes=15)  # KPU's rhythm in both elections of 2024
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=2)
GRACE = timedelta(seconds=30)  # after the moment a publication is expected, for the cache in front of it
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


def parse_every(text: str) -> timedelta | None:
    """`auto`, or a duration such as `90s`, `15m` or `1h`. Raises UsageError for anything else."""
    if text == "auto":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not found or not float(found[1]):
        raise UsageError(f"cannot read the interval {text!r}; write auto, or a duration such as 90s, 15m or 1h")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def written(interval: timedelta) -> str:
    """As `parse_every` reads it."""
    return f"{interval.total_seconds():g}s"


def rhythm(reported: Sequence[datetime]) -> timedelta:
    """The commonest gap between KPU's own times, to the minute; 15 minutes while there are too few to tell."""
    minutes = sorted({moment.replace(second=0, microsecond=0) for moment in reported})
    gaps = Counter(later - earlier for earlier, later in pairwise(minutes))
    if gaps.total() < 3:  # two gaps may be chance
        return USUAL
    commonest = max(gaps, key=lambda gap: (gaps[gap], -gap))
    return min(max(commonest, SHORTEST), LONGEST)


def asking_ends(started_at: datetime, every: timedelta, afterwards: timedelta | None) -> datetime:
    """When a cycle asks for nothing more, so that it ends before the next begins: archiving the rest, loading and
    publishing take as long as `afterwards`, the last time, and a quarter; a tenth of the interval if nobody knows yet.
    """
    every = max(every, SHORTEST)  # or there would be time for nothing
    needed = every / 10 if afterwards is None else afterwards * 1.25
    return started_at + max(every - needed, every / 4)


def next_fixed(now: datetime, started_at: datetime, every: timedelta) -> datetime:
    """When the next cycle begins at a fixed interval: one that takes longer is not caught up with, and a clock that
    was set back is not waited for.
    """
    return min(max(started_at + every, now), now + every)


def next_cycle(now: datetime, seen: Sequence[tuple[datetime, datetime]], quiet_cycles: int) -> datetime:
    """When the next cycle begins in KPU's own rhythm: when its next publication should be there.

    `seen` pairs each of KPU's recent times with the moment it was first observed, oldest first. While nothing
    changes the distance doubles each time, to two hours at most; the first change brings it back.
    """
    period = min(rhythm([reported for reported, _ in seen]) * (1 << min(quiet_cycles, 10)), LONGEST)
    if not seen:
        return now + period
    newest, _ = seen[-1]
    delay = max(min(observed - reported for reported, observed in seen), timedelta())
    expected = newest + delay + GRACE
    missed = max(0, -((expected - now) // period))  # publications that should have come since the newest
    soonest, latest = now + SHORTEST, now + period + GRACE  # also if our clock, or KPU's, was hours off and set right
    return min(max(expected + max(1, missed) * period, soonest), max(latest, soonest))
