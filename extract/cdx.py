"""The index of a web archive: the lines of a CDX server's answer, as the Wayback Machine gives them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from extract.capture import is_possible
from extract.endpoints import Endpoint
from extract.errors import EndpointError

_PAGE = 5_000  # captures listed at a time, some 700 kB
_LONGEST = 2_000  # letters of an address; KPU's have a tenth
_FIELDS = ("timestamp", "original", "mimetype", "statuscode", "digest")
_TIMESTAMP = re.compile(r"[0-9]{14}")
_STATUS = re.compile(r"[1-9][0-9]{2}")
_DIGEST = re.compile(r"[A-Z2-7]{32}")  # SHA-1 in base 32

_lines = msgspec.json.Decoder(list[list[str]])


class Row(NamedTuple):
    """A line of the index. `statuscode` is `-` and `mimetype` `warc/revisit` where a body was seen again."""

    timestamp: str
    original: str
    mimetype: str
    statuscode: str
    digest: str

    @property
    def observed_at(self) -> datetime:
        """When it was captured."""
        return datetime.strptime(self.timestamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)

    @property
    def sha1(self) -> str | None:
        """The digest as WARC writes it, if there is one."""
        return f"sha1:{self.digest}" if _DIGEST.fullmatch(self.digest) else None

    @property
    def is_document(self) -> bool:
        """It may be a document of KPU's, at a possible time."""
        if not (_TIMESTAMP.fullmatch(self.timestamp) and self.original.isprintable() and len(self.original) < _LONGEST):
            return False
        try:
            Endpoint.from_url(self.original)
            return is_possible(self.observed_at)  # 14 digits need not be a date
        except (EndpointError, ValueError):
            return False

    def status(self, otherwise: int) -> int:
        """The answer's status, where the index has it."""
        return int(self.statuscode) if _STATUS.fullmatch(self.statuscode) else otherwise

    def media_type(self, otherwise: str) -> str:
        """The answer's media type, where the index has it."""
        return otherwise if self.mimetype in ("-", "unk", "warc/revisit") else self.mimetype


class Page(NamedTuple):
    """Some lines of the index, and the key to go on with, if there are more."""

    rows: Sequence[Row]
    key: str | None


def question(pattern: str, since: datetime, until: datetime, key: str | None) -> str:
    """The query for a pattern's captures, of those in a row with the same body only the first."""
    asked = {
        "url": pattern,
        "output": "json",
        "fl": ",".join(_FIELDS),
        "from": f"{since.astimezone(UTC):%Y%m%d%H%M%S}",
        "to": f"{until.astimezone(UTC):%Y%m%d%H%M%S}",
        "collapse": "digest",
        "showResumeKey": "true",
        "limit": str(_PAGE),
    }
    return urlencode(asked | ({"resumeKey": key} if key else {}))


def page(content: bytes) -> Page:
    """What an index answered: a line of names, the captures, and then perhaps an empty line and a key.

    Raises ValueError for anything else.
    """
    try:
        lines = _lines.decode(content) if content.strip() else []
    except msgspec.DecodeError as error:
        raise ValueError("not a list of lines") from error
    key = lines[-1][0] if len(lines) > 1 and not lines[-2] and lines[-1] else None
    return Page([Row(*line) for line in lines[1:] if len(line) == len(_FIELDS)], key)
