"""Reading what others kept: a git scrape or a folder becomes captures, with its own times and its own name.

`captures()` can be asked once; `left_out` then counts the files that look like documents but are none, by path.
"""

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple, Protocol, Self

from extract.capture import Capture, capture, is_possible
from extract.errors import SourceError
from extract.naming import Name, namer

_DOCUMENTS = (".json", ".html", ".htm")
_REGULAR = "100"  # git's modes of files: 100644, 100755; a deleted one has 000000, a link 120000, a submodule 160000
_ELSEWHERE = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
)  # fmt: skip
"""Variables that a git hook sets for what it starts: they outdo `-C`, and another repository would be read."""


class Source(Protocol):
    """Where captures come from. `total` is how many `captures()` will read, as far as it is known."""

    total: int
    left_out: Counter[str]

    def captures(self) -> Iterator[Capture]:
        """The captures, each with its body, in an order that compresses well."""
        ...


class Version(NamedTuple):
    """A file as one commit left it."""

    name: Name
    observed_at: datetime
    commit: str
    blob: str


class GitSource:
    """A scraper's repository, or a bundle of one. Only a file that a commit changed is an observation.

    `observed_at` is the commit's time. Commits reachable from `known` heads are passed over.
    Raises SourceError for a place that is no repository.
    """

    def __init__(self, place: Path, patterns: Iterable[str] = (), known: Iterable[str] = ()) -> None:
        self.place = place
        self.left_out: Counter[str] = Counter()
        self.total = 0
        self.commits = 0
        self._name = namer(patterns)
        self._known = tuple(known)
        self._versions: list[Version] = []
        self._stack = ExitStack()

    @property
    def heads(self) -> tuple[str, ...]:
        """The commits to start from: a bundle's heads, or a repository's HEAD."""
        if self.place.is_file():
            listed = _git(self.place.parent, "bundle", "list-heads", str(self.place.resolve()), place=self.place)
        elif self.place.is_dir():
            listed = _git(self.place, "rev-parse", "--verify", "HEAD", place=self.place)
        else:
            raise SourceError(self.place, "there is no such file or directory")
        return tuple(sorted({line.split()[0] for line in listed.splitlines()}))

    def __enter__(self) -> Self:
        heads = self.heads
        if set(heads) <= set(self._known):
            return self
        if (
            self.place.is_dir()
            and _git(self.place, "rev-parse", "--is-shallow-repository", place=self.place) == "true\n"
        ):
            raise SourceError(
                self.place, "it is a shallow clone, whose oldest commit seems to change every file; unshallow it"
            )
        with ExitStack() as stack:  # a bundle that turns out to be cut leaves no directory behind
            self._repository = self._borrow(stack) if self.place.is_dir() else self._unbundle(stack)
            self._versions = sorted(self._list(heads), key=_by_document)
            self._stack = stack.pop_all()
        self.total = len(self._versions)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def captures(self) -> Iterator[Capture]:
        """Document by document, each in the order of time: versions of one document lie side by side."""
        if not self._versions:
            return
        with tempfile.TemporaryFile() as wanted:
            wanted.write(b"".join(version.blob.encode() + b"\n" for version in self._versions))
            wanted.seek(0)
            command = ["git", "-C", str(self._repository), "cat-file", "--batch", "--buffer"]
            with subprocess.Popen(command, stdin=wanted, stdout=subprocess.PIPE, env=_environment()) as git:
                for version in self._versions:
                    body = _blob(git.stdout, self.place)  # type: ignore[arg-type] # PIPE was asked for
                    yield capture(
                        version.name.url,
                        body,
                        version.observed_at,
                        f"git:{version.commit}",
                        mimetype=version.name.mimetype,
                    )

    def _borrow(self, stack: ExitStack) -> Path:
        """An empty repository of ours over the objects of theirs, whose configuration may name programs to run: with
        log.showSignature and gpg.program, `git log` ran one (git 2.39, November 2026)."""
        form = _git(self.place, "rev-parse", "--show-object-format", place=self.place).strip()
        objects = _git(self.place, "rev-parse", "--git-path", "objects", place=self.place).rstrip("\n")
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="realcount-")))
        _git(directory, "init", "--quiet", "--bare", "--template=", f"--object-format={form}", place=self.place)
        alternates = directory / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_bytes(os.fsencode((self.place / objects).resolve()) + b"\n")
        return directory

    def _unbundle(self, stack: ExitStack) -> Path:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="realcount-")))
        _git(directory, "init", "--quiet", "--bare", "--template=", place=self.place)
        _git(directory, "bundle", "unbundle", str(self.place.resolve()), place=self.place)
        return directory

    def _list(self, heads: tuple[str, ...]) -> Iterator[Version]:
        """Every version of every document that the commits changed."""
        present = [head for head in self._known if _exists(self._repository, head)]
        log = _git(
            self._repository, "log", "--no-show-signature", "--raw", "--no-abbrev", "--no-renames", "--root", "-z",
            "--format=%x01%H %ct", *heads, *(f"^{head}" for head in present), place=self.place,
        )  # fmt: skip
        for entry in log.split("\x01")[1:]:
            header, _, rest = entry.partition("\0")
            commit, seconds = header.split()
            observed_at = _moment(int(seconds))
            self.commits += 1
            fields = rest.strip("\0\n").split("\0")
            for change, path in zip(fields[::2], fields[1::2], strict=False):
                mode, before, blob = change.split()[1:4]
                if blob == before or not mode.startswith(_REGULAR) or not path.endswith(_DOCUMENTS):
                    continue
                if observed_at and (name := self._name(path)):
                    yield Version(name, observed_at, commit, blob)
                else:
                    self.left_out[path] += 1


class FolderSource:
    """A tree of files named like KPU's addresses (or fitting a pattern), and saved pages. Links are left out, as in a
    repository: they may lead to files that nobody meant to archive, let alone to publish.

    `observed_at` is given for all, or each file's own time. Raises SourceError if there is no such folder.
    """

    def __init__(self, place: Path, patterns: Iterable[str] = (), observed_at: datetime | None = None) -> None:
        if not place.is_dir():
            raise SourceError(place, "there is no such folder")
        self.place = place
        self.left_out: Counter[str] = Counter()
        self._name = namer(patterns)
        self._observed_at = observed_at
        self._files = sorted(path for path in place.rglob("*") if path.suffix in _DOCUMENTS and path.is_file())
        self.total = len(self._files)

    def captures(self) -> Iterator[Capture]:
        """The files in the order of their paths."""
        for file in self._files:
            path = os.fsencode(file.relative_to(self.place).as_posix()).decode(errors="backslashreplace")
            if file.is_symlink() or not (name := self._name(path)):
                self.left_out[path] += 1
                continue
            try:
                body, modified = file.read_bytes(), file.stat().st_mtime
            except OSError as error:
                raise SourceError(file, error.strerror or str(error)) from error
            observed_at = self._observed_at or _moment(modified)
            if observed_at is None:
                self.left_out[path] += 1
                continue
            yield capture(name.url, body, observed_at, "folder", mimetype=name.mimetype)


def _moment(seconds: float) -> datetime | None:
    """The time of a file or commit; None for one that cannot be, as anybody can set it."""
    with suppress(ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(seconds, UTC)
        return moment if is_possible(moment) else None
    return None


def _by_document(version: Version) -> tuple[str, str, datetime]:
    """Same region together, then same document, then time: the archive compresses a third better for it."""
    return (version.name.url.rpartition("/")[2], version.name.url, version.observed_at)


def _git(directory: Path, *arguments: str, place: Path) -> str:
    """What git says, or a SourceError with its own words."""
    try:
        command = ["git", "-C", str(directory), *arguments]
        answer = subprocess.run(command, capture_output=True, check=False, env=_environment())
    except FileNotFoundError as error:
        raise SourceError(place, "git is not installed") from error
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip().splitlines()
        raise SourceError(place, f"git says: {said[-1] if said else f'exit code {answer.returncode}'}")
    return answer.stdout.decode(errors="backslashreplace")  # a name need not be UTF-8, but an address must be


def _exists(repository: Path, commit: str) -> bool:
    command = ["git", "-C", str(repository), "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=False, env=_environment()).returncode == 0


def _environment() -> dict[str, str]:
    """Ours, without what would lead git away from the place that was named, or to a remote one for what it lacks."""
    own = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return own | {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_REPLACE_OBJECTS": "1"}


def _blob(stream: IO[bytes], place: Path) -> bytes:
    """One answer of `git cat-file --batch`: a header, the bytes, a line end."""
    header = stream.readline().split()
    if len(header) != 3:
        raise SourceError(place, f"git lost an object: {b' '.join(header).decode(errors='replace') or 'no answer'}")
    body = stream.read(int(header[2]))
    stream.read(1)
    return body
