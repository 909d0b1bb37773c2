"""What others kept becomes captures: each observation once, at its own time, under its own name."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Ticking
from hypothesis import example, given
from hypothesis import strategies as st

from extract.archive import Archive
from extract.capture import Capture, digest_of
from extract.endpoints import Endpoint
from extract.errors import SourceError, UsageError
from extract.naming import KNOWN_LAYOUTS, Pattern, namer
from extract.recording import record
from extract.sources import FolderSource, GitSource
from extract.verification import verify

PILKADA = "https://sirekappilkada-obj-data.kpu.go.id"
PEMILU = "https://sirekap-obj-data.kpu.go.id"
NIGHT = datetime(2024, 11, 28, 1, 23, 18, tzinfo=UTC)
JAKARTA, BANTEN = "pkwkp/31/31.json", "pkwkp/36/36.json"


class Scrape:
    """Somebody's repository. It asks nothing of the git configuration of whoever runs the tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.directory.mkdir()
        self.git("init", "--quiet")

    def git(self, *arguments: str | bytes, at: datetime = NIGHT, stdin: bytes = b"") -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "archivist",
            "GIT_AUTHOR_EMAIL": "archivist@example.org",
            "GIT_AUTHOR_DATE": (at - timedelta(days=400)).isoformat(),  # never what counts
            "GIT_COMMITTER_NAME": "archivist",
            "GIT_COMMITTER_EMAIL": "archivist@example.org",
            "GIT_COMMITTER_DATE": at.isoformat(),
        }
        answer = subprocess.run(
            ["git", *arguments], cwd=self.directory, env=environment, input=stdin, capture_output=True, check=True
        )
        return answer.stdout.decode().strip()

    def commit(self, minute: int, files: dict[str, bytes], delete: tuple[str, ...] = ()) -> str:
        """Commit these files so many minutes into the night; gives the commit."""
        for name, content in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for name in delete:
            (self.directory / name).unlink()
        self.git("add", "--all")
        return self.commit_index(minute)

    def commit_index(self, minute: int) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", "scrape", at=NIGHT + timedelta(minutes=minute))
        return self.git("rev-parse", "HEAD")

    def bundle(self, *what: str) -> Path:
        path = self.directory.with_name(f"{self.directory.name}.bundle")
        self.git("bundle", "create", "--quiet", str(path), *what)
        return path


def read(place: Path, patterns: tuple[str, ...] = (), known: tuple[str, ...] = ()) -> list[Capture]:
    with GitSource(place, patterns, known) as source:
        captures = list(source.captures())
        assert source.total == len(captures)
        return captures


def told(captures: list[Capture]) -> list[tuple[str, int, bytes | None]]:
    """Last part of the address, minutes into the night, bytes."""
    return [
        (capture.url.rpartition("/")[2], (capture.observed_at - NIGHT) // timedelta(minutes=1), capture.body)
        for capture in captures
    ]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go. Git hears nothing of a hook that may be running the tests, nor of directories above."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (directory := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.fixture
def scrape(tmp_path: Path) -> Scrape:
    return Scrape(tmp_path / "scrape")


# Names


@pytest.mark.parametrize(
    ("path", "url"),
    {
        "pkwkp/31/31.json": f"{PILKADA}/pilkada/hhcw/pkwkp/31.json",
        "pkwkk/11/1101.json": f"{PILKADA}/pilkada/hhcw/pkwkk/11/1101.json",
        "script/pkwkp/31/3171.json": f"{PILKADA}/pilkada/hhcw/pkwkp/31/3171.json",
        "district/31/31.json": f"{PILKADA}/wilayah/pilkada/pkwkp/31.json",
        "paslon/pkwkk.json": f"{PILKADA}/pilkada/paslon/pkwkk.json",
        "tps/1101012001001.json": f"{PEMILU}/pemilu/hhcw/ppwp/11/1101/110101/1101012001/1101012001001.json",
        "pemilu/hhcw/ppwp/11/1101.json": f"{PEMILU}/pemilu/hhcw/ppwp/11/1101.json",
        "mirror/host/wilayah/pilkada/pkwkp/0.json": f"{PILKADA}/wilayah/pilkada/pkwkp/0.json",
        "saved/TPS 008.html": "file:saved/TPS 008.html",
        "index.htm": "file:index.htm",
    }.items(),
)
def test_a_path_is_taken_for_what_archivists_mean_by_it(path: str, url: str) -> None:
    name = namer()(path)
    assert name is not None
    assert name == (url, "text/html" if "htm" in path else "application/json")


@pytest.mark.parametrize(
    "path",
    [
        "pkwkp/0.json",
        "pkwkp/31/317.json",
        "pileg/31/31.json",
        "package.json",
        "summary/all.json",
        "pkwkp/31/31.json.bak",
    ],
)
def test_a_path_that_means_nothing_has_no_name(path: str) -> None:
    assert namer()(path) is None


def test_the_user_s_patterns_come_first_and_in_their_order() -> None:
    name = namer(["{type}/*/{region}.json=pilkada-2024/hr", "{region}.json=pemilu-2024/hhcw/ppwp"])
    assert name("pkwkp/31/31.json") == (f"{PILKADA}/pilkada/hr/pkwkp/31.json", "application/json")
    assert name("anywhere/31.json") == (f"{PEMILU}/pemilu/hhcw/ppwp/31.json", "application/json")


def test_the_user_s_patterns_come_before_kpu_s_own_paths() -> None:
    name = namer(["{type}/{region}.json=pilkada-2024/hr"])
    assert name("pilkada/hhcw/pkwkp/31.json") == (f"{PILKADA}/pilkada/hr/pkwkp/31.json", "application/json")


def test_a_pattern_that_leads_nowhere_leaves_the_path_to_the_next() -> None:
    name = namer(["{region}.json=pilkada-2024/paslon/pkwkp"])  # there is one list of pairs, for the whole country
    assert name("pkwkp/31/31.json") == (f"{PILKADA}/pilkada/hhcw/pkwkp/31.json", "application/json")


def test_only_the_placeholders_of_a_template_are_special() -> None:
    name = namer(["v1.0 (final)+/*/{region}.json=pilkada-2024/hhcw/pkwkp"])
    assert name("v1.0 (final)+/x/31.json") == (f"{PILKADA}/pilkada/hhcw/pkwkp/31.json", "application/json")
    for other in ("v1x0 (final)+/x/31.json", "v1.0 (final)+/x/y/31.json", "my v1.0 (final)+/x/31.json", "31.json"):
        assert name(other) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "counts/{region}.json",
        "=pilkada-2024/hhcw/pkwkp",
        "{region}.json=pilkada-2024",
        "{region}.json=pilkada-2024/hhcw",  # which contest?
        "{type}/{region}.json=pilkada-2024/hhcw/pkwkp",  # which of the two?
        "{region}/{region}.json=pilkada-2024/hhcw/pkwkp",
        "{type}/{type}.json=pilkada-2024/paslon",
        "{region}.json=pilkada-2029/hhcw/pkwkp",
        "{type}/{region}.json=pilkada-2029/hhcw",
        "{region}.json=pilkada-2024/hhwc/pkwkp",
        "{region}.json=pilkada-2024/hhcw/ppwp",
        "{region}.json=pilkada-2024/page/pkwkp",  # a page has no address
        "{region}.json=pilkada-2024/hhcw/pkwkp/31",
    ],
)
def test_a_pattern_that_cannot_be_read_is_refused_with_the_syntax(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"write TEMPLATE=ELECTION/DOCUMENT\[/TYPE\], for example") as refused:
        namer([pattern])
    assert repr(pattern) in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text("{typeregion}*/=.json-2024pilkdhcw", max_size=60), st.text())
@example("({region}", "(31")
def test_any_template_is_a_pattern_or_is_refused(template: str, path: str) -> None:
    try:
        pattern = Pattern.parse(f"{template}=pilkada-2024/hhcw/pkwkp")
    except UsageError:
        return
    endpoint = pattern.endpoint(path)
    assert endpoint is None or endpoint.document == "hhcw"


def test_the_known_layouts_are_patterns_themselves() -> None:
    assert [Pattern.parse(layout).document for layout in KNOWN_LAYOUTS] == ["hhcw", "wilayah", "paslon", "hhcw"]


# Repositories


def test_only_a_file_that_a_commit_changed_is_an_observation(scrape: Scrape) -> None:
    first = scrape.commit(0, {JAKARTA: b"1", BANTEN: b"1"})
    second = scrape.commit(15, {JAKARTA: b"2", BANTEN: b"1"})
    captures = read(scrape.directory)
    assert told(captures) == [("31.json", 0, b"1"), ("31.json", 15, b"2"), ("36.json", 0, b"1")]
    assert [capture.source for capture in captures] == [f"git:{first}", f"git:{second}", f"git:{first}"]
    assert {capture.mimetype for capture in captures} == {"application/json"}


def test_a_file_put_back_is_an_observation_of_known_bytes(scrape: Scrape, tmp_path: Path, clock: Ticking) -> None:
    for minute, content in ((0, b"1"), (15, b"2"), (30, b"1")):
        scrape.commit(minute, {JAKARTA: content})
    captures = read(scrape.directory)
    assert told(captures) == [("31.json", 0, b"1"), ("31.json", 15, b"2"), ("31.json", 30, b"1")]
    archive = Archive(tmp_path / "archive")
    with record(archive, "replay git", {}, clock, {}) as run:
        assert [run.append(capture) for capture in captures] == [True, True, True]
    (manifest,) = archive.manifests()
    assert (manifest.captures, manifest.bodies) == (3, 2)
    assert list(archive.history()) == captures


def test_the_committer_s_time_counts_whatever_its_offset(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    (scrape.directory / JAKARTA).write_bytes(b"2")
    scrape.git(
        "commit",
        "--quiet",
        "--all",
        "-m",
        "",
        "--allow-empty-message",
        at=datetime.fromisoformat("2024-11-28T10:31:07+07:00"),
    )
    assert [capture.observed_at.isoformat() for capture in read(scrape.directory)] == [
        "2024-11-28T01:23:18+00:00",
        "2024-11-28T03:31:07+00:00",
    ]


def test_a_deleted_file_is_no_observation_and_a_renamed_one_is_one(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1", BANTEN: b"1"})
    scrape.commit(15, {}, delete=(JAKARTA,))
    scrape.git("mv", BANTEN, "pkwkp/36/3671.json")
    scrape.commit_index(30)
    scrape.commit(45, {JAKARTA: b"1"})
    assert told(read(scrape.directory)) == [
        ("31.json", 0, b"1"),
        ("31.json", 45, b"1"),
        ("36.json", 0, b"1"),
        ("3671.json", 30, b"1"),
    ]


def test_a_file_whose_bytes_did_not_change_is_no_observation(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    scrape.git("update-index", "--chmod=+x", JAKARTA)
    scrape.commit_index(15)
    scrape.commit_index(30)
    with GitSource(scrape.directory) as source:
        assert told(list(source.captures())) == [("31.json", 0, b"1")]
        assert source.commits == 3


def test_a_link_to_a_document_is_no_document(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    blob = scrape.git("hash-object", "-w", "--stdin", stdin=b"../31/31.json")
    scrape.git("update-index", "--add", "--cacheinfo", f"120000,{blob},{BANTEN}")
    scrape.commit_index(15)
    assert told(read(scrape.directory)) == [("31.json", 0, b"1")]


def test_files_that_are_no_documents_are_left_out_and_counted(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1", "pkwkp/0.json": b"1", "README.md": b"hello", "scrape.py": b""})
    scrape.commit(15, {"pkwkp/0.json": b"2", "package.json": b"{}", "README.md": b"hello again"})
    scrape.commit(30, {}, delete=("pkwkp/0.json",))
    with GitSource(scrape.directory) as source:
        assert told(list(source.captures())) == [("31.json", 0, b"1")]
        assert source.left_out == Counter({"pkwkp/0.json": 2, "package.json": 1})


def test_a_user_s_pattern_names_what_would_be_left_out(scrape: Scrape) -> None:
    scrape.commit(0, {"latest/31.json": b"1"})
    (capture,) = read(scrape.directory, patterns=("latest/{region}.json=pilkada-2024/hhcw/pkwkp",))
    assert capture.url == f"{PILKADA}/pilkada/hhcw/pkwkp/31.json"


def test_every_byte_of_a_file_is_kept(scrape: Scrape) -> None:
    contents = {"31": b"", "32": b"\0\n\xff", "33": b"no line end", "34": b"\r\n" * 3, "35": b"x" * 300_000}
    scrape.commit(0, {f"pkwkp/{code}/{code}.json": content for code, content in contents.items()})
    assert [capture.body for capture in read(scrape.directory)] == list(contents.values())


@pytest.mark.parametrize(
    "folder",
    ["DKI Jakarta", 'the "capital"', "d'Été", "Дж", "tab\tand\nline", "back\\slash", " ", "-n", "\u2028", "%31"],
)
def test_paths_may_hold_what_they_like(scrape: Scrape, folder: str) -> None:
    scrape.commit(0, {f"pkwkp/{folder}/3171.json": b"1", f"pages/{folder}/TPS.html": b"<html>"})
    page, count = sorted(read(scrape.directory), key=lambda capture: capture.mimetype, reverse=True)
    assert (page.url, page.mimetype, page.body) == (f"file:pages/{folder}/TPS.html", "text/html", b"<html>")
    assert (count.url, count.mimetype) == (f"{PILKADA}/pilkada/hhcw/pkwkp/31/3171.json", "application/json")


def test_a_page_whose_name_is_not_utf_8_can_still_be_archived(scrape: Scrape, tmp_path: Path, clock: Ticking) -> None:
    blob = scrape.git("hash-object", "-w", "--stdin", stdin=b"<html>")
    scrape.git("update-index", "--add", "--cacheinfo", f"100644,{blob},".encode() + b"caf\xe9.html")
    scrape.git("update-index", "--add", "--cacheinfo", f"100644,{blob},".encode() + b"caf\xe9.json")
    scrape.commit_index(0)
    archive = Archive(tmp_path / "archive")
    with GitSource(scrape.directory) as source, record(archive, "replay git", {}, clock, {}) as run:
        assert [run.append(capture) for capture in source.captures()] == [True]
    assert [(capture.url, capture.body) for capture in archive.history()] == [("file:caf\\xe9.html", b"<html>")]
    assert source.left_out == Counter({"caf\\xe9.json": 1})


def test_a_merge_is_no_observation_but_what_it_brings_is(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1\n", BANTEN: b"1\n"})
    scrape.git("checkout", "--quiet", "-b", "another-machine")
    scrape.commit(15, {JAKARTA: b"2\n"})
    scrape.git("checkout", "--quiet", "-")
    scrape.commit(30, {BANTEN: b"2\n"})
    scrape.git("merge", "--quiet", "--no-edit", "another-machine", at=NIGHT + timedelta(minutes=45))
    scrape.commit(60, {JAKARTA: b"3\n"})
    assert told(read(scrape.directory)) == [
        ("31.json", 0, b"1\n"),
        ("31.json", 15, b"2\n"),
        ("31.json", 60, b"3\n"),
        ("36.json", 0, b"1\n"),
        ("36.json", 30, b"2\n"),
    ]


def test_what_a_merge_mixed_was_never_served(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    scrape.git("checkout", "--quiet", "-b", "another-machine")
    scrape.commit(15, {JAKARTA: b"2"})
    scrape.git("checkout", "--quiet", "-")
    scrape.commit(30, {JAKARTA: b"3"})
    scrape.git("merge", "--quiet", "--strategy", "ours", "--no-commit", "another-machine")
    scrape.commit(45, {JAKARTA: b"2 or 3"})
    assert len(scrape.git("rev-list", "--merges", "HEAD").split()) == 1
    assert [capture.body for capture in read(scrape.directory)] == [b"1", b"2", b"3"]


def test_a_bundle_says_what_its_repository_says(scrape: Scrape, temporary: Path) -> None:
    scrape.commit(0, {JAKARTA: b"1", "pkwkp/0.json": b""})
    scrape.commit(15, {JAKARTA: b"2", BANTEN: b"1"})
    bundle = scrape.bundle("HEAD")
    assert read(bundle) == read(scrape.directory)
    assert GitSource(bundle).heads == GitSource(scrape.directory).heads
    assert list(temporary.iterdir()) == []


def test_a_place_may_be_named_from_where_one_stands(scrape: Scrape, monkeypatch: pytest.MonkeyPatch) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    bundle = scrape.bundle("HEAD")
    monkeypatch.chdir(bundle.parent.parent)
    for place in (bundle, scrape.directory):
        assert told(read(place.relative_to(Path.cwd()))) == [("31.json", 0, b"1")]
    monkeypatch.chdir(bundle.parent)
    assert told(read(Path(bundle.name))) == [("31.json", 0, b"1")]


def test_a_hook_s_environment_does_not_lead_to_another_repository(
    scrape: Scrape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    (other := Scrape(tmp_path / "other")).commit(0, {BANTEN: b"2"})
    bundle = scrape.bundle("HEAD")
    monkeypatch.setenv("GIT_DIR", str(other.directory / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.directory / ".git" / "objects"))
    for place in (scrape.directory, bundle):
        assert told(read(place, known=("0" * 40,))) == [("31.json", 0, b"1")]


def test_a_bundle_tells_of_all_its_branches_and_tags(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    scrape.git("tag", "-a", "-m", "first", "first")
    scrape.git("checkout", "--quiet", "-b", "another-machine")
    scrape.commit(15, {JAKARTA: b"2"})
    scrape.git("checkout", "--quiet", "-")
    scrape.commit(30, {JAKARTA: b"3"})
    assert [capture.body for capture in read(scrape.bundle("--all"))] == [b"1", b"2", b"3"]
    assert [capture.body for capture in read(scrape.directory)] == [b"1", b"3"]


def test_what_is_known_is_passed_over(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    known = GitSource(scrape.directory).heads
    assert read(scrape.directory, known=known) == []
    scrape.commit(15, {JAKARTA: b"2"})
    for place in (scrape.directory, scrape.bundle("HEAD")):
        assert told(read(place, known=known)) == [("31.json", 15, b"2")]
        assert read(place, known=GitSource(place).heads) == []
        assert len(read(place, known=("0" * 40,))) == 2  # heads of another repository, or of a rewritten one


def test_a_bundle_that_is_known_is_not_even_opened(scrape: Scrape, temporary: Path) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    bundle = scrape.bundle("HEAD")
    for known, opened in (((), 1), (GitSource(bundle).heads, 0)):
        with GitSource(bundle, known=known):
            assert len(list(temporary.iterdir())) == opened


def test_reading_may_stop_in_the_middle(scrape: Scrape, temporary: Path) -> None:
    scrape.commit(0, {f"pkwkp/31/31{n}.json": b"x" * 100_000 + b"%d" % n for n in range(10, 60)})
    with GitSource(scrape.bundle("HEAD")) as source:
        captures = source.captures()
        assert next(captures).length == 100_002
        captures.close()
    assert list(temporary.iterdir()) == []


# Places that are none


def refused(place: Path) -> str:
    """The one line that a place is refused with."""
    with pytest.raises(SourceError) as error:
        read(place)
    assert error.value.exit_code == 2
    assert error.value.place == place
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"cannot import from {str(place)!r}: ")
    return line


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere").endswith("there is no such file or directory")


def test_a_directory_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert "not a git repository" in refused(tmp_path / "plain")


def test_a_repository_without_commits_is_refused(scrape: Scrape) -> None:
    assert "git says: " in refused(scrape.directory)


def test_a_file_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "31.json").write_bytes(b"{}")
    assert "git says: " in refused(tmp_path / "31.json")


def test_a_bundle_that_was_cut_is_refused_and_leaves_nothing(scrape: Scrape, temporary: Path) -> None:
    scrape.commit(0, {JAKARTA: bytes(range(256)) * 4})
    bundle = scrape.bundle("HEAD")
    bundle.write_bytes(bundle.read_bytes()[:-100])
    assert "git says: " in refused(bundle)
    assert list(temporary.iterdir()) == []


def test_a_bundle_that_builds_on_commits_it_does_not_hold_is_refused(scrape: Scrape, temporary: Path) -> None:
    first = scrape.commit(0, {JAKARTA: b"1"})
    scrape.commit(15, {JAKARTA: b"2"})
    assert "git says: " in refused(scrape.bundle("HEAD", f"^{first}"))
    assert list(temporary.iterdir()) == []


def test_a_repository_that_lost_an_object_is_refused_with_the_object(scrape: Scrape) -> None:
    scrape.commit(0, {JAKARTA: b"1", BANTEN: b"2"})
    blob = scrape.git("hash-object", BANTEN)
    (scrape.directory / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert f"git lost an object: {blob} missing" in refused(scrape.directory)


def test_without_git_it_says_so(scrape: Scrape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scrape.commit(0, {JAKARTA: b"1"})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(scrape.directory).endswith("git is not installed")


# Folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two documents and a page, saved a quarter of an hour apart, and what lies around them."""
    files = {
        "pilkada/hhcw/pkwkp/31.json": b"1",
        "pkwkp/36/3671.json": b"\xff\0",
        "saved/TPS 008.html": b"<html>",
        "package.json": b"{}",
        "README.md": b"hello",
    }
    for minute, (name, content) in enumerate(files.items()):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ((NIGHT + timedelta(minutes=15 * minute)).timestamp(),) * 2)
    return tmp_path / "folder"


def test_a_folder_s_files_are_observed_at_their_own_time(folder: Path) -> None:
    source = FolderSource(folder)
    assert [(c.url, c.observed_at, c.body, c.source, c.mimetype) for c in source.captures()] == [
        (f"{PILKADA}/pilkada/hhcw/pkwkp/31.json", NIGHT, b"1", "folder", "application/json"),
        (
            f"{PILKADA}/pilkada/hhcw/pkwkp/36/3671.json",
            NIGHT + timedelta(minutes=15),
            b"\xff\0",
            "folder",
            "application/json",
        ),
        ("file:saved/TPS 008.html", NIGHT + timedelta(minutes=30), b"<html>", "folder", "text/html"),
    ]
    assert source.left_out == Counter({"package.json": 1})
    assert source.total == 4


def test_a_folder_s_files_are_observed_at_the_time_that_is_given(folder: Path) -> None:
    given_time = datetime.fromisoformat("2024-11-28T10:31:07+07:00")
    captures = list(FolderSource(folder, observed_at=given_time).captures())
    assert {capture.observed_at.isoformat() for capture in captures} == {"2024-11-28T03:31:07+00:00"}
    assert len(captures) == 3


def test_a_user_s_pattern_names_the_files_of_a_folder(folder: Path) -> None:
    source = FolderSource(folder, ["package.json=pilkada-2024/paslon/pkwkp"])
    assert f"{PILKADA}/pilkada/paslon/pkwkp.json" in {capture.url for capture in source.captures()}
    assert source.left_out == Counter()


def test_a_folder_without_documents_is_empty(tmp_path: Path) -> None:
    (tmp_path / "31.json").mkdir()  # a directory, whatever its name
    source = FolderSource(tmp_path)
    assert (source.total, list(source.captures()), source.left_out) == (0, [], Counter())


@pytest.mark.parametrize("place", ["nowhere", "folder/package.json"])
def test_a_folder_that_is_none_is_refused(folder: Path, place: str) -> None:
    with pytest.raises(SourceError, match="there is no such folder") as error:
        FolderSource(folder.parent / place)
    assert error.value.place == folder.parent / place


def test_a_file_that_cannot_be_read_is_refused_by_name(folder: Path) -> None:
    source = FolderSource(folder)
    unreadable = folder / "pkwkp/36/3671.json"
    unreadable.unlink()
    unreadable.mkdir()  # even root cannot read it as a file
    with pytest.raises(SourceError, match="Is a directory") as error:
        list(source.captures())
    assert error.value.place == unreadable


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses file names that are not UTF-8")
def test_a_folder_s_page_whose_name_is_not_utf_8_can_still_be_archived(
    folder: Path, tmp_path: Path, clock: Ticking
) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.html")).write_bytes(b"<html>")
    archive = Archive(tmp_path / "archive")
    with record(archive, "replay folder", {}, clock, {}) as run:
        assert all(run.append(capture) for capture in FolderSource(folder).captures())
    assert "file:caf\\xe9.html" in {capture.url for capture in archive.history()}


# What KPU really served


def test_the_scrape_of_november_2024_is_read_whole(real: Path) -> None:
    with GitSource(real / "pilkada-scrap.bundle") as source:
        captures = list(source.captures())
    counts = [capture for capture in captures if Endpoint.from_url(capture.url).document == "hhcw"]
    assert source.commits == 7
    assert (len(counts), len(captures) - len(counts)) == (4769, 40)
    assert len({capture.digest for capture in counts}) == 3639
    assert len({capture.digest for capture in captures}) == 3679
    assert source.left_out == Counter({"pkwkp/0.json": 4})
    assert len({capture.key for capture in captures}) == len(captures)
    assert {capture.observed_at.isoformat() for capture in captures} >= {
        "2024-11-27T18:23:18+00:00",
        "2024-11-28T01:38:52+00:00",
        "2024-11-28T03:31:07+00:00",
        "2024-11-28T03:59:41+00:00",
    }


def test_the_scrape_of_november_2024_is_archived_once(real: Path, tmp_path: Path, clock: Ticking) -> None:
    archive = Archive(tmp_path / "archive")
    for expected in (4809, 0):
        with GitSource(real / "pilkada-scrap.bundle") as source, record(archive, "replay git", {}, clock, {}) as run:
            assert sum(run.append(capture) for capture in source.captures()) == expected
    assert verify(archive) == (1, 4809, 3679, ())
    assert all(digest_of(capture.body or b"") == capture.digest for capture in archive.history())


def test_the_documents_of_february_2024_are_all_named(real: Path) -> None:
    source = FolderSource(real / "pemilu2024")
    urls = [capture.url for capture in source.captures()]
    assert source.left_out == Counter()
    assert [url for url in urls if url.startswith("file:")] == ["file:tps-page.html"]
    documents = Counter(Endpoint.from_url(url).document for url in urls if not url.startswith("file:"))
    assert documents == {"hhcw": 59, "wilayah": 5}


def test_a_shallow_clone_is_refused_because_its_oldest_commit_seems_to_change_everything(tmp_path: Path) -> None:
    origin = Scrape(tmp_path / "origin")
    origin.commit(1, {"pkwkp/31/3101.json": b"{}"})
    origin.commit(2, {"pkwkp/31/3171.json": b"{}"})
    origin.git("clone", "--quiet", "--depth", "1", origin.directory.as_uri(), str(tmp_path / "clone"))
    with pytest.raises(SourceError, match="shallow clone"), GitSource(tmp_path / "clone"):
        pass
