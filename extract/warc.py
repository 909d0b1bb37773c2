"""Reading WARC files, ours and other tools': captures with the times that their records say.

Our own export names each record's source and comes back as it was. From anybody else's, KPU's documents and pages are
taken, under the name `warc:<file>`; what else is in it is counted in `passed_over`, by reason.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from extract.archive import Archive
from extract.capture import STAND_IN, Capture, capture
from extract.endpoints import Endpoint
from extract.errors import EndpointError, SourceError
from extract.messages import Message
from extract.revisits import Originals, is_true
from extract.warc_export import ADDRESS, SOURCE, mimetype_of
from extract.warc_records import Broken, Record, records

_OURS = re.compile(r"[\w:./@+\[\]-]{1,300}")  # what a source may be called
_SIMULATED = re.compile(r"simulated[\w:.-]{0,60}")
_SITES = (".kpu.go.id",)  # whose pages are worth keeping
_TRUNCATIONS = ("length", "time", "disconnect", "unspecified")  # WARC's words
_OTHERS = ("request", "metadata", "conversion", "continuation", "response", "revisit")
_INFOS = ("software", "isPartOf", "description", "realcount-manifest")  # not who or what machine made the file
_ENOUGH = 64 << 10  # bytes of a revisit's block to keep while its original is looked for: headers
_MOST_INFOS = 100  # warcinfo records noted; a file can have thousands

_NO_DOCUMENT = "not KPU's"
_NO_TIME = "without a time"
_NOT_ITS_DIGEST = "not what their digest says"
_NOWHERE = "revisits whose body is nowhere"


class WarcSource:
    """WARC files, in the order given; a revisit may come before its original, or have it in the archive.

    `infos` says, as far as it was read, what the files' own `warcinfo` records say of where they come from.
    Raises SourceError for a file that cannot be read.
    """

    def __init__(self, places: Sequence[Path], archive: Archive) -> None:
        for place in places:
            try:
                place.open("rb").close()
            except OSError as error:
                raise SourceError(place, error.strerror or str(error)) from error
        self.total = 0  # nobody knows before the end
        self.left_out: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()
        self.infos: list[dict[str, str]] = []
        self._places = places
        self._originals = Originals(archive)

    def captures(self) -> Iterator[Capture]:
        """The captures of all files. Raises SourceError for a file that is no WARC or cannot be read."""
        waiting: list[tuple[Record, str]] = []
        for place in self._places:
            for record in records(place):
                if isinstance(record, Broken):
                    self.passed_over[record.why] += 1
                elif record.kind == "warcinfo":
                    self._note(record)
                elif record.kind == "revisit" and not self._originals.find(record):
                    waiting.append((msgspec.structs.replace(record, block=record.block[:_ENOUGH]), place.name))
                elif found := self._capture(record, place.name):
                    yield found
        for record, name in waiting:
            if found := self._capture(record, name):
                yield found

    def _capture(self, record: Record, name: str) -> Capture | None:
        """The capture in a record; None, and counted, if there is none to take."""
        if record.kind not in ("response", "revisit", "resource") or (record.kind != "resource" and not record.is_http):
            self.passed_over[f"{record.kind} records" if record.kind in _OTHERS else "records of no known kind"] += 1
            return None
        if record.date is None:
            self.passed_over[_NO_TIME] += 1
            return None
        message = Message.parse(record.block)
        if record.kind == "revisit":
            return self._revisit(record, record.date, message, name)
        if record.kind == "resource":
            message = Message(200, [("Content-Type", record.headers.get("content-type", ""))], record.block)
        if message is None:
            self.passed_over["damaged"] += 1
            return None
        return self._answer(record, record.date, message, name)

    def _answer(self, record: Record, date: datetime, message: Message, name: str) -> Capture | None:
        """A capture with its body."""
        content, truncated = message.content()
        payloads = (message.body, message.unchunked()[0], content)
        if not is_true(record, payloads):
            self.passed_over[_NOT_ITS_DIGEST] += 1
            return None
        found = capture(
            _address(record),
            content,
            date,
            _source(record, message, name),
            status=message.status,
            mimetype=_mimetype(record, message),
            headers=_kept(record, message),
            truncated=_truncated(record) or truncated,
        )
        if not self._is_wanted(record, found.mimetype):
            return None
        self._originals.add(record, payloads, found)
        return found

    def _revisit(self, record: Record, date: datetime, message: Message | None, name: str) -> Capture | None:
        """A capture without its body, which another one has."""
        original = self._originals.find(record)
        if original is None:
            self.passed_over[_NOWHERE] += 1
            return None
        message = message or Message(original.status, [("Content-Type", original.mimetype)], b"")
        mimetype = _mimetype(record, message)
        if not self._is_wanted(record, mimetype):
            return None
        found = capture(
            _address(record),
            b"",
            date,
            _source(record, message, name),
            status=message.status,
            mimetype=original.mimetype if mimetype == "unk" and not _is_ours(record) else mimetype,
            headers=_kept(record, message),
            truncated=_truncated(record),
        )
        return msgspec.structs.replace(found, body=None, digest=original.digest, length=original.length)

    def _is_wanted(self, record: Record, mimetype: str) -> bool:
        """Ours is taken whole; from others, what KPU may have served."""
        if _is_ours(record) or _is_document(record.url):
            return True
        if mimetype == "text/html" and _host(record.url).endswith(_SITES):
            return True
        self.passed_over[_NO_DOCUMENT] += 1
        return False

    def _note(self, record: Record) -> None:
        if len(self.infos) < _MOST_INFOS:
            lines = record.block[:10_000].decode("utf-8", "replace").splitlines()
            fields = {name.strip(): value.strip()[:200] for name, _, value in (line.partition(":") for line in lines)}
            self.infos.append({name: fields[name] for name in _INFOS if name in fields})


def _is_ours(record: Record) -> bool:
    return bool(_OURS.fullmatch(record.headers.get(SOURCE.lower(), "")))


def _source(record: Record, message: Message, name: str) -> str:
    """Who observed it: as our export says; else this file; simulated stays simulated."""
    if _is_ours(record):
        return record.headers[SOURCE.lower()]
    stand_in = message.header(STAND_IN.lower())
    return stand_in if _SIMULATED.fullmatch(stand_in) else "warc:" + re.sub(r"[^\w.-]", "_", name)[:200]


def _truncated(record: Record) -> str | None:
    """Why the body is not whole, if the record says so."""
    said = record.headers.get("warc-truncated", "").lower()
    return said if said in _TRUNCATIONS else "unspecified" if said else None


def _address(record: Record) -> str:
    """The address as the archive has it."""
    told = record.headers.get(ADDRESS.lower())
    if told and _is_ours(record):
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(told, type=str)
    return record.url


def _kept(record: Record, message: Message) -> dict[str, str]:
    """The answer's headers, without those that our export adds for players."""
    if _is_ours(record):
        return {name: value for name, value in message.headers if name.islower()}
    return dict(message.headers)


def _mimetype(record: Record, message: Message) -> str:
    identified = record.headers.get("warc-identified-payload-type", "") if _is_ours(record) else ""
    return identified or mimetype_of(message.header("content-type"))


def _is_document(url: str) -> bool:
    try:
        Endpoint.from_url(url)
    except EndpointError:
        return False
    return True


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
