"""Asking politely: what is sent, what becomes a capture, how fast, and when asking stops.

Answers come from respx; what only sockets can do (resets, trickles, broken-off bodies) from a small server here.
"""

import asyncio
import gzip
import inspect
import math
import shutil
import ssl
import struct
import subprocess
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import brotli
import h2.config
import h2.connection
import h2.events
import httpx
import msgspec
import pytest
import respx
import stamina
from conftest import Ticking
from hypothesis import given
from hypothesis import strategies as st

from extract import client as module
from extract.answers import Failure, Validators
from extract.archive import Archive
from extract.capture import Capture, capture, digest_of
from extract.client import Client
from extract.errors import SourceDownError, StorageError, UsageError
from extract.politeness import Manners, Pace, authority, retry_after
from extract.recording import record
from extract.unpacking import Body, zstd

HOST = "sirekappilkada-obj-data.kpu.go.id"
URL = f"https://{HOST}/pilkada/hhcw/pkwkp/31.json"
SITE = "https://pilkada2024.kpu.go.id"
BODY = b'{"mode":"hhcw","ts":"2024-11-28 02:15:00"}'
NOON = datetime(2024, 11, 28, 5, 0, 0, tzinfo=UTC)
FAST = Manners(frozenset({HOST, "pilkada2024.kpu.go.id"}), rate=0)
TLS = ssl.create_default_context()  # made once: reading the authorities takes 20 ms

Answer = Capture | Failure
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstd.compress}


class FakeTime:
    """Seconds that pass only where somebody sleeps, and the time of day that goes with them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def of_day(self) -> datetime:
        return NOON + timedelta(seconds=self.now)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def pace(self, rate: float) -> Pace:
        return Pace(rate, self, self.sleep)


class Asked:
    """What came of asking: the last words, all that was kept, and the client."""

    def __init__(self, answers: list[Answer], kept: list[Capture], client: Client) -> None:
        self.answers, self.kept, self.client = answers, kept, client

    @property
    def capture(self) -> Capture:
        (answer,) = self.answers
        assert isinstance(answer, Capture), answer
        return answer

    @property
    def failure(self) -> Failure:
        (answer,) = self.answers
        assert isinstance(answer, Failure), answer
        return answer

    @property
    def statuses(self) -> list[int]:
        return [capture.status for capture in self.kept]


async def ask_all(urls: list[str], manners: Manners, validators: Validators | None, time: FakeTime) -> Asked:
    kept: list[Capture] = []
    pace = time.pace(manners.rate)
    async with Client(manners, time.of_day, kept.append, pace=pace, ssl_context=TLS) as client:
        answers = [await client.fetch(url, validators) for url in urls]
    return Asked(answers, kept, client)


def ask(
    *urls: str,
    manners: Manners = FAST,
    validators: Validators | None = None,
    time: FakeTime | None = None,
) -> Asked:
    """Ask for one address after the other, with nothing to wait for."""
    return asyncio.run(ask_all(list(urls or (URL,)), manners, validators, time or FakeTime()))


def with_manners(**changes: Any) -> Manners:
    return msgspec.structs.replace(FAST, **changes)


def raw(content: bytes, coding: str) -> Callable[[httpx.Request], httpx.Response]:
    """An answer as it comes off the wire: given `content`, httpx would unpack it here."""

    class Stream(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for start in range(0, len(content), 65_536):
                yield content[start : start + 65_536]

    return lambda _: httpx.Response(200, stream=Stream(), headers={"Content-Encoding": coding})


@pytest.fixture(autouse=True)
def no_waits_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def kpu() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


# --- what is sent, and to whom ------------------------------------------------------------------------------------


def test_a_request_says_who_asks_and_where_the_site_is(kpu: respx.MockRouter) -> None:
    kpu.get(URL).respond(200, content=BODY)
    ask(manners=with_manners(contact="desk@news.example"))
    sent = kpu.calls.last.request.headers
    assert sent["user-agent"] == f"realcount/{version('realcount')} (+desk@news.example)"
    assert sent["referer"] == f"{SITE}/"
    assert sent["origin"] == SITE
    assert sent["accept-encoding"] == "gzip, br, zstd"


def test_without_a_contact_the_request_says_how_to_give_one() -> None:
    assert "REALCOUNT_CONTACT" in FAST.headers["User-Agent"]


@pytest.mark.parametrize(
    "changes", [{"contact": "a\r\nX: y"}, {"contact": "café"}, {"rate": -1}, {"connections": 0}, {"retries": -1}]
)
def test_manners_that_cannot_be_kept_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(changes))):
        with_manners(**changes)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/pilkada/hhcw/pkwkp/31.json",
        f"https://{HOST}.evil.example/31.json",
        f"https://{HOST}:8443/31.json",
        f"ftp://{HOST}/31.json",
        f"https://user:secret@{HOST}/31.json",
        "https://[broken/31.json",
        "/pilkada/hhcw/pkwkp/31.json",
    ],
)
def test_nothing_outside_of_the_allowed_hosts_is_ever_asked(kpu: respx.MockRouter, url: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask(url)
    assert "secret" not in str(caught.value)
    assert not kpu.calls


@pytest.mark.parametrize(
    "url",
    ["https://KPU.go.id/a", "https://kpu.go.id:443/a", "http://127.0.0.1:8000", "http://[::1]:8000/", "http://h:80"],
)
def test_a_base_address_names_its_host_as_it_will_be_compared(url: str) -> None:
    assert authority(url) == httpx.URL(url).netloc.decode()


@pytest.mark.parametrize("url", ["kpu.go.id", "ftp://kpu.go.id", "https://", "http://h:port"])
def test_a_base_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        authority(url)


def test_cookies_are_neither_kept_nor_sent_back(kpu: respx.MockRouter) -> None:
    kpu.get(URL).respond(200, content=BODY, headers={"Set-Cookie": "session=secret", "X-Cache": "HIT"})
    asked = ask(URL, URL)
    assert "cookie" not in kpu.calls.last.request.headers
    assert [capture.headers for capture in asked.kept] == [{"x-cache": "HIT"}] * 2


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert over_sockets(whole(b"Content-Length: 2", b"{}")).capture.body == b"{}"


# --- every answer becomes a capture -------------------------------------------------------------------------------


def test_an_answer_becomes_a_capture_of_the_moment_it_was_complete(kpu: respx.MockRouter) -> None:
    time = FakeTime()

    def slowly(_: httpx.Request) -> httpx.Response:
        time.now += 7
        return httpx.Response(200, content=BODY, headers={"Content-Type": "Application/JSON; charset=utf-8"})

    kpu.get(URL).mock(side_effect=slowly)
    assert ask(time=time).capture == capture(
        URL, BODY, NOON + timedelta(seconds=7), "kpu", headers={"content-type": "Application/JSON; charset=utf-8"}
    )


def test_a_type_that_was_not_said_is_unknown(kpu: respx.MockRouter) -> None:
    kpu.get(URL).respond(200, content=BODY)
    assert ask().capture.mimetype == "unk"


@pytest.mark.parametrize("coding", [*PACKERS, "identity", ""])
def test_a_capture_holds_the_body_unpacked(kpu: respx.MockRouter, coding: str) -> None:
    packed = PACKERS.get(coding, bytes)(BODY)
    kpu.get(URL).mock(side_effect=raw(packed, coding))
    asked = ask()
    assert (asked.capture.body, asked.capture.truncated) == (BODY, None)
    assert asked.client.counts.bytes_on_wire == len(packed)


@pytest.mark.parametrize("status", [400, 403, 404, 410, 451])
def test_a_refusal_is_captured_and_not_asked_again(kpu: respx.MockRouter, status: int) -> None:
    kpu.get(URL).respond(status, content=b"<html>no</html>", headers={"Content-Type": "text/html"})
    asked = ask()
    assert (asked.capture.status, asked.capture.body, asked.capture.mimetype) == (
        status,
        b"<html>no</html>",
        "text/html",
    )
    assert asked.client.counts.asked == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
def test_every_answer_of_every_attempt_is_kept(kpu: respx.MockRouter, status: int) -> None:
    bad = httpx.Response(status, content=b"busy")
    kpu.get(URL).mock(side_effect=[bad, httpx.ReadError("reset"), bad, httpx.Response(200, content=BODY)])
    asked = ask()
    assert asked.statuses == [status, status, 200]
    assert asked.capture.body == BODY
    assert asked.client.counts.answered == {status: 2, 200: 1}
    assert (asked.client.counts.asked, asked.client.counts.retried, asked.client.counts.failed) == (4, 3, 1)


def test_the_number_of_attempts_is_bounded_and_the_last_word_stands(kpu: respx.MockRouter) -> None:
    kpu.get(URL).respond(500, content=b"oops")
    asked = ask(manners=with_manners(retries=2))
    assert asked.capture.status == 500
    assert asked.statuses == [500, 500, 500]
    kpu.get(URL).mock(side_effect=httpx.ConnectError("Name or service not known"))
    assert ask(manners=with_manners(retries=2)).failure == Failure(URL, "no connection (Name or service not known)", 3)


def test_a_disk_that_is_full_stops_the_asking_at_once(kpu: respx.MockRouter, clock: Ticking) -> None:
    def refuse(_: Capture) -> None:
        raise StorageError("archive", "No space left on device")

    async def run() -> None:
        async with Client(FAST, clock, refuse, ssl_context=TLS) as client:
            await client.fetch(URL)

    kpu.get(URL).respond(500)
    with pytest.raises(StorageError):
        asyncio.run(run())
    assert len(kpu.calls) == 1


# --- validators ---------------------------------------------------------------------------------------------------


def test_validators_are_sent_and_a_304_is_archived_as_a_revisit(
    kpu: respx.MockRouter, tmp_path: Path, clock: Ticking
) -> None:
    given = {"ETag": '"v1"', "Last-Modified": "Thu, 28 Nov 2024 02:15:00 GMT"}
    kpu.get(URL, headers={"If-None-Match": '"v1"', "If-Modified-Since": given["Last-Modified"]}).respond(304)
    kpu.get(URL).respond(200, content=BODY, headers=given)
    archive = Archive(tmp_path)
    first = ask().capture
    again = ask(validators=Validators.of(first), time=later(60)).capture
    assert (again.status, again.body, again.digest, again.length) == (304, None, digest_of(BODY), len(BODY))
    with record(archive, "poll", {}, clock, {}) as run:
        assert run.append(first)
        assert run.append(again)
    assert [seen.status for seen in archive.history()] == [200, 304]
    assert {seen.body for seen in archive.history()} == {BODY}
    assert archive.manifests()[0].bodies == 1


def later(seconds: float) -> FakeTime:
    time = FakeTime()
    time.now = seconds
    return time


def test_a_304_that_nobody_asked_for_is_captured_as_it_came(kpu: respx.MockRouter) -> None:
    kpu.get(URL).respond(304)
    assert (ask().capture.status, ask().capture.body) == (304, b"")


def test_only_whole_good_captures_with_validators_give_some() -> None:
    good = capture(URL, BODY, NOON, "kpu", headers={"etag": '"v1"'})
    assert Validators.of(good) == Validators(digest_of(BODY), len(BODY), '"v1"')
    assert Validators.of(msgspec.structs.replace(good, headers={})) is None
    assert Validators.of(msgspec.structs.replace(good, status=500)) is None
    assert Validators.of(msgspec.structs.replace(good, truncated="disconnect")) is None


def test_a_validator_that_cannot_be_sent_back_is_left_out() -> None:
    assert Validators("d", 1, "\N{SNOWMAN}", "Thu").headers == {"If-Modified-Since": "Thu"}
    assert Validators("d", 1, "a\r\nX: y").headers == {}


# --- redirects ----------------------------------------------------------------------------------------------------


def test_a_redirect_within_the_allowed_hosts_is_followed_each_hop_in_its_turn(kpu: respx.MockRouter) -> None:
    moved = f"{SITE}/moved/31.json"
    kpu.get(URL).respond(302, headers={"Location": moved})
    kpu.get(moved).respond(301, headers={"Location": "/here/31.json"})
    kpu.get(f"{SITE}/here/31.json").respond(200, content=BODY)
    time = FakeTime()
    asked = ask(manners=with_manners(rate=2), time=time)
    assert [(kept.url, kept.status) for kept in asked.kept] == [
        (URL, 302),
        (moved, 301),
        (f"{SITE}/here/31.json", 200),
    ]
    assert asked.capture.body == BODY
    assert time.now == pytest.approx(2 * 1.05 / 2)


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/31.json",
        "//evil.example/31.json",
        f"http://{HOST}/pilkada/hhcw/pkwkp/31.json",
        f"https://user:secret@{HOST}/31.json",
        "javascript:alert(1)",
        "https://[broken/",
        "https://" + "a" * 70_000,
    ],
)
def test_a_redirect_elsewhere_is_captured_and_not_followed(kpu: respx.MockRouter, location: str) -> None:
    kpu.get(URL).respond(302, content=b"moved", headers={"Location": location})
    asked = ask()
    assert (asked.capture.status, asked.capture.body) == (302, b"moved")
    assert len(kpu.calls) == 1


def test_a_redirect_without_end_is_left(kpu: respx.MockRouter) -> None:
    kpu.get(URL).respond(307, headers={"Location": URL})
    assert ask(manners=with_manners(redirects=3)).statuses == [307] * 4


# --- bodies that are too much or not enough -----------------------------------------------------------------------

_MIB = 1024 * 1024


def bomb(coding: str) -> bytes:
    """64 MiB of nothing, packed."""
    nothing = bytes(_MIB)
    if coding == "gzip":
        packer: Any = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        packs, end = packer.compress, packer.flush
    elif coding == "zstd":
        packer = zstd.ZstdCompressor()
        packs, end = packer.compress, packer.flush
    else:
        packer = brotli.Compressor(quality=1)
        packs, end = packer.process, packer.finish
    return b"".join([packs(nothing) for _ in range(64)] + [end()])


@pytest.mark.parametrize("coding", PACKERS)
def test_a_decompression_bomb_is_cut_off_with_bounded_memory(kpu: respx.MockRouter, coding: str) -> None:
    kpu.get(host=HOST).mock(side_effect=raw(bomb(coding), coding))
    manners = with_manners(most_bytes=_MIB)
    ask("https://" + HOST + "/warm-up.json", manners=manners)
    tracemalloc.start()
    asked = ask(manners=manners)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (asked.capture.truncated, asked.capture.body) == ("length", bytes(_MIB))
    assert peak < 8 * _MIB
    assert asked.client.counts.asked == 1


def test_a_zstandard_window_beyond_the_standard_is_refused() -> None:
    wide = zstd.compress(bytes(_MIB), options={zstd.CompressionParameter.window_log: 27})
    streaming = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    unsized = streaming.compress(b"a") + streaming.flush()
    assert Body("zstd", 8 * _MIB).feed(unsized) == "disconnect"
    assert Body("zstd", 8 * _MIB).feed(wide) is None  # it says that it needs no more than 1 MiB


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_thousands_of_empty_members_are_refused(coding: str) -> None:
    assert Body(coding, _MIB).feed(PACKERS[coding](b"") * 3_000) == "disconnect"


@given(
    coding=st.sampled_from([*PACKERS, "identity"]),
    parts=st.lists(st.binary(max_size=200), min_size=1, max_size=4),
    size=st.integers(1, 50),
)
def test_a_body_unpacks_the_same_however_it_is_cut_into_chunks(coding: str, parts: list[bytes], size: int) -> None:
    pack = PACKERS.get(coding, bytes)
    packed = pack(b"".join(parts)) if coding == "br" else b"".join(map(pack, parts))  # Brotli has no members
    body = Body(coding, 10_000)
    for start in range(0, len(packed), size):
        assert body.feed(packed[start : start + size]) is None
    assert (body.content, body.is_complete) == (b"".join(parts), True)


@given(coding=st.sampled_from(sorted(PACKERS)), noise=st.binary(max_size=300), most=st.integers(0, 200))
def test_no_garbage_makes_unpacking_fail_or_exceed_its_limit(coding: str, noise: bytes, most: int) -> None:
    body = Body(coding, most)
    for chunk in (PACKERS[coding](b"kpu")[:-2], noise, noise):
        if body.feed(chunk):
            break
    assert len(body.content) <= most


@pytest.mark.parametrize("coding", PACKERS)
def test_a_garbled_encoding_counts_as_broken_off(kpu: respx.MockRouter, coding: str) -> None:
    kpu.get(URL).mock(side_effect=raw(b"<html>not packed</html>", coding))
    asked = ask(manners=with_manners(retries=1))
    assert (asked.capture.truncated, asked.capture.body) == ("disconnect", b"")
    assert len(asked.kept) == 2


@pytest.mark.parametrize("coding", PACKERS)
def test_an_encoding_without_its_end_keeps_what_arrived(kpu: respx.MockRouter, coding: str) -> None:
    text = bytes(range(256)) * 40
    kpu.get(URL).mock(side_effect=raw(PACKERS[coding](text)[:-3], coding))
    kept = ask(manners=with_manners(retries=0)).capture
    assert kept.truncated == "disconnect"
    assert text.startswith(kept.body or b"")


def test_an_encoding_that_was_not_offered_is_kept_as_it_came(kpu: respx.MockRouter) -> None:
    kpu.get(URL).mock(side_effect=raw(b"\x1f\x9d\x90", "compress"))
    assert (ask().capture.body, ask().capture.truncated) == (b"\x1f\x9d\x90", None)


# --- sockets ------------------------------------------------------------------------------------------------------

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def whole(head: bytes, body: bytes, status: bytes = b"200 OK") -> Talk:
    """Answer like this, then hang up."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n\r\n" + body)

    return talk


@asynccontextmanager
async def serving(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free port that reads a request's head and then talks; its address."""
    talking: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        talking.add(task)
        try:
            if tls is None:
                await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()
            talking.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        server.close()
        for task in list(talking):
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await server.wait_closed()


def over_sockets(talk: Talk, **changes: Any) -> Asked:
    async def run() -> Asked:
        async with serving(talk) as base:
            manners = with_manners(**{"allowed_hosts": frozenset({authority(base)}), "retries": 0, **changes})
            return await ask_all([f"{base}/31.json"], manners, None, FakeTime())

    return asyncio.run(run())


async def forever() -> None:
    await asyncio.Event().wait()


def test_a_body_shorter_than_promised_keeps_what_arrived() -> None:
    kept = over_sockets(whole(b"Content-Length: 100", b"half")).capture
    assert (kept.status, kept.body, kept.truncated) == (200, b"half", "disconnect")


def test_a_chunked_body_without_its_end_keeps_what_arrived() -> None:
    kept = over_sockets(whole(b"Transfer-Encoding: chunked", b"4\r\nhalf\r\n")).capture
    assert (kept.body, kept.truncated) == (b"half", "disconnect")


def test_a_broken_off_body_is_asked_for_again() -> None:
    asked = over_sockets(whole(b"Content-Length: 100", b"half"), retries=2)
    assert [kept.truncated for kept in asked.kept] == ["disconnect"] * 3


def test_a_reset_in_the_middle_keeps_what_arrived() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    kept = over_sockets(talk).capture
    assert (kept.body, kept.truncated) == (b"half", "disconnect")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"SSH-2.0-OpenSSH_9.6\r\n\r\n"])
def test_no_answer_is_a_failure_with_its_reason(answer: bytes) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    asked = over_sockets(talk, retries=1)
    assert asked.failure.reason.startswith("no HTTP answer (")
    assert (asked.failure.attempts, asked.kept, asked.client.counts.failed) == (2, [], 2)


def test_a_port_where_nobody_listens_is_a_failure() -> None:
    manners = with_manners(allowed_hosts=frozenset({"127.0.0.1:9"}), retries=0)
    assert ask("http://127.0.0.1:9/31.json", manners=manners).failure.reason.startswith("no connection (")


def test_silence_is_a_failure() -> None:
    async def talk(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await forever()

    assert over_sockets(talk, request_timeout=0.05).failure.reason == "no answer in time (ReadTimeout)"
    assert over_sockets(talk, total_timeout=0.05).failure.reason == "no answer in time (TimeoutError)"


async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never silent for long, and never done."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


def test_a_body_that_only_trickles_is_cut_off_when_its_time_is_over() -> None:
    kept = over_sockets(trickle, total_timeout=0.1, request_timeout=5).capture
    assert kept.truncated == "time"
    assert 0 < kept.length < 1000


def test_a_body_that_stops_arriving_is_cut_off() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        await forever()

    kept = over_sockets(talk, request_timeout=0.05).capture
    assert (kept.body, kept.truncated) == (b"half", "time")


def test_a_body_without_end_is_stopped_at_the_limit_and_not_asked_again() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(_MIB))
            await writer.drain()

    by_wire = over_sockets(talk, most_bytes_on_wire=300_000, retries=3)
    assert by_wire.capture.truncated == "length"
    assert 300_000 < by_wire.client.counts.bytes_on_wire < 2 * _MIB
    assert by_wire.client.counts.asked == 1
    by_size = over_sockets(talk, most_bytes=300_000).capture
    assert (by_size.truncated, by_size.length) == ("length", 300_000)


def test_a_connection_is_used_again_and_never_more_than_allowed() -> None:
    opened = answered = at_once = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened, answered, at_once
        opened += 1
        at_once += 1
        assert at_once <= 3
        try:
            while True:
                await asyncio.sleep(0.002)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                answered += 1
                await reader.readuntil(b"\r\n\r\n")
        finally:
            at_once -= 1

    async def run() -> set[str]:
        async with serving(talk) as base:
            manners = with_manners(allowed_hosts=frozenset({authority(base)}), connections=3)
            wanted = [(f"{base}/{number}.json", None) for number in range(30)]
            async with Client(manners, FakeTime().of_day, lambda _: None, ssl_context=TLS) as client:
                return {url async for url, answer in client.fetch_all(wanted) if isinstance(answer, Capture)}

    assert len(asyncio.run(run())) == answered == 30
    assert opened == 3


def test_two_hosts_share_the_allowed_connections() -> None:
    at_once = most = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        await asyncio.sleep(0.01)  # a connection that was closed is gone by now
        most = max(most, at_once)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await reader.read()
        at_once -= 1

    async def run() -> None:
        async with serving(talk) as one, serving(talk) as other:
            manners = with_manners(allowed_hosts=frozenset({authority(one), authority(other)}), connections=1)
            async with Client(manners, FakeTime().of_day, lambda _: None, ssl_context=TLS) as client:
                await client.fetch(f"{one}/31.json")
                await client.fetch(f"{other}/31.json")

    asyncio.run(run())
    assert most == 1


def test_a_cancelled_request_leaves_no_connection_behind() -> None:
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        if await reader.read() == b"":
            gone.set()

    async def run() -> None:
        async with serving(talk) as base:
            manners = with_manners(allowed_hosts=frozenset({authority(base)}), connections=1)
            async with Client(manners, FakeTime().of_day, lambda _: None, ssl_context=TLS) as client:
                task = asyncio.create_task(client.fetch(f"{base}/31.json"))
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await asyncio.wait_for(gone.wait(), 1)
                assert client.counts.asked == 1

    asyncio.run(run())


def test_whoever_stops_reading_stops_the_asking() -> None:
    async def run() -> int:
        async with serving(whole(b"Content-Length: 2", b"{}")) as base:
            manners = with_manners(allowed_hosts=frozenset({authority(base)}))
            wanted = ((f"{base}/{number}.json", None) for number in range(1_000))
            async with Client(manners, FakeTime().of_day, lambda _: None, ssl_context=TLS) as client:
                async with aclosing(client.fetch_all(wanted)) as answers:
                    async for _ in answers:
                        break
                asked = client.counts.asked
                await asyncio.sleep(0.02)
                assert client.counts.asked == asked
                return asked

    assert asyncio.run(run()) < 20


def test_http_2_is_spoken_where_the_server_offers_it(tmp_path: Path) -> None:
    if not (openssl := shutil.which("openssl")):
        pytest.skip("openssl is not there to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    named = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *command.split(), *named], check=True, capture_output=True)
    offer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    offer.load_cert_chain(certificate, key)
    offer.set_alpn_protocols(["h2", "http/1.1"])

    opened = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await talk_http_2(reader, writer)

    async def run(most_bytes: int) -> list[bytes | None]:
        async with serving(talk, offer) as base:
            manners = with_manners(allowed_hosts=frozenset({authority(base)}), most_bytes=most_bytes)
            kept: list[Capture] = []
            trust = ssl.create_default_context(cafile=str(certificate))
            async with Client(manners, FakeTime().of_day, kept.append, ssl_context=trust) as client:
                await client.fetch(f"{base}/1.json")
                await client.fetch(f"{base}/2.json")
            return [capture.body for capture in kept]

    assert asyncio.run(run(most_bytes=100)) == [b'{"spoken":"h2"}'] * 2
    assert opened == 1
    assert asyncio.run(run(most_bytes=2)) == [b'{"'] * 2
    assert opened == 3  # what was left of a body that was too long is not waited for


async def talk_http_2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    speaker = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    speaker.initiate_connection()
    writer.write(speaker.data_to_send())
    while heard := await reader.read(65_536):
        for event in speaker.receive_data(heard):
            if isinstance(event, h2.events.RequestReceived):
                assert event.stream_id
                speaker.send_headers(event.stream_id, [(":status", "200")])
                speaker.send_data(event.stream_id, b'{"spoken":"h2"}', end_stream=True)
        writer.write(speaker.data_to_send())


# --- every way httpx can fail -------------------------------------------------------------------------------------


def leaves(kind: type[Exception]) -> Iterator[type[Exception]]:
    below = kind.__subclasses__()
    for each in below:
        yield from leaves(each)
    if not below:
        yield kind


FAILURES = sorted(leaves(httpx.TransportError), key=lambda kind: kind.__name__)
NEVER_RAISED = {  # by a transport: we follow redirects, unpack and judge statuses ourselves, and send no cookies
    httpx.DecodingError: "extract.unpacking",
    httpx.TooManyRedirects: "Client._follow",
    httpx.HTTPStatusError: "Exchange.fault",
    httpx.CookieConflict: "no cookies",
    httpx.InvalidURL: "Client._permitted",
    httpx.StreamConsumed: "a stream is read once",
    httpx.StreamClosed: "and before it is closed",
    httpx.ResponseNotRead: "never its content",
    httpx.RequestNotRead: "requests have none",
}


def test_every_exception_of_httpx_is_accounted_for() -> None:
    public = {kind for _, kind in inspect.getmembers(httpx, inspect.isclass) if issubclass(kind, Exception)}
    ends = {kind for kind in public if not any(other is not kind and issubclass(other, kind) for other in public)}
    assert ends == set(FAILURES) | set(NEVER_RAISED)
    assert set(FAILURES) < set(module._REASONS)


@pytest.mark.parametrize("kind", FAILURES, ids=lambda kind: kind.__name__)
def test_a_failure_before_any_answer_is_reported_as_one(
    kpu: respx.MockRouter, kind: type[httpx.TransportError]
) -> None:
    kpu.get(URL).mock(side_effect=kind("because"))
    asked = ask()
    assert asked.failure == Failure(URL, f"{module._REASONS[kind]} (because)", 4)
    assert asked.client.counts.failed == 4


@pytest.mark.parametrize("kind", [*FAILURES, ssl.SSLError, ConnectionResetError], ids=lambda kind: kind.__name__)
def test_a_failure_within_a_body_keeps_what_arrived(kpu: respx.MockRouter, kind: type[Exception]) -> None:
    class Breaking(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"half"
            raise kind("because")

    kpu.get(URL).mock(side_effect=lambda _: httpx.Response(200, stream=Breaking()))
    kept = ask(manners=with_manners(retries=0)).capture
    assert (kept.body, kept.truncated) == (
        b"half",
        "time" if issubclass(kind, httpx.TimeoutException) else "disconnect",
    )


# --- how fast -----------------------------------------------------------------------------------------------------


def most_within(seconds: float, moments: list[float]) -> int:
    """The most requests in any window of that length, both ends included."""
    return max(sum(first <= moment <= first + seconds for moment in moments) for first in moments)


@given(
    rate=st.sampled_from([0.3, 0.5, 1, 2.5, 5, 20]),
    waits=st.lists(st.floats(0, 1.5), min_size=2, max_size=60),
    answers=st.lists(st.sampled_from(["good", "refused"]), min_size=60, max_size=60),
)
def test_requests_are_spaced_over_any_two_seconds_whatever_happens(
    rate: float, waits: list[float], answers: list[str]
) -> None:
    time = FakeTime()
    pace = time.pace(rate)

    async def run() -> list[float]:
        moments = []
        for wait, answer in zip(waits, answers, strict=False):
            time.now += wait if wait > 1 else 0  # mostly there is more to ask
            moments.append(await pace.turn())
            if answer == "good":
                pace.go_on()
            else:
                pace.slow_down(moments[-1])
        return moments

    assert most_within(2, asyncio.run(run())) <= max(1, math.ceil(2 * rate))


def test_many_who_wait_leave_one_by_one_in_their_order() -> None:
    time = FakeTime()
    pace = time.pace(5)

    async def run() -> list[float]:
        return await asyncio.gather(*(pace.turn() for _ in range(30)))

    moments = asyncio.run(run())
    assert moments == sorted(moments)
    assert [b - a for a, b in pairwise(moments)] == pytest.approx([0.21] * 29)


def test_without_a_limit_nobody_waits() -> None:
    time = FakeTime()
    pace = time.pace(0)

    async def run() -> list[float]:
        return [await pace.turn() for _ in range(100)]

    assert asyncio.run(run()) == [0.0] * 100


@pytest.mark.parametrize("status", [429, 503])
def test_the_rate_is_halved_when_the_source_is_overrun_and_recovers_slowly(kpu: respx.MockRouter, status: int) -> None:
    kpu.get(URL).mock(side_effect=[httpx.Response(status)] + [httpx.Response(200)] * 400)
    time = FakeTime()

    async def run() -> list[float]:
        rates = []
        manners = with_manners(rate=8)
        async with Client(manners, time.of_day, lambda _: None, pace=time.pace(8), ssl_context=TLS) as client:
            for _ in range(110):
                await client.fetch(URL)
                rates.append(client.pace.rate)
        return rates

    rates = asyncio.run(run())
    assert rates[0] == 4
    assert sorted(set(rates)) == pytest.approx([4, 4.8, 5.6, 6.4, 7.2, 8])
    assert rates[-1] == pytest.approx(8)
    assert rates == sorted(rates)


def test_those_refused_together_halve_the_rate_once_and_it_never_ends_at_nothing() -> None:
    time = FakeTime()
    pace = time.pace(8)
    time.now = 1
    for _ in range(4):
        pace.slow_down(asked_at=0.5 if pace.rate < 8 else 0.0)
    assert pace.rate == 4
    for _ in range(10):
        time.now += 1
        pace.slow_down(asked_at=time.now)
    assert pace.rate == 0.5


# --- Retry-After --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, 5])
@pytest.mark.parametrize(
    "header",
    [
        {"Retry-After": "120"},
        {"Retry-After": format_datetime(NOON + timedelta(seconds=120), usegmt=True)},
        {  # the source's clock is an hour ahead
            "Retry-After": format_datetime(NOON + timedelta(seconds=3720), usegmt=True),
            "Date": format_datetime(NOON + timedelta(seconds=3600), usegmt=True),
        },
    ],
    ids=["seconds", "date", "date by the source's clock"],
)
def test_nothing_at_all_is_asked_within_a_retry_after(
    kpu: respx.MockRouter, header: dict[str, str], rate: float
) -> None:
    time = FakeTime()
    moments: list[float] = []

    def respond(_: httpx.Request) -> httpx.Response:
        moments.append(time.now)
        return httpx.Response(429, headers=header) if len(moments) == 1 else httpx.Response(200, content=BODY)

    async def run() -> list[int]:
        manners = with_manners(rate=rate, connections=1)
        async with Client(manners, time.of_day, lambda _: None, pace=time.pace(rate), ssl_context=TLS) as client:
            answers = await asyncio.gather(*(client.fetch(f"https://{HOST}/{number}.json") for number in range(8)))
            return [answer.status for answer in answers if isinstance(answer, Capture)]

    kpu.get(host=HOST).mock(side_effect=respond)
    assert asyncio.run(run()) == [200] * 8
    assert len(moments) == 9
    assert moments[1] >= 120


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "90"}, 90),
        ({"retry-after": " 90 "}, 90),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "\N{SUPERSCRIPT TWO}"}, None),
        ({}, None),
        ({"retry-after": "9" * 400}, 86_400),
        ({"retry-after": "Thu, 28 Nov 2024 05:01:00 GMT"}, 60),
        ({"retry-after": "Thu Nov 28 05:01:00 2024"}, 60),
        ({"retry-after": "Thu, 28 Nov 2024 04:59:00 GMT"}, None),
        ({"retry-after": "Thu, 28 Nov 2024 05:01:00 GMT", "date": "Thu, 28 Nov 2024 05:00:50 GMT"}, 10),
        ({"retry-after": "Thu, 28 Nov 9999 05:01:00 GMT"}, 86_400),
    ],
)
def test_retry_after_is_understood_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOON) == seconds


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_retry_after_is_too_odd(value: str, date: str) -> None:
    assert 0 < (retry_after({"retry-after": value, "date": date}, NOON) or 1) <= 86_400


def test_a_source_that_wants_to_be_left_alone_for_long_counts_as_down(kpu: respx.MockRouter) -> None:
    kpu.get(URL).respond(503, headers={"Retry-After": "7200"})
    kept: list[Capture] = []

    async def run() -> None:
        async with Client(FAST, FakeTime().of_day, kept.append, ssl_context=TLS) as client:
            first = await client.fetch(URL)
            assert isinstance(first, Capture)
            assert first.status == 503
            await client.fetch(URL)

    with pytest.raises(SourceDownError, match="7200 s") as caught:
        asyncio.run(run())
    assert caught.value.retry_after == 7200
    assert caught.value.exit_code == 75
    assert len(kpu.calls) == len(kept) == 1


# --- when asking stops --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [httpx.Response(500), httpx.Response(429), httpx.ConnectTimeout("slow"), httpx.ReadError("reset")],
    ids=["500", "429", "time-out", "reset"],
)
def test_after_too_many_failures_in_a_row_nothing_is_asked_any_more(
    kpu: respx.MockRouter, bad: httpx.Response | Exception
) -> None:
    kpu.get(host=HOST).mock(side_effect=[bad] * 100)
    handed_out = []

    async def run() -> None:
        wanted = ((f"https://{HOST}/{number}.json", None) for number in range(100))
        manners = with_manners(failures=10, connections=1, retries=3)
        async with Client(manners, FakeTime().of_day, lambda _: None, ssl_context=TLS) as client:
            async for url, _ in client.fetch_all(wanted):
                handed_out.append(url)

    with pytest.raises(SourceDownError, match="kpu is failing: 10 requests in a row"):
        asyncio.run(run())
    assert len(kpu.calls) == 10
    assert len(handed_out) == 3  # two after all their attempts, and the one that was under way


def test_answers_in_between_show_that_the_source_is_up(kpu: respx.MockRouter) -> None:
    pattern = [httpx.Response(500)] * 9 + [httpx.Response(404)]
    kpu.get(URL).mock(side_effect=pattern * 5)
    asked = ask(*[URL] * 20, manners=with_manners(failures=10, retries=1))
    assert len(asked.answers) == 20


def test_those_refused_within_one_pause_are_one_failure(kpu: respx.MockRouter) -> None:
    time = FakeTime()
    refused = 0

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal refused
        if time.now < 30:
            refused += 1
            await asyncio.sleep(0)  # all of them are under way when the first is refused
            return httpx.Response(429, headers={"Retry-After": "30"})
        return httpx.Response(200)

    async def run() -> int:
        manners = with_manners(connections=8, failures=2)
        async with Client(manners, time.of_day, lambda _: None, pace=time.pace(0), ssl_context=TLS) as client:
            wanted = [(f"https://{HOST}/{number}.json", None) for number in range(8)]
            return len([url async for url, got in client.fetch_all(wanted) if getattr(got, "status", 0) == 200])

    kpu.get(host=HOST).mock(side_effect=answer)
    assert asyncio.run(run()) == 8
    assert refused > 2
