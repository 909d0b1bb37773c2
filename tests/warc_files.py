"""WARC files for tests: an archive to export, a checker that is not ours, and files as other tools write them."""

import base64
import hashlib
from argparse import Namespace
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from conftest import Ticking
from warcio.checker import Checker
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from extract.archive import Archive
from extract.capture import Capture
from extract.recording import record
from extract.warc import WarcSource
from extract.warc_export import export


def archive_of(directory: Path, captures: Iterable[Capture], clock: Ticking) -> Archive:
    """An archive that holds these captures, as one run more."""
    archive = Archive(directory)
    with record(archive, "test", {}, clock, {}) as run:
        for one in captures:
            run.append(one)
    return archive


def kept(archive: Archive) -> list[Capture]:
    """What an archive holds, in its own order, with bodies."""
    return [archive.with_body(one) for name in archive.segment_names() for _, one in archive.captures(name)]


def exported(archive: Archive, place: Path, **options: Any) -> Path:
    """The archive as a WARC file."""
    with place.open("wb") as file:
        export(archive, file.write, software="realcount/test", **options)
    return place


def read(*places: Path, archive: Archive | None = None) -> tuple[list[Capture], dict[str, int]]:
    """The captures in WARC files, and what was passed over."""
    source = WarcSource(places, archive or Archive(places[0].parent / "no archive"))
    return list(source.captures()), dict(source.passed_over)


def is_sound(place: Path) -> bool:
    """What `warcio check` says."""
    return Checker(Namespace(inputs=[str(place)], verbose=False)).process_all() == 0


def sha1(content: bytes) -> str:
    """A digest as most tools write it."""
    return "sha1:" + base64.b32encode(hashlib.sha1(content).digest()).decode()


class Foreign:
    """A WARC file by another tool, with minimal headers of HTTP."""

    def __init__(self, place: Path, **options: Any) -> None:
        self.place = place
        self._file = place.open("wb")
        self._writer = WARCWriter(self._file, **{"gzip": True, "warc_version": "1.1", **options})

    def add(
        self,
        kind: str,
        url: str,
        body: bytes = b"",
        date: str = "2024-11-28T03:00:05Z",
        http: Sequence[tuple[str, str]] | None = (("Content-Type", "application/json"),),
        status: str = "200 OK",
        **headers: str,
    ) -> "Foreign":
        """A record; header names with _ for -."""
        http_headers = None if http is None else StatusAndHeaders(status, list(http), protocol="HTTP/1.1")
        if kind == "request":
            http_headers = StatusAndHeaders("GET / HTTP/1.1", [], is_http_request=True)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        built = self._writer.create_warc_record(
            url,
            kind,
            payload=BytesIO(body),
            length=len(body),
            http_headers=http_headers,
            warc_headers_dict={"WARC-Date": date, **given},
        )
        self._writer.write_record(built)
        return self

    def revisit(
        self, url: str, digest: str, original: tuple[str, str], date: str = "2024-11-28T04:00:00Z"
    ) -> "Foreign":
        """A record that repeats another one's body."""
        self._writer.write_record(
            self._writer.create_revisit_record(url, digest, *original, warc_headers_dict={"WARC-Date": date})
        )
        return self

    def close(self) -> Path:
        """The finished file."""
        self._file.close()
        return self.place


def warcios_own(captures: Iterable[Capture], place: Path) -> Path:
    """The same captures as warcio itself writes them: bodies once, then revisits, minimal headers."""
    foreign, written = Foreign(place), dict[str, tuple[str, str]]()
    for one in captures:
        date = warc_date(one.observed_at)
        if original := written.get(one.digest):
            foreign.revisit(one.url, sha1(one.body or b""), original, date)
        else:
            foreign.add("response", one.url, one.body or b"", date)
            written[one.digest] = (one.url, date)
    return foreign.close()


def warc_date(moment: datetime) -> str:
    """A moment to the second, in WARC's form."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
