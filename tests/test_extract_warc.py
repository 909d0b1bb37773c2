"""Open archives in and out: nothing is lost on the way through WARC, and no file of others stops a replay."""

import base64
import gzip
import hashlib
import json
import subprocess
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import brotli
import msgspec
import pytest
from conftest import Ticking
from hypothesis import given
from hypothesis import strategies as st
from warc_files import Foreign, archive_of, exported, is_sound, kept, read, sha1
from warcio.archiveiterator import ArchiveIterator

from extract.archive import Archive
from extract.capture import Capture, capture
from extract.errors import ArchiveError, SourceError
from extract.messages import Message, agrees
from extract.warc_export import export
from extract.warc_records import Record, records

HOST = "https://sirekappilkada-obj-data.kpu.go.id"
JAKARTA, BANTEN = f"{HOST}/pilkada/hhcw/pkwkp/31.json", f"{HOST}/pilkada/hhcw/pkwkp/36.json"
TEN = datetime(2024, 11, 28, 3, 0, 5, 120_000, tzinfo=UTC)
BODY = b'{"mode":"hhcw","tungsura":{"chart":{}},"ts":"2024-11-28 10:00:05"}'
PYWB = Path(__file__).parents[1] / ".venv-pywb" / "bin"

PLAYER = """
from gevent.monkey import patch_all
patch_all()
import hashlib, json, sys
from pywb.apps.frontendapp import FrontEndApp
from werkzeug.test import Client
client = Client(FrontEndApp(custom_config={"debug": False}))
for moment, url in json.load(sys.stdin):
    answer = client.get(f"/night/{moment}id_/{url}")
    print("PLAYED", answer.status_code, answer.headers["Memento-Datetime"], hashlib.sha256(answer.data).hexdigest())
"""


def minute(number: int) -> datetime:
    return TEN + timedelta(minutes=number)


def odd() -> list[Capture]:
    """Captures with everything that an archive can hold."""
    etag = {"etag": '"1"', "date": "Thu, 28 Nov 2024 03:00:05 GMT", "content-type": "application/json; charset=utf-8"}
    first = capture(JAKARTA, BODY, TEN, "sirekappilkada-obj-data.kpu.go.id", headers=etag)
    unchanged = capture(JAKARTA, b"", minute(1), "kpu", status=304, headers={"etag": '"1"'}, mimetype="unk")
    return [
        first,
        msgspec.structs.replace(unchanged, body=None, digest=first.digest, length=first.length),
        capture(JAKARTA, b"", minute(2), "kpu", status=304, mimetype="unk"),
        capture(JAKARTA, BODY, minute(3), "git:" + "0a" * 20),
        capture(BANTEN, b"\xff\x00 no text\r\n\r\nWARC/1.1\r\n", minute(4), "kpu", status=503, mimetype="unk"),
        capture(BANTEN, BODY[:20], minute(5), "127.0.0.1:8031", truncated="disconnect"),
        capture(BANTEN, b"<html>", minute(6), "kpu", status=404, mimetype="text/html", headers={"etag": "x\ty"}),
        capture(BANTEN, b"", minute(7), "kpu", status=799, headers={"content-type": "text/plain"}, mimetype="text/csv"),
        capture("file:saved page\n\u2028%20 Jakarta é.html", b"<html>", minute(8), "folder", mimetype="text/html"),
        capture(f"{HOST}/elsewhere", b"{}", minute(9), "simulated:7"),
        capture(f"{HOST}/elsewhere", b"{ }", minute(9), "warc:night.warc.gz"),
    ]


@pytest.fixture
def archive(tmp_path: Path, clock: Ticking) -> Archive:
    return archive_of(tmp_path / "archive", odd(), clock)


# Out


def test_whatever_an_archive_holds_comes_back_from_warc_as_it_was(archive: Archive, tmp_path: Path) -> None:
    for packed in (True, False):
        captures, passed_over = read(exported(archive, tmp_path / "out.warc", is_packed=packed))
        bodies = {one.digest: one.body for one in captures if one.body is not None}
        whole = [msgspec.structs.replace(one, body=bodies[one.digest]) for one in captures]
        assert whole == kept(archive)
        assert not passed_over


def test_an_export_passes_the_check_of_warcio_and_a_changed_body_does_not(archive: Archive, tmp_path: Path) -> None:
    place = exported(archive, tmp_path / "out.warc", is_packed=False)
    assert is_sound(place)
    place.write_bytes(place.read_bytes().replace(b"10:00:05", b"10:00:06"))
    assert not is_sound(place)
    assert is_sound(exported(archive, tmp_path / "out.warc.gz"))


def test_the_same_archive_gives_the_same_bytes_and_every_record_an_id_of_its_own(
    archive: Archive, tmp_path: Path
) -> None:
    place = exported(archive, tmp_path / "one.warc.gz")
    assert place.read_bytes() == exported(Archive(archive.directory), tmp_path / "two.warc.gz").read_bytes()
    ids = [one.headers["warc-record-id"] for one in records(place) if isinstance(one, Record)]
    assert len(set(ids)) == len(ids) == len(odd()) + 1


def test_a_body_is_written_once_and_then_named_with_its_first_place_and_time(archive: Archive, tmp_path: Path) -> None:
    with exported(archive, tmp_path / "out.warc.gz").open("rb") as file:
        found = [(one.rec_type, dict(one.rec_headers.headers)) for one in ArchiveIterator(file)]
    (info, _), (response, first), (not_modified, second), *_ = found
    again = found[4][1]
    assert (info, response, not_modified, found[4][0]) == ("warcinfo", "response", "revisit", "revisit")
    assert first["WARC-Date"] == "2024-11-28T03:00:05.120000Z"
    for revisit, profile in ((second, "server-not-modified"), (again, "identical-payload-digest")):
        assert revisit["WARC-Profile"] == f"http://netpreserve.org/warc/1.1/revisit/{profile}"
        assert revisit["WARC-Payload-Digest"] == first["WARC-Payload-Digest"]
        assert revisit["WARC-Refers-To-Target-URI"] == first["WARC-Target-URI"]
        assert revisit["WARC-Refers-To-Date"] == first["WARC-Date"]


def test_the_records_of_a_run_follow_a_warcinfo_that_names_it_and_its_manifest(
    archive: Archive, tmp_path: Path, clock: Ticking
) -> None:
    clock.advance(60)
    archive_of(archive.directory, [capture(BANTEN, b"[]", minute(30), "kpu")], clock)
    infos = [
        one.block.decode()
        for one in records(exported(Archive(archive.directory), tmp_path / "out.warc.gz"))
        if isinstance(one, Record) and one.kind == "warcinfo"
    ]
    for info, manifest in zip(infos, archive.manifests(), strict=True):
        assert f"isPartOf: {manifest.run}\r\n" in info
        assert f"realcount-manifest: {manifest.digest}\r\n" in info


def test_a_part_of_an_archive_has_every_body_it_names(archive: Archive, tmp_path: Path) -> None:
    """The first capture with these bytes is not in it."""
    place = exported(archive, tmp_path / "part.warc.gz", wanted=lambda one: one.observed_at >= minute(3))
    captures, passed_over = read(place)
    assert captures[0] == odd()[3]
    assert not passed_over


def test_headers_from_outside_cannot_forge_records(tmp_path: Path, clock: Ticking) -> None:
    forged = capture(BANTEN, b"1", TEN, "kpu", headers={"etag": "x\r\n\r\nWARC/1.1\r\nWARC-Type: response"})
    archive = archive_of(tmp_path / "archive", [forged], clock)
    place = exported(archive, tmp_path / "out.warc", is_packed=False)
    assert len([one for one in records(place) if isinstance(one, Record)]) == 2
    assert is_sound(place)


def test_a_damaged_archive_is_not_exported_as_if_it_were_whole(archive: Archive) -> None:
    (segment,) = archive.segments_directory.iterdir()
    segment.write_bytes(segment.read_bytes()[:-9])
    with pytest.raises(ArchiveError, match="archive verify"):
        export(Archive(archive.directory), lambda _: None, software="test")


def test_pywb_plays_captures_back_at_their_time(tmp_path: Path, clock: Ticking) -> None:
    if not (PYWB / "wb-manager").exists():
        pytest.skip("pywb has no environment here; see: make test-pywb")
    changed = BODY.replace(b"05", b"06")
    night = [capture(JAKARTA, body, minute(15 * n), "kpu") for n, body in enumerate((BODY, changed, BODY))]
    place = exported(archive_of(tmp_path / "archive", night, clock), tmp_path / "night.warc.gz")
    asked = json.dumps([(f"{one.observed_at:%Y%m%d%H%M%S}", one.url) for one in night])
    for command in (["wb-manager", "init", "night"], ["wb-manager", "add", "night", str(place)]):
        subprocess.run([PYWB / command[0], *command[1:]], cwd=tmp_path, capture_output=True, check=True)
    played = subprocess.run(
        [PYWB / "python", "-c", PLAYER], cwd=tmp_path, input=asked, capture_output=True, text=True, check=True
    )
    assert [line for line in played.stdout.splitlines() if line.startswith("PLAYED")] == [
        f"PLAYED 200 {one.observed_at:%a, %d %b %Y %H:%M:%S} GMT {one.digest.removeprefix('sha256:')}" for one in night
    ]


# In: files of other tools


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_of_another_tool_gives_kpus_documents_at_their_times_under_its_name(
    tmp_path: Path, packed: bool
) -> None:
    foreign = Foreign(tmp_path / "crawl (1).warc.gz", gzip=packed)
    foreign.add("request", JAKARTA).add("response", JAKARTA, BODY).add("metadata", JAKARTA, b"a: b", http=None)
    foreign.add("response", "https://example.org/app.js", b"alert()")
    (found,), passed_over = read(foreign.close())
    assert found == capture(
        JAKARTA,
        BODY,
        TEN.replace(microsecond=0),
        "warc:crawl__1_.warc.gz",
        headers={"content-type": "application/json"},
    )
    assert passed_over == {"request records": 1, "metadata records": 1, "not KPU's": 1}


def chunked(content: bytes, size: int = 7) -> bytes:
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CODED = {
    "gzip": (gzip.compress(BODY), {"Content-Encoding": "gzip"}),
    "br": (brotli.compress(BODY), {"Content-Encoding": "br"}),
    "chunked": (chunked(BODY), {"Transfer-Encoding": "chunked"}),
    "both": (chunked(gzip.compress(BODY)), {"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"}),
    "both undone, headers left": (BODY, {"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"}),
    "br undone, header left": (BODY, {"Content-Encoding": "br"}),
    "none": (BODY, {}),
}


@pytest.mark.parametrize("coded", CODED)  # by name: gzip writes the time, and every worker must collect the same
def test_codings_of_the_wire_are_undone_where_they_are(tmp_path: Path, coded: str) -> None:
    wire, headers = CODED[coded]
    foreign = Foreign(tmp_path / "crawl.warc.gz").add("response", JAKARTA, wire, http=list(headers.items()))
    (found,), _ = read(foreign.close())
    assert (found.body, found.truncated) == (BODY, None)


@pytest.mark.parametrize("claimed", [BODY, chunked(BODY)])
def test_a_payload_digest_may_be_of_the_body_with_or_without_its_coding(tmp_path: Path, claimed: bytes) -> None:
    foreign = Foreign(tmp_path / "crawl.warc")
    foreign.add("response", JAKARTA, chunked(BODY), http=[("Transfer-Encoding", "chunked")],
                WARC_Payload_Digest=sha1(claimed))  # fmt: skip
    (found,), _ = read(foreign.close())
    assert found.body == BODY


def test_a_record_that_is_not_what_its_digest_says_is_left_out_and_counted(tmp_path: Path) -> None:
    place = Foreign(tmp_path / "crawl.warc", gzip=False).add("response", JAKARTA, BODY).close()
    place.write_bytes(place.read_bytes().replace(b"10:00:05", b"10:00:06"))
    assert read(place) == ([], {"not what their digest says": 1})


@pytest.mark.parametrize("wire", [chunked(BODY)[:-9], chunked(BODY, 1)[:50], b"3\r\nabc\r\nx"])
def test_chunks_that_never_end_are_marked_as_not_whole(tmp_path: Path, wire: bytes) -> None:
    foreign = Foreign(tmp_path / "a.warc").add("response", JAKARTA, wire, http=[("Transfer-Encoding", "chunked")])
    assert [one.truncated for one in read(foreign.close())[0]] == ["disconnect"]


def test_an_empty_body_may_be_packed(tmp_path: Path) -> None:
    http = [("Content-Encoding", "gzip")]
    (found,), _ = read(Foreign(tmp_path / "a.warc").add("response", JAKARTA, gzip.compress(b""), http=http).close())
    assert (found.body, found.truncated) == (b"", None)


def test_a_broken_off_packing_is_marked_as_not_whole(tmp_path: Path) -> None:
    wire = gzip.compress(BODY * 50)[:-12]
    (found,), _ = read(
        Foreign(tmp_path / "a.warc").add("response", JAKARTA, wire, http=[("Content-Encoding", "gzip")]).close()
    )
    assert found.truncated == "disconnect"
    (told,), _ = read(Foreign(tmp_path / "b.warc").add("response", JAKARTA, BODY, WARC_Truncated="time").close())
    assert told.truncated == "time"


def test_revisits_find_their_body_by_digest_in_any_of_the_files_also_before_it(tmp_path: Path) -> None:
    original = (JAKARTA, "2024-11-28T03:00:05Z")
    early = Foreign(tmp_path / "a.warc.gz").revisit(BANTEN, sha1(BODY), original).close()
    late = Foreign(tmp_path / "b.warc.gz").add("response", JAKARTA, BODY).close()
    (first, second), passed_over = read(early, late)
    assert (first.body, second.body, second.digest, second.url) == (BODY, None, first.digest, BANTEN)
    assert (second.status, second.mimetype, second.length) == (200, "application/json", len(BODY))
    assert not passed_over


def test_a_revisit_finds_its_body_by_address_and_time_or_in_the_archive(
    tmp_path: Path, archive: Archive, clock: Ticking
) -> None:
    told = capture(JAKARTA, BODY, TEN, "kpu").digest
    unknown = ("https://example.org/", "2020-01-01T00:00:00Z")
    place = Foreign(tmp_path / "a.warc.gz").revisit(BANTEN, told, unknown).close()
    (found,), _ = read(place, archive=archive)
    assert (found.digest, found.body, found.length) == (told, None, len(BODY))
    assert archive_of(archive.directory, [found], clock).with_body(found).body == BODY
    assert read(place) == ([], {"revisits whose body is nowhere": 1})
    foreign = Foreign(tmp_path / "b.warc.gz").add("response", JAKARTA, BODY)
    captures, _ = read(foreign.revisit(BANTEN, "sha1:UNLIKE", (JAKARTA, "2024-11-28T03:00:05Z")).close())
    assert [one.digest for one in captures] == [told, told]


def test_simulated_captures_say_so_also_when_another_tool_crawled_the_stand_in(tmp_path: Path) -> None:
    http = [("X-Realcount-Source", "simulated:7"), ("Content-Type", "application/json")]
    (found,), _ = read(Foreign(tmp_path / "a.warc.gz").add("response", JAKARTA, BODY, http=http).close())
    assert found.source == "simulated:7"


def test_resources_and_saved_pages_of_kpu_are_taken_too(tmp_path: Path) -> None:
    foreign = Foreign(tmp_path / "a.warc.gz").add("resource", JAKARTA, BODY, http=None, Content_Type="application/json")
    foreign.add("response", "https://pilkada2024.kpu.go.id/pilgub/31", b"<html>", http=[("Content-Type", "text/html")])
    captures, _ = read(foreign.close())
    assert [(one.url, one.mimetype, one.status) for one in captures] == [
        (JAKARTA, "application/json", 200),
        ("https://pilkada2024.kpu.go.id/pilgub/31", "text/html", 200),
    ]


def by_hand(**headers: str) -> bytes:
    """A record as one may write it oneself: our own words and no digest."""
    block = b"HTTP/1.1 200 OK\r\n\r\n" + BODY
    given = {
        "WARC-Type": "response",
        "WARC-Target-URI": JAKARTA,
        "WARC-Date": "2024-11-28T03:00:05Z",
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(block)),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return b"WARC/1.1\r\n" + lines.encode() + b"\r\n" + block + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "passed_over"),
    [
        ({"WARC_Date": "2024-11-28"}, "without a time"),
        ({"WARC_Date": "yesterday"}, "without a time"),
        ({"WARC_Date": "0001-01-01T00:00:00+14:00"}, "without a time"),
        ({"WARC_Type": "anything"}, "records of no known kind"),
        ({"Content_Type": "text/dns"}, "response records"),
        ({"Content_Length": "many"}, "damaged"),
        ({"Content_Length": "-1"}, "damaged"),
        ({"Content_Length": "99999999999999999999"}, "cut short"),
    ],
)
def test_a_broken_record_is_counted_and_the_next_one_read(
    tmp_path: Path, headers: dict[str, str], passed_over: str
) -> None:
    place = tmp_path / "a.warc.gz"
    place.write_bytes(gzip.compress(by_hand(**headers)) + gzip.compress(by_hand()))
    captures, counted = read(place)
    assert [one.body for one in captures] == [BODY]
    assert counted == {passed_over: 1}


def test_wgets_angle_brackets_and_fractions_of_seconds_are_understood(tmp_path: Path) -> None:
    place = tmp_path / "a.warc"
    place.write_bytes(by_hand(WARC_Target_URI=f"<{JAKARTA}>", WARC_Date="2024-11-28T10:00:05.120000999+07:00"))
    ((found,), _) = read(place)
    assert (found.url, found.observed_at) == (JAKARTA, TEN)


def test_a_whole_file_packed_as_one_is_read_too(tmp_path: Path) -> None:
    place = tmp_path / "a.warc.gz"
    place.write_bytes(gzip.compress(by_hand() + by_hand(WARC_Target_URI=BANTEN)))
    assert [one.url for one in read(place)[0]] == [JAKARTA, BANTEN]


def test_a_source_name_that_is_none_of_ours_is_not_believed(tmp_path: Path) -> None:
    place = tmp_path / "a.warc"
    place.write_bytes(by_hand(Realcount_Source="kpu\x1b[31m or so"))
    assert [one.source for one in read(place)[0]] == ["warc:a.warc"]


def test_a_file_cut_anywhere_gives_what_came_before_the_cut(archive: Archive, tmp_path: Path) -> None:
    place = exported(archive, tmp_path / "out.warc.gz")
    whole, content = read(place)[0], place.read_bytes()
    for length in range(3, len(content), 11):
        place.write_bytes(content[:length])
        captures, passed_over = read(place)
        assert captures == whole[: len(captures)]
        assert sum(passed_over.values()) <= 1


@given(st.data())
def test_one_damaged_byte_costs_at_most_the_record_and_its_revisits(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    place = tmp_path_factory.mktemp("damaged") / "a.warc.gz"
    members = [gzip.compress(by_hand(WARC_Date=f"2024-11-28T03:00:0{n}Z")) for n in range(5)]
    content = bytearray(b"".join(members))
    at = data.draw(st.integers(len(members[0]), len(content) - len(members[-1]) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    place.write_bytes(content)
    captures = read(place)[0]
    assert {one.body for one in captures} == {BODY}
    moments = {one.observed_at.second for one in captures}
    assert {0, 4} <= moments
    assert len(moments) >= 4


def test_a_record_counts_only_once_its_packing_has_proved_sound(tmp_path: Path) -> None:
    """Without a digest, nothing but the check sum behind it tells that another digit was written."""
    place = tmp_path / "a.warc.gz"
    stored = gzip.compress(by_hand() + b"\r\n" * 100_000, 0)  # the check sum comes long after the record
    place.write_bytes(stored.replace(b"10:00:05", b"10:00:06") + stored)
    captures, passed_over = read(place)
    assert [one.body for one in captures] == [BODY]
    assert passed_over == {"damaged": 1}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF", BODY])
def test_a_file_that_is_no_warc_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.warc").write_bytes(content)
    with pytest.raises(SourceError, match="no WARC"):
        read(tmp_path / "a.warc")


def test_a_file_of_nothing_but_damage_is_given_up_before_long(tmp_path: Path) -> None:
    place = tmp_path / "a.warc.gz"
    place.write_bytes(b"\x1f\x8b\x08" * 5_000 + gzip.compress(by_hand()))
    captures, passed_over = read(place)
    assert not captures
    assert passed_over == {"damaged": 1_000, "the rest of a file with 1,000 damaged records": 1}


def test_a_missing_file_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        read(tmp_path / "a.warc")


@pytest.mark.parametrize("where", ["body", "block", "head", "record", "answer", "chunks"])
def test_no_file_takes_more_memory_than_a_few_bodies(tmp_path: Path, where: str) -> None:
    """64 MiB of zeros, packed small: as a body, as a block, as a header line, and as anything at all."""
    place = tmp_path / "a.warc.gz"
    zeros = bytes(64 << 20)
    if where == "body":
        foreign = Foreign(place).add("response", JAKARTA, gzip.compress(zeros), http=[("Content-Encoding", "gzip")])
        foreign.close()
    else:
        head = by_hand(Content_Length=str(len(zeros))).partition(b"\r\n\r\n")[0]
        small = by_hand(Content_Length=str(30 << 20)).partition(b"\r\n\r\n")[0] + b"\r\n\r\nHTTP/1.1 200 OK\r\n"
        content = {
            "block": head + b"\r\n\r\n" + zeros,
            "head": head + b"\r\nX: " + zeros,
            "record": zeros,
            "answer": small + b"a\r\n" * (10 << 20),
            "chunks": small + b"Transfer-Encoding: chunked\r\n\r\n" + b"10\r\n0123456789abcdef\r\n" * (1 << 20),
        }[where]
        place.write_bytes(gzip.compress(content, 1) + gzip.compress(by_hand()))
        del content
    del zeros
    tracemalloc.start()
    captures, _ = read(place)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 180 << 20
    assert captures[-1].url == JAKARTA
    assert captures[-1].truncated == ("length" if where == "body" else None)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd_for_an_http_answer(content: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    assert Message.parse(content) is None or content.startswith(b"HTTP/")
    message = Message.parse(head + content)
    assert message is not None
    unpacked, _ = message.content()
    assert len(unpacked) <= max(len(content), 1) * 1_100


@pytest.mark.parametrize("method", ["sha1", "sha-1", "md5", "sha256", "SHA256"])
def test_digests_agree_in_any_common_form(method: str) -> None:
    digest = hashlib.new(method.replace("-", "").lower(), BODY).digest()
    for form in (digest.hex(), digest.hex().upper(), base64.b32encode(digest).decode().rstrip("=")):
        assert agrees(f"{method}:{form}", BODY)
        assert not agrees(f"{method}:{form}", BODY + b" ")
    assert agrees("crc33:00", BODY), "what cannot be computed cannot contradict"
