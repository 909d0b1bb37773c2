"""What SECURITY.md promises and no other test shows: hostile archives and repositories, secrets, safe defaults."""

import ast
import asyncio
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from answers import A, B, count, figures, taken, wib
from commands import COMMAND, realcount
from conftest import Ticking

from extract import errors, segments
from extract.archive import Archive
from extract.capture import capture
from extract.endpoints import Endpoint
from extract.errors import ArchiveError, StorageError, UsageError, without_passwords
from extract.manifests import OpenRun, read_manifest
from extract.night import Night
from extract.politeness import Manners
from extract.recording import record
from extract.segments import zstd
from extract.server import SimulatedSource, is_loopback, serving
from extract.simulator import Simulation
from extract.sources import FolderSource, GitSource
from extract.verification import verify
from flows import serving as prefect_serving
from flows.crawling import Crawl
from flows.cycle import open_cycle
from flows.plan import Scope
from flows.replay import now, replay_folder
from flows.settings import Settings, recorded
from flows.summary import escaped
from transform.normalise import read

ROOT = Path(__file__).parents[1]
NIGHT = datetime(2024, 11, 28, 3, 0, 0, tzinfo=UTC)
SECRET = "hunter2"
SOURCES = [
    path for folder in ("extract", "flows", "load", "transform", "warehouse") for path in (ROOT / folder).rglob("*.py")
]


def outside(directory: Path, of: Path) -> dict[str, bytes]:
    """Every file that is not in one place."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file() and of not in path.parents}


def write(archive: Archive, body: bytes = b"{}") -> str:
    with record(archive, "test", {}, Ticking(NIGHT), {}) as run:
        run.append(capture("https://kpu/31.json", body, NIGHT, "test"))
    return run.name


def git(repository: Path, *arguments: str, given: bytes = b"") -> str:
    identity = {
        f"GIT_{who}_{what}": said
        for who in ("AUTHOR", "COMMITTER")
        for what, said in {"NAME": "x", "EMAIL": "x@example.org", "DATE": "1732762867 +0000"}.items()
    }
    answer = subprocess.run(
        ["git", "-C", str(repository), *arguments],
        input=given, stdout=subprocess.PIPE, check=True, env={**os.environ, **identity},
    )  # fmt: skip
    return answer.stdout.decode().strip()


def commit(repository: Path, tree: str, *headers: str) -> None:
    """A commit of this tree at HEAD, as it stands in the object: nothing checks what it says."""
    lines = (f"tree {tree}", "author x <x> 1732762867 +0000", "committer x <x> 1732762867 +0000", *headers, "", "m", "")
    name = git(repository, "hash-object", "-t", "commit", "-w", "--stdin", given="\n".join(lines).encode())
    git(repository, "update-ref", "HEAD", name)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one document of Jakarta."""
    place = tmp_path / "scrape"
    place.mkdir()
    git(place, "init", "--quiet")
    document = place / "pilkada/hhcw/pkwkp/31.json"
    document.parent.mkdir(parents=True)
    document.write_bytes(b"{}")
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", "m")
    return place


# A hostile repository


def test_no_program_that_a_repository_s_own_configuration_names_is_run(repository: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\n")
    program.chmod(0o755)
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    commit(repository, git(repository, "rev-parse", "HEAD^{tree}"), signature)
    settings = {
        "log.showSignature": "true", "gpg.program": program, "gpg.ssh.program": program, "core.fsmonitor": program,
        "core.pager": program, "core.sshCommand": program, "core.gitProxy": program, "core.hooksPath": tmp_path,
        "diff.external": program, "pager.log": program, "credential.helper": f"!{program}", "alias.log": f"!{program}",
        "remote.origin.url": "ext::" + str(program), "remote.origin.promisor": "true", "protocol.ext.allow": "always",
        "remote.origin.uploadpack": program, "extensions.partialClone": "origin",
    }  # fmt: skip
    git(repository, "config", "core.repositoryFormatVersion", "1")
    for name, value in settings.items():
        git(repository, "config", name, str(value))
    git(repository, "log", "-1")  # the trap is armed: git itself, asked here, runs the program
    assert ran.exists()
    ran.unlink()
    with GitSource(repository) as source:
        assert [kept.body for kept in source.captures()] == [b"{}"]
    assert not ran.exists()


@pytest.mark.parametrize("name", ["..", ".", ".git", "a/b", "-rf", "31\n.json", "con", "\x1b[2J"])
def test_paths_in_a_repository_lead_nowhere(tmp_path: Path, name: str) -> None:
    """A tree can hold any name; git makes no file of it, and neither do we."""
    repository = tmp_path / "scrape"
    repository.mkdir()
    git(repository, "init", "--quiet", "--bare")
    blob = git(repository, "hash-object", "-w", "--stdin", given=b"{}")
    entry = b"100644 31.json\0" + bytes.fromhex(blob)
    inner = git(repository, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=entry)
    entry = b"40000 " + name.encode() + b"\0" + bytes.fromhex(inner)
    for _ in range(2):  # name/name/31.json
        tree = git(repository, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=entry)
        entry = b"40000 " + name.encode() + b"\0" + bytes.fromhex(tree)
    commit(repository, tree)
    archive = Archive(tmp_path / "archive")
    before = outside(tmp_path, archive.directory)
    patterns = ["{region}.json=pilkada-2024/hhcw/pkwkp"]
    with GitSource(repository, patterns) as source, record(archive, "test", {}, Ticking(NIGHT), {}) as run:
        assert [run.append(kept) for kept in source.captures()] == [True]
    assert outside(tmp_path, archive.directory) == before
    assert verify(archive).problems == ()


# A hostile folder


def test_a_link_in_a_folder_is_not_followed_to_what_nobody_meant_to_archive(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(SECRET)
    place = tmp_path / "given" / "pilkada" / "hhcw" / "pkwkp"
    place.mkdir(parents=True)
    (place / "31.json").symlink_to(secret)
    (place / "32.json").symlink_to("31.json")
    (place / "33.json").write_bytes(b"{}")
    (place / "34").symlink_to(tmp_path, target_is_directory=True)
    source = FolderSource(tmp_path / "given")
    assert [kept.body for kept in source.captures()] == [b"{}"]
    assert sorted(source.left_out) == ["pilkada/hhcw/pkwkp/31.json", "pilkada/hhcw/pkwkp/32.json"]


@pytest.mark.parametrize("code", ["../../etc", "..", "31/../../x", "31%2f..", "31\0", "/etc/passwd", "3" * 300])
def test_a_code_from_outside_is_no_path(code: str) -> None:
    with pytest.raises(UsageError):
        Endpoint("pilkada-2024", "hhcw", "pkwkp", code)
    with pytest.raises(UsageError):
        Endpoint.from_url(f"https://kpu/pilkada/hhcw/pkwkp/{code}.json")


# A hostile archive


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/b.jsonl.zst", "..", ""])
def test_a_manifest_cannot_name_a_file_outside_of_its_archive(tmp_path: Path, name: str) -> None:
    archive = Archive(tmp_path / "archive")
    write(archive)
    (path,) = archive.manifests_directory.iterdir()
    path.write_bytes(path.read_bytes().replace(archive.segment_names()[0].encode(), name.encode()))
    with pytest.raises(ArchiveError, match="no name of a file beside the others"):
        read_manifest(path)
    assert any("no name of a file" in problem.what for problem in verify(archive).problems)


def test_a_note_of_a_killed_run_cannot_say_where_its_manifest_is_written(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    run = write(archive)
    for path in archive.manifests_directory.iterdir():
        path.unlink()
    (archive.manifests_directory / "000001-x").mkdir()
    elsewhere = OpenRun("x/../../../elsewhere", "poll", {}, NIGHT, {})
    (archive.manifests_directory / f"{run}.open").write_bytes(msgspec.json.encode(elsewhere))
    before = outside(tmp_path, archive.directory)
    write(archive, b"[]")
    assert outside(tmp_path, archive.directory) == before
    assert archive.manifests()[0].run == run


def test_a_link_that_lies_in_wait_for_a_manifest_is_not_written_through(tmp_path: Path) -> None:
    archive, victim = Archive(tmp_path / "archive"), tmp_path / "victim"
    run = write(archive)
    (path,) = archive.manifests_directory.iterdir()
    path.unlink()  # the next writer will make it again, by way of a draft whose name anybody can tell
    victim.write_text("mine")
    (archive.manifests_directory / f".000001-{run}.json.part").symlink_to(victim)
    write(archive, b"[]")
    assert victim.read_text() == "mine"
    assert archive.manifests()[0].run == run


def test_a_link_in_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    archive.directory.mkdir()
    (archive.directory / ".lock").symlink_to(tmp_path / "made")
    with pytest.raises(StorageError):
        write(archive)
    assert not (tmp_path / "made").exists()


def test_a_frame_that_unpacks_to_more_than_memory_holds_ends_the_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_MOST_UNPACKED", 64 << 20)
    archive = Archive(tmp_path / "archive")
    write(archive)
    segment = archive.segments_directory / archive.segment_names()[0]
    whole = segment.read_bytes()
    segment.write_bytes(whole + zstd.compress(b" " * (65 << 20)) + whole)
    assert len(list(archive.captures(segment.name))) == 1
    with pytest.raises(ArchiveError, match="too large for the archive"):
        write(archive, b"x" * (40 << 20))


def test_a_capture_with_hostile_names_is_data_all_the_way(tmp_path: Path) -> None:
    """Addresses and codes with quotes, SQL and control characters are kept, and steer neither SQL nor terminal."""
    settings = Settings(tmp_path)
    evil = "https://kpu/pilkada/hhcw/pkwkp/31.json?'; DROP TABLE core.capture; --\x1b[2J"
    body = taken(count("31", "10:00:00", figures({A: 5, B: 6})), wib("10:01:00")).body or b""
    from flows.replay import bring_up_to_date
    from warehouse import queries
    from warehouse.connection import reading

    with record(settings.archive, "'; DROP TABLE core.run; --", {}, Ticking(NIGHT), {}) as run:
        run.append(capture(evil, body, NIGHT, "'); DELETE FROM core.tally; --"))
    bring_up_to_date(settings)
    with reading(settings.published) as connection:
        assert list(queries.query(connection, "SELECT url, source FROM captures").rows) == [
            (evil, "'); DELETE FROM core.tally; --")
        ]
        assert len(list(queries.query(connection, "FROM results").rows)) == 2
    answer = realcount("--data-dir", tmp_path, "prove", "31")
    assert answer.returncode == 0
    assert answer.stdout.replace("\n", "").isprintable()


# Parsers


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_runs_what_it_reads_or_unpacks_onto_the_disk_is_used(path: Path) -> None:
    """No pickles, no YAML, no XML with entities, no eval, no shell, no member of a zip or tar written by its name."""
    modules = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "xml", "lxml", "tarfile"}
    calls = {"eval", "exec", "compile", "system", "popen", "extractall", "unpack_archive", "mktemp"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert not modules & {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in modules
        elif isinstance(node, ast.Call):
            called = node.func
            name = (
                called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
            )
            of_re = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "re"
            assert name not in calls or of_re, f"line {node.lineno}: {name}"
            assert not any(word.arg == "shell" for word in node.keywords), f"line {node.lineno}: shell"
            if name in ("BeautifulSoup", "_Soup"):
                assert ast.unparse(node.args[1]) == "'html.parser'"  # in pure Python; knows no external entities


def test_a_page_with_entities_and_scripts_states_nothing_and_reads_no_file() -> None:
    page = (
        '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/hostname"><!ENTITY a "&b;&b;"><!ENTITY b "&a;&a;">]>'
        "<html><body>&x;&a;<script>alert(1)</script></body></html>"
    )
    said = read(capture("file:x.html", page.encode(), NIGHT, "folder", mimetype="text/html"))
    assert type(said).__name__ == "Quarantine"


# Secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://user:{SECRET}@kpu/31.json", "https://…@kpu/31.json"),
        (f"'https:/user:{SECRET}@kpu'", "'https:/…@kpu'"),  # what a path makes of an address
        (f"https://{SECRET}@kpu/", "https://…@kpu/"),
        (f"http://u:{SECRET}@{SECRET}@kpu", "http://…@kpu"),
        (f"proxy=user:{SECRET}@kpu:8080 refused", "proxy=…@kpu:8080 refused"),
        ("https://kpu/a@b 10:00:05 desk@example.org", "https://kpu/a@b 10:00:05 desk@example.org"),
    ],
)
def test_a_password_in_an_address_is_not_repeated(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def test_no_error_of_ours_repeats_a_password() -> None:
    address = f"https://user:{SECRET}@kpu/31.json"
    made = [
        errors.RealcountError(address), errors.UsageError(address), errors.EndpointError(address, address),
        errors.SourceError(Path(address), address), errors.RegionError(address, [address]), errors.QueryError(address),
        errors.StorageError(address, address), errors.ArchiveError(address), errors.WarehouseError(address),
        errors.BusyError(address, address), errors.SourceDownError(address, address),
        errors.UncommittedError(address, address), errors.RateLimitError(address, address),
    ]  # fmt: skip
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert {type(error) for error in made} == kinds
    assert not [error for error in made if SECRET in str(error)]


@pytest.mark.parametrize(
    "base_url",
    [f"http://user:{SECRET}@127.0.0.1:9", f"http://{SECRET}@127.0.0.1:9", f"http://127.0.0.1:9/?token={SECRET}",
     f"http://127.0.0.1:9/#{SECRET}", f"user:{SECRET}@127.0.0.1", f"http://user:{SECRET}@127.0.0.1:no"],
)  # fmt: skip
def test_a_base_url_with_a_secret_in_it_is_refused_and_not_repeated(base_url: str) -> None:
    with pytest.raises(UsageError) as error:
        Crawl(base_url=base_url).request()
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("command", ["poll", "follow", "serve"])
def test_a_command_that_is_given_one_stores_nothing_and_repeats_nothing(tmp_path: Path, command: str) -> None:
    base_url = f"http://user:{SECRET}@127.0.0.1:9"
    answer = realcount("--data-dir", tmp_path / "data", command, "--base-url", base_url)
    assert answer.returncode == 2
    assert "leave it out" in answer.stderr
    assert SECRET not in answer.stdout + answer.stderr
    assert not (tmp_path / "data").exists()


def test_nothing_of_the_environment_gets_into_logs_manifests_or_database(tmp_path: Path) -> None:
    secrets = {
        "PREFECT_API_KEY": SECRET, "REALCOUNT_TOKEN": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET,
        "HTTP_PROXY": f"http://user:{SECRET}@127.0.0.1:9", "ALL_PROXY": f"http://user:{SECRET}@127.0.0.1:9",
    }  # fmt: skip
    (tmp_path / "given/pilkada/hhcw/pkwkp").mkdir(parents=True)
    (tmp_path / "given/pilkada/hhcw/pkwkp/31.json").write_bytes(b"{}")
    data = tmp_path / "data"
    said = ""
    for arguments in (
        ("replay", "folder", str(tmp_path / "given")),
        ("poll", "--base-url", "http://127.0.0.1:9", "--region", "31", "--budget", "1"),
        ("replay", "git", f"https://user:{SECRET}@kpu.example/scrape.git"),
        ("status",),
        ("archive", "list", "--format", "json"),
        ("sql", "FROM runs", "--format", "json"),
    ):
        answer = realcount("--data-dir", data, *arguments, **secrets)
        said += answer.stdout + answer.stderr
    assert "git" in said
    assert SECRET not in said
    assert [path for path in data.rglob("*") if path.is_file()]
    assert not [path for path in data.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_a_manifest_keeps_the_settings_on_its_list_and_no_other(tmp_path: Path, clock: Ticking) -> None:
    manners = Manners(frozenset({"127.0.0.1:9"}), contact=f"desk@{SECRET}.example")
    settings = Settings(tmp_path)
    with open_cycle(settings, Scope(roots=("31",)), "http://127.0.0.1:9", clock, manners) as cycle:
        cycle.keep(capture("http://127.0.0.1:9/31.json", b"{}", clock(), "test"))
    (manifest,) = settings.archive.manifests()
    assert manifest.settings == recorded(manners)
    assert manifest.settings.keys() == {
        "rate", "connections", "request_timeout", "total_timeout", "retries", "most_bytes", "most_bytes_on_wire",
    }  # fmt: skip
    assert manifest.answered == {"200": 1}
    assert manifest.versions.keys() == {"realcount", "code", "python", "duckdb"}
    assert SECRET not in manifest.encoded().decode()


def test_a_folder_s_manifest_names_the_folder_and_not_where_it_lay(tmp_path: Path) -> None:
    place = tmp_path / SECRET / "given"
    place.mkdir(parents=True)
    (place / "page.html").write_text("<html></html>")
    settings = Settings(tmp_path / "data")
    replay_folder(settings, place, observed_at=now())
    assert SECRET not in settings.archive.manifests()[0].encoded().decode()


# Pages


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "[a](javascript:alert(1))", "![x](https://elsewhere.example/x)", "a | b", "# a\n# b"],
)
def test_a_name_from_outside_is_text_in_the_page_of_a_cycle(name: str) -> None:
    """Every mark of Markdown and of HTML stands behind a backslash, and no line ends."""
    shown = escaped(name)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[<>\[\]()!|#`*_]", shown)
    assert re.sub(r"\\(.)", r"\1", shown) == name.replace("\n", " ")


# The stand-in


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.168.1.2", "kpu.go.id", "localhost.example.org"])
def test_whatever_is_not_loopback_is_known_too(host: str) -> None:
    assert not is_loopback(host)


def test_the_stand_in_listens_on_loopback_unless_it_is_told_otherwise() -> None:
    async def bound() -> str:
        async with serving(SimulatedSource(Simulation(Night())), lambda: NIGHT) as server:
            return server.base_url

    assert asyncio.run(bound()).startswith("http://127.0.0.1:")


def test_prefect_s_embedded_server_is_told_to_listen_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, ...]] = []

    @contextmanager
    def start(log: Path, *arguments: str) -> Iterator[None]:  # noqa: ARG001
        started.append(arguments)
        yield

    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(prefect_serving, "_process", start)
    monkeypatch.setattr(prefect_serving, "_wait_until_up", lambda *_: None)
    with prefect_serving.server(tmp_path):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api", os.environ["PREFECT_API_URL"])
    assert started[0][:4] == ("server", "start", "--host", "127.0.0.1")


@pytest.fixture
def everywhere(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The stand-in, told to listen at every address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    asked = [
        str(COMMAND),
        "--data-dir",
        str(tmp_path),
        "serve-archive",
        "--simulated",
        "--host",
        "0.0.0.0",
        "--port",
        port,
    ]
    process = subprocess.Popen(asked, stderr=subprocess.PIPE, text=True)
    yield process
    process.terminate()
    process.communicate()


def test_who_tells_it_otherwise_is_warned(everywhere: subprocess.Popen[str]) -> None:
    assert everywhere.stderr
    said = []
    for line in everywhere.stderr:
        said.append(line)
        if line.startswith("Serving at"):
            break
    assert any(re.match(r"WARNING: whoever reaches 0\.0\.0\.0 is answered", line) for line in said)


# The page


def test_every_claim_of_security_md_names_a_test_that_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line][1:]
    named = re.findall(r"`(tests/\w+\.py)`", text)
    assert named
    assert all(re.search(r"`tests/\w+\.py`", row) for row in rows if row.count("|") == 3)
    assert not [name for name in named if not (ROOT / name).exists()]
