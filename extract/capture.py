"""A capture: one answer of a source, as bytes, before anybody understood it.

The words are the web archives' (CDX, WARC 1.1): a body that was seen before is not stored again but
*revisited*, named by its digest.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

KEPT_HEADERS = (
    "age",
    "cache-control",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "memento-datetime",
    "retry-after",
    "x-cache",
)
"""Headers worth keeping as evidence: validators, clocks, and what a cache or an archive said about itself."""

STAND_IN = "X-Realcount-Source"
"""The header by which a stand-in for KPU says what it serves, so that simulated captures say so for ever."""


_WEB = (datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def is_possible(moment: datetime) -> bool:
    """Whether something can have been captured then; what others kept may say any time, to the year 9999."""
    return _WEB[0] <= moment < _WEB[1]


class Capture(msgspec.Struct, frozen=True):
    """One answer: where from, when (UTC), how it answered, and its bytes.

    `body` is None when this answer repeated bytes the archive already holds under `digest` and they were
    not looked up; so does an answer "304 Not Modified". `truncated` says in WARC's words why the body is
    not whole: `length`, `time` or `disconnect`. `source` says who observed it: `kpu`, `git:<commit>`, `folder`,
    `simulated:<seed>`, `warc:<file>`, `wayback`.
    """

    url: str
    observed_at: datetime
    status: int
    mimetype: str
    digest: str
    length: int
    source: str
    body: bytes | None = None
    headers: dict[str, str] = {}
    truncated: str | None = None

    @property
    def key(self) -> tuple[str, datetime, str]:
        """What makes two captures the same one: address, moment, content."""
        return (self.url, self.observed_at, self.digest)


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a segment: CDX field names, the body as text, or as base64 if it is not UTF-8.

    A line with neither body nor body_base64 is a revisit.
    """

    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    original: str
    statuscode: Annotated[int, msgspec.Meta(ge=0, le=999)]
    mimetype: str
    digest: str
    length: Annotated[int, msgspec.Meta(ge=0)]
    source: str
    headers: dict[str, str] = {}
    truncated: str | None = None
    body: str | None = None
    body_base64: str | None = None

    @property
    def is_revisit(self) -> bool:
        """The bytes lie with an earlier line."""
        return self.body is None and self.body_base64 is None


def digest_of(body: bytes) -> str:
    """The name of these bytes: `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def digest_of_file(path: Path) -> str:
    """The same of a file, however long."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def capture(
    url: str,
    body: bytes,
    observed_at: datetime,
    source: str,
    *,
    status: int = 200,
    mimetype: str = "application/json",
    headers: Mapping[str, str] | None = None,
    truncated: str | None = None,
) -> Capture:
    """A capture of these bytes; `observed_at` must know its time zone and is kept in UTC."""
    if observed_at.tzinfo is None:
        raise ValueError(f"observed_at needs a time zone: {observed_at.isoformat()}")
    kept = {name.lower(): value for name, value in (headers or {}).items() if name.lower() in KEPT_HEADERS}
    digest = digest_of(body)
    moment = observed_at.astimezone(UTC)
    return Capture(url, moment, status, mimetype, digest, len(body), source, body, kept, truncated)


def to_line(capture: Capture, *, revisit: bool) -> Line:
    """What a segment keeps of a capture; a revisit leaves the body to an earlier line."""
    fields: dict[str, Any] = {}
    if not revisit and capture.body is not None:
        try:
            fields["body"] = capture.body.decode("utf-8")
        except UnicodeDecodeError:
            fields["body_base64"] = base64.b64encode(capture.body).decode("ascii")
    return Line(
        capture.observed_at,
        capture.url,
        capture.status,
        capture.mimetype,
        capture.digest,
        capture.length,
        capture.source,
        capture.headers,
        capture.truncated,
        **fields,
    )


def from_line(line: Line) -> Capture:
    """The capture a line tells of, without its body if the line is a revisit."""
    if line.body is not None:
        body: bytes | None = line.body.encode("utf-8")
    elif line.body_base64 is not None:
        body = base64.b64decode(line.body_base64)
    else:
        body = None
    return Capture(
        line.original,
        line.timestamp,
        line.statuscode,
        line.mimetype,
        line.digest,
        line.length,
        line.source,
        body,
        line.headers,
        line.truncated,
    )
