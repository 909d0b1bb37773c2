"""HTTP/1.1 as the stand-in speaks it: requests read, documents compressed, validated, and struck by faults."""

import gzip
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import formatdate
from functools import lru_cache, partial
from http import HTTPStatus
from importlib import import_module
from math import ceil
from typing import NamedTuple, Protocol

from extract.capture import STAND_IN, digest_of
from extract.faults import Faults, Kind, bomb, corrupted, of_other_mode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from extract.replayed import Document, Source
from extract.request_log import RequestLog

_KEPT = 32_768  # documents and answers at hand: Jakarta has 15,473
_WORTH_COMPRESSING = 200  # bytes; below, the header costs what the body saves
METHODS = ("GET", "HEAD")
_ON_THE_WIRE = ("timeout", "reset", "truncated", "slow")  # faults of the connection, whatever is on it
_PATH = re.compile(r"/[!-~]*")  # nothing that could end a header line it is repeated in
_REASONS = {status.value: status.phrase for status in HTTPStatus}  # archives may hold others, such as a CDN's 520


class Request(NamedTuple):
    """A request's head, understood; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    stays_open: bool


NO_REQUEST = Request("", "", {}, stays_open=False)


def parse(head: bytes) -> Request | None:
    """The request in these bytes, without the empty line after them; None if it is no HTTP/1.x request."""
    line, *fields = head.decode("latin-1").split("\r\n")
    method, _, rest = line.partition(" ")
    target, _, version = rest.partition(" ")
    headers: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not name or name != name.strip():
            return None
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path = re.sub(r"\Ahttp://[^/]*", "", target, flags=re.IGNORECASE).partition("?")[0]  # absolute as well: RFC 9112
    if version not in ("HTTP/1.1", "HTTP/1.0") or not method.isalpha() or not _PATH.fullmatch(path):
        return None
    if method in METHODS and (headers.get("content-length", "0") != "0" or "transfer-encoding" in headers):
        return None  # a body that nobody may send with these, and that would be taken for the next request
    is_new = version == "HTTP/1.1"
    if is_new and "host" not in headers:
        return None
    wish = headers.get("connection", "").lower()
    return Request(method, path, headers, "close" not in wish and (is_new or "keep-alive" in wish))


def _encoders() -> dict[str, Callable[[bytes], bytes]]:
    """How a body can be compressed, best first; Brotli only where its module happens to be installed."""
    encoders: dict[str, Callable[[bytes], bytes]] = {"zstd": zstd.compress}
    with suppress(ImportError):
        encoders["br"] = partial(import_module("brotli").compress, quality=4)  # 11 takes 50 times longer
    return encoders | {"gzip": partial(gzip.compress, compresslevel=6, mtime=0)}


_ENCODERS = _encoders()


@lru_cache(maxsize=256)
def encoding_for(accepted: str) -> str:
    """The compression to use for this Accept-Encoding; empty for none."""
    weights: dict[str, float] = {}
    for choice in accepted.lower().split(","):
        name, _, weight = choice.partition(";")
        value = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", weight)
        weights[name.strip()] = float(value[1]) if value else float(not weight.strip())
    best = max(_ENCODERS, key=lambda name: weights.get(name, weights.get("*", 0)))
    return best if weights.get(best, weights.get("*", 0)) else ""


class Answer(NamedTuple):
    """A status, header lines that do not depend on the moment, a body as it is sent, and the validators in the lines.

    Content-Length is among the lines; Date and Connection are added when it is sent.
    """

    status: int
    fields: bytes
    body: bytes
    etag: str = ""
    modified: str = ""


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def page(status: int, *lines: str) -> Answer:
    """A small page that says the status, as web servers make them. What KPU's 404 said is unknown (facts §5)."""
    reason = _REASONS[status]
    body = f"<html><head><title>{status} {reason}</title></head><body><h1>{reason}</h1></body></html>\n".encode()
    return Answer(status, _lines("Content-Type: text/html", f"Content-Length: {len(body)}", *lines), body)


def _bomb(size: int) -> Answer:
    body = bomb(size)
    kind = ("Content-Type: application/json", "Content-Encoding: gzip")
    return Answer(200, _lines(*kind, f"Content-Length: {len(body)}"), body)


def prepared(document: Document, encoding: str, *, has_validators: bool) -> Answer:
    """The answer that serves a document in one compression; only answers with status 200 have validators."""
    body = document.body
    lines = [f"Content-Type: {document.mimetype}", "Cache-Control: public, max-age=5", "Vary: Accept-Encoding"]
    if encoding and len(body) >= _WORTH_COMPRESSING:
        body = _ENCODERS[encoding](body)
        lines.append(f"Content-Encoding: {encoding}")
    etag = modified = ""
    if has_validators and document.status == 200:
        etag = f'"{document.digest[-64:-32]}{encoding and "-"}{encoding}"'  # strong: other bytes, other tag
        lines.append(f"ETag: {etag}")
        if document.since:
            modified = formatdate(document.since.timestamp(), usegmt=True)
            lines.append(f"Last-Modified: {modified}")
    return Answer(document.status, _lines(*lines, f"Content-Length: {len(body)}"), body, etag, modified)


def _is_known(answer: Answer, headers: dict[str, str]) -> bool:
    """Whether the client says it has this very answer. A date must be the one we gave, nginx's default too."""
    if (tags := headers.get("if-none-match")) is not None:
        known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return bool(answer.etag) and not known.isdisjoint((answer.etag, "*"))
    return bool(answer.modified) and headers.get("if-modified-since") == answer.modified


def _not_modified(answer: Answer) -> Answer:
    """Status 304 with the validators and what else a cache needs, and no body."""
    return answer._replace(status=304, fields=re.sub(rb"Content-[^\n]*\n", b"", answer.fields), body=b"")


@lru_cache(maxsize=64)
def _date(timestamp: int) -> str:
    return formatdate(timestamp, usegmt=True)


def head_of(answer: Answer, at: datetime, label: str, *, stays_open: bool) -> bytes:
    """The status line and all header lines, with the empty one after them."""
    reason, connection = _REASONS.get(answer.status, ""), "" if stays_open else "Connection: close\r\n"
    date = _date(int(at.timestamp()))
    first = f"HTTP/1.1 {answer.status} {reason}\r\nDate: {date}\r\n{STAND_IN}: {label}\r\n{connection}"
    return first.encode() + answer.fields + b"\r\n"


class Client(Protocol):
    """A connection, as the server needs to know it."""

    def close_if_quiet(self, since_s: float) -> None:
        """Close it if its last answer ended before a moment, unless it is we who keep it waiting."""

    def abort(self) -> None:
        """Close it at once."""


class ReplayServer:
    """A running stand-in: where it is, what it was asked, and what it answers. `serving` starts and stops one."""

    def __init__(
        self,
        source: Source,
        clock: Callable[[], datetime],
        faults: Faults,
        log: RequestLog,
        *,
        validators: bool,
        compression: bool,
    ) -> None:
        self.base_url = ""
        self.log = log
        self.clock = clock
        self.faults = faults
        self.connections: set[Client] = set()
        self.label = source.label
        self.accepted = self.asked = 0
        self.most_connections = 0  # since the last record
        self._source = source
        self._compression = compression
        self._prepare = lru_cache(_KEPT)(partial(prepared, has_validators=validators))

    @property
    def connections_open(self) -> int:
        """How many clients are connected now."""
        return len(self.connections)

    def answer(self, request: Request, at: datetime, fault: Kind | None) -> tuple[Answer, Kind | None]:
        """The answer to a request, and the fault in it: none if there was nothing for the fault to strike."""
        if fault and (instead := self._instead(request.path, at, fault)):
            return instead, fault
        document = self._source.document(request.path, at)
        if document is None:
            return page(404), fault if fault in _ON_THE_WIRE else None
        encoding = encoding_for(request.headers.get("accept-encoding", "")) if self._compression else ""
        if fault and fault not in _ON_THE_WIRE:
            struck = self._struck(document, encoding, request.path, at, fault)
            if struck:
                return struck, fault
            fault = None
        answer = self._prepare(document, encoding)
        if not fault and _is_known(answer, request.headers):
            answer = _not_modified(answer)
        return answer, fault

    def _instead(self, path: str, at: datetime, fault: Kind) -> Answer | None:
        """What a fault answers instead of any document."""
        match fault:
            case "error_500" | "error_503":
                return page(int(fault[-3:]))
            case "too_many":
                return page(429, f"Retry-After: {self._retry_after(at)}")
            case "redirect_away":
                return page(302, f"Location: {self.faults.elsewhere}{path}")
            case "html":
                return page(200)
            case "bomb":
                return _bomb(self.faults.bomb_bytes)
        return None

    def _retry_after(self, at: datetime) -> str:
        """Seconds, or a date by the virtual clock, as the Date header is."""
        if not self.faults.retry_after_is_date:
            return str(self.faults.retry_after)
        return formatdate(ceil(at.timestamp()) + self.faults.retry_after, usegmt=True)

    def _struck(self, document: Document, encoding: str, path: str, at: datetime, fault: Kind) -> Answer | None:
        """The document with a fault in it; None if it has nothing that could be struck.

        Another body has its own ETag and no date: nobody is told later that what was wrong is still right.
        """
        if fault == "garbled_encoding":
            plain = prepared(document, "", has_validators=False)
            return plain._replace(fields=plain.fields + _lines("Content-Encoding: gzip"))
        body = self._other_body(document, path, at, fault)
        if body is None or body == document.body:
            return None
        return self._prepare(Document(body, digest_of(body), None), encoding)

    def _other_body(self, document: Document, path: str, at: datetime, fault: Kind) -> bytes | None:
        point = self.faults.draw(self.asked, "where")
        if fault == "corrupt":
            return corrupted(document.body, point)
        if fault == "wrong_mode":
            return of_other_mode(document.body)
        other = None
        if fault == "old_version" and document.since:
            other = self._source.document(path, document.since - timedelta(seconds=1))
        elif fault == "wrong_region":
            relative = self._source.like(path, point)
            other = self._source.document(relative, at) if relative else None
        return other.body if other and other.status == 200 else None
