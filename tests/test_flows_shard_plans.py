"""The country in parts: every document belongs to exactly one shard, and the shards together ask for what one crawler
of the whole country would."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from crawls import Change, Country, InProcess, Steps, crawl, place
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from kpu_bodies import november
from test_flows_plan import Night

from extract.endpoints import NATIONAL, Endpoint
from extract.errors import UsageError
from flows.cycle import read_plan
from flows.plan import Scope
from flows.shards import Shard, shards

COUNTRY = Scope(contest_types=("pkwkp", "pkwkk"), depth="village", reask_share=0)
VILLAGES = [
    f"{province}01{district:02}{village}"
    for province in (11, 31, 34)
    for district in (1, 2)
    for village in (1001, 1002)
]

changes = st.lists(
    st.builds(
        Change,
        st.integers(0, 3),
        st.sampled_from(VILLAGES),
        st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 2)),
    ),
    max_size=8,
    unique_by=lambda change: change[:2],
)


def scope_of(shard: Shard, reask_share: float = 0.0) -> Scope:
    """What the crawler of a shard asks for, otherwise as `COUNTRY`."""
    return Scope(
        contest_types=(shard.contest_type,),
        roots=shard.roots,
        depth="village",
        reask_share=reask_share,
        shard=shard.name,
    )


@given(changes)
@effort(max_examples=6)
def test_the_shards_together_ask_for_what_one_crawler_of_the_country_asks_for(happened: list[Change]) -> None:
    country = Country(VILLAGES, happened)
    whole, parts = Night(country, COUNTRY), [Night(country, scope_of(shard)) for shard in shards()]
    for _ in range(5):
        together = Counter(endpoint for part in parts for endpoint in part.cycle().asked)
        assert together == Counter(whole.cycle().asked)  # none of them twice: the next test


@given(changes)
@effort(max_examples=15)
def test_no_crawler_asks_for_what_belongs_to_another_shard_not_even_again(happened: list[Change]) -> None:
    country = Country(VILLAGES, happened)
    for shard in (Shard("pkwkp"), Shard("pkwkp", "31"), Shard("pkwkk", "34")):
        night = Night(country, scope_of(shard, reask_share=1.0))
        asked = [endpoint for _ in range(4) for endpoint in night.cycle().asked]
        assert asked
        assert {Shard.of(endpoint) for endpoint in asked} == {shard}


def test_a_crawler_leaves_alone_what_others_have_put_into_the_same_warehouse() -> None:
    jakarta = scope_of(Shard("pkwkp", "31"))
    assert jakarta.covers(november("310101"))
    for endpoint in (
        november("3201"),
        november(NATIONAL, "wilayah"),
        november(NATIONAL, "paslon"),
        november("3201", contest_type="pkwkk"),
    ):
        assert not jakarta.covers(endpoint)
    assert not scope_of(Shard("pkwkp")).covers(november("31"))


def test_shards_that_share_a_warehouse_plan_from_their_own_documents_and_count_their_own_runs(tmp_path: Path) -> None:
    clock, country = Steps(), Country(VILLAGES, [Change(0, village, (1, 5, 7)) for village in VILLAGES])
    for shard, cycles in ((Shard("pkwkp"), 1), (Shard("pkwkp", "11"), 3), (Shard("pkwkp", "31"), 2)):
        settings = msgspec.structs.replace(place(tmp_path), shard=shard.name)
        for _ in range(cycles):
            crawl(settings, scope_of(shard), InProcess(lambda endpoint: country.document(endpoint, 0), clock), clock)
        plan = read_plan(settings, scope_of(shard))
        assert {(kind, region[:2]) for (kind, _, region), _ in plan.known} == {("pkwkp", shard.province)}
        assert plan._sequence == cycles + 1


def test_every_contest_type_has_its_provinces_and_a_shard_for_what_belongs_to_none() -> None:
    names = [shard.name for shard in shards()]
    assert len(names) == len(set(names)) == 2 * (1 + 37)
    assert names[0] == "pkwkp-0"
    assert "pkwkk-0" in names
    assert "pkwkp-34" not in names  # Yogyakarta elects no governor
    assert "pkwkk-31" not in names  # Jakarta no mayors
    assert [Shard.named(name) for name in names] == list(shards())


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (november("3171011001001"), "pkwkp-31"),
        (november("31", "wilayah"), "pkwkp-31"),
        (november(NATIONAL, "paslon"), "pkwkp-0"),
        (november(NATIONAL, "wilayah", contest_type="pkwkk"), "pkwkk-0"),
        (november(NATIONAL), "pkwkp-0"),
        (november("3201", "hr", contest_type="pkwkk"), "pkwkk-32"),
    ],
)
def test_the_region_of_a_document_says_its_shard(endpoint: Endpoint, name: str) -> None:
    assert Shard.of(endpoint).name == name


@pytest.mark.parametrize("name", ["pkwkk-31", "pkwkp-34", "pkwkp", "ppwp-31", "pkwkp-3171", "../pkwkp-31", ""])
def test_what_is_no_shard_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(UsageError, match="such as pkwkp-31"):
        Shard.named(name)
