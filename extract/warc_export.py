"""The archive as WARC 1.1, for every tool that reads web archives: a gzip member a record, the same bytes each time.

A body is written once (`response`) and then named by its digest (`revisit`). What WARC has no word for stands in
`Realcount-Source`; a run's `warcinfo` comes before its records. HTTP headers that were kept are lower-case, as the
archive keeps them; `Content-Type` and `Content-Length` are added for players.
"""

import json
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import NAMESPACE_URL, uuid5

import msgspec

from extract.archive import Holdings
from extract.capture import STAND_IN, Capture
from extract.errors import ArchiveError
from extract.manifests import Manifest

SOURCE = "Realcount-Source"
"""The header of a record that says who observed it, in the archive's words."""

ADDRESS = "Realcount-Address"
"""The header that has, as JSON, an address with letters that no header can hold: files are named by anybody."""

_VERSION = "WARC/1.1"
_CONFORMS_TO = "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"
_PROFILE = "http://netpreserve.org/warc/1.1/revisit/"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_AS_IS = zlib.MAX_WBITS | 16  # a gzip member without name or time: nothing but the record decides its bytes

_Header = tuple[str, str]


class Exported(msgspec.Struct):
    """What was written: captures, those of them with their bodies, and bytes."""

    captures: int = 0
    bodies: int = 0
    length: int = 0


def export(
    archive: Holdings,
    write: Callable[[bytes], object],
    wanted: Callable[[Capture], bool] = lambda _: True,
    *,
    software: str,
    is_packed: bool = True,
) -> Exported:
    """Write the wanted captures in the order of the archive, holding one frame of it and the names of its bodies.

    Raises ArchiveError for a segment that does not hold what its manifest says.
    """
    exported = Exported()
    written: dict[str, tuple[str, str]] = {}  # body: address and date of the record that has it

    def put(headers: Iterable[_Header], block: bytes) -> None:
        record = _record(headers, block)
        packed = _packed(record) if is_packed else record
        write(packed)
        exported.length += len(packed)

    manifests = {one.name: (manifest, one) for manifest in archive.manifests() for one in manifest.segments}
    for segment in archive.segment_names():
        manifest, kept = manifests.get(segment, (None, None))
        found, is_told = 0, False
        for _, capture in archive.captures(segment):
            found += 1
            if not wanted(capture):
                continue
            if not is_told:
                put(*_warcinfo(segment, manifest, capture, software))
                is_told = True
            if original := written.get(capture.digest):
                put(*_revisit(capture, original))
            else:
                put(*_response(archive.with_body(capture)))
                written[capture.digest] = (_uri(capture.url), _date(capture.observed_at))
                exported.bodies += 1
            exported.captures += 1
        if kept and found != kept.captures:
            raise ArchiveError(
                f"{segment} has {found:,} captures, its manifest says {kept.captures:,}; run: realcount archive verify"
            )
    return exported


def _warcinfo(segment: str, manifest: Manifest | None, first: Capture, software: str) -> tuple[list[_Header], bytes]:
    """About the run that the next records come from; one that is still open has no manifest yet."""
    run = segment.partition(".")[0]
    fields = {"software": software, "format": "WARC File Format 1.1", "conformsTo": _CONFORMS_TO, "isPartOf": run}
    if manifest:
        fields |= {"description": f"{manifest.kind}, {manifest.outcome}", "realcount-manifest": manifest.digest}
    block = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    moment = manifest.started_at if manifest else first.observed_at
    headers = [*_named("warcinfo", moment, block.decode()), ("Content-Type", "application/warc-fields")]
    return headers, block


def _response(capture: Capture) -> tuple[list[_Header], bytes]:
    """A capture with its body."""
    return _of(capture, "response", []), _head(capture) + (capture.body or b"")


def _revisit(capture: Capture, original: tuple[str, str]) -> tuple[list[_Header], bytes]:
    """A capture whose body an earlier record has."""
    profile = "server-not-modified" if capture.status == 304 else "identical-payload-digest"
    uri, date = original
    refers = [
        ("WARC-Profile", _PROFILE + profile),
        ("WARC-Refers-To-Target-URI", uri),
        ("WARC-Refers-To-Date", date),
    ]
    return _of(capture, "revisit", refers), _head(capture)


def _of(capture: Capture, kind: str, more: list[_Header]) -> list[_Header]:
    identity = f"{capture.url} {_date(capture.observed_at)} {capture.digest}"
    headers = [
        *_named(kind, capture.observed_at, identity),
        ("WARC-Target-URI", _uri(capture.url)),
        ("WARC-Payload-Digest", capture.digest),
        *more,
        (SOURCE, capture.source),
    ]
    if capture.url != _uri(capture.url):
        headers.append((ADDRESS, json.dumps(capture.url)))
    if capture.mimetype != mimetype_of(capture.headers.get("content-type", capture.mimetype)):
        headers.append(("WARC-Identified-Payload-Type", capture.mimetype))
    if capture.truncated:
        headers.append(("WARC-Truncated", capture.truncated))
    return [*headers, ("Content-Type", "application/http; msgtype=response")]


def _head(capture: Capture) -> bytes:
    """Status line and headers, as far as they were kept."""
    headers = [(name, _line(value)) for name, value in capture.headers.items()]
    if "content-type" not in capture.headers and capture.mimetype != "unk":
        headers.append(("Content-Type", _line(capture.mimetype)))
    if capture.source.startswith("simulated"):
        headers.append((STAND_IN, _line(capture.source)))  # whoever takes the answer out of its record hears it too
    headers.append(("Content-Length", str(capture.length)))
    return _head_of(f"HTTP/1.1 {capture.status:03d} {_PHRASES.get(capture.status, '')}", headers)


def _named(kind: str, moment: datetime, identity: str) -> list[_Header]:
    """What every record begins with; its id is made from what it says, not by chance."""
    return [
        ("WARC-Type", kind),
        ("WARC-Record-ID", f"<{uuid5(NAMESPACE_URL, f'{kind} {identity}').urn}>"),
        ("WARC-Date", _date(moment)),
    ]


def _record(headers: Iterable[_Header], block: bytes) -> bytes:
    lines = [(name, _line(value)) for name, value in headers]
    return _head_of(_VERSION, [*lines, ("Content-Length", str(len(block)))]) + block + b"\r\n\r\n"


def _head_of(first: str, headers: Iterable[_Header]) -> bytes:
    return "".join((first, "\r\n", *(f"{name}: {value}\r\n" for name, value in headers), "\r\n")).encode()


def _packed(record: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _AS_IS)
    return packer.compress(record) + packer.flush()


def _date(moment: datetime) -> str:
    """W3C's form, as exact as the moment is."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _uri(url: str) -> str:
    """The address; a file's name may have had what no header can hold."""
    return "".join(letter if letter.isprintable() and letter != " " else _escaped(letter) for letter in url)


def _escaped(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())


def _line(value: str) -> str:
    """A value on one line, whatever its source had sent."""
    return " ".join(value.splitlines()) if not value.isprintable() else value


def mimetype_of(content_type: str) -> str:
    """The media type that a Content-Type names; `unk`, CDX's word, if none."""
    return content_type.split(";")[0].strip().lower() or "unk"
