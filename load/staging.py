"""Captures and what they say as files of JSON lines, in portions that one transaction can take."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from extract.archive import Holdings
from extract.capture import Capture
from extract.endpoints import Endpoint
from extract.errors import ArchiveError, EndpointError, StorageError
from extract.manifests import Manifest
from transform.model import Document, Quarantine
from transform.normalise import read

_AT_ONCE = 100_000  # captures in a transaction; a cycle of the country at village depth has up to 54,000
_encoder = msgspec.json.Encoder()

Progress = Callable[[int], None]
"""Called now and then with the number of captures read since the last call."""


def quiet(captures: int) -> None:
    """Progress for nobody."""


class Staged(msgspec.Struct):
    """A capture as the staging file has it: column names of core.capture."""

    capture_id: int
    run: str
    url: str
    observed_at: Any
    status: int
    mimetype: str
    digest: str
    length: int
    source: str
    etag: str | None = None
    last_modified: str | None = None
    unknown_keys: tuple[str, ...] | None = None
    document_number: int | None = None
    election: str | None = None
    document: str | None = None
    contest_type: str | None = None
    region_code: str | None = None
    reported_at: Any = None
    quarantine_reason: str | None = None
    quarantine_place: str | None = None
    quarantine_detail: str | None = None


@contextmanager
def staging(archive: Holdings, manifests: list[Manifest], progress: Progress) -> Iterator["Staging"]:
    """A place for the staging files. Raises StorageError when that disk is full: it may be another one than ours."""
    try:
        with tempfile.TemporaryDirectory(prefix="realcount-") as directory:
            yield Staging(Path(directory), archive, manifests, progress)
    except OSError as error:
        raise StorageError(error.filename or tempfile.gettempdir(), error.strerror or str(error)) from error


class Staging:
    """Two files of JSON lines, the quickest way into DuckDB: captures, and the documents they hold."""

    def __init__(self, directory: Path, archive: Holdings, manifests: list[Manifest], progress: Progress) -> None:
        self._archive = archive
        self._rest = _archived(archive, manifests)
        self._progress = progress
        self.captures = directory / "captures.jsonl"
        self.documents = directory / "documents.jsonl"
        self.quarantined: Counter[str] = Counter()
        self.with_unknown_keys = 0
        self._readings: dict[tuple[str, str, int, str | None], tuple[int | None, Document | Quarantine]] = {}

    def take(self) -> list[Manifest] | None:
        """Stage the next captures in place of those before; returns the runs that end with them, None after the last.

        The same bytes under the same address are understood once.
        """
        taken, ended = 0, []
        self._readings.clear()
        with self.captures.open("wb") as captures, self.documents.open("wb") as documents:
            for manifest, capture in self._rest:
                if capture is None:
                    ended.append(manifest)
                    continue
                staged = self._stage(manifest.run, capture, documents)
                captures.write(_encoder.encode(staged) + b"\n")
                self._progress(1)
                taken += 1
                if taken == _AT_ONCE:
                    break
        return ended if taken or ended else None

    def _stage(self, run: str, capture: Capture, documents: IO[bytes]) -> Staged:
        staged = Staged(
            capture_id(capture),
            run,
            capture.url,
            capture.observed_at,
            capture.status,
            capture.mimetype,
            capture.digest,
            capture.length,
            capture.source,
            capture.headers.get("etag"),
            capture.headers.get("last-modified"),
        )
        same = (capture.url, capture.digest, capture.status, capture.truncated)
        if same not in self._readings:
            self._readings[same] = self._read(self._archive.with_body(capture), documents)
        staged.document_number, said = self._readings[same]
        if isinstance(said, Quarantine):
            self.quarantined[said.reason] += 1
            staged.quarantine_reason, staged.quarantine_place = said.reason, said.place
            staged.quarantine_detail = said.detail
        else:
            staged.reported_at, staged.unknown_keys = said.reported_at, said.unknown_keys or None
            self.with_unknown_keys += bool(said.unknown_keys)
        if endpoint := _asked(capture.url) if isinstance(said, Quarantine) else said.endpoint:
            staged.election, staged.document = endpoint.election, endpoint.document
            staged.contest_type, staged.region_code = endpoint.contest_type, endpoint.region
        return staged

    def _read(self, capture: Capture, documents: IO[bytes]) -> tuple[int | None, Document | Quarantine]:
        said = read(capture)
        if isinstance(said, Quarantine):
            return None, said
        number = len(self._readings)
        documents.write(
            _encoder.encode(
                {
                    "document_number": number,
                    "units": said.units,
                    "candidates": said.candidates,
                    "tallies": said.tallies,
                }
            )
            + b"\n"
        )
        return number, msgspec.structs.replace(said, units=(), candidates=(), tallies=())


def _archived(archive: Holdings, manifests: list[Manifest]) -> Iterator[tuple[Manifest, Capture | None]]:
    """The captures of the runs, each run followed by None. Raises ArchiveError if they are not what a manifest says."""
    for manifest in manifests:
        for segment in manifest.segments:
            found = 0
            for _, capture in archive.captures(segment.name):
                found += 1
                yield manifest, capture
            if found != segment.captures:
                raise ArchiveError(
                    f"{segment.name} has {found:,} captures, its manifest says {segment.captures:,}; "
                    "run: realcount archive verify"
                )
        yield manifest, None


def capture_id(capture: Capture) -> int:
    """First 63 bits of the sha256 of a capture's key: the same on every machine, in every rebuild."""
    key = f"{capture.url}\n{capture.observed_at.isoformat()}\n{capture.digest}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def _asked(url: str) -> Endpoint | None:
    """What was asked for when the answer says nothing."""
    try:
        return Endpoint.from_url(url)
    except EndpointError:
        return None
