"""Where the bodies are that a WARC file's `revisit` records leave out: in the same files, or in the archive."""

from collections.abc import Iterable
from typing import NamedTuple

from extract.archive import Archive
from extract.capture import Capture
from extract.messages import agrees
from extract.warc_records import Record

Payloads = Iterable[bytes]
"""A body as it came, without its chunks, and without any coding: tools differ in what they take the digest of."""


class Original(NamedTuple):
    """What a revisit needs to know of the answer that it repeats."""

    digest: str
    length: int
    status: int
    mimetype: str


def is_true(record: Record, payloads: Payloads) -> bool:
    """Whether a record is what its digests say."""
    if claimed := record.headers.get("warc-block-digest"):
        return agrees(claimed, record.block)
    return any(agrees(record.payload_digest, payload) for payload in payloads)


class Originals:
    """What was read so far, by the digest that its file gave it, often a SHA-1, and by address and date."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._by_digest: dict[str, Original] = {}
        self._by_time: dict[tuple[str, str], Original] = {}

    def add(self, record: Record, payloads: Payloads, found: Capture) -> None:
        """Note a capture that was taken; by its digest only if that is true, as other files may refer to it."""
        original = Original(found.digest, found.length, found.status, found.mimetype)
        if record.payload_digest and any(agrees(record.payload_digest, payload) for payload in payloads):
            self._by_digest.setdefault(record.payload_digest, original)
        self._by_time[record.url, record.headers["warc-date"]] = original

    def find(self, record: Record) -> Original | None:
        """The answer that a record repeats, if it is anywhere."""
        uri = record.headers.get("warc-refers-to-target-uri", "").strip("<>") or record.url
        known = self._by_digest.get(record.payload_digest)
        known = known or self._by_time.get((uri, record.headers.get("warc-refers-to-date", "")))
        digest = record.payload_digest
        if known or digest not in self._archive.index.bodies:
            return known
        return Original(digest, len(self._archive.body(digest)), 200, "unk")
