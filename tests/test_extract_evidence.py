"""A bundle of evidence holds against its checker as it was made, and in no other way."""

import hashlib
import io
import json
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Ticking
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import merkle
from extract.archive import Archive
from extract.bundle import check
from extract.capture import Capture, capture
from extract.errors import ArchiveError, UsageError
from extract.evidence import Claim, Exhibit, Figure, Role, bundle, examine, exhibit, find_body, find_capture
from extract.manifests import read_manifest
from extract.recording import record
from extract.verification import verify

NIGHT = datetime(2024, 11, 28, 3, 0, 0, tzinfo=UTC)
COUNT = "https://kpu/pilkada/hhcw/pkwkp/31.json"
PAIRS = "https://kpu/pilkada/paslon/pkwkp.json"
LATER = "2024-11-28 10:45:04"

Files = dict[str, bytes]


def count(votes: int, ts: str = "2024-11-28 10:00:05") -> bytes:
    chart = {"1000023": votes, "progres": {"total": 10, "progres": 9}}
    return json.dumps({"tungsura": {"chart": chart, "table": {"3171": {"1000023": 5}}}, "ts": ts}).encode()


def names() -> bytes:
    return json.dumps({"31": {"1000023": {"nama": "ANI - BÚDI", "nomor_urut": 2}}}, ensure_ascii=False).encode()


def seen(url: str, body: bytes, minute: int) -> Capture:
    return capture(url, body, NIGHT + timedelta(minutes=minute), "kpu")


def write(archive: Archive, clock: Ticking, *captures: Capture) -> None:
    clock.advance(60)
    with record(archive, "poll", {}, clock, {}) as run:
        for one in captures:
            run.append(one)


def shown(archive: Archive, role: Role, wanted: Capture, *figures: Figure, ts: str | None) -> Exhibit:
    segments = archive.segment_names()
    line = find_capture(archive, segments, wanted.url, wanted.observed_at, wanted.digest)
    found = exhibit(role, line, find_body(archive, segments, wanted.digest))
    return Exhibit(role, found.capture, found.line, found.body_line, figures, ts)


VOTES = seen(COUNT, count(1717), 1)
AGAIN = seen(COUNT, count(1717), 2)
GONE = seen(COUNT, count(0, LATER), 3)
NAMES = seen(PAIRS, names(), 1)
CHART = ("tungsura", "chart", "1000023")
STATIONS = ("tungsura", "chart", "progres", "progres")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Three runs: figures and names among others, the same figures again (a revisit), and the withdrawal."""
    archive, clock = Archive(tmp_path_factory.mktemp("evidence") / "archive"), Ticking(NIGHT)
    others = [seen(f"https://kpu/pilkada/hhcw/pkwkp/{code}.json", f"{code}\udcff".encode("utf-8", "surrogateescape"), 0)
              for code in range(11, 16)]  # fmt: skip
    write(archive, clock, *others[:2], VOTES, NAMES, *others[2:])
    write(archive, clock, AGAIN)
    write(archive, clock, GONE, seen("https://kpu/pilkada/hhcw/pkwkp/32.json", b"{}", 4))
    return archive


@pytest.fixture(scope="module")
def claim(archive: Archive) -> Claim:
    """The figures as they were seen for the second time, that they were withdrawn, and whose they are."""
    return Claim(
        "pilkada-2024",
        "pkwkp",
        "hhcw",
        "31",
        (
            shown(archive, "votes", AGAIN, Figure(CHART, 1717), Figure(STATIONS, 9), ts="2024-11-28 10:00:05"),
            shown(archive, "withdrawal", GONE, Figure(CHART, 0), ts=LATER),
            shown(archive, "pairs", NAMES, Figure(("31", "1000023", "nama"), "ANI - BÚDI"), ts=None),
        ),
    )


@pytest.fixture(scope="module")
def packed(archive: Archive, claim: Claim) -> bytes:
    return bundle(archive, archive.manifests(), [claim])


@pytest.fixture(scope="module")
def files(packed: bytes, tmp_path_factory: pytest.TempPathFactory) -> Files:
    place = tmp_path_factory.mktemp("bundle") / "evidence.zip"
    place.write_bytes(packed)
    return check.members(place)


def is_rejected(files: Files) -> bool:
    try:
        check.check(files)
    except check.RejectedError:
        return True
    return False


def evidence_in(files: Files) -> list[str]:
    """Everything but the two files that are for people."""
    return [name for name in files if name not in check.TEXTS]


# The tree


@given(st.integers(1, 40), st.data())
def test_every_line_of_a_segment_of_any_length_can_be_proved_at_its_number_and_at_no_other(
    size: int, data: st.DataObject
) -> None:
    lines = [json.dumps({"line": number}).encode() for number in range(size)]
    leaves = [merkle.leaf(line) for line in lines]
    manifest = {
        "run": "r", "kind": "k",
        "segments": [{"name": "s", "captures": size, "lines_root": merkle.root(leaves)}],
    }  # fmt: skip
    position, number = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    place = {"manifest": 1, "segment": "s", "number": number, "path": merkle.path(leaves, position)}
    if number == position + 1:
        assert check._line(lines[position], place, [manifest])["line"] == position
    else:
        with pytest.raises((check.RejectedError, IndexError)):
            check._line(lines[position], place, [manifest])


def test_the_tree_is_that_of_certificate_transparency() -> None:
    """RFC 9162 §2.1.1: an empty list, one leaf, and three, of which the last moves up."""
    assert merkle.root([]) == f"sha256:{hashlib.sha256().hexdigest()}"
    one, two, three = (merkle.leaf(line) for line in (b"a", b"b", b"c"))
    assert one == hashlib.sha256(b"\0a").digest()
    left = hashlib.sha256(b"\1" + one + two).digest()
    assert merkle.root([one, two, three]) == f"sha256:{hashlib.sha256(bytes([1]) + left + three).hexdigest()}"


# The archive


def test_a_manifest_of_before_the_tree_is_read_and_verified_as_ever(tmp_path: Path) -> None:
    old = Archive(tmp_path / "archive")
    write(old, Ticking(NIGHT), VOTES)
    (path,) = old.manifests_directory.iterdir()
    content = json.loads(path.read_bytes())
    for field in ("lines_root",):
        del content["segments"][0][field]
    content["digest"] = ""
    sealed = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    content["digest"] = f"sha256:{hashlib.sha256(sealed).hexdigest()}"
    path.write_bytes(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
    assert read_manifest(path).encoded() == path.read_bytes()
    assert verify(old).problems == ()
    one = Claim("pilkada-2024", "pkwkp", "hhcw", "31", (shown(old, "votes", VOTES, Figure(CHART, 1717), ts=None),))
    assert list(examine(old, old.manifests(), one.exhibits)) == []
    with pytest.raises(UsageError, match="hand over a copy of the archive"):
        bundle(old, old.manifests(), [one])


def test_a_manifest_whose_root_is_not_that_of_its_lines_is_found(tmp_path: Path) -> None:
    lying = Archive(tmp_path / "archive")
    write(lying, Ticking(NIGHT), VOTES)
    (path,) = lying.manifests_directory.iterdir()
    manifest = read_manifest(path)
    content = json.loads(path.read_bytes())
    content["segments"][0]["lines_root"] = merkle.root([])
    draft = type(manifest)(**{
        **{field: getattr(manifest, field) for field in manifest.__struct_fields__},
        "segments": (type(manifest.segments[0])(**content["segments"][0]),),
    })  # fmt: skip
    path.write_bytes(draft.sealed().encoded())
    assert [problem.what for problem in verify(lying).problems] == ["its lines are not those of its manifest"]
    found = shown(lying, "votes", VOTES, ts=None)
    assert len(list(examine(lying, lying.manifests(), [found]))) == 1


def test_a_revisit_is_shown_with_the_earlier_line_that_holds_its_body(claim: Claim) -> None:
    votes = claim.exhibits[0]
    assert votes.capture.body == count(1717)
    assert (votes.line.number, votes.body_line.number) == (1, 3)
    assert votes.line.segment > votes.body_line.segment


def test_a_capture_that_is_not_there_is_an_error_that_names_it(archive: Archive) -> None:
    with pytest.raises(ArchiveError, match=r"no line of https://kpu/pilkada/hhcw/pkwkp/31\.json"):
        find_capture(archive, archive.segment_names(), COUNT, NIGHT, VOTES.digest)


# The bundle as it was made


def test_the_checker_accepts_the_bundle_and_says_what_it_shows(files: Files) -> None:
    text = "\n".join(check.check(files))
    for said in (
        "pilkada-2024, pkwkp, hhcw, unit 31:", COUNT, "2024-11-28T03:02:00Z", "by kpu", "2024-11-28 10:00:05",
        "tungsura.chart.1000023 = 1,717", "tungsura.chart.1000023 = 0", "31.1000023.nama = ANI - BÚDI",
        "line 1 of 1", "manifest 2 of 3", "The chain: 3 manifests",
    ):  # fmt: skip
        assert said in text


def test_equal_evidence_is_a_bundle_of_equal_bytes(archive: Archive, claim: Claim, packed: bytes) -> None:
    assert bundle(Archive(archive.directory), archive.manifests(), [claim]) == packed


def test_bodies_lie_in_it_as_they_were_served(files: Files) -> None:
    assert sorted(content for name, content in files.items() if name.startswith("bodies/")) == sorted(
        [count(1717), count(0, LATER), names()]
    )


def test_no_line_of_another_document_is_in_it(files: Files) -> None:
    assert len(files["lines.jsonl"].splitlines()) == 4  # figures, the same again, names, withdrawal; 6 others stay away


def test_it_is_checked_by_a_bare_python_in_another_place(packed: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(packed)) as bundled:
        bundled.extractall(tmp_path)
    bare = [sys.executable, "-I", "-S", str(tmp_path / "evidence" / "check.py")]  # no packages, no environment
    answer = subprocess.run(bare, capture_output=True, text=True, check=False, encoding="utf-8")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.endswith("ACCEPTED. README.txt says what this proves, and what it does not.\n")
    (tmp_path / "evidence" / "claim.json").write_text("{}")
    answer = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stdout.startswith("REJECTED: ")
    assert subprocess.run([*bare, "no/such/place"], capture_output=True, check=False).returncode == 2


def test_who_holds_a_manifest_s_digest_learns_whether_the_chain_has_it(
    archive: Archive, packed: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "evidence.zip"
    place.write_bytes(packed)
    assert check.main([str(place), "--known", archive.manifests()[1].digest]) == 0
    assert "You hold manifest 2" in capsys.readouterr().out
    assert check.main([str(place), "--known", f"sha256:{'0' * 64}"]) == 1
    assert "REJECTED: the chain does not hold" in capsys.readouterr().out


def test_what_its_own_checker_would_reject_is_not_handed_out(archive: Archive) -> None:
    wrong = Claim(
        "pilkada-2024", "pkwkp", "hhcw", "31", (shown(archive, "votes", VOTES, Figure(CHART, 1718), ts=None),)
    )
    with pytest.raises(check.RejectedError, match="is 1717 in the body, not 1718"):
        bundle(archive, archive.manifests(), [wrong])


def test_what_a_page_says_is_looked_for_in_its_text_and_said_to_be_no_more(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    page = capture("file:tps.html", b"<td>1.717</td>", NIGHT, "folder", mimetype="text/html")
    write(archive, Ticking(NIGHT), page)

    def packed(votes: int) -> bytes:
        exhibits = (shown(archive, "votes", page, Figure(None, votes), ts=None),)
        return bundle(archive, archive.manifests(), [Claim("pilkada-2024", "pkwkp", "hhcw", "31", exhibits)])

    place = tmp_path / "evidence.zip"
    place.write_bytes(packed(1717))
    assert "NOT CHECKED: what the page is about" in "\n".join(check.check(check.members(place)))
    for other in (717, 1, 171):
        with pytest.raises(check.RejectedError, match="the page has no"):
            packed(other)


# After any single change


def test_no_byte_of_it_can_be_another(files: Files) -> None:
    for name in evidence_in(files):
        content = files[name]
        for position in range(len(content)):
            for mask in (0x01, 0x20):  # 0x20 turns letters of hexadecimal digits into large ones
                spoilt = content[:position] + bytes([content[position] ^ mask]) + content[position + 1 :]
                assert is_rejected({**files, name: spoilt}), f"byte {position} of {name}"


@settings(max_examples=300)
@given(st.data())
def test_whatever_is_cut_out_put_in_or_put_elsewhere(files: Files, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(evidence_in(files)))
    content = files[name]
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(content)), st.integers(0, len(content)))))
    spoilt = content[:start] + data.draw(st.binary(max_size=9)) + content[end:]
    assert spoilt == content or is_rejected({**files, name: spoilt})


def test_no_file_of_it_can_be_missing_added_or_exchanged(files: Files) -> None:
    for name in files:
        assert is_rejected({other: content for other, content in files.items() if other != name}), name
        assert is_rejected({**files, f"{name}x": files[name]}), name
    names = evidence_in(files)
    for one in names:
        for other in names:
            assert one == other or is_rejected({**files, one: files[other], other: files[one]})


def changed_orders(lines: list[bytes]) -> Iterator[list[bytes]]:
    """The lines without one, with one twice, and with two exchanged."""
    for number in range(len(lines)):
        yield lines[:number] + lines[number + 1 :]
        yield lines[: number + 1] + lines[number:]
        for other in range(number):
            swapped = list(lines)
            swapped[number], swapped[other] = swapped[other], swapped[number]
            yield swapped


@pytest.mark.parametrize("name", ["lines.jsonl", "manifests.jsonl"])
def test_no_line_can_be_missing_twice_or_in_another_order(files: Files, name: str) -> None:
    for lines in changed_orders(files[name].splitlines(keepends=True)):
        assert is_rejected({**files, name: b"".join(lines)})


def test_no_part_of_the_claim_can_be_missing_twice_or_in_another_order(files: Files) -> None:
    claim = json.loads(files["claim.json"])
    parts = [
        claim["lines"],
        claim["claims"],
        claim["claims"][0]["captures"],
        claim["claims"][0]["captures"][0]["figures"],
    ]
    for part in parts:
        right = list(part)
        for order in changed_orders(right):
            part[:] = order
            if part is not parts[-1] or len(order) >= len(right):  # to claim less is no lie
                assert is_rejected({**files, "claim.json": check.written(claim)})
        part[:] = right


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("election", "pemilu-2024"),
        ("contest_type", "pkwkk"),
        ("stage", "hr"),
        ("unit_code", "32"),
        ("unit_code", "3171"),
    ],
)
def test_the_figures_of_one_unit_and_series_cannot_pass_for_those_of_another(
    files: Files, field: str, value: str
) -> None:
    claim = json.loads(files["claim.json"])
    claim["claims"][0][field] = value
    assert is_rejected({**files, "claim.json": check.written(claim)})


def test_a_child_s_row_cannot_pass_for_the_region_s_own_figures(files: Files) -> None:
    claim = json.loads(files["claim.json"])
    claim["claims"][0]["captures"][0]["figures"] = [{"place": ["tungsura", "table", "3171", "1000023"], "value": 5}]
    assert is_rejected({**files, "claim.json": check.written(claim)})


def test_figures_that_are_still_there_are_no_withdrawal(files: Files) -> None:
    claim = json.loads(files["claim.json"])
    first, second, third = claim["claims"][0]["captures"]
    first["role"], second["role"] = "withdrawal", "votes"
    claim["claims"][0]["captures"] = [second, first, third]
    assert is_rejected({**files, "claim.json": check.written(claim)})


def test_a_body_that_was_forged_with_its_line_is_not_what_the_run_wrote(files: Files) -> None:
    """Everything above the manifest made to agree: only the tree, and so the chain, still tells."""
    old = next(name for name, content in files.items() if content == count(1717))
    forged, digest = count(9717), f"sha256:{hashlib.sha256(count(9717)).hexdigest()}"
    was = f"sha256:{hashlib.sha256(count(1717)).hexdigest()}"
    claim = json.loads(files["claim.json"])
    claim["claims"][0]["captures"][0]["figures"][0]["value"] = 9717
    lines = files["lines.jsonl"].replace(was.encode(), digest.encode()).replace(b"1717", b"9717")
    changed = {name: content for name, content in files.items() if name != old}
    changed |= {f"bodies/{digest.replace(':', '-')}.json": forged, "lines.jsonl": lines}
    with pytest.raises(check.RejectedError, match="is not the one that the run"):
        check.check({**changed, "claim.json": check.written(claim)})


@given(st.data())
def test_no_byte_of_the_zip_that_matters_can_be_another(packed: bytes, files: Files, data: st.DataObject) -> None:
    """Neither time stamps nor attributes matter; what is unpacked is the same, or it is rejected."""
    position = data.draw(st.integers(0, len(packed) - 1))
    spoilt = packed[:position] + bytes([packed[position] ^ data.draw(st.integers(1, 255))]) + packed[position + 1 :]
    with tempfile.NamedTemporaryFile(suffix=".zip") as place:
        place.write(spoilt)
        place.flush()
        try:
            unpacked = check.members(Path(place.name))
        except check.RejectedError:
            return
    assert unpacked == files or is_rejected(unpacked)


def test_a_zip_that_holds_a_file_twice_or_outside_of_its_folder_is_rejected(packed: bytes, tmp_path: Path) -> None:
    place = tmp_path / "evidence.zip"
    for name in ("evidence/claim.json", "../claim.json", "/evidence/claim.json"):
        place.write_bytes(packed)
        with zipfile.ZipFile(place, "a") as bundled, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bundled.writestr(name, b"{}")
        with pytest.raises(check.RejectedError):
            check.members(place)


def test_names_in_a_bundle_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = Archive(tmp_path / "archive")
    evil = capture(COUNT, count(1), NIGHT, "kpu\x1b[2J\x9b")
    write(archive, Ticking(NIGHT), evil)
    exhibits = (shown(archive, "votes", evil, Figure(CHART, 1), ts="2024-11-28 10:00:05"),)
    place = tmp_path / "evidence.zip"
    place.write_bytes(bundle(archive, archive.manifests(), [Claim("pilkada-2024", "pkwkp", "hhcw", "31", exhibits)]))
    assert check.main([str(place)]) == 0
    out = capsys.readouterr().out
    assert "by kpu?[2J?" in out
    assert out.replace("\n", "").isprintable()
