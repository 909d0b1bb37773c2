"""A body that is not what was asked for says nothing, and says why and where: nothing raises, nothing is guessed."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kpu_bodies import (
    EVERY_SHAPE,
    PAIRS,
    REGIONS,
    STATION,
    Body,
    captured,
    february,
    february_station,
    november,
    presidential,
    province,
    refused,
    regents,
    station,
)

from extract.endpoints import CONTEST_TYPES, Endpoint
from transform.cells import MOST_VOTERS
from transform.model import Document, Quarantine, Reason, Tally
from transform.normalise import read

JAKARTA = november("31")
ENDPOINTS = [  # every question, at every level
    Endpoint(election, document, contest_type, region)  # type: ignore[arg-type]
    for election, contest_types in CONTEST_TYPES.items()
    for contest_type in contest_types
    for document, regions in {
        "paslon": ("0",),
        **dict.fromkeys(("hhcw", "hr", "wilayah"), ("0", "31", "3101", "310101", "3101011001", STATION)),
    }.items()
    for region in regions
]

GONE = Ellipsis
"""A cell that is left out."""


class Case(NamedTuple):
    """A body that must be refused, for this reason, at this place."""

    reason: Reason
    place: str
    endpoint: Endpoint
    body: Any
    found: Any = None
    status: int = 200
    mimetype: str = "application/json"
    truncated: str | None = None

    def __str__(self) -> str:
        return f"{self.reason} {self.place} {self.endpoint.document} {self.found!r:.24}"


def put(body: Any, place: str, found: Any) -> Any:
    """The body with this in a place such as `$.images[1]`."""
    *way, last = [int(key[1:-1]) if key[0] == "[" else key for key in re.findall(r"\[\d+\]|[^.$\[\]]+", place)]
    copy = holder = json.loads(json.dumps(body))
    for key in way:
        holder = holder[key]
    if found is GONE:
        del holder[last]
    else:
        holder[last] = found
    return copy


def cells(reason: Reason, endpoint: Endpoint, body: Any, places: dict[str, tuple[Any, ...]]) -> Iterator[Case]:
    """One case for every wrong value; the place it is put into is the place that must be named."""
    for place, values in places.items():
        for found in values:
            yield Case(reason, place, endpoint, put(body, place, found), found)


NO_OBJECT: tuple[Any, ...] = ([], "x", 7, True)
NO_COUNT: tuple[Any, ...] = ("152235", "", 1.5, 1.0, True, False, [], {})
NO_NUMBER = (-1, -538, 280_000_000, 10**30, -(10**30))  # 280 million people live in Indonesia
NO_TEXT: tuple[Any, ...] = (3, 1.5, True, [], {})
NO_TIME = (GONE, None, 5, "", "x", "28-11-2024 02:15:00", "2024-11-28T02:15:00", "2024-11-28 02:15:00+07:00",
           "2024-11-28 02:15", "2024-11-28 24:00:00", "2024-11-28 02:15:00\n", "2024-11-28 02:15:0\u0665")  # fmt: skip
NOT_THEN = ("2024-02-30 00:00:00", "2024-13-01 00:00:00", "2024-11-28 02:60:00", "0000-00-00 00:00:00",
            "1970-01-01 07:00:00", "2034-11-28 02:15:00")  # fmt: skip

CASES = [
    # What the source answered
    *(Case("http_status", "$", JAKARTA, province(), status, status) for status in (204, 206, 403, 404, 429, 503)),
    *(Case("truncated", "$", JAKARTA, province(), why, truncated=why) for why in ("length", "time", "disconnect")),
    Case("not_json", "$", JAKARTA, b"<!DOCTYPE html><div id=app></div>", "a page", mimetype="text/html"),
    # A region's count
    *cells("wrong_mode", JAKARTA, province(), {"$.mode": ("hr", "wilayah", "HHCW", "")}),
    *cells("wrong_mode", november("31", "hr"), {"mode": "hr", "chart": None}, {"$.mode": ("hhcw", "")}),
    *cells("wrong_shape", JAKARTA, province(), {
        "$.mode": NO_TEXT,
        "$.tungsura": NO_OBJECT,
        "$.tungsura.chart": NO_OBJECT,
        "$.tungsura.chart.1000023": NO_COUNT,
        "$.tungsura.chart.progres": NO_OBJECT,
        "$.tungsura.chart.progres.total": NO_COUNT,
        "$.tungsura.chart.progres.progres": NO_COUNT,
        "$.tungsura.chart.progres.persen": ("100", True, [], {}),
        "$.tungsura.table": NO_OBJECT,
        "$.tungsura.table.3171": (*NO_OBJECT, None),
        "$.tungsura.table.3171.1000023": NO_COUNT,
        "$.tungsura.table.3171.psu": NO_TEXT,
        "$.tungsura.table.3171.status_progress": (0, 1, "true", [], {}),
        "$.tungsura.table.3101.progres": NO_OBJECT,
        "$.tungsura.table.3101.progres.total": NO_COUNT,
        "$.tungsura.table.3171x": ({},),
        "$.tungsura.table.317": ({},),
        "$.tungsura.table.null": ({}, None),
        "$.psu": NO_TEXT,
        "$.progres": NO_OBJECT,
        "$.ts": NO_TIME,
    }),
    *cells("absurd_value", JAKARTA, province(), {
        "$.tungsura.chart.1000023": NO_NUMBER,
        "$.tungsura.chart.progres.total": NO_NUMBER,
        "$.tungsura.chart.progres.persen": (-0.01, 1001, 10**30),
        "$.tungsura.table.3171.1000023": NO_NUMBER,
        "$.tungsura.table.3101.progres.progres": NO_NUMBER,
        "$.ts": NOT_THEN,
    }),
    *cells("wrong_region", JAKARTA, province(), {
        f"$.tungsura.table.{code}": ({},) for code in ("3271", "317101", "31", "0", "3101011001", STATION)
    }),
    Case("wrong_shape", "$.tungsura", JAKARTA, put(province(), "$.tungsura.chart", GONE), GONE),
    # February's, flat
    *cells("wrong_shape", presidential("110101"), february(), {
        "$.chart": NO_OBJECT,
        "$.chart.100025": NO_COUNT,
        "$.chart.persen": ("78.11", True, []),
        "$.table": NO_OBJECT,
        "$.table.1101012001": (*NO_OBJECT, None),
        "$.table.1101012001.persen": ("100", False, {}),
        "$.progres.total": NO_COUNT,
    }),
    *cells("absurd_value", presidential("110101"), february(), {
        "$.chart.persen": (-1, 1000.5),
        "$.table.1101012001.100025": NO_NUMBER,
        "$.progres.progres": NO_NUMBER,
    }),
    Case("wrong_shape", "$", presidential("110101"), put(february(), "$.chart", GONE), GONE),
    # Stations
    *cells("wrong_shape", november(STATION), station(), {
        "$.tungsura.chart": NO_OBJECT,
        "$.tungsura.chart.1000023": NO_COUNT,
        "$.tungsura.administrasi": NO_OBJECT,
        "$.tungsura.administrasi.suara_sah": NO_COUNT,
        "$.tungsura.administrasi.pengguna_non_dpt_p": NO_COUNT,
        "$.images": ("x", 3, {}, True),
        "$.images[1]": NO_TEXT,
        "$.status_suara": (1, "true", []),
        "$.status_adm": (0, "false", {}),
    }),
    *cells("absurd_value", november(STATION), station(), {
        "$.tungsura.chart.1000023": NO_NUMBER,
        "$.tungsura.administrasi.suara_sah": NO_NUMBER,
        "$.tungsura.administrasi.pengguna_total_l": NO_NUMBER,
    }),
    *cells("wrong_region", november(STATION), station(), {
        "$.images[0]": (f"https://scans.invalid/{STATION[:-1]}2-20241127-1.jpg", "3271011001001-1.jpg"),
        "$.images[2]": ("/3101011001901-3.jpg",),
    }),
    # Pairs
    *cells("wrong_shape", november("0", "paslon"), PAIRS, {
        "$.31": (*NO_OBJECT, None),
        "$.31.1000025": (*NO_OBJECT, None),
        "$.31.1000025.nama": (*NO_TEXT, None),
        "$.31.1000025.warna": NO_TEXT,
        "$.31.1000025.nomor_urut": NO_COUNT,
        "$.31.1000025.ts": ("x", 5),
        "$.null": ({},),
        "$.310": ({},),
    }),
    *cells("absurd_value", november("0", "paslon"), PAIRS, {
        "$.31.1000025.nomor_urut": NO_NUMBER,
        "$.31.1000025.ts": NOT_THEN,
    }),
    *cells("wrong_region", november("0", "paslon"), PAIRS, {"$.3171": ({}, PAIRS["31"]), "$.317101": ({},)}),
    # Region lists
    *cells("wrong_shape", november("31", "wilayah"), REGIONS, {
        "$[1]": (*NO_OBJECT, None),
        "$[1].kode": (*NO_TEXT, None, "", "317", "31710", "31-1", "317\u0661"),
        "$[2].kode": ("3101", "3171"),  # listed twice
        "$[2].nama": (*NO_TEXT, None),
        "$[2].id": NO_COUNT,
    }),
    Case("wrong_shape", "$[1]", november("31", "wilayah"), put(REGIONS, "$[1].kode", GONE), "no code"),
    *cells("absurd_value", november("31", "wilayah"), REGIONS, {"$[0].id": NO_NUMBER}),
    *cells("wrong_region", november("31", "wilayah"), REGIONS, {"$[1].kode": ("3271", "31", "0", "317101", STATION)}),
    # Another question's answer
    Case("wrong_shape", "$", JAKARTA, {}, "nothing"),
    Case("wrong_shape", "$", JAKARTA, None, "null"),
    Case("wrong_shape", "$", JAKARTA, REGIONS, "regions"),
    Case("wrong_shape", "$", JAKARTA, PAIRS, "pairs"),
    Case("wrong_shape", "$", november("31", "wilayah"), province(), "a count"),
    Case("wrong_shape", "$.mode", november("0", "paslon"), province(), "a count"),
    Case("wrong_shape", "$", november("0", "paslon"), REGIONS, "regions"),
    Case("wrong_region", "$.100025", november("0", "paslon"), {"100025": {"nama": "X"}}, "February's pairs"),
    Case("wrong_shape", "$.31", presidential("0", "paslon"), PAIRS, "November's pairs"),
    Case("wrong_region", "$.31", november("0", "paslon", "pkwkk"), PAIRS, "governors, not regents"),
    Case("wrong_region", "$.tungsura.table.3201", JAKARTA, regents(), "another province"),
    Case("wrong_region", "$.tungsura.table", november(STATION), province(), "a region, not a station"),
    Case("wrong_region", "$.table", presidential("1101012001001"), february(), "a region, not a station"),
    Case("wrong_region", "$", november(STATION[:10]), station(), "a station, not a region"),
    Case("wrong_region", "$", presidential("1101012001"), february_station(), "a station, not a region"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_was_not_asked_for_is_refused_with_its_reason_and_exact_place(case: Case) -> None:
    said = refused(case.endpoint, case.body, status=case.status, mimetype=case.mimetype, truncated=case.truncated)
    assert (said.reason, said.place) == (case.reason, case.place)
    assert 5 < len(said.detail) < 150


def test_every_reason_there_is_has_a_body_that_shows_it() -> None:
    of_pages = {"empty_shell", "unknown_page"}
    assert {case.reason for case in CASES} == set(get_args(Reason)) - of_pages


def test_bytes_that_a_304_confirmed_are_understood_as_before() -> None:
    assert read(captured(JAKARTA, province(), status=304)) == read(captured(JAKARTA, province()))


def test_an_address_of_no_document_is_refused_whatever_was_there() -> None:
    kept = captured(JAKARTA, province())
    for path in ("/robots.txt", "/pilkada/hhcw/pkwkp/31/3271.json", "/pilkada/hhcw/ppwp/31.json", "/summary.json"):
        said = read(msgspec.structs.replace(kept, url=f"https://kpu.invalid{path}"))
        assert isinstance(said, Quarantine)
        assert (said.reason, said.place) == ("wrong_shape", "$")
        assert "not a KPU document" in said.detail


# Not JSON at all


@pytest.mark.parametrize(("endpoint", "body"), EVERY_SHAPE)
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b" \n", id="blank"),
        pytest.param(lambda _: b"<html><body>502 Bad Gateway</body></html>", id="a page"),
        pytest.param(lambda text: text.encode("utf-16"), id="UTF-16"),
        pytest.param(lambda text: text.encode("utf-8-sig"), id="a byte order mark"),
        pytest.param(lambda text: text.encode() + b"\0", id="NUL at the end"),
        pytest.param(lambda text: b"\0" * len(text), id="NUL throughout"),
        pytest.param(lambda text: text.replace('"', '"\0', 1).encode(), id="NUL in text"),
        pytest.param(lambda text: text.replace('"', '"\udcff', 1).encode(errors="surrogateescape"), id="not UTF-8"),
        pytest.param(lambda text: text.replace(":", ":NaN,", 1).encode(), id="NaN"),
        pytest.param(lambda text: text.encode() * 2, id="twice"),
        pytest.param(lambda text: text.replace('"', "'").encode(), id="single quotes"),
        pytest.param(lambda text: text.encode()[:-1] + b",", id="an open end"),
    ],
)
def test_bytes_that_are_not_json_are_refused_as_such(endpoint: Endpoint, body: Any, spoil: Any) -> None:
    said = refused(endpoint, spoil(json.dumps(body)))
    assert (said.reason, said.place) == ("not_json", "$")


@pytest.mark.parametrize(("endpoint", "body"), EVERY_SHAPE)
def test_a_body_cut_off_anywhere_is_not_json(endpoint: Endpoint, body: Any) -> None:
    whole = json.dumps(body).encode()
    assert {refused(endpoint, whole[:length]).reason for length in range(len(whole))} == {"not_json"}


@pytest.mark.parametrize(
    "deep", [b"[", b'{"a":', b'{"tungsura":{"chart":', b'{"chart":{"null":[', b'{"31":', b'[{"id":']
)
@pytest.mark.parametrize("endpoint", ENDPOINTS[::4], ids=lambda endpoint: endpoint.path)
def test_a_hundred_thousand_brackets_bring_nothing_down(endpoint: Endpoint, deep: bytes) -> None:
    closed = (
        deep * 100_000 + b"1" + b"".join(b"]" if mark == ord("[") else b"}" for mark in deep[::-1] if mark in b"[{")
    )
    for body in (deep * 100_000, closed):
        assert refused(endpoint, body).reason in ("not_json", "wrong_shape")


@pytest.mark.parametrize("digits", [31, 4_000, 5_000, 100_000])
@pytest.mark.parametrize("place", ["$.tungsura.chart.1000023", "$.tungsura.chart.progres.persen"])
def test_a_number_of_any_length_is_refused_in_few_words(digits: int, place: str) -> None:
    body = json.dumps(put(province(), place, 424242)).replace("424242", "9" * digits).encode()
    said = refused(JAKARTA, body)
    assert said.reason in ("absurd_value", "wrong_shape")
    assert said.place.startswith("$.tungsura.chart")
    assert len(said.detail) < 150


# Anything at all

BRIEFLY = settings(max_examples=250, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = ("mode", "tungsura", "chart", "table", "progres", "persen", "total", "psu", "ts", "administrasi", "suara_sah",
        "images", "status_suara", "status_progress", "null", "nama", "kode", "id", "nomor_urut", "url_formd",
        "0", "31", "3101", "1000023", "100025")  # fmt: skip
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 600),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(("hhcw", "hr", "Reguler", "2024-11-28 02:15:00", "3101", STATION, 10**30, -(10**30))),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=8)), inner, max_size=6),
    ),
    max_leaves=20,
)


def votes_in(body: Any) -> Iterator[tuple[str | int, int]]:
    """Every whole number in the JSON, with the key it stands under."""
    for key, value in body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ():
        if type(value) is int:
            yield key, value
        yield from votes_in(value)


def figures(tally: Tally) -> Iterator[int | None]:
    """Every count that a tally states."""
    yield from tally.votes.values()
    for holder in (tally, tally.form):
        for name in getattr(holder, "__struct_fields__", ()):
            if name not in ("contest_code", "unit_code", "witness", "votes", "reported_pct", "is_reported", "images",
                            "revote_status", "form", "is_votes_complete", "is_form_complete"):  # fmt: skip
                yield getattr(holder, name)


def assert_sound(endpoint: Endpoint, sent: bytes) -> Document | Quarantine:
    """A reason and a place, or a document without a figure that a database could choke on; the same every time."""
    said = read(captured(endpoint, sent))
    assert said == read(captured(endpoint, sent))
    if isinstance(said, Quarantine):
        assert said.reason in get_args(Reason)
        assert said.place.startswith("$")
        assert said.detail
        return said
    assert isinstance(said, Document)
    assert said.endpoint == endpoint
    assert said.reported_at is None or said.reported_at.tzinfo
    counts = [count for tally in said.tallies for count in figures(tally)]
    counts += [unit.kpu_id for unit in said.units] + [pair.ballot_number for pair in said.candidates]
    assert all(count is None or (type(count) is int and 0 <= count <= MOST_VOTERS) for count in counts)
    units = [unit.unit_code for unit in said.units] or [tally.unit_code for tally in said.tallies]
    assert len(units) == len(set(units))
    return said


@BRIEFLY
@given(st.sampled_from(ENDPOINTS), st.one_of(st.binary(), st.text().map(str.encode)))
@example(JAKARTA, b'{"chart":{"\xff":1}}')
@example(november("31", "wilayah"), b'[{"nama":"\\ud800","kode":"3171"}]')
def test_any_bytes_are_refused_or_understood(endpoint: Endpoint, sent: bytes) -> None:
    assert_sound(endpoint, sent)


@BRIEFLY
@given(st.sampled_from(ENDPOINTS), VALUES)
def test_any_json_is_refused_or_understood(endpoint: Endpoint, body: Any) -> None:
    assert_sound(endpoint, json.dumps(body).encode())


@BRIEFLY
@given(st.sampled_from(EVERY_SHAPE), st.data())
def test_a_byte_gone_wrong_on_the_way_brings_nothing_down(shape: tuple[Endpoint, Any], data: st.DataObject) -> None:
    endpoint, body = shape
    sent = bytearray(json.dumps(body).encode())
    sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    assert_sound(endpoint, bytes(sent))


def holders(body: Any) -> Iterator[Any]:
    """Every object and list of the JSON that has something in it, from the outside in."""
    if isinstance(body, dict | list) and body:
        yield body
        for value in body.values() if isinstance(body, dict) else body:
            yield from holders(value)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Endpoint, Body | list[Body]]:
    """A question, and its answer with one to three nodes taken away, replaced, renamed or doubled."""
    endpoint, original = draw(st.sampled_from(EVERY_SHAPE))
    body = json.loads(json.dumps(original))
    for _ in range(draw(st.integers(1, 3))):
        if not (there := list(holders(body))):
            break
        holder = draw(st.sampled_from(there))
        key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        match draw(st.sampled_from(("take", "replace", "rename"))):
            case "take":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.one_of(st.sampled_from(KEYS), st.text(max_size=8)))] = holder.pop(key)
            case "rename":
                holder.append(holder[key])
            case _:
                holder[key] = draw(VALUES)
    return endpoint, body


@settings(BRIEFLY, max_examples=1_000)
@given(mutated())
def test_a_mangled_body_never_yields_a_vote_that_is_not_in_it(case: tuple[Endpoint, Any]) -> None:
    endpoint, body = case
    said = assert_sound(endpoint, json.dumps(body).encode())
    if isinstance(said, Document):
        given_votes = {vote for tally in said.tallies for vote in tally.votes.items()}
        assert given_votes <= set(votes_in(body))
