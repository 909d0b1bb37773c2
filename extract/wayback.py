"""Reading what the Internet Archive's Wayback Machine kept: KPU's bytes, at the Archive's own times.

Its index is asked which captures there are, then each body that is not known yet is asked for as it was stored
(`id_`), and compared with the index's digest. The Archive is a charity's: it is asked slowly, and not at all once it
says 429; its blocks grow longer for those who ask on.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

from extract.answers import Failure
from extract.archive import Archive
from extract.capture import Capture, capture
from extract.cdx import Page, Row, page, question
from extract.client import Client
from extract.errors import SourceDownError, SourceError
from extract.messages import MOST_BYTES, agrees
from extract.politeness import Manners, Pace, authority, retry_after
from extract.unpacking import Body

WAYBACK_URL = "https://web.archive.org"
_LISTS_A_SECOND = 0.8  # its index bears 60 a minute
_BLOCKED = 300.0  # seconds to stay away after a 429 that names none: the Archive's shortest block is five minutes

_NO_DOCUMENT = "not KPU's"
_NO_BODY = "without a body at the Archive"
_CUT_SHORT = "cut short on the way"
_ELSEWHEN = "given as of another time"


class WaybackSource:
    """What the Archive holds of some addresses between two moments, without what our archive has already.

    A pattern is an address, or the beginning of one with `*`. `passed_over` counts, by reason, what was not taken.
    """

    def __init__(
        self,
        archive: Archive,
        patterns: Sequence[str],
        span: tuple[datetime, datetime],
        clock: Callable[[], datetime],
        manners: Manners,
        base_url: str = WAYBACK_URL,
    ) -> None:
        self.passed_over: Counter[str] = Counter()
        self._archive, self._patterns, self._span = archive, patterns, span
        self._clock, self._manners, self._base_url = clock, manners, base_url.rstrip("/")
        self._host = authority(base_url)
        self._archived = {
            (seen.url, seen.observed_at): seen.digest
            for segment in archive.segment_names()
            for _, seen in archive.captures(segment)
        }
        self._known: dict[str, str] = {}  # the Archive's digest to ours
        self._fetched: dict[str, int] = {}  # lengths of the bodies of this run, by our digest

    async def captures(self) -> AsyncGenerator[Capture]:
        """The captures as they come. Raises SourceDownError when asking is over, SourceError for a refused pattern."""
        lists = Pace(min(self._manners.rate, _LISTS_A_SECOND))  # 0, no limit, is for a stand-in
        async with self._client(lists) as index, self._client(Pace(self._manners.rate)) as bodies:
            for pattern in self._patterns:
                async for rows in self._listed(index, pattern):
                    async for found in self._read(bodies, rows):
                        yield found

    async def _read(self, client: Client, rows: Sequence[Row]) -> AsyncGenerator[Capture]:
        """The captures of a page. Where a body cannot be had, another line with the same digest is tried."""
        tried: set[Row] = set()
        for known in self._seen_again(rows):
            yield known
        while wanted := {self._address(row): row for row in self._missing(rows, tried)}:
            tried.update(wanted.values())
            async with aclosing(client.fetch_all((address, None) for address in wanted)) as answers:
                async for address, answer in answers:
                    if found := self._taken(wanted[address], answer):
                        yield found
            client.breaker.check()
            for known in self._seen_again(rows):
                yield known

    def _client(self, pace: Pace) -> Client:
        """A client that stops at the first 429; it archives nothing by itself, as most answers are not KPU's."""

        def stop_if_refused(answer: Capture) -> None:
            if answer.status == 429 and "memento-datetime" not in answer.headers:
                pause = retry_after(answer.headers, self._clock()) or _BLOCKED
                client.breaker.trip("it asks for fewer requests (429)", pause)

        client = Client(self._manners, self._clock, stop_if_refused, source=self._host, pace=pace, packed=True)
        return client

    async def _listed(self, client: Client, pattern: str) -> AsyncGenerator[Sequence[Row]]:
        """The index's lines for a pattern that may be KPU's documents, page by page."""
        key = None
        while True:
            asked = question(pattern, *self._span, key)
            rows, following = self._page(pattern, await client.fetch(f"{self._base_url}/cdx/search/cdx?{asked}"))
            documents = [row for row in rows if row.is_document]
            self.passed_over[_NO_DOCUMENT] += len(rows) - len(documents)
            yield documents
            if following in (None, key):
                return
            key = following

    def _page(self, pattern: str, answer: Capture | Failure) -> Page:
        if isinstance(answer, Failure):
            raise SourceDownError(self._host, answer.reason)
        if answer.status == 429:
            pause = retry_after(answer.headers, self._clock()) or _BLOCKED
            raise SourceDownError(self._host, "it asks for fewer requests (429)", pause)
        if answer.status >= 500:
            raise SourceDownError(self._host, f"its index answers {answer.status}")
        if answer.status != 200:
            raise SourceError(pattern, f"the index of {self._host} answers {answer.status}")
        content, is_whole = _unpacked(answer)
        if not is_whole:
            raise SourceDownError(self._host, "its index broke off")
        try:
            return page(content)
        except ValueError as error:
            raise SourceDownError(self._host, "its index answers with something else than a list") from error

    def _missing(self, rows: Sequence[Row], tried: set[Row]) -> Iterator[Row]:
        """One line for each body that neither our archive nor this run has."""
        asked = set()
        for row in rows:
            if row not in tried and (row.original, row.observed_at) not in self._archived and row.digest not in asked:
                yield row
                if row.sha1:
                    asked.add(row.digest)

    def _seen_again(self, rows: Sequence[Row]) -> Iterator[Capture]:
        """Captures whose bodies are known: nobody needs to send them again."""
        missing = []
        for row in rows:
            if (digest := self._archived.get((row.original, row.observed_at))) is None:
                missing.append(row)
            elif row.sha1:
                self._known.setdefault(row.digest, digest)
        for row in missing:
            digest = self._known.get(row.digest)
            if digest and (length := self._length(digest, row)) is not None:
                self._archived[row.original, row.observed_at] = digest
                status, mimetype = row.status(200), row.media_type("unk")
                again = capture(row.original, b"", row.observed_at, "wayback", status=status, mimetype=mimetype)
                yield msgspec.structs.replace(again, body=None, digest=digest, length=length)

    def _length(self, digest: str, row: Row) -> int | None:
        """The length of a body we have, if it is the one that the index means: an earlier run may have doubted it."""
        if digest in self._fetched:
            return self._fetched[digest]
        body = self._archive.body(digest)
        return len(body) if agrees(row.sha1 or "", body) else None

    def _address(self, row: Row) -> str:
        return f"{self._base_url}/web/{row.timestamp}id_/{row.original}"

    def _taken(self, row: Row, answer: Capture | Failure) -> Capture | None:
        """What KPU answered then, if the Archive gave it. A body that is not what the index says is no whole one."""
        if isinstance(answer, Failure) or answer.truncated:
            self.passed_over[_NO_BODY if isinstance(answer, Failure) else _CUT_SHORT] += 1
            return None
        content, is_whole = _unpacked(answer)  # its digest is that of the packed body, unless the Archive packed it
        is_it = row.sha1 is None or any(agrees(row.sha1, body) for body in (answer.body or b"", content))
        given = _moment(answer.headers.get("memento-datetime", ""))
        if given is None and not (row.sha1 and is_it and answer.status == 200):  # the Archive's own word, and no copy
            self.passed_over[_NO_BODY] += 1
            return None
        if given not in (None, row.observed_at):
            self.passed_over[_ELSEWHEN] += 1
            return None
        content_type = answer.headers.get("content-type")
        found = capture(
            row.original,
            content,
            row.observed_at,
            "wayback",
            status=row.status(answer.status),
            mimetype=row.media_type(answer.mimetype),
            headers={"content-type": content_type} if content_type else None,
            truncated=None if is_whole and is_it else "unspecified",
        )
        self._archived[row.original, row.observed_at] = found.digest
        if row.sha1 and found.truncated is None:
            self._known[row.digest] = found.digest
            self._fetched[found.digest] = found.length
        return found


def _unpacked(answer: Capture) -> tuple[bytes, bool]:
    """An answer's body without its Content-Encoding, and whether it is whole."""
    body = Body(answer.headers.get("content-encoding", ""), MOST_BYTES)
    refused = body.feed(answer.body or b"")
    return body.content, refused is None and body.is_complete and answer.truncated is None


def _moment(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value)
    except ValueError:
        return None
