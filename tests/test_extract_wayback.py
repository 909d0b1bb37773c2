"""Taking KPU's bytes from the Wayback Machine: at its times, once each, slowly, and never from the live one here."""

import asyncio
import gzip
import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina
from conftest import Ticking
from wayback_stand_in import Answer, Held, WaybackStandIn

from extract import cdx
from extract.archive import Archive
from extract.capture import Capture, capture
from extract.cdx import Row, page
from extract.errors import SourceDownError, SourceError
from extract.recording import record
from extract.wayback import WaybackSource
from flows.web_archives import manners
from transform.model import Quarantine
from transform.normalise import read as understand

HOST = "sirekappilkada-obj-data.kpu.go.id"
URL = f"https://{HOST}/pilkada/hhcw/pkwkp"
JAKARTA, BANTEN, BALI = f"{URL}/31.json", f"{URL}/36.json", f"{URL}/51.json"
TEN = datetime(2024, 11, 28, 3, 0, 5, tzinfo=UTC)
SPAN = (TEN - timedelta(days=1), TEN + timedelta(days=1))


def at(hour: int, url: str = JAKARTA, body: bytes | None = None, **given: Any) -> Capture:
    """An answer so many hours after ten o'clock."""
    body = b'{"hour":%d}' % hour if body is None else body
    return capture(url, body, TEN + timedelta(hours=hour), "kpu", **given)


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing here ever reaches the network, and nobody waits between attempts."""
    look_up: Callable[..., Any] = socket.getaddrinfo

    def refuse_others(host: str, *arguments: Any, **options: Any) -> Any:
        assert host == "127.0.0.1"
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", refuse_others)
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


class Taken:
    """What a run took: captures, what it passed over, and the error that ended it, if one did."""

    def __init__(self, archive: Archive, stand_in: WaybackStandIn, clock: Ticking, *patterns: str) -> None:
        self.captures: list[Capture] = []
        self.error: Exception | None = None
        asked = manners(stand_in.base_url, rate=0, contact="newsroom@example.org")
        source = WaybackSource(archive, patterns or (f"{HOST}/*",), SPAN, clock, asked, stand_in.base_url)
        with record(archive, "test", {}, clock, {}) as run:
            try:
                asyncio.run(self._take(source, run.append))
            except (SourceDownError, SourceError) as error:
                self.error = error
        self.passed_over = dict(+source.passed_over)
        clock.advance(60)

    async def _take(self, source: WaybackSource, keep: Callable[[Capture], object]) -> None:
        async for one in source.captures():
            keep(one)
            self.captures.append(one)

    @property
    def moments(self) -> list[tuple[str, int]]:
        """Which were taken: region, hours after ten."""
        return sorted((one.url[-7:-5], (one.observed_at - TEN) // timedelta(hours=1)) for one in self.captures)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


def test_captures_come_with_the_archives_times_and_the_very_bytes(archive: Archive, clock: Ticking) -> None:
    kept = [at(0), at(1), at(2, BANTEN, b"\xff\x00"), at(3, BALI, b"{}", status=404)]
    with WaybackStandIn(map(Held.of, kept)) as stand_in:
        taken = Taken(archive, stand_in, clock)
    assert {one.key: (one.status, one.body, one.truncated) for one in taken.captures} == {
        one.key: (one.status, one.body, None) for one in kept
    }
    assert {one.source for one in taken.captures} == {"wayback"}
    assert not taken.passed_over


def test_it_is_told_who_asks_and_nothing_that_is_not_so(archive: Archive, clock: Ticking) -> None:
    with WaybackStandIn([Held.of(at(0))]) as stand_in:
        Taken(archive, stand_in, clock)
    assert stand_in.headers["User-Agent"].startswith("realcount/")
    assert "newsroom@example.org" in stand_in.headers["User-Agent"]
    assert not {"Referer", "Origin", "Cookie"} & set(stand_in.headers)


def test_a_body_that_was_stored_packed_is_verified_packed_and_archived_unpacked(
    archive: Archive, clock: Ticking
) -> None:
    with WaybackStandIn([Held.of(at(0), packed=True)]) as stand_in:
        (found,) = Taken(archive, stand_in, clock).captures
    assert (found.body, found.truncated) == (at(0).body, None)


def test_a_body_is_asked_for_once_however_often_it_was_captured(archive: Archive, clock: Ticking) -> None:
    """Two states that take turns, and another address with the same one: what `collapse` leaves of them."""
    kept = [at(hour, body=b'{"state":%d}' % (hour % 2)) for hour in range(6)] + [at(9, BALI, b'{"state":0}')]
    with WaybackStandIn(map(Held.of, kept)) as stand_in:
        taken = Taken(archive, stand_in, clock)
    assert len(stand_in.bodies_asked) == 2
    assert sorted(one.key for one in taken.captures) == sorted(one.key for one in kept)


def test_what_is_archived_already_is_not_asked_for_again(archive: Archive, clock: Ticking) -> None:
    kept = [at(hour) for hour in range(4)]
    with WaybackStandIn(map(Held.of, kept)) as stand_in:
        Taken(archive, stand_in, clock)
        before = len(stand_in.bodies_asked)
        again = Taken(archive, stand_in, clock)
        assert (again.captures, len(stand_in.bodies_asked)) == ([], before)
    with WaybackStandIn(map(Held.of, [*kept, at(5), at(6, BALI, at(2).body)])) as stand_in:
        more = Taken(archive, stand_in, clock)
    assert more.moments == [("31", 5), ("51", 6)]
    assert stand_in.bodies_asked == [f"20241128080005id_/{JAKARTA}"], "a body of an earlier run is known by its digest"


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"Retry-After": "120"}, 120), ({}, 300), ({"Retry-After": "900"}, 900)]
)
def test_a_429_ends_it_at_once_and_says_when_to_come_back(
    archive: Archive, clock: Ticking, headers: dict[str, str], seconds: int
) -> None:
    with WaybackStandIn(Held.of(at(hour)) for hour in range(40)) as stand_in:
        stand_in.instead = {"20241128050005id_": Answer(429, headers)}
        taken = Taken(archive, stand_in, clock)
        assert isinstance(taken.error, SourceDownError)
        assert taken.error.exit_code == 75
        assert f"try again in {seconds} s" in str(taken.error)
        assert taken.error.retry_after == seconds
        assert len(stand_in.bodies_asked) <= 5, "those that were under way"
        stand_in.instead.clear()
        rest = Taken(archive, stand_in, clock)
    assert sorted(taken.moments + rest.moments) == [("31", hour) for hour in range(25)], "the span ends a day later"


def test_a_429_for_the_last_body_or_from_the_index_is_no_success(archive: Archive, clock: Ticking) -> None:
    with WaybackStandIn([Held.of(at(0))]) as stand_in:
        for place in ("id_", "cdx"):
            stand_in.instead = {place: Answer(429, {"Retry-After": "60"})}
            taken = Taken(archive, stand_in, clock)
            assert "try again in 60 s" in str(taken.error)


@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_a_capture_that_the_archive_cannot_give_is_counted_and_asked_for_again_next_time(
    archive: Archive, clock: Ticking, status: int
) -> None:
    with WaybackStandIn(Held.of(at(hour)) for hour in range(3)) as stand_in:
        stand_in.instead = {"20241128040005id_": Answer(status)}
        taken = Taken(archive, stand_in, clock)
        assert (taken.moments, taken.passed_over) == (
            [("31", 0), ("31", 2)],
            {"without a body at the Archive": 1},
        )
        stand_in.instead.clear()
        assert Taken(archive, stand_in, clock).moments == [("31", 1)]


def test_a_body_that_one_capture_cannot_give_another_can(archive: Archive, clock: Ticking) -> None:
    with WaybackStandIn([Held.of(at(0)), Held.of(at(1)), Held.of(at(2, body=at(0).body))]) as stand_in:
        stand_in.instead = {"20241128030005id_": Answer(404)}
        assert Taken(archive, stand_in, clock).moments == [("31", 0), ("31", 1), ("31", 2)]


def test_kpus_own_refusals_are_captures_and_slow_nobody_down(archive: Archive, clock: Ticking) -> None:
    """Twenty archived 503 in a row would trip the breaker, were they the Archive's own."""
    kept = [at(hour, status=503 if hour else 429) for hour in range(20)]
    with WaybackStandIn(map(Held.of, kept)) as stand_in:
        taken = Taken(archive, stand_in, clock)
    assert [one.status for one in sorted(taken.captures, key=lambda one: one.observed_at)] == [429] + [503] * 19
    assert len(stand_in.bodies_asked) == 20, "none was asked for twice"
    assert taken.error is None


def test_an_archived_redirect_is_a_capture_and_is_not_followed(archive: Archive, clock: Ticking) -> None:
    with WaybackStandIn([Held.of(at(0, status=302))]) as stand_in:
        assert [one.status for one in Taken(archive, stand_in, clock).captures] == [302]
    assert len(stand_in.bodies_asked) == 1


def test_a_body_that_is_not_what_the_index_says_is_archived_but_never_believed(
    archive: Archive, clock: Ticking
) -> None:
    with WaybackStandIn([Held.of(at(0))._replace(digest="A" * 32)]) as stand_in:
        (found,) = Taken(archive, stand_in, clock).captures
        assert (found.body, found.truncated) == (at(0).body, "unspecified")
        assert isinstance(understand(found), Quarantine)
        assert not Taken(archive, stand_in, clock).captures, "it is not asked for again"


def test_a_capture_of_another_time_is_not_taken_for_the_one_asked_for(archive: Archive, clock: Ticking) -> None:
    headers = {"Memento-Datetime": "Thu, 28 Nov 2024 05:00:05 GMT"}
    with WaybackStandIn([Held.of(at(0)), Held.of(at(1))]) as stand_in:
        stand_in.instead = {
            "20241128030005id_": Answer(200, headers, b"{}"),
            "20241128040005id_": Answer(302, {"Location": f"/web/20241128050005id_/{JAKARTA}"}),
        }
        taken = Taken(archive, stand_in, clock)
    assert not taken.captures
    assert taken.passed_over == {"given as of another time": 1, "without a body at the Archive": 1}


def test_a_long_list_is_read_page_by_page(archive: Archive, clock: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdx, "_PAGE", 3)
    with WaybackStandIn(Held.of(at(hour, url)) for hour in range(4) for url in (JAKARTA, BANTEN)) as stand_in:
        taken = Taken(archive, stand_in, clock)
    assert len(taken.captures) == 8
    assert sum("cdx" in path for path in stand_in.asked) == 3


def test_only_the_addresses_and_the_time_asked_for_are_taken_and_of_them_kpus_documents(
    archive: Archive, clock: Ticking
) -> None:
    kept = [at(0), at(-30), at(30), at(1, BANTEN), at(2, f"{URL}/app.js"), at(3, f"{URL}/31/9999.json")]
    with WaybackStandIn(map(Held.of, kept)) as stand_in:
        assert Taken(archive, stand_in, clock, JAKARTA).moments == [("31", 0)]
        taken = Taken(archive, stand_in, clock, f"{HOST}/pilkada/*")
    assert taken.moments == [("36", 1)]
    assert taken.passed_over == {"not KPU's": 2}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(200), "something else than a list"),
        (Answer(200, {}, b'[["timestamp"'), "something else than a list"),
        (Answer(200, {}, b'{"a":1}'), "something else than a list"),
        (Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(b"[]")[:-4]), "broke off"),
        (Answer(503), "answers 503"),
        (Answer(403), "answers 403"),
        (Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(b"[]")), None),
        (Answer(200, {}, b""), None),
    ],
)
def test_an_index_that_answers_oddly_is_an_error_in_words(
    archive: Archive, clock: Ticking, answer: Answer, says: str | None
) -> None:
    with WaybackStandIn([]) as stand_in:
        stand_in.instead = {"cdx": answer}
        taken = Taken(archive, stand_in, clock)
    assert not taken.captures
    assert (says in str(taken.error)) if says else (taken.error is None)


def test_a_source_that_is_not_there_is_an_error_in_words(archive: Archive, clock: Ticking) -> None:
    with WaybackStandIn([]) as stand_in:
        pass
    assert "no connection" in str(Taken(archive, stand_in, clock).error)


ROW = Row("20241128030005", JAKARTA, "application/json", "200", "A" * 32)


@pytest.mark.parametrize(
    "odd",
    [
        {"timestamp": "2024"},
        {"timestamp": "20241328030005"},
        {"timestamp": "20241128\u066030005"},
        {"original": f"https://x/\n{JAKARTA}"},
        {"original": "https://x/" + "a" * 3_000 + "/pilkada/hhcw/pkwkp/31.json"},
        {"original": ""},
    ],
)
def test_lines_of_the_index_that_cannot_be_are_passed_over(odd: dict[str, str]) -> None:
    assert ROW.is_document
    assert not ROW._replace(**odd).is_document


def test_where_the_index_does_not_say_the_answer_does() -> None:
    revisit = ROW._replace(mimetype="warc/revisit", statuscode="-", digest="-")
    assert (revisit.status(404), revisit.media_type("text/html"), revisit.sha1) == (404, "text/html", None)
    assert (ROW.status(404), ROW.media_type("text/html")) == (200, "application/json")


def test_a_page_of_the_index_is_lines_and_perhaps_a_key() -> None:
    lines = [list(Row._fields), list(ROW), ["short"]]
    assert page(json.dumps(lines).encode()) == ([ROW], None)
    assert page(json.dumps([*lines, [], ["go on"]]).encode()) == ([ROW], "go on")
    assert page(b"[]") == page(b"") == ([], None)


def test_bodies_without_a_digest_are_taken_each_for_itself(archive: Archive, clock: Ticking) -> None:
    held = [one._replace(digest="-") for one in map(Held.of, [at(0), at(1, BANTEN)])]
    with WaybackStandIn(held) as stand_in:
        taken = Taken(archive, stand_in, clock, JAKARTA, BANTEN)
    assert taken.moments == [("31", 0), ("36", 1)]
    assert all(one.truncated is None for one in taken.captures)
