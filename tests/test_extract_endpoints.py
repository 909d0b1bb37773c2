"""Every question has one address and every address one question; what is neither is refused by name."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extract.endpoints import CONTEST_TYPES, LEVELS, NATIONAL, Endpoint, level_of, lineage, parent_of
from extract.errors import EndpointError, UsageError

PILKADA = "https://sirekappilkada-obj-data.kpu.go.id"
PEMILU = "https://sirekap-obj-data.kpu.go.id"

ADDRESSES = {  # as KPU's front ends asked for them
    f"{PILKADA}/wilayah/pilkada/pkwkp/0.json": Endpoint("pilkada-2024", "wilayah", "pkwkp"),
    f"{PILKADA}/wilayah/pilkada/pkwkp/31.json": Endpoint("pilkada-2024", "wilayah", "pkwkp", "31"),
    f"{PILKADA}/wilayah/pilkada/pkwkk/11/1101.json": Endpoint("pilkada-2024", "wilayah", "pkwkk", "1101"),
    f"{PILKADA}/wilayah/pilkada/pkwkk/11/1101/110101.json": Endpoint("pilkada-2024", "wilayah", "pkwkk", "110101"),
    f"{PILKADA}/wilayah/pilkada/pkwkp/31/3171/317101/3171011001.json": Endpoint(
        "pilkada-2024", "wilayah", "pkwkp", "3171011001"
    ),
    f"{PILKADA}/pilkada/paslon/pkwkp.json": Endpoint("pilkada-2024", "paslon", "pkwkp"),
    f"{PILKADA}/pilkada/paslon/pkwkk.json": Endpoint("pilkada-2024", "paslon", "pkwkk"),
    f"{PILKADA}/pilkada/hhcw/pkwkp.json": Endpoint("pilkada-2024", "hhcw", "pkwkp"),
    f"{PILKADA}/pilkada/hhcw/pkwkp/31.json": Endpoint("pilkada-2024", "hhcw", "pkwkp", "31"),
    f"{PILKADA}/pilkada/hhcw/pkwkk/12/1271.json": Endpoint("pilkada-2024", "hhcw", "pkwkk", "1271"),
    f"{PILKADA}/pilkada/hhcw/pkwkp/31/3171/317101.json": Endpoint("pilkada-2024", "hhcw", "pkwkp", "317101"),
    f"{PILKADA}/pilkada/hhcw/pkwkp/31/3171/317101/3171011001.json": Endpoint(
        "pilkada-2024", "hhcw", "pkwkp", "3171011001"
    ),
    f"{PILKADA}/pilkada/hhcw/pkwkp/31/3171/317101/3171011001/3171011001901.json": Endpoint(
        "pilkada-2024", "hhcw", "pkwkp", "3171011001901"
    ),
    f"{PILKADA}/pilkada/hr/pkwkp/31.json": Endpoint("pilkada-2024", "hr", "pkwkp", "31"),
    f"{PILKADA}/pilkada/hr/pkwkk/11/1101.json": Endpoint("pilkada-2024", "hr", "pkwkk", "1101"),
    f"{PEMILU}/wilayah/pemilu/ppwp/0.json": Endpoint("pemilu-2024", "wilayah", "ppwp"),
    f"{PEMILU}/wilayah/pemilu/ppwp/11/1101.json": Endpoint("pemilu-2024", "wilayah", "ppwp", "1101"),
    f"{PEMILU}/pemilu/ppwp.json": Endpoint("pemilu-2024", "paslon", "ppwp"),
    f"{PEMILU}/pemilu/hhcw/ppwp.json": Endpoint("pemilu-2024", "hhcw", "ppwp"),
    f"{PEMILU}/pemilu/hhcw/ppwp/11/1101.json": Endpoint("pemilu-2024", "hhcw", "ppwp", "1101"),
    f"{PEMILU}/pemilu/hhcw/ppwp/99/99BE.json": Endpoint("pemilu-2024", "hhcw", "ppwp", "99BE"),
    f"{PEMILU}/pemilu/hr/ppwp/99.json": Endpoint("pemilu-2024", "hr", "ppwp", "99"),
}


@st.composite
def codes(draw: st.DrawFn) -> str:
    """Codes of every level; after the province, letters too, as overseas."""
    length = draw(st.sampled_from(sorted(LEVELS)))
    if not length:
        return NATIONAL
    rest = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=length - 2, max_size=length - 2)
    return draw(st.text("0123456789", min_size=2, max_size=2)) + draw(rest)


@st.composite
def endpoints(draw: st.DrawFn) -> Endpoint:
    """Every election, document, contest type and level that has an address."""
    election = draw(st.sampled_from(sorted(CONTEST_TYPES)))
    document = draw(st.sampled_from(["wilayah", "paslon", "hhcw", "hr"]))
    region = NATIONAL if document == "paslon" else draw(codes())
    return Endpoint(election, document, draw(st.sampled_from(CONTEST_TYPES[election])), region)


# Addresses


@pytest.mark.parametrize(("url", "endpoint"), ADDRESSES.items(), ids=lambda value: value if type(value) is str else "")
def test_the_addresses_are_kpu_s_own_both_ways(url: str, endpoint: Endpoint) -> None:
    assert endpoint.url() == url
    assert Endpoint.from_url(url) == endpoint


@given(endpoints())
@example(Endpoint("pemilu-2024", "hhcw", "ppwp", "99BE"))
def test_every_question_comes_back_from_its_address(endpoint: Endpoint) -> None:
    assert Endpoint.from_url(endpoint.url()) == endpoint


@given(endpoints(), endpoints())
def test_two_questions_never_share_an_address(one: Endpoint, other: Endpoint) -> None:
    assert (one.url() == other.url()) == (one == other)


@given(endpoints(), st.sampled_from(["http://127.0.0.1:8000", "https://web.archive.org/web/2024id_/https://x/", "a/b"]))
def test_the_host_does_not_matter(endpoint: Endpoint, host: str) -> None:
    assert endpoint.url(host) == host.rstrip("/") + endpoint.path
    assert Endpoint.from_url(endpoint.url(host)) == endpoint
    assert Endpoint.from_url(endpoint.path.removeprefix("/")) == endpoint
    assert Endpoint.from_url(endpoint.url(host) + "?t=1732762805") == endpoint


def test_the_country_may_be_written_as_kpu_writes_it_or_left_away() -> None:
    assert Endpoint.from_url("/pilkada/hhcw/pkwkp/0.json") == Endpoint.from_url("/pilkada/hhcw/pkwkp.json")


def test_a_saved_page_has_a_region_but_no_address_on_a_data_host() -> None:
    page = Endpoint("pemilu-2024", "page", "ppwp", "3171")
    with pytest.raises(EndpointError, match=r"3171.*no address") as refused:
        page.url()
    assert refused.value.value == "3171"


# What is no question


@pytest.mark.parametrize(
    ("url", "value"),
    {
        "": "",
        "https://pilkada2024.kpu.go.id/": "https://pilkada2024.kpu.go.id/",
        f"{PILKADA}/pilkada/hhcw/pkwkp/31": f"{PILKADA}/pilkada/hhcw/pkwkp/31",
        f"{PILKADA}/pilkada/hhcw/pkwkp/31.json.gz": f"{PILKADA}/pilkada/hhcw/pkwkp/31.json.gz",
        f"{PILKADA}/pilkada/hhcw/pkwkp/31.json\n": f"{PILKADA}/pilkada/hhcw/pkwkp/31.json\n",
        f"{PILKADA}/pilkada/hhcw.json": f"{PILKADA}/pilkada/hhcw.json",
        f"{PILKADA}/pileg/hhcw/pkwkp/31.json": f"{PILKADA}/pileg/hhcw/pkwkp/31.json",
        f"{PILKADA}/xpilkada/hhcw/pkwkp/31.json": f"{PILKADA}/xpilkada/hhcw/pkwkp/31.json",
        f"{PILKADA}/pilkada/hhcw/pdprdk/31.json": f"{PILKADA}/pilkada/hhcw/pdprdk/31.json",
        f"{PILKADA}/pilkada/hhcw/pkwkp/31/3271.json": f"{PILKADA}/pilkada/hhcw/pkwkp/31/3271.json",
        f"{PILKADA}/pilkada/hhcw/pkwkp/3171.json": f"{PILKADA}/pilkada/hhcw/pkwkp/3171.json",
        f"{PILKADA}/pilkada/hhcw/pkwkp/31/317101.json": f"{PILKADA}/pilkada/hhcw/pkwkp/31/317101.json",
        f"{PILKADA}/pilkada/hhcw/pkwkp/31/31.json": f"{PILKADA}/pilkada/hhcw/pkwkp/31/31.json",
        f"{PILKADA}/pilkada/hhcw/pkwkp/31/317.json": "317",
        f"{PILKADA}/pilkada/hhcw/pkwkp/BE/BE99.json": "BE99",
        f"{PILKADA}/pilkada/hhcw/ppwp/31.json": "ppwp",
        f"{PEMILU}/pemilu/hhcw/pkwkp/31.json": "pkwkp",
        f"{PEMILU}/pemilu/hhcw/ppwp/99/99be.json": "99be",
    }.items(),
)
def test_an_address_of_nothing_is_refused_by_name(url: str, value: str) -> None:
    with pytest.raises(EndpointError, match="not a KPU document") as refused:
        Endpoint.from_url(url)
    assert refused.value.value == value
    assert repr(value) in str(refused.value)
    assert refused.value.exit_code == UsageError.exit_code == 2


@given(st.text() | st.text("/.wilayahpkjson0123?:").map(lambda text: f"/pilkada/hhcw/pkwkp/{text}.json"))
def test_any_text_is_a_question_or_is_refused(text: str) -> None:
    try:
        endpoint = Endpoint.from_url(text)
    except EndpointError:
        return
    assert Endpoint.from_url(endpoint.url()) == endpoint


@pytest.mark.parametrize(
    "code", ["", "3", "317", "31710", "3171010", "31710110011", "31710110010011", "3a", "a1", "\uff13\uff11"]
)
def test_a_code_of_no_level_is_refused_by_name(code: str) -> None:
    for question in (level_of, parent_of, lambda code: Endpoint("pilkada-2024", "hhcw", "pkwkp", code)):
        with pytest.raises(EndpointError, match="a region code has 2, 4, 6, 10 or 13") as refused:
            question(code)
        assert refused.value.value == code


def test_a_contest_of_the_other_election_is_refused() -> None:
    with pytest.raises(EndpointError, match="pemilu-2024 has ppwp") as refused:
        Endpoint("pemilu-2024", "hhcw", "pkwkp", "31")
    assert refused.value.value == "pkwkp"


def test_the_pairs_are_one_list_for_the_country() -> None:
    with pytest.raises(EndpointError, match="one list of pairs") as refused:
        Endpoint("pilkada-2024", "paslon", "pkwkp", "31")
    assert refused.value.value == "31"


# Codes


@pytest.mark.parametrize(
    ("code", "level", "parent", "line"),
    [
        ("0", "national", None, []),
        ("31", "province", "0", ["31"]),
        ("3171", "regency", "31", ["31", "3171"]),
        ("317101", "district", "3171", ["31", "3171", "317101"]),
        ("3171011001", "village", "317101", ["31", "3171", "317101", "3171011001"]),
        ("3171011001901", "tps", "3171011001", ["31", "3171", "317101", "3171011001", "3171011001901"]),
        ("99", "province", "0", ["99"]),
        ("99BE", "regency", "99", ["99", "99BE"]),  # overseas, February 2024
    ],
)
def test_a_code_tells_its_level_its_parent_and_its_line(
    code: str, level: str, parent: str | None, line: list[str]
) -> None:
    assert level_of(code) == level
    assert parent_of(code) == parent
    assert lineage(code) == line


@given(codes())
def test_a_line_is_the_parents_one_after_the_other(code: str) -> None:
    line = lineage(code)
    climbed = []
    while code != NATIONAL:
        climbed.insert(0, code)
        code = parent_of(code) or NATIONAL
    assert line == climbed
