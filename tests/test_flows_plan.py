"""The planner follows the change: whatever happens in a country, a crawl ends with the truth and asks for little more
than what changed."""

import asyncio
import tempfile
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest
from crawls import OPENING, QUARTER, Change, Country, InProcess, Memory, Steps, crawl, most_asked, place, rank
from hypothesis import Phase, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from kpu_bodies import november

from extract.answers import Validators
from extract.endpoints import NATIONAL, Endpoint
from extract.errors import EndpointError, UsageError
from flows.cycle import Cycle, read_plan
from flows.knowledge import Figures, Knowledge, State, packed
from flows.plan import Plan, Scope
from warehouse import queries
from warehouse.connection import reading

JAKARTA = Scope(roots=("31",), depth="district", reask_share=0.1)
VILLAGES = [
    f"31{regency:02}{district:02}{village:04}" for regency in (1, 2) for district in (1, 2) for village in (1001, 1002)
]
FAULTS = ("missing", "broken", "broken at first", "old", "short")
QUIET = 40  # cycles after which a document that never agreed has been asked again

changes = st.lists(
    st.builds(
        Change,
        st.integers(0, 4),
        st.sampled_from(VILLAGES),
        st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 2)),  # so small that sums often stay the same
    ),
    max_size=10,
    unique_by=lambda change: change[:2],
)
faults = st.dictionaries(
    st.tuples(st.integers(0, 5), st.sampled_from(["31", "3101", "3102", "310101", "310202"])),
    st.sampled_from(FAULTS),
    max_size=6,
)


class Crawled(NamedTuple):
    """A cycle as the source saw it, and what the cycle counted."""

    asked: list[Endpoint]
    news: list[Endpoint]
    counts: Any


class Night:
    """A country's night asked for cycle by cycle by crawlers that remember nothing but `memory`."""

    def __init__(
        self, country: Country, scope: Scope = JAKARTA, faults: dict[tuple[int, str], str] | None = None
    ) -> None:
        self.country = country
        self.scope = scope
        self.step = -1
        self.memory = Memory()
        self.clock = Steps()
        self.source = InProcess(self.answer, self.clock)
        self._faults = faults or {}

    def answer(self, endpoint: Endpoint) -> tuple[int, bytes]:
        fault = self._faults.get((self.step, endpoint.region)) if endpoint.document == "hhcw" else None
        if fault == "missing":
            return 404, b"<html>"
        if fault == "broken" or (fault == "broken at first" and endpoint not in self._asked_now):
            self._asked_now.add(endpoint)
            return 200, b'{"mode":'
        status, body = self.country.document(endpoint, max(self.step - 2, -1) if fault == "old" else self.step)
        return status, _without_a_row(body) if fault == "short" else body

    def begin(self) -> None:
        self.step += 1
        self.clock.now = OPENING + self.step * QUARTER
        self.source.asked, self.source.news, self._asked_now = [], [], set()
        self.memory.begin_cycle()

    def cycle(self) -> Crawled:
        """One cycle without archive and database."""
        self.begin()
        run = SimpleNamespace(append=self.memory.keep, tick=lambda: None)
        cycle = Cycle(self.scope, None, run, Plan(self.scope, self.step + 1, self.memory.knowledge()))  # type: ignore[arg-type]
        self.source.keep = cycle.keep

        async def levels() -> None:
            for level in cycle.levels:
                await cycle.ask_level(self.source, level)
            await cycle.reask(self.source)

        asyncio.run(levels())
        return Crawled(self.source.asked, self.source.news, cycle.counts)

    def wrong(self) -> list[str]:
        """What is known otherwise than it is, in documents and in rows."""
        known = {one.region: state for one, state in self.memory.known().items() if one.document == "hhcw"}
        wrong = []
        for region in [*self.country.regions(), *VILLAGES]:
            stations, *votes = self.country.figures(region, self.step)
            state = known.get(region, State())
            said = state.row if len(region) == 10 else state.own
            told = dict(zip(("1000023", "1000024"), votes, strict=True)) if stations else {}
            if (said or Figures.of({}, 0)) != Figures.of(told, stations):
                wrong.append(region)
        return wrong


@given(changes, st.integers(0, 2))
@effort(max_examples=150)
def test_whatever_changes_it_ends_with_the_truth_and_within_the_bound(happened: list[Change], lag: int) -> None:
    night = Night(Country(VILLAGES, happened, lag))
    cycles = [night.cycle() for _ in range(night.country.last_step + QUIET)]
    assert night.wrong() == []
    for asked, news, counts in cycles:
        assert most_asked(asked) <= 1
        assert len(asked) <= len(news) + 1 + counts.asked["asked again"]  # one root
        assert counts.asked["asked again"] <= ceil(0.1 * len(night.memory.known()))


@given(changes, st.integers(0, 1), faults)
@effort(max_examples=150)
def test_whatever_the_source_gets_wrong_it_ends_with_the_truth(
    happened: list[Change], lag: int, struck: dict[tuple[int, str], str]
) -> None:
    night = Night(Country(VILLAGES, happened, lag), faults=struck)
    for _ in range(6 + QUIET):
        asked, _, counts = night.cycle()
        assert most_asked(asked) <= 1 + (counts.unfit.total() > 0)
    assert night.wrong() == []


@given(changes, st.integers(3, 8))
@effort(max_examples=40)
def test_a_budget_is_kept_and_what_is_left_is_carried_over(happened: list[Change], budget: int) -> None:
    scope = Scope(roots=("31",), depth="district", reask_share=0.1, budget=budget)
    night = Night(Country(VILLAGES, happened), scope)
    cycles = [night.cycle() for _ in range(5 + QUIET)]
    assert max(len(asked) for asked, *_ in cycles) <= budget
    assert night.wrong() == []


@given(changes, st.integers(0, 1), faults)
@effort(max_examples=5, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # to shrink these takes minutes
def test_the_database_knows_what_a_memory_of_every_capture_would_know(
    happened: list[Change], lag: int, struck: dict[tuple[int, str], str]
) -> None:
    night = Night(Country(VILLAGES, happened, lag), faults=struck)
    night.source.watch = night.memory.keep
    with tempfile.TemporaryDirectory() as directory:
        settings = place(Path(directory))
        for _ in range(6):
            night.begin()
            crawl(settings, JAKARTA, night.source, night.clock)
            remembered = {one: state for one, state in night.memory.known().items() if len(one.region) <= 6}
            assert said(read_plan(settings, JAKARTA)) == remembered


def _without_a_row(body: bytes) -> bytes:
    """A table that has lost one of its regions."""
    said = msgspec.json.decode(body)
    if table := said["tungsura"]["table"]:
        table.popitem()
    return msgspec.json.encode(said)


def said(plan: Plan) -> dict[Endpoint, State]:
    """What a plan knows of any document."""
    return {
        Endpoint(plan.scope.election, document, contest_type, region): state
        for (contest_type, document, region), state in plan.known
        if state != State()
    }


@given(changes, st.integers(0, 1), faults, st.dictionaries(st.integers(0, 5), st.integers(1, 9), max_size=3))
@effort(max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])  # to shrink these takes minutes
def test_what_a_process_keeps_from_cycle_to_cycle_is_what_the_database_says(
    happened: list[Change], lag: int, struck: dict[tuple[int, str], str], stopped: dict[int, int]
) -> None:
    night, kept = Night(Country(VILLAGES, happened, lag), faults=struck), Knowledge()
    with tempfile.TemporaryDirectory() as directory:
        settings = place(Path(directory))
        for step in range(6):
            night.begin()

            def stop_soon(cycle: Cycle, most: int = stopped.get(step, 99)) -> None:
                night.source.watch = lambda _: len(night.source.asked) >= most and cycle.stop()

            crawl(settings, JAKARTA, night.source, night.clock, stop_soon, kept)
            assert said(read_plan(settings, JAKARTA, kept)) == said(read_plan(settings, JAKARTA))


def test_what_was_kept_of_another_database_is_forgotten(tmp_path: Path) -> None:
    night, kept = Night(Country(VILLAGES, [Change(0, village, (1, 5, 7)) for village in VILLAGES])), Knowledge()
    night.begin()
    crawl(place(tmp_path / "one"), JAKARTA, night.source, night.clock, knowledge=kept)
    crawl(place(tmp_path / "other"), JAKARTA, night.source, night.clock)
    assert said(read_plan(place(tmp_path / "one"), JAKARTA, kept)) != {}
    other = place(tmp_path / "other")
    assert said(read_plan(other, JAKARTA, kept)) == said(read_plan(other, JAKARTA))


def test_the_national_picture_comes_first_and_a_level_is_done_before_the_next() -> None:
    asked = Night(Country(VILLAGES, [Change(0, village, (1, 5, 7)) for village in VILLAGES])).cycle().asked
    assert [rank(endpoint) for endpoint in asked] == sorted(map(rank, asked))
    assert asked[:2] == [november(NATIONAL, "paslon"), november(NATIONAL, "wilayah")]
    assert asked[2] == november("31")


def test_changes_that_cancel_out_are_found_by_asking_again() -> None:
    one, other = VILLAGES[:2]
    night = Night(
        Country(
            VILLAGES,
            [
                Change(0, one, (1, 5, 7)),
                Change(0, other, (1, 7, 5)),
                Change(2, one, (1, 7, 5)),
                Change(2, other, (1, 5, 7)),
            ],
        )
    )
    for _ in range(3):
        night.cycle()
    assert set(night.wrong()) == {one, other}  # no table above tells of it
    for _ in range(12):
        night.cycle()
    assert night.wrong() == []


def test_nothing_below_a_root_that_did_not_change_is_asked_for() -> None:
    night = Night(Country(VILLAGES, [Change(0, VILLAGES[0], (1, 5, 7))]), Scope(roots=("31",), reask_share=0))
    night.cycle()
    assert night.cycle().asked == [november("31")]


def figures(votes: int) -> Figures:
    return Figures.of({"1000023": votes}, 1)


def state(own: Figures | None, row: Figures | None, **more: Any) -> State:
    return State(own, row, packed_validators=packed(Validators("sha256:", 0)), last_observed_at=OPENING, **more)


def known(states: dict[Endpoint, State]) -> Knowledge:
    knowledge = Knowledge()
    knowledge.take(states.items())
    return knowledge


@pytest.mark.parametrize(
    ("own", "row", "later", "is_stale"),
    [
        (figures(5), figures(5), 15, False),
        (figures(5), figures(6), 15, True),
        (figures(5), figures(6), -15, False),
        (figures(5), figures(4), 0, True),
        (None, figures(5), 0, True),
        (None, Figures.of({}, 0), 0, False),
        (figures(5), Figures.of({}, 0), 15, True),
        (figures(5), None, 15, False),
    ],
    ids=[
        "same figures, newer parent",
        "other figures, newer parent",
        "other figures, older parent: it lags",
        "other figures of the same moment",
        "never captured",
        "never captured, and nothing reported yet",
        "reported, and the parent says nothing any more",
        "no longer in its parent's table",
    ],
)
def test_a_document_is_stale_when_its_parent_tells_of_something_it_does_not(
    own: Figures | None, row: Figures | None, later: int, is_stale: bool
) -> None:
    parent = State(reported_at=OPENING + timedelta(minutes=later))
    assert State(own, row, OPENING if own else None).is_stale(parent) is is_stale


def asked_in(one: State, endpoint: Endpoint) -> list[int]:
    """The cycles of the first hundred in which a document is asked for that never changes its answer."""
    asked = []
    for sequence in range(100):
        if endpoint in Plan(JAKARTA, sequence, known({endpoint: one})).wanted("regency"):
            asked.append(sequence)
            one.last_run, one.tries = sequence, one.tries + 1
    return asked


def test_a_child_that_keeps_disagreeing_is_asked_at_growing_distance_but_never_given_up() -> None:
    asked = asked_in(state(figures(5), figures(6)), november("3101"))
    distances = [later - earlier for earlier, later in pairwise(asked)]
    assert distances == [1, 2, 4, 8, 16, 32, 32]


def test_a_document_that_is_not_there_is_asked_at_growing_distance() -> None:
    asked = asked_in(State(None, figures(6)), november("3101"))
    assert asked == [0, 1, 3, 7, 15, 31, 63, 95]


def test_a_parent_that_tells_something_else_ends_the_distance() -> None:
    root = november("31")
    night = Night(Country(VILLAGES, [Change(0, VILLAGES[0], (1, 5, 7)), Change(3, VILLAGES[0], (1, 6, 7))]), faults={
        (step, "3101"): "missing" for step in range(3)
    })  # fmt: skip
    asked = [night.cycle().asked for _ in range(4)]
    assert [november("3101") in cycle for cycle in asked] == [True, True, False, True]
    assert all(root in cycle for cycle in asked)


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.01, 1), (0.5, 5), (1, 10)])
def test_the_oldest_documents_are_asked_again_a_share_of_all(share: float, count: int) -> None:
    captured = {
        november(f"3101{n:02}"): State(
            last_observed_at=OPENING - timedelta(hours=n), packed_validators=packed(Validators("", 0))
        )
        for n in range(10)
    }
    reasked = Plan(Scope(roots=("31",), reask_share=share), 7, known(captured)).reasked()
    assert [endpoint.region for endpoint in reasked] == [f"3101{n:02}" for n in range(9, 9 - count, -1)]


def test_half_of_what_is_asked_again_lies_above_the_finest_level() -> None:
    hours = {november(f"31{n:02}"): n for n in range(1, 7)} | {november(f"3101{n:02}"): 10 + n for n in range(1, 15)}
    captured = {
        endpoint: State(last_observed_at=OPENING - timedelta(hours=n), packed_validators=packed(Validators("", 0)))
        for endpoint, n in hours.items()
    }
    reasked = Plan(Scope(roots=("31",), reask_share=0.2), 7, known(captured)).reasked()
    assert [endpoint.region for endpoint in reasked] == ["3106", "3105", "310114", "310113"]


def test_with_a_budget_the_oldest_come_first_so_that_none_waits_for_ever() -> None:
    stale = {
        november(f"31{n:02}"): State(figures(5), figures(6), last_observed_at=OPENING - timedelta(hours=n))
        for n in range(1, 5)
    }
    plan = Plan(Scope(roots=("31",), budget=2), 7, known(stale))
    assert [endpoint.region for endpoint in plan.wanted("regency")] == ["3104", "3103"]


def test_what_another_crawl_left_in_the_database_is_none_of_this_ones_business(tmp_path: Path) -> None:
    night, settings = Night(Country(VILLAGES, [Change(0, village, (1, 5, 7)) for village in VILLAGES])), place(tmp_path)
    night.begin()
    crawl(settings, JAKARTA, night.source, night.clock)
    plan = read_plan(settings, Scope(roots=("3102",), depth="district", reask_share=1))
    assert {region for (_, document, region), _ in plan.known if document == "hhcw"} == {"3102", "310201", "310202"}
    assert {endpoint.region for endpoint in plan.reasked()} == {"0", "31", "3102", "310201", "310202"}
    elsewhere = read_plan(settings, Scope(roots=("32",), depth="district", reask_share=1))
    assert elsewhere.wanted("province") == [november("32")]
    assert {endpoint.region for endpoint in elsewhere.reasked()} == {"0"}


def test_a_depth_is_not_passed_whatever_the_database_holds(tmp_path: Path) -> None:
    night = Night(Country(VILLAGES, [Change(0, VILLAGES[0], (1, 5, 7))]))
    night.begin()
    settings = place(tmp_path)
    crawl(settings, JAKARTA, night.source, night.clock)
    night.begin()
    shallow = Scope(roots=("31",), depth="regency", reask_share=1)
    crawl(settings, shallow, night.source, night.clock)
    assert max(map(rank, night.source.asked)) == 2


def test_a_cycle_asks_for_no_more_than_its_rate_allows_until_it_has_to_end(tmp_path: Path) -> None:
    night = Night(Country(VILLAGES, [Change(0, village, (1, 5, 7)) for village in VILLAGES]))
    settings, asked, waiting = place(tmp_path), [], []

    def end_soon(cycle: Cycle) -> None:
        cycle.end_at(night.clock.now + timedelta(seconds=3), night.clock, rate=2)

    while len(waiting) < 2 or waiting[-1]:
        night.begin()
        waiting.append(crawl(settings, JAKARTA, night.source, night.clock, end_soon).counts.waiting)
        asked += night.source.asked
        assert 0 < len(night.source.asked) <= 6
    assert waiting[0] > 0
    assert {endpoint.region for endpoint in asked if endpoint.document == "hhcw"} == set(night.country.regions())


def test_a_cycle_asks_for_nothing_once_its_time_is_over_however_slow_the_source(tmp_path: Path) -> None:
    night = Night(Country(VILLAGES, [Change(0, village, (1, 5, 7)) for village in VILLAGES]))
    night.begin()

    def take_a_minute_each(cycle: Cycle) -> None:
        cycle.end_at(night.clock.now + timedelta(minutes=3), night.clock, rate=0)
        night.source.watch = lambda _: setattr(night.clock, "now", night.clock.now + timedelta(minutes=1))

    cycle = crawl(place(tmp_path), JAKARTA, night.source, night.clock, take_a_minute_each)
    assert len(night.source.asked) == 3
    assert cycle.counts.waiting > 0


def test_names_and_pairs_are_asked_for_once_and_are_then_known(tmp_path: Path) -> None:
    night = Night(Country(VILLAGES, [Change(0, VILLAGES[0], (1, 5, 7))]), Scope(roots=("31",), reask_share=0))
    settings = place(tmp_path)
    asked: Counter[str] = Counter()
    for _ in range(3):
        night.begin()
        crawl(settings, night.scope, night.source, night.clock)
        asked.update(endpoint.document for endpoint in night.source.asked)
    assert asked == {"paslon": 1, "wilayah": 4, "hhcw": 5}  # the country, 31, 3101, 310101; then the root twice more
    with reading(settings.published) as connection:
        names = {
            line["unit_code"]: line["unit_name"] for line in queries.results(connection, "31", children=True).records()
        }
    assert names == {code: f"REGION {code}" for code in ("31", "3101", "3102")}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"roots": ("310101",), "depth": "regency"}, "lies below the depth"),
        ({"reask_share": 1.5}, "0 to 1"),
        ({"budget": -1}, "number of requests"),
    ],
)
def test_a_crawl_that_makes_no_sense_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Scope(**options)


def test_a_root_that_is_no_region_is_refused() -> None:
    with pytest.raises(EndpointError):
        Scope(roots=("Jakarta",))


def test_a_cycle_told_to_stop_asks_nothing_more_and_the_next_one_goes_on(tmp_path: Path) -> None:
    night = Night(Country(VILLAGES, [Change(0, village, (1, 5, 7)) for village in VILLAGES]))
    settings, source = place(tmp_path), night.source
    night.begin()

    def stop_at_the_fifth(cycle: Cycle) -> None:
        source.watch = lambda _: len(source.asked) == 5 and cycle.stop()

    crawl(settings, JAKARTA, source, night.clock, stop_at_the_fifth)
    (manifest,) = settings.archive.manifests()
    assert (manifest.captures, manifest.outcome) == (5, "interrupted")
    before = source.asked
    night.begin()
    source.watch = lambda _: None
    cycle = crawl(settings, JAKARTA, source, night.clock)
    shared = cycle.counts.asked["asked again"]
    assert len(set(before) & set(source.asked)) <= 1 + shared  # the root
    assert {endpoint.region for endpoint in (*before, *source.asked)} >= set(night.country.regions())
