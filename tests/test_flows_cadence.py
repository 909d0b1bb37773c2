"""When the crawler looks again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.errors import UsageError
from flows.cadence import LONGEST, SHORTEST, USUAL, asking_ends, next_cycle, parse_every, rhythm, written

TEN = datetime(2024, 11, 28, 3, 0, 5, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def quarters(
    count: int, gap: timedelta = QUARTER, delay: timedelta = timedelta(minutes=8)
) -> list[tuple[datetime, datetime]]:
    """Publications up to ten o'clock, each first seen some minutes after its own time."""
    times = [TEN - gap * steps for steps in reversed(range(count))]
    return [(reported, reported + delay) for reported in times]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3600), ("0.5s", 0.5)])
def test_an_interval_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_every(text) == timedelta(seconds=seconds)
    assert parse_every(written(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_auto_is_no_fixed_interval() -> None:
    assert parse_every("auto") is None


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "0s", "1 week", "15 m in"])
def test_any_other_interval_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="90s, 15m or 1h"):
        parse_every(text)


def test_the_rhythm_is_the_commonest_gap_of_kpus_own_times() -> None:
    hourly = [TEN - timedelta(hours=hours) for hours in range(6)]
    assert rhythm(hourly) == timedelta(hours=1)
    assert rhythm([*hourly, TEN - timedelta(minutes=20)]) == timedelta(hours=1)


def test_a_few_seconds_more_or_less_do_not_change_the_rhythm() -> None:
    assert rhythm([TEN + QUARTER * steps + timedelta(seconds=steps % 4) for steps in range(8)]) == QUARTER


@pytest.mark.parametrize("count", [0, 1, 3])
def test_with_too_few_times_to_tell_the_usual_rhythm_holds(count: int) -> None:
    assert rhythm([TEN + timedelta(minutes=7) * steps for steps in range(count)]) == USUAL


def test_the_next_cycle_comes_just_after_the_next_publication_should_be_visible() -> None:
    now = TEN + timedelta(minutes=9)
    expected = TEN + QUARTER + timedelta(minutes=8)
    assert timedelta() < next_cycle(now, quarters(6), 0) - expected < timedelta(minutes=1)


def test_while_nothing_changes_the_distance_doubles_and_the_first_change_brings_it_back() -> None:
    now = TEN + timedelta(minutes=9)
    waits = [next_cycle(now, quarters(6), quiet) - now for quiet in range(8)]
    assert waits == sorted(waits)
    assert waits[1] > waits[0] * 1.5
    assert waits[-1] <= LONGEST + timedelta(minutes=9)
    assert next_cycle(now, quarters(6), 0) - now == waits[0]


@given(
    now=st.timedeltas(timedelta(hours=-27), timedelta(days=4)).map(lambda later: TEN + later),
    count=st.integers(0, 12),
    quiet=st.integers(0, 50),
)
def test_the_next_cycle_is_never_now_and_never_far_away(now: datetime, count: int, quiet: int) -> None:
    wait = next_cycle(now, [pair for pair in quarters(count) if pair[1] <= now], quiet) - now
    assert SHORTEST <= wait <= LONGEST + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("afterwards", "minutes"),
    [(None, 13.5), (0, 15), (120, 12.5), (3600, 3.75)],
    ids=["nobody knows yet", "nothing", "two minutes", "longer than there is time"],
)
def test_a_cycle_leaves_time_for_what_comes_after_the_last_answer(afterwards: float | None, minutes: float) -> None:
    needed = None if afterwards is None else timedelta(seconds=afterwards)
    assert asking_ends(TEN, QUARTER, needed) - TEN == timedelta(minutes=minutes)
