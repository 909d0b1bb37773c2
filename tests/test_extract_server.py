"""The stand-in for KPU answers as a careful web server would, fails exactly as told, and remembers who asked what."""

import asyncio
import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from conftest import Ticking
from hypothesis import given
from hypothesis import strategies as st

from extract.archive import Archive
from extract.capture import Capture, capture
from extract.endpoints import WIB, Endpoint
from extract.errors import UsageError
from extract.faults import KINDS, Faults, Kind, Spell, bomb, corrupted, of_other_mode
from extract.night import Night
from extract.recording import record
from extract.server import (
    ArchivedSource,
    Record,
    ReplayServer,
    RequestLog,
    SimulatedSource,
    Source,
    VirtualClock,
    encoding_for,
    parse,
    serving,
)
from extract.simulator import Simulation

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EVENING = datetime(2024, 11, 27, 20, 0, tzinfo=WIB)
JAKARTA, PUSAT, UTARA = (f"/pilkada/hhcw/pkwkp/31{rest}.json" for rest in ("", "/3171", "/3172"))
LIST, PAIRS = "/wilayah/pilkada/pkwkp/31.json", "/pilkada/paslon/pkwkp.json"


CLIENTS: list["Client"] = []  # to be closed after a scenario, however it ends


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A client that does what it is told and understands nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        CLIENTS.append(self)

    async def close(self) -> None:
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()

    def send(self, path: str, method: str = "GET", version: str = "1.1", **headers: str) -> None:
        fields = {"Host": "kpu", **{name.replace("_", "-"): value for name, value in headers.items()}}
        lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in fields.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())

    async def answer(self, *, has_body: bool = True) -> Answer:
        line, *fields = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        size = int(headers.get("content-length", 0)) if has_body else 0
        return Answer(int(line.split()[1]), headers, await self.reader.readexactly(size))

    async def get(self, path: str, **headers: str) -> Answer:
        self.send(path, **headers)
        return await self.answer()


async def connect(server: ReplayServer) -> Client:
    host, port = server.base_url.removeprefix("http://").split(":")
    return Client(*await asyncio.open_connection(host, int(port)))


def play(
    source: Source, scenario: Callable[[ReplayServer, Client], Awaitable[Any]], now: Any = EVENING, **options: Any
) -> RequestLog:
    """Serve a source to a scenario, which has ten seconds; the log of it."""

    async def played() -> RequestLog:
        async with serving(source, now if callable(now) else lambda: now, **options) as server:
            try:
                await scenario(server, await connect(server))
            finally:
                while CLIENTS:
                    await CLIENTS.pop().close()
        return server.log

    return asyncio.run(asyncio.wait_for(played(), 10))


def asked_once(source: Source, path: str, now: Any = EVENING, options: Any = None, **headers: str) -> Answer:
    """The answer to a single request."""
    answers = []

    async def scenario(_: ReplayServer, client: Client) -> None:
        answers.append(await client.get(path, **headers))

    play(source, scenario, now, **(options or {}))
    return answers[0]


@pytest.fixture(scope="module")
def night() -> Simulation:
    return Simulation(Night(seed=7, revisions=0.01, withdrawal=True))


@pytest.fixture(scope="module")
def simulated(night: Simulation) -> SimulatedSource:
    return SimulatedSource(night)


def archived(directory: Path, *captures: Capture) -> Archive:
    archive = Archive(directory)
    with record(archive, "test", {}, lambda: datetime.now(UTC), {}) as run:
        for one in captures:
            run.append(one)
    return archive


def expected(night: Simulation, path: str, at: datetime = EVENING) -> bytes:
    return night.document(Endpoint.from_url(path), at) or b""


# What is served


def test_the_simulator_is_served_byte_for_byte(night: Simulation, simulated: SimulatedSource) -> None:
    paths = [PAIRS, LIST, JAKARTA, PUSAT, *[endpoint.path for endpoint in night.endpoints("tps")][-3:]]

    async def scenario(_: ReplayServer, client: Client) -> None:
        for path in paths:
            answer = await client.get(path)
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/json"
            assert answer.body == expected(night, path)

    log = play(simulated, scenario)
    assert log.by_status() == {200: len(paths)}
    assert log.most_connections() == 1


def test_documents_change_when_the_clock_passes_a_publication_and_not_before(
    night: Simulation, simulated: SimulatedSource
) -> None:
    published = night.publications[20]
    clock = Ticking(published - timedelta(seconds=1))

    async def scenario(_: ReplayServer, client: Client) -> None:
        before = await client.get(JAKARTA)
        clock.advance(0.9)
        assert (await client.get(JAKARTA)).body == before.body
        clock.advance(0.1)
        after = await client.get(JAKARTA)
        assert after.body == expected(night, JAKARTA, published) != before.body
        assert parsedate_to_datetime(after.headers["last-modified"]) == published
        assert parsedate_to_datetime(after.headers["date"]) == published
        clock.advance(-1)
        assert (await client.get(JAKARTA)).body == before.body

    play(simulated, scenario, clock)


def test_what_does_not_exist_is_a_small_page_with_status_404(simulated: SimulatedSource) -> None:
    for path in (
        "/",
        "/pilkada/hhcw/pkwkp/99.json",
        "/elsewhere" + JAKARTA,
        "/pilkada/hhcw/pkwkp/0.json",
        "/pilkada/hhcw/pkwkk/31.json",
        "/../etc/passwd",
        "/%00",
    ):
        answer = asked_once(simulated, path)
        assert answer.status == 404
        assert answer.headers["content-type"] == "text/html"
        assert len(answer.body) < 200
        assert "etag" not in answer.headers
    assert asked_once(simulated, JAKARTA, datetime(2024, 11, 1, tzinfo=UTC)).status == 404


def test_head_says_what_get_says_and_sends_no_body(simulated: SimulatedSource) -> None:
    async def scenario(_: ReplayServer, client: Client) -> None:
        for path in (JAKARTA, "/nothing"):
            client.send(path, "HEAD")
            head = await client.answer(has_body=False)
            get = await client.get(path)
            assert head[:2] == get[:2]
            assert int(head.headers["content-length"]) == len(get.body)

    log = play(simulated, scenario)
    assert [one.sent > 0 for one in log.records] == [False, True, False, True]


def test_an_archive_answers_what_it_had_last_seen_whatever_the_host_was(tmp_path: Path) -> None:
    first, second = EVENING, EVENING + timedelta(minutes=15)
    archive = archived(
        tmp_path,
        capture("https://elsewhere" + JAKARTA, b'{"ts":"new"}', second, "git:1"),
        capture("https://kpu" + JAKARTA, b'{"ts":"old"}', first, "kpu"),
        capture("https://kpu" + JAKARTA, b"", first + timedelta(minutes=5), "kpu", status=304),
        capture("https://kpu" + PUSAT, b"<p>gone", first, "kpu", status=404, mimetype="text/html"),
        capture("https://kpu" + UTARA, b"\xff\xfe", second, "kpu", mimetype="application/pdf"),
        capture("https://kpu" + LIST, b"a CDN's own", first, "kpu", status=520, mimetype="text/html"),
    )
    source = ArchivedSource.of(archive)
    assert source.span == (first, second)

    def seen(path: str, at: datetime) -> tuple[int, str, bytes]:
        answer = asked_once(source, path, at)
        return answer.status, answer.headers["content-type"], answer.body

    assert seen(JAKARTA, first - timedelta(microseconds=1))[0] == 404
    assert seen(JAKARTA, first) == (200, "application/json", b'{"ts":"old"}')
    assert seen(JAKARTA, second - timedelta(seconds=1)) == (200, "application/json", b'{"ts":"old"}')
    assert seen(JAKARTA, second) == (200, "application/json", b'{"ts":"new"}')
    assert seen(PUSAT, second) == (404, "text/html", b"<p>gone")
    assert seen(LIST, second) == (520, "text/html", b"a CDN's own")
    assert seen(UTARA, second) == (200, "application/pdf", b"\xff\xfe")


def test_an_archived_night_is_served_as_it_was_simulated(tmp_path: Path, night: Simulation) -> None:
    archive = archived(tmp_path, *night.captures("regency"))
    source = ArchivedSource.of(archive)
    at = night.publications[40] + timedelta(minutes=10)

    async def scenario(_: ReplayServer, client: Client) -> None:
        for endpoint in night.endpoints("regency"):
            assert (await client.get(endpoint.path)).body == night.document(endpoint, at)

    play(source, scenario, at)


def test_an_archive_without_captures_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no captures to serve; import or poll some first"):
        ArchivedSource.of(Archive(tmp_path))


def test_a_damaged_archive_answers_500_and_the_server_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = archived(tmp_path, *(capture(f"https://kpu{path}", path.encode(), EVENING, "kpu") for path in (JAKARTA,)))
    source = ArchivedSource.of(archive)
    (segment,) = archive.segments_directory.iterdir()
    segment.write_bytes(b"\0" * segment.stat().st_size)

    async def scenario(_: ReplayServer, client: Client) -> None:
        assert (await client.get(JAKARTA)).status == 500
        assert (await client.get(PUSAT)).status == 404

    play(source, scenario)
    assert f"cannot serve {JAKARTA}" in caplog.text


# Validators


def test_a_client_that_has_this_version_is_told_304_and_one_that_has_another_gets_it(
    night: Simulation, simulated: SimulatedSource
) -> None:
    clock = Ticking(EVENING)

    async def scenario(_: ReplayServer, client: Client) -> None:
        first = await client.get(JAKARTA)
        etag, modified = first.headers["etag"], first.headers["last-modified"]
        for headers in (
            {"If_None_Match": etag},
            {"If_None_Match": f'"other", W/{etag}'},
            {"If_None_Match": "*"},
            {"If_Modified_Since": modified},
            {"If_None_Match": etag, "If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        ):
            same = await client.get(JAKARTA, **headers)
            assert (same.status, same.body) == (304, b"")
            assert (same.headers["etag"], same.headers["last-modified"]) == (etag, modified)
            assert not [name for name in same.headers if name.startswith("content-")]
        assert (await client.get(JAKARTA, If_None_Match='"other"', If_Modified_Since=modified)).status == 200
        clock.advance(15 * 60)
        for headers in ({"If_None_Match": etag}, {"If_Modified_Since": modified}):
            assert (await client.get(JAKARTA, **headers)).body == expected(night, JAKARTA, clock())

    log = play(simulated, scenario, clock)
    assert log.by_status() == {304: 5, 200: 4}
    assert [one.is_conditional for one in log.records] == [False] + [True] * 8
    assert all(one.sent == 0 for one in log.records if one.status == 304)


def test_a_version_keeps_its_validators_while_others_are_published(simulated: SimulatedSource) -> None:
    at = [asked_once(simulated, LIST, EVENING + timedelta(hours=hour)).headers for hour in (0, 5)]
    assert at[0]["etag"] == at[1]["etag"]
    assert at[0]["last-modified"] == at[1]["last-modified"]


def test_two_versions_of_one_second_never_share_a_date(tmp_path: Path) -> None:
    moments = [EVENING + timedelta(milliseconds=ms) for ms in (0, 200, 700, 1500)]
    archive = archived(
        tmp_path, *(capture("https://kpu" + PUSAT, b"%d" % n, at, "kpu") for n, at in enumerate(moments))
    )
    source = ArchivedSource.of(archive)
    dates: dict[str, set[bytes]] = {}
    for ms in range(0, 3000, 100):
        at = EVENING + timedelta(milliseconds=ms)
        answer = asked_once(source, PUSAT, at)
        if modified := answer.headers.get("last-modified"):
            dates.setdefault(modified, set()).add(answer.body)
            assert parsedate_to_datetime(modified) <= at
    assert len(dates) == 3  # the one of 0.2 s was gone before its second was full
    assert all(len(bodies) == 1 for bodies in dates.values())


def test_without_validators_nothing_is_ever_304(simulated: SimulatedSource) -> None:
    tag = asked_once(simulated, JAKARTA).headers["etag"]
    answer = asked_once(simulated, JAKARTA, EVENING, {"validators": False}, If_None_Match=tag)
    assert answer.status == 200
    assert not {"etag", "last-modified"} & answer.headers.keys()
    assert asked_once(simulated, JAKARTA, EVENING, {"validators": False}, If_None_Match="*").status == 200


# Compression

UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "zstd": zstd.decompress}


@pytest.mark.parametrize("encoding", UNPACK)
def test_a_body_is_compressed_as_accepted_under_a_tag_of_its_own(
    encoding: str, night: Simulation, simulated: SimulatedSource
) -> None:
    plain = asked_once(simulated, JAKARTA)
    packed = asked_once(simulated, JAKARTA, Accept_Encoding=f"unheard-of, {encoding}")
    assert packed.headers["content-encoding"] == encoding
    assert packed.headers["vary"] == "Accept-Encoding"
    assert len(packed.body) < len(plain.body)
    assert UNPACK[encoding](packed.body) == plain.body == expected(night, JAKARTA)
    assert packed.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip;q=0", ""),
        ("gzip;q=0, *;q=0", ""),
        ("gzip", "gzip"),
        ("GZIP ; Q=0.5", "gzip"),
        ("gzip;q=1.0, zstd;q=0.9", "gzip"),
        ("gzip, deflate, zstd", "zstd"),
        ("*", "zstd"),
        ("gzip;q=nonsense", ""),
        (",,;;q=1,=", ""),
    ],
)
def test_the_encoding_is_the_one_accepted_most(accepted: str, chosen: str) -> None:
    assert encoding_for(accepted) == chosen


def test_small_bodies_and_all_bodies_on_request_stay_plain(tmp_path: Path, simulated: SimulatedSource) -> None:
    archive = archived(tmp_path, capture("https://kpu" + PUSAT, b"{}" + b" " * 197, EVENING, "kpu"))
    assert "content-encoding" not in asked_once(ArchivedSource.of(archive), PUSAT, Accept_Encoding="gzip").headers
    plain = asked_once(simulated, JAKARTA, EVENING, {"compression": False}, Accept_Encoding="gzip")
    assert "content-encoding" not in plain.headers


@pytest.mark.skipif(find_spec("brotli") is None, reason="Brotli is optional, and not installed here")
def test_brotli_is_used_where_it_is_installed(night: Simulation, simulated: SimulatedSource) -> None:
    answer = asked_once(simulated, JAKARTA, Accept_Encoding="br")
    assert answer.headers["content-encoding"] == "br"
    assert __import__("brotli").decompress(answer.body) == expected(night, JAKARTA)


def test_httpx_understands_it(night: Simulation, simulated: SimulatedSource) -> None:
    async def scenario(server: ReplayServer, _: Client) -> None:
        async with httpx.AsyncClient(base_url=server.base_url) as client:
            for path in (PAIRS, JAKARTA, PUSAT):
                answer = await client.get(path)
                assert answer.content == expected(night, path)
                assert "content-encoding" in answer.headers

    play(simulated, scenario)


# Connections


def test_requests_sent_at_once_are_answered_in_their_order(night: Simulation, simulated: SimulatedSource) -> None:
    paths = [PUSAT, "/nothing", UTARA, JAKARTA] * 50

    async def scenario(_: ReplayServer, client: Client) -> None:
        for path in paths:
            client.send(path)
        for path in paths:
            answer = await client.answer()
            assert answer.status == (404 if path == "/nothing" else 200)
            assert answer.body == expected(night, path) if path != "/nothing" else answer.body

    play(simulated, scenario)


def test_a_request_behind_a_slow_answer_waits_for_its_turn(night: Simulation, simulated: SimulatedSource) -> None:
    async def scenario(_: ReplayServer, client: Client) -> None:
        client.send(JAKARTA)
        client.send(PUSAT)
        assert (await client.answer()).body == expected(night, JAKARTA)
        assert (await client.answer()).body == expected(night, PUSAT)

    log = play(simulated, scenario, faults=Faults(script=(Spell("slow", last=1),), slow_seconds=0.1))
    assert [one.path for one in log.records] == [JAKARTA, PUSAT]


def test_a_request_may_come_byte_by_byte_and_after_an_empty_line(simulated: SimulatedSource) -> None:
    async def scenario(_: ReplayServer, client: Client) -> None:
        for byte in b"\r\nGET http://kpu:80" + JAKARTA.encode() + b"?t=1 HTTP/1.1\r\nHost:kpu\r\nX-A:  b \r\n\r\n":
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.answer()).status == 200

    assert play(simulated, scenario).outside([JAKARTA]) == []


@pytest.mark.parametrize(
    ("version", "headers", "stays_open"),
    [
        ("1.1", {}, True),
        ("1.1", {"Connection": "close"}, False),
        ("1.0", {}, False),
        ("1.0", {"Connection": "Keep-Alive"}, True),
    ],
)
def test_a_connection_stays_open_as_long_as_both_sides_want(
    version: str, headers: dict[str, str], stays_open: bool, simulated: SimulatedSource
) -> None:
    async def scenario(_: ReplayServer, client: Client) -> None:
        client.send(JAKARTA, version=version, **headers)
        first = await client.answer()
        assert first.status == 200
        assert (first.headers.get("connection") != "close") == stays_open
        if stays_open:
            assert (await client.get(PUSAT)).status == 200
        else:
            assert await client.reader.read() == b""

    play(simulated, scenario)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\0\xff\x16\x03\x01garbage\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
        (b"GET /a\nSet-Cookie:x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 405),
        (b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000, 431),
        (b"x" * 1_000_000, 431),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(
    sent: bytes, status: int, simulated: SimulatedSource
) -> None:
    async def scenario(server: ReplayServer, client: Client) -> None:
        client.writer.write(sent)
        answer = await client.answer()
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert ("allow" in answer.headers) == (status == 405)
        assert (await (await connect(server)).get(JAKARTA)).status == 200

    assert play(simulated, scenario).by_status() == {status: 1, 200: 1}


@given(st.binary(max_size=200) | st.text(st.sampled_from("GETHDhost :/\r\n1.0,"), max_size=80).map(str.encode))
def test_no_bytes_upset_the_parser(head: bytes) -> None:
    request = parse(head)
    assert request is None or request.path.startswith("/")


def test_idle_connections_are_closed_and_half_a_request_is_told_so(simulated: SimulatedSource) -> None:
    async def scenario(server: ReplayServer, client: Client) -> None:
        half = await connect(server)
        half.writer.write(b"GET / HT")
        assert await client.reader.read() == b""
        assert (await half.answer()).status == 408

    play(simulated, scenario, idle_seconds=0.1)


def test_a_client_that_asks_and_never_reads_costs_little_and_is_dropped(simulated: SimulatedSource) -> None:
    async def scenario(server: ReplayServer, client: Client) -> None:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # every transport of a socket can
        for _ in range(20_000):
            client.send(JAKARTA)
        assert (await (await connect(server)).get(JAKARTA)).status == 200
        while len(server.log.records) == 0 or server.connections_open > 1:
            await asyncio.sleep(0.02)

    assert len(play(simulated, scenario, idle_seconds=0.2).records) < 10_000


def test_a_port_in_use_is_said_to_be(simulated: SimulatedSource) -> None:
    async def scenario(server: ReplayServer, _: Client) -> None:
        port = int(server.base_url.rsplit(":", 1)[1])
        with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{port}: .*; choose another port"):
            async with serving(simulated, lambda: EVENING, port=port):
                pass

    play(simulated, scenario)


# Faults


def struck(source: Source, kind: Kind, path: str = PUSAT, **plan: Any) -> tuple[Answer, Record]:
    """The answer to one request that is struck by a fault, and what the log says of it."""
    answers = []

    async def scenario(_: ReplayServer, client: Client) -> None:
        answers.append(await client.get(path, Accept_Encoding="gzip"))

    log = play(source, scenario, faults=Faults(rates={kind: 1.0}, **plan))
    return answers[0], log.records[0]


@pytest.mark.parametrize(("kind", "status"), [("error_500", 500), ("error_503", 503), ("too_many", 429)])
def test_errors_on_request_are_pages_without_validators(kind: Kind, status: int, simulated: SimulatedSource) -> None:
    answer, noted = struck(simulated, kind)
    assert (answer.status, noted.status, noted.fault) == (status, status, kind)
    assert answer.headers["content-type"] == "text/html"
    assert "etag" not in answer.headers
    assert ("retry-after" in answer.headers) == (kind == "too_many")


def test_retry_after_is_said_in_seconds_or_as_a_date_of_the_same_clock(simulated: SimulatedSource) -> None:
    answer, noted = struck(simulated, "too_many", retry_after=7)
    assert (answer.headers["retry-after"], noted.retry_after) == ("7", 7)
    answer, _ = struck(simulated, "too_many", retry_after=7, retry_after_is_date=True)
    until, now = (parsedate_to_datetime(answer.headers[name]) for name in ("retry-after", "date"))
    assert until - now == timedelta(seconds=7)
    assert now == EVENING


def test_a_redirect_leads_away(simulated: SimulatedSource) -> None:
    answer, _ = struck(simulated, "redirect_away")
    assert (answer.status, answer.headers["location"]) == (302, "http://elsewhere.invalid" + PUSAT)


def test_html_comes_with_status_200(simulated: SimulatedSource) -> None:
    answer, _ = struck(simulated, "html")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html")
    assert answer.body.startswith(b"<html>")


def test_a_garbled_encoding_says_gzip_and_is_not(night: Simulation, simulated: SimulatedSource) -> None:
    answer, _ = struck(simulated, "garbled_encoding")
    assert answer.headers["content-encoding"] == "gzip"
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(answer.body)
    assert answer.body == expected(night, PUSAT)


def test_a_corrupt_body_is_no_json_however_it_is_decoded(night: Simulation, simulated: SimulatedSource) -> None:
    body = gzip.decompress(struck(simulated, "corrupt")[0].body)
    assert len(body) == len(expected(night, PUSAT))
    for seed in range(50):
        broken = corrupted(expected(night, PUSAT), Faults(seed).draw(1))
        assert broken
        for how in ("strict", "replace", "ignore"):
            with pytest.raises(ValueError, match=r"."):
                json.loads(broken.decode(errors=how))


@pytest.mark.parametrize(("before", "after"), [("hhcw", "hr"), ("hr", "hhcw")])
def test_the_wrong_mode_is_all_that_is_wrong(before: str, after: str, tmp_path: Path) -> None:
    body: dict[str, Any] = {"mode": before, "nama": 'he said "mode":"hr"', "chart": {"mode": before}, "pad": " " * 200}
    archive = archived(tmp_path, capture("https://kpu" + PUSAT, msgspec.json.encode(body), EVENING, "kpu"))
    answer, _ = struck(ArchivedSource.of(archive), "wrong_mode")
    assert json.loads(gzip.decompress(answer.body)) == body | {"mode": after}


def test_the_wrong_region_is_another_one_of_the_same_level(night: Simulation, simulated: SimulatedSource) -> None:
    answer, _ = struck(simulated, "wrong_region")
    others = [expected(night, f"/pilkada/hhcw/pkwkp/31/{code}.json") for code in (3101, 3172, 3173, 3174, 3175)]
    assert gzip.decompress(answer.body) in others


def test_an_old_version_comes_with_its_own_ts(night: Simulation, simulated: SimulatedSource) -> None:
    answer, _ = struck(simulated, "old_version")
    now, old = json.loads(expected(night, PUSAT)), json.loads(gzip.decompress(answer.body))
    assert old["ts"] < now["ts"]
    assert old["progres"]["progres"] < now["progres"]["progres"]
    assert old == json.loads(expected(night, PUSAT, datetime.fromisoformat(old["ts"]).replace(tzinfo=WIB)))


def test_an_archive_serves_old_versions_and_wrong_regions_too(tmp_path: Path, night: Simulation) -> None:
    source = ArchivedSource.of(archived(tmp_path, *night.captures("regency")))
    old, wrong = (gzip.decompress(struck(source, kind)[0].body) for kind in ("old_version", "wrong_region"))
    assert json.loads(old)["ts"] < json.loads(expected(night, PUSAT))["ts"]
    assert set(json.loads(wrong)["tungsura"]["table"]).isdisjoint(json.loads(old)["tungsura"]["table"])


@pytest.mark.parametrize(("kind", "path"), [("wrong_region", JAKARTA), ("wrong_mode", LIST), ("old_version", PAIRS)])
def test_a_fault_that_finds_nothing_to_strike_is_not_claimed(
    kind: Kind, path: str, night: Simulation, simulated: SimulatedSource
) -> None:
    answer, noted = struck(simulated, kind, path)
    assert noted.fault is None
    assert gzip.decompress(answer.body) == expected(night, path)


def test_a_bomb_is_small_until_it_is_unpacked(simulated: SimulatedSource) -> None:
    answer, _ = struck(simulated, "bomb", bomb_bytes=300 << 20)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.body) < 400_000
    unpacker, size, rest = zlib.decompressobj(wbits=31), 0, answer.body
    while rest:
        size += len(unpacker.decompress(rest, 8 << 20))
        rest = unpacker.unconsumed_tail
    assert unpacker.eof  # the checksum is right
    assert size == 300 << 20
    assert gzip.decompress(bomb(1 << 20)) == b" " * (1 << 20)


def test_a_truncated_body_is_shorter_than_announced(night: Simulation, simulated: SimulatedSource) -> None:
    async def scenario(_: ReplayServer, client: Client) -> None:
        with pytest.raises(asyncio.IncompleteReadError) as cut:
            await client.get(PUSAT)
        whole = expected(night, PUSAT)
        assert cut.value.partial == whole[: len(whole) // 2]

    log = play(simulated, scenario, faults=Faults(rates={"truncated": 1.0}))
    assert log.records[0].sent == len(expected(night, PUSAT)) // 2


def test_a_reset_is_a_reset(simulated: SimulatedSource) -> None:
    async def scenario(_: ReplayServer, client: Client) -> None:
        with pytest.raises(ConnectionResetError):
            await client.get(PUSAT)

    assert play(simulated, scenario, faults=Faults(rates={"reset": 1.0})).by_fault() == {"reset": 1}


def test_a_timeout_never_answers_and_gives_up_at_last(simulated: SimulatedSource) -> None:
    async def scenario(server: ReplayServer, client: Client) -> None:
        impatient = await connect(server)
        impatient.send(UTARA)
        await asyncio.sleep(0.01)
        impatient.writer.close()
        client.send(PUSAT)
        assert await client.reader.read() == b""

    log = play(simulated, scenario, faults=Faults(rates={"timeout": 1.0}, hold_seconds=0.2), idle_seconds=0.1)
    assert {(one.path, one.status, one.sent, one.fault) for one in log.records} == {
        (UTARA, 0, 0, "timeout"),
        (PUSAT, 0, 0, "timeout"),
    }
    held = [one.ended_s - one.began_s for one in log.records if one.path == PUSAT]
    assert held[0] >= 0.2


def test_a_slow_body_comes_in_drops_and_whole(night: Simulation, simulated: SimulatedSource) -> None:
    async def scenario(_: ReplayServer, client: Client) -> None:
        began_s = monotonic()
        assert (await client.get(PUSAT)).body == expected(night, PUSAT)
        assert monotonic() - began_s >= 0.15

    log = play(simulated, scenario, faults=Faults(rates={"slow": 1.0}, slow_seconds=0.2), idle_seconds=0.05)
    assert log.records[0].ended_s - log.records[0].began_s >= 0.15


def test_every_kind_of_fault_is_served_as_it_is_planned(simulated: SimulatedSource) -> None:
    plan = Faults(
        script=tuple(Spell(kind, first=number, last=number) for number, kind in enumerate(KINDS, start=1)),
        hold_seconds=0.05,
        slow_seconds=0.05,
    )

    async def scenario(server: ReplayServer, _: Client) -> None:
        for _ in KINDS:
            client = await connect(server)
            with suppress(asyncio.IncompleteReadError, ConnectionResetError):
                await client.get(PUSAT)
        assert (await (await connect(server)).get(PUSAT)).status == 200

    log = play(simulated, scenario, faults=plan)
    assert [one.fault for one in log.records] == [*KINDS, None]


def test_what_was_wrong_is_never_confirmed_later(night: Simulation, simulated: SimulatedSource) -> None:
    """Whoever kept a struck body must get the right one when asking with that body's validators."""
    kinds: list[Kind] = ["corrupt", "wrong_mode", "wrong_region", "old_version", "garbled_encoding", "html", "bomb"]
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}

    async def scenario(_: ReplayServer, client: Client) -> None:
        for _ in kinds:
            bad = await client.get(PUSAT)
            known = {asked: bad.headers[given] for given, asked in names.items() if given in bad.headers}
            assert (await client.get(PUSAT, **known)).body == expected(night, PUSAT)

    script = tuple(Spell(kind, first=1 + 2 * n, last=1 + 2 * n) for n, kind in enumerate(kinds))
    assert play(simulated, scenario, faults=Faults(script=script)).by_status() == {200: 14}


def test_a_fault_strikes_even_who_would_be_told_304(simulated: SimulatedSource) -> None:
    tag = asked_once(simulated, PUSAT).headers["etag"]
    plan = {"faults": Faults(rates={"wrong_region": 1.0})}
    assert asked_once(simulated, PUSAT, EVENING, plan, If_None_Match=tag).status == 200


def test_a_head_is_struck_only_where_a_head_can_be(simulated: SimulatedSource) -> None:
    async def scenario(_: ReplayServer, client: Client) -> None:
        for _ in range(2):
            client.send(PUSAT, "HEAD")
            await client.answer(has_body=False)

    script = (Spell("truncated", last=1), Spell("error_503", first=2))
    log = play(simulated, scenario, faults=Faults(script=script))
    assert [(one.status, one.fault) for one in log.records] == [(200, None), (503, "error_503")]


def test_the_same_seed_plans_the_same_faults_at_about_their_rates() -> None:
    plan, again, other = Faults.evenly(0.3, seed=5), Faults.evenly(0.3, seed=5), Faults.evenly(0.3, seed=6)
    kinds = [plan.struck(number, EVENING) for number in range(1, 10_001)]
    assert kinds == [again.struck(number, EVENING) for number in range(1, 10_001)]
    assert kinds != [other.struck(number, EVENING) for number in range(1, 10_001)]
    counted = Counter(kind for kind in kinds if kind)
    assert counted.keys() == set(KINDS)
    assert all(140 <= count <= 260 for count in counted.values()), counted


def test_spells_are_bounded_by_request_numbers_and_by_virtual_time() -> None:
    later = EVENING + timedelta(hours=1)
    plan = Faults(
        script=(Spell("reset", first=3, last=4), Spell("error_503", 0.5, since=EVENING, until=later)),
        rates={"html": 0.1},
    )
    before = [plan.struck(number, EVENING - timedelta(seconds=1)) for number in range(1, 1001)]
    within = Counter(plan.struck(number, EVENING) for number in range(5, 1005))
    assert before[2:4] == ["reset", "reset"]
    assert set(before[:2] + before[4:]) == {"html", None}
    assert 430 <= within["error_503"] <= 570
    assert plan.struck(5, later) in ("html", None)


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (lambda: Faults(rates={"flood": 0.1}), "there is no fault 'flood'; there are error_500"),  # type: ignore[dict-item]
        (lambda: Faults(rates={"html": 1.5}), "share from 0 to 1, not 1.5"),
        (lambda: Faults(rates={"html": -0.1}), "share from 0 to 1, not -0.1"),
        (lambda: Faults(rates={"html": float("nan")}), "share from 0 to 1, not nan"),
        (lambda: Faults(rates={"html": 0.6, "slow": 0.6}), "together at most 1, not 1.2"),
        (lambda: Faults(retry_after=-1), "0 or more"),
        (lambda: Faults(bomb_bytes=10), "a bomb of 10 bytes is none"),
        (lambda: Faults(elsewhere="kpu.go.id"), "elsewhere is a host"),
        (lambda: Spell("html", first=5, last=4), "from request 5 to 4"),
        (lambda: Spell("html", first=0), "from request 0"),
        (lambda: Spell("html", since=datetime(2024, 11, 27)), "need a time zone"),  # noqa: DTZ001 - that is the mistake
        (lambda: Spell("html", since=EVENING, until=EVENING), "ends before it begins"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plan: Callable[[], object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan()


def test_all_faults_at_once_are_a_plan() -> None:
    assert Faults.evenly(1.0).struck(1, EVENING) in KINDS


def test_what_has_no_mode_or_no_text_cannot_be_struck() -> None:
    assert of_other_mode(b"[]") is None
    assert corrupted(b"[]", 0.5) is None


# The log


def noted(began_s: float, ended_s: float | None = None, **fields: Any) -> Record:
    usual: dict[str, Any] = {
        "connection": 1,
        "connections": 1,
        "method": "GET",
        "path": JAKARTA,
        "is_conditional": False,
        "status": 200,
        "sent": 0,
        "fault": None,
        "retry_after": None,
        "at": EVENING,
    }
    return Record(began_s=began_s, ended_s=began_s if ended_s is None else ended_s, **usual | fields)


def log_of(*records: Record) -> RequestLog:
    log = RequestLog()
    for one in records:
        log.add(one)
    return log


def test_the_log_tells_the_busiest_time() -> None:
    log = log_of(*(noted(began_s) for began_s in (9.0, 0.0, 0.5, 0.9, 1.0, 5.0)))
    assert [log.busiest(seconds) for seconds in (0.4, 1, 1.1, 100)] == [2, 3, 4, 6]
    assert RequestLog().busiest(1) == 0


def test_the_log_tells_who_did_not_wait() -> None:
    refused = noted(10.0, 10.1, status=429, retry_after=2, path=PUSAT)
    log = log_of(noted(9.9, 11), refused, noted(10.15), noted(12.0, path=UTARA), noted(12.2))
    assert [one.began_s for one in log.too_soon()] == [10.15, 12.0]
    assert [one.path for one in log.too_soon(grace_s=0.1)] == [UTARA]


def test_the_log_tells_strangers_and_counts() -> None:
    log = log_of(noted(1, path=LIST), noted(2, status=404), noted(3, connections=5), noted(4, fault="html"))
    assert log.outside({JAKARTA}) == [LIST]
    assert log.by_status() == {200: 3, 404: 1}
    assert log.by_fault() == {"html": 1}
    assert log.most_connections() == 5


def test_the_server_counts_connections_that_are_open_at_once(simulated: SimulatedSource) -> None:
    async def scenario(server: ReplayServer, client: Client) -> None:
        others = [await connect(server) for _ in range(3)]
        await others[0].get(PUSAT)
        for other in others:
            other.writer.close()
        while server.connections_open > 1:
            await asyncio.sleep(0.01)
        await client.get(PUSAT)
        await client.get(PUSAT)

    log = play(simulated, scenario)
    assert [one.connections for one in log.records] == [4, 4, 1]
    assert len({one.connection for one in log.records}) == 2


def test_the_log_in_memory_is_bounded_and_the_one_in_a_stream_is_whole(simulated: SimulatedSource) -> None:
    stream = io.BytesIO()

    async def scenario(_: ReplayServer, client: Client) -> None:
        for _ in range(5):
            await client.get(PUSAT)

    log = play(simulated, scenario, log=RequestLog(keep=2, stream=stream))
    assert len(log.records) == 2
    whole = RequestLog.read(io.BytesIO(stream.getvalue()))
    assert len(whole.records) == 5
    assert list(whole.records)[-2:] == list(log.records)
    assert {one.at for one in whole.records} == {EVENING}


def test_a_full_disk_ends_the_written_log_and_nothing_else(
    simulated: SimulatedSource, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    async def scenario(_: ReplayServer, client: Client) -> None:
        assert (await client.get(PUSAT)).status == (await client.get(PUSAT)).status == 200

    assert len(play(simulated, scenario, log=RequestLog(stream=Full())).records) == 2
    assert caplog.text.count("the requests are no longer written down: [Errno 28] No space left on device") == 1


# Clock and command


def test_virtual_time_runs_at_its_speed_stops_at_its_end_or_begins_again() -> None:
    hour = timedelta(hours=1)
    minute_ago = monotonic() - 60

    def passed(**options: Any) -> timedelta:
        return VirtualClock(start=EVENING, started_s=minute_ago, **options)() - EVENING

    slack = timedelta(minutes=10)  # a slow machine is no bug
    assert timedelta(minutes=1) <= passed() <= slack
    assert 4 * hour <= passed(speed=240) <= 4 * hour + 240 * slack
    assert passed(speed=0) == timedelta()
    assert passed(speed=240, end=EVENING + hour) == hour
    assert passed(speed=60, end=EVENING + timedelta(minutes=59), loops=True) >= timedelta(minutes=1)
    assert all(passed(speed=1e6, end=EVENING + hour, loops=True) < hour for _ in range(100))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"start": datetime(2024, 11, 27)}, "time zone"),  # noqa: DTZ001 - that is the mistake
        ({"speed": -1}, "speed is virtual seconds a second"),
        ({"speed": float("inf")}, "speed is virtual seconds a second"),
        ({"end": EVENING}, "ends before it begins"),
        ({"loops": True}, "needs an end"),
        ({"loops": True, "end": EVENING + timedelta(1), "speed": 0}, "needs an end and a speed"),
    ],
)
def test_a_clock_that_makes_no_sense_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        VirtualClock(**({"start": EVENING} | options))


COMMAND = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from extract.archive import Archive
from extract.server import ArchivedSource, RequestLog, run, serving
at = datetime(2024, 11, 28, tzinfo=timezone.utc)
with open(sys.argv[2], "wb") as stream:
    service = serving(ArchivedSource.of(Archive(Path(sys.argv[1]))), lambda: at, log=RequestLog(stream=stream))
    server = run(service, lambda server: print(server.base_url, flush=True))
print(len(server.log.records))
"""


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(told: signal.Signals, tmp_path: Path) -> None:
    archived(tmp_path / "archive", capture("https://kpu" + PUSAT, b"{}", EVENING, "kpu"))
    command = [sys.executable, "-c", COMMAND, str(tmp_path / "archive"), str(tmp_path / "log.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        assert process.stdout
        base_url = process.stdout.readline().strip()
        with httpx.Client(base_url=base_url) as client:
            assert client.get(PUSAT).json() == {}
            os.kill(process.pid, told)  # while a connection is open
            assert process.stdout.read() == "1\n"
        assert process.wait(5) == 0
    with (tmp_path / "log.jsonl").open("rb") as lines:
        assert RequestLog.read(lines).by_status() == {200: 1}


def test_it_listens_on_this_machine_only(simulated: SimulatedSource) -> None:
    async def scenario(server: ReplayServer, client: Client) -> None:
        assert server.base_url.startswith("http://127.0.0.1:")
        assert client.writer.get_extra_info("socket").family == socket.AF_INET

    play(simulated, scenario)
