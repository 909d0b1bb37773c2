"""Whatever a source sends, or a stranger's archive holds: nothing crashes, nothing hangs, and no garbage is counted.

Over 20,000 spoilt bodies, each from a seed, through every parser there is; then the bodies that are made to hurt.
A case is as small as what it was made from, so that none can take long.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import test_transform_pages as pages
from answers import A, B, count, figures, listed, pairs
from commands import COMMAND
from conftest import Ticking
from histories import History
from kpu_bodies import EVERY_SHAPE, captured, november
from mutations import HOSTILE_TEXTS, KEYS, cases, mangled, spoilt
from test_transform_quarantine import assert_sound
from warc_files import Foreign, archive_of

from extract import cdx
from extract.archive import Archive
from extract.capture import Capture, capture
from extract.endpoints import Endpoint, parent_of
from extract.errors import ArchiveError, EndpointError, SourceError, UsageError
from extract.manifests import Manifest, read_manifest
from extract.messages import Message
from extract.naming import Pattern, namer
from extract.recording import record
from extract.responses import parse
from extract.segments import SUFFIX, frames
from extract.sources import FolderSource, GitSource
from extract.verification import verify
from extract.warc import WarcSource
from transform.model import Document, Quarantine
from transform.normalise import read as understand
from transform.pages import read_page
from warehouse import queries

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NIGHT = datetime(2024, 11, 28, 3, tzinfo=UTC)

TIMES = int(os.environ.get("REALCOUNT_FUZZ", "1"))  # `make soak` asks for more

FUZZED = {
    "bytes of documents": 7_000,
    "nodes of documents": 9_000,
    "bytes of pages": 500,
    "lines of a web archive's index": 1_500,
    "WARC files": 600,
    "HTTP answers": 1_200,
    "requests": 1_000,
    "manifests": 1_000,
    "notes of open runs": 150,
    "lines of segments": 500,
    "bytes of segments": 400,
    "paths": 2_500,
    "patterns": 800,
}
"""How many spoilt cases each parser gets, at the least."""
FUZZED = {name: TIMES * number for name, number in FUZZED.items()}

SHAPES = [(endpoint, json.dumps(body).encode()) for endpoint, body in EVERY_SHAPE]


def test_the_cases_are_as_many_as_was_promised() -> None:
    assert sum(FUZZED.values()) > 20_000


# Documents


def assert_of_what_was_sent(endpoint: Endpoint, sent: bytes) -> str:
    """Refused with a reason, or about the region asked for, without a figure that does not stand in it."""
    said = assert_sound(endpoint, sent)
    if isinstance(said, Quarantine):
        assert len(said.detail) < 300
        return said.reason
    for tally in said.tallies:
        assert tally.unit_code == endpoint.region if tally.witness == "self" else parent_of(tally.unit_code)
        assert tally.witness == "self" or parent_of(tally.unit_code) == endpoint.region
        assert all(str(votes).encode() in sent for votes in tally.votes.values())
        assert all(candidate_id.isdecimal() for candidate_id in tally.votes)
    assert all(parent_of(unit.unit_code) == endpoint.region for unit in said.units)
    assert len(said.unknown_keys) <= 20
    return "understood"


def test_documents_damaged_on_the_way_are_refused_or_state_what_stands_in_them() -> None:
    found = Counter(
        assert_of_what_was_sent(SHAPES[which][0], body)
        for which, _, body in cases([body for _, body in SHAPES], FUZZED["bytes of documents"], 1)
    )
    assert found["understood"] > 200
    assert found["not_json"] > 1_000


def test_documents_with_nodes_moved_put_and_taken_are_refused_or_state_what_stands_in_them() -> None:
    found = Counter(
        assert_of_what_was_sent(SHAPES[which][0], body)
        for which, _, body in cases(
            [body for _, body in SHAPES],
            FUZZED["nodes of documents"],
            2,
            lambda body, chance: mangled(json.loads(body), chance),
        )
    )
    assert found["understood"] > 1_000
    assert found["wrong_shape"] > 1_000
    assert found["wrong_region"] > 10
    assert found["absurd_value"] > 10


def test_the_captured_documents_spoilt_are_no_better(real: Path) -> None:
    saved = FolderSource(real / "pemilu2024", observed_at=NIGHT)
    with GitSource(real / "pilkada-scrap.bundle") as scrape:
        captures = [*saved.captures(), *islice(scrape.captures(), 0, None, 97)]
    sample = [(Endpoint.from_url(one.url), one.body or b"") for one in captures if one.url.endswith(".json")]
    assert len(sample) > 50
    contents = [body for _, body in sample]
    for which, _, body in cases(contents, 1_000, 3):
        assert_of_what_was_sent(sample[which][0], body)
    for which, _, body in cases(contents, 1_000, 4, lambda body, chance: mangled(json.loads(body), chance)):
        assert_of_what_was_sent(sample[which][0], body)
    assert not any(said.unknown_keys for one in captures if isinstance(said := understand(one), Document))


def test_a_whole_body_of_another_question_is_never_counted() -> None:
    """Every shape as the answer to every other question: nothing of it may be taken for the region asked for."""
    for endpoint, _ in SHAPES:
        for other, body in SHAPES:
            same = (endpoint.document, endpoint.region) == (other.document, other.region)
            if assert_of_what_was_sent(endpoint, body) == "understood" and not same:
                said = assert_sound(endpoint, body)
                assert isinstance(said, Document)
                assert not said.tallies or not any(tally.votes for tally in said.tallies[1:]), (endpoint, other)


def test_pages_damaged_on_the_way_are_refused_or_state_what_stands_in_them() -> None:
    whole = pages.station(
        pages.VOTERS, pages.votes(("1", "ANI", "1.234"), ("2", "BUDI", "56")), pages.TOTALS,
        pages.scans("https://forms.example/3326122005005-1.jpg"),
    )  # fmt: skip
    for _, _, body in cases([whole], FUZZED["bytes of pages"], 5):
        said = read_page("saved/page.html", body)
        if isinstance(said, Document):
            (tally,) = said.tallies
            text = body.replace(b".", b"")
            assert all(votes >= 0 and str(votes).encode() in text for votes in tally.votes.values())


# What others kept


def test_lines_of_an_index_are_captures_that_can_be_archived_or_are_passed_over() -> None:
    rows = [
        list(cdx._FIELDS),
        ["20241128030005", november("31").url(), "application/json", "200", "A" * 32],
        ["20241128031505", november("3171").url(), "warc/revisit", "-", "B" * 32],
    ]
    body, documents = json.dumps(rows).encode(), 0
    for number, (_, _, spoilt_body) in enumerate(cases([body], FUZZED["lines of a web archive's index"], 6)):
        try:
            page = cdx.page(spoilt_body if number % 2 else mangled(rows, Random(number)))
        except ValueError:
            continue
        for row in page.rows:
            if row.is_document:
                documents += 1
                assert 2024 - 34 <= row.observed_at.year < 2100
                assert 100 <= row.status(200) <= 999
                assert row.original.isprintable()
    assert documents > 100


def test_damaged_warc_files_give_captures_that_were_in_them_or_say_what_was_passed_over(tmp_path: Path) -> None:
    place, spoilt_place = tmp_path / "a.warc", tmp_path / "b.warc"
    foreign = Foreign(place, gzip=False)
    for endpoint, body in SHAPES[:3]:
        foreign.add("response", endpoint.url(), body)
    foreign.close()
    whole, archive = place.read_bytes(), Archive(tmp_path / "archive")
    found = 0
    for _, _, content in cases([whole], FUZZED["WARC files"], 7):
        spoilt_place.write_bytes(content)
        try:
            captures = list(WarcSource([spoilt_place], archive).captures())
        except SourceError:
            continue
        for one in captures:
            found += 1
            assert 100 <= one.status <= 999
            assert one.observed_at.tzinfo
            assert one.body in {body for _, body in SHAPES} or one.body != b"", one.url
    assert found > FUZZED["WARC files"]


def test_no_http_answer_and_no_request_upsets_who_reads_it() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )
    for _, _, block in cases([answer], FUZZED["HTTP answers"], 8):
        if message := Message.parse(block):
            content, _ = message.content()
            assert len(content) <= len(block)
            assert 0 <= message.status <= 999
    request = b"GET /pilkada/hhcw/pkwkp/31.json HTTP/1.1\r\nHost: kpu\r\nAccept-Encoding: gzip;q=1, br"
    for _, _, head in cases([request], FUZZED["requests"], 9):
        if understood := parse(head):
            assert understood.path.startswith("/")
            assert understood.path.isprintable()


def test_paths_of_files_are_kpus_documents_or_nothing() -> None:
    name = namer(["counts/{region}.json=pilkada-2024/hhcw/pkwkp"])
    known = [
        b"pilkada/hhcw/pkwkp/31/3171/317101.json", b"pkwkp/31/3171.json", b"district/31/3101.json",
        b"paslon/pkwkk.json", b"tps/3101011001001.json", b"counts/31.json", b"wilayah/pilkada/pkwkk/32/3201.json",
    ]  # fmt: skip
    taken = 0
    for _, _, path in cases(known, FUZZED["paths"], 10):
        text = path.decode("utf-8", "backslashreplace")
        if (found := name(text)) and found.mimetype == "application/json":
            taken += 1
            endpoint = Endpoint.from_url(found.url)
            assert endpoint.url() == found.url
            assert ".." not in found.url
        with suppress(EndpointError):
            assert Endpoint.from_url(text).url().isascii()
    assert taken > 200


def test_patterns_are_understood_or_refused_with_the_syntax() -> None:
    refused = []
    for _, _, text in cases([b"{type}/*/{region}.json=pilkada-2024/hhcw"], FUZZED["patterns"], 11):
        try:
            Pattern.parse(text.decode("utf-8", "replace")).endpoint("pkwkp/31/3171.json")
        except UsageError as error:
            refused.append(str(error))
    assert refused
    assert all("TEMPLATE=ELECTION/DOCUMENT" in error for error in refused)


# A stranger's archive


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """An archive of one run, with a line of every shape and one that is not UTF-8."""
    captures = [captured(endpoint, body) for endpoint, body in SHAPES]
    odd = capture(november("3101").url(), b"\xff\xfe", NIGHT, "kpu", headers={"etag": '"1"', "date": "x"})
    return archive_of(tmp_path_factory.mktemp("kept") / "archive", [*captures, odd], Ticking(NIGHT))


def test_manifests_are_understood_or_refused_by_name(kept: Archive, tmp_path: Path) -> None:
    (manifest,) = kept.manifests()
    place, understood, refused = tmp_path / manifest.file_name, 0, list[str]()
    content = json.loads(manifest.encoded())
    for number, (_, _, body) in enumerate(cases([manifest.encoded()], FUZZED["manifests"], 12)):
        place.write_bytes(body if number % 2 else mangled(content, Random(number)))
        try:
            told = read_manifest(place)
        except ArchiveError as error:
            refused.append(str(error))
        else:
            understood += 1
            assert isinstance(told, Manifest)
            assert all("/" not in segment.name and not segment.name.startswith(".") for segment in told.segments)
            assert told.own_digest() != told.digest or told == manifest
    assert understood
    assert refused
    assert all(place.name in error and "restore it from a copy" in error for error in refused)


def test_a_note_of_a_killed_run_may_hold_anything(kept: Archive, tmp_path: Path) -> None:
    (manifest,) = kept.manifests()
    segment = (kept.segments_directory / manifest.segments[0].name).read_bytes()
    note = msgspec.json.encode(
        {"run": "x", "kind": "poll", "asked": {"a": 1}, "started_at": NIGHT, "versions": {"python": "3"}}
    )
    archive = Archive(tmp_path / "archive")
    archive.segments_directory.mkdir(parents=True)
    archive.manifests_directory.mkdir()
    for number, (_, _, body) in enumerate(cases([note], FUZZED["notes of open runs"], 13)):
        run = f"20241128T0300{number:02d}Z-aaaaaa"
        (archive.segments_directory / f"{run}{SUFFIX}").write_bytes(segment)
        (archive.manifests_directory / f"{run}.open").write_bytes(body)
        with record(archive, "test", {}, lambda: NIGHT, {}):
            pass
        assert archive.manifests()[-1].run == run
        for path in (*archive.segments_directory.iterdir(), *archive.manifests_directory.iterdir()):
            path.unlink()


def lines_spoilt(kept: Archive) -> Iterator[bytes]:
    """Segments whose frames are sound and whose lines are not: as only somebody with a purpose writes them."""
    (segment,) = kept.segment_names()
    (frame,) = frames(kept.segments_directory / segment)
    lines = frame.texts()
    for number in range(FUZZED["lines of segments"]):
        chance = Random(f"14:{number}")
        which = chance.randrange(len(lines))
        line = spoilt(lines[which], chance) if number % 2 else mangled(json.loads(lines[which]), chance)
        yield zstd.compress(b"\n".join([*lines[:which], line, *lines[which + 1 :]]) + b"\n")


def bytes_spoilt(kept: Archive) -> Iterator[bytes]:
    """Segments damaged as they lie on the disk."""
    (segment,) = kept.segment_names()
    whole = (kept.segments_directory / segment).read_bytes()
    for _, _, content in cases([whole], FUZZED["bytes of segments"], 15):
        yield content


@pytest.mark.parametrize("spoil", [lines_spoilt, bytes_spoilt])
def test_segments_give_captures_or_are_told_by_name_and_never_pass_for_intact(
    kept: Archive, tmp_path: Path, spoil: Callable[[Archive], Iterator[bytes]]
) -> None:
    (manifest,) = kept.manifests()
    (segment,) = kept.segment_names()
    whole = (kept.segments_directory / segment).read_bytes()
    archive = Archive(tmp_path / "archive")
    archive.segments_directory.mkdir(parents=True)
    archive.manifests_directory.mkdir()
    (archive.manifests_directory / manifest.file_name).write_bytes(manifest.encoded())
    refused: list[str] = []
    for content in spoil(kept):
        (archive.segments_directory / segment).write_bytes(content)
        try:
            captures = [one for _, one in Archive(archive.directory).captures(segment)]
        except ArchiveError as error:
            refused.append(str(error))
        else:
            assert len(captures) <= manifest.captures + 1
            assert all(one.observed_at.tzinfo and 0 <= one.status <= 999 for one in captures)
        assert content == whole or verify(Archive(archive.directory)).problems
    assert all(segment in error for error in refused)


# Bodies that are made to hurt


@pytest.mark.parametrize(
    ("name", "before", "filler", "after", "megabytes"),
    [
        pytest.param("pilkada/hhcw/pkwkp/31.json", '{"mode":"hhcw","tungsura":{"chart":{},"table":{',
                     '"3101":{"a":[]},', '"3171":{}}},"ts":"2024-11-28 02:15:00"}', 100, id="a count"),
        pytest.param("pilkada/paslon/pkwkp.json", '{"31":{', '"1":{"nama":"N"},', '"2":{"nama":"N"}}}', 30, id="pairs"),
        pytest.param("page.html", "<html><body>", "A" * 30, "</body></html>", 100, id="a page"),
    ],
)  # fmt: skip
def test_a_body_of_a_hundred_megabytes_is_archived_and_costs_a_bounded_amount_of_memory(
    tmp_path: Path, name: str, before: str, filler: str, after: str, megabytes: int
) -> None:
    place = tmp_path / "folder" / name
    place.parent.mkdir(parents=True)
    with place.open("w") as file:
        file.write(before)
        for _ in range(megabytes):
            file.write(filler * (1_000_000 // len(filler)))
        file.write(after)
    data = tmp_path / "data"
    command = [str(COMMAND), "--data-dir", str(data), "replay", "folder", str(tmp_path / "folder")]
    answer = subprocess.run([sys.executable, "-c", _MEASURED, *command], capture_output=True, text=True, check=False)
    code, peak = json.loads(answer.stdout.splitlines()[-1])
    assert code == 0, answer.stderr
    assert "Traceback" not in answer.stderr
    assert peak < 1_000, f"{peak} MiB"
    (manifest,) = Archive(data / "archive").manifests()
    assert manifest.captures == 1


_MEASURED = (
    "import json, resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
    "print(json.dumps([done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024]))"
)


def hostile_names() -> list[str]:
    """Names that are a program somewhere: in SQL, a terminal, a page, a path, a template, a spreadsheet."""
    return [*(text for text in HOSTILE_TEXTS if text), '"; DROP VIEW results; --', '=HYPERLINK("x")', "$wanted", "{}"]


def test_hostile_names_are_text_from_the_body_to_every_answer(tmp_path: Path) -> None:
    history, names = History(tmp_path), hostile_names()
    codes = [f"31{number:02d}" for number in range(1, len(names) + 1)]
    rows = {code: figures({A: 3, B: 2}) for code in codes}
    history.seen(
        "10:01:00",
        count("31", "10:00:00", figures({A: 3 * len(codes), B: 2 * len(codes)}), rows),
        listed("31", dict(zip(codes, names, strict=True))),
        pairs({"31": {A: {"nama": names[0], "nomor_urut": 1}, B: {"nama": names[6], "nomor_urut": 2}}}),
    )
    shown = dict(history.ask("SELECT DISTINCT unit_code, unit_name FROM results WHERE level = 'regency'"))
    assert shown == dict(zip(codes, names, strict=True))
    assert history.ask("SELECT DISTINCT candidate_name FROM results ORDER BY ballot_number") == [
        (names[0],),
        (names[6],),
    ]
    with history.asking() as connection:
        for code, name in shown.items():
            assert queries.find_region(connection, code) == (code, name)
            queries.ask(connection, "region", wanted=name).records()
            assert queries.results(connection, code).records()[0]["votes"] == 3
    assert history.ask("SELECT count(*) FROM core.tally")[0][0] > len(codes)


@pytest.mark.parametrize(
    "code", ["../31", "31/../32", "31%2f32", "..", "0/0", "31\0", "3\uff11", "31 OR 1=1", "*", "31.json"]
)
def test_a_code_that_is_a_trick_is_no_region_anywhere(code: str) -> None:
    assert assert_of_what_was_sent(
        november("31"),
        json.dumps(
            {"mode": "hhcw", "tungsura": {"chart": {}, "table": {code: {}}}, "ts": "2024-11-28 02:15:00"}
        ).encode(),
    ) in ("wrong_shape", "wrong_region")
    listing = json.dumps([{"nama": "X", "kode": code}]).encode()
    assert assert_of_what_was_sent(november("31", "wilayah"), listing) in ("wrong_shape", "wrong_region")


def test_times_that_cannot_be_are_left_out_and_never_reach_a_reader(tmp_path: Path) -> None:
    folder = tmp_path / "folder" / "pilkada" / "hhcw" / "pkwkp"
    folder.mkdir(parents=True)
    for name, seconds in (("31", 2**33), ("32", -(2**31)), ("33", 1_732_762_805)):
        (folder / f"{name}.json").write_bytes(b"{}")
        os.utime(folder / f"{name}.json", (seconds, seconds))
    source = FolderSource(tmp_path / "folder")
    assert [one.url for one in source.captures()] == [november("33").url()]
    assert source.left_out.total() == 2
    place = tmp_path / "a.warc"
    foreign = Foreign(place)
    for date in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2024-11-28T03:00:05Z"):
        foreign.add("response", november("31").url(), b"{}", date)
    foreign.close()
    found: list[Capture] = list(WarcSource([place], Archive(tmp_path / "archive")).captures())
    assert [one.observed_at for one in found] == [NIGHT + timedelta(seconds=5)]


def test_status_numbers_of_an_index_that_are_none_are_not_archived() -> None:
    for status in ("99999999999", "0", "-1", "20", "2000", "\u0662\u0660\u0660", "2e2"):
        assert cdx.Row("20241128030005", november("31").url(), "application/json", status, "-").status(200) == 200


def test_a_million_unknown_keys_are_told_in_few_words() -> None:
    chart: dict[str, Any] = {"progres": {"total": 1, "progres": 0}} | {
        f"{key}?{n}": "x" for n in range(5_000) for key in KEYS
    }
    body = {"mode": "hhcw", "tungsura": {"chart": chart, "table": {}}, "ts": "2024-11-28 02:15:00", "k" * 10_000: 1}
    said = assert_sound(november("31"), json.dumps(body).encode())
    assert isinstance(said, Document)
    assert len(said.unknown_keys) == 20
    assert max(map(len, said.unknown_keys)) <= 100
