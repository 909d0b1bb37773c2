"""What asking for a document can come to, and what asking again may build on."""

from collections import Counter

import msgspec

from extract.capture import Capture

_BEARABLE = ("length", None)  # truncations that asking again would not mend


class Validators(msgspec.Struct, frozen=True):
    """What an earlier capture lets us ask: "only if it is no longer these bytes"."""

    digest: str
    length: int
    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, capture: Capture) -> "Validators | None":
        """The validators of a whole 200 (or of a 304 that repeated them); None if the source gave none."""
        etag, modified = capture.headers.get("etag"), capture.headers.get("last-modified")
        if capture.status not in (200, 304) or capture.truncated or not (etag or modified):
            return None
        return cls(capture.digest, capture.length, etag, modified)

    @property
    def headers(self) -> dict[str, str]:
        """The conditions; a source's odd ETag that cannot be sent back is left out."""
        conditions = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in conditions.items() if value and value.isascii() and value.isprintable()}


class Failure(msgspec.Struct, frozen=True):
    """No answer at all: why, after how many attempts."""

    url: str
    reason: str
    attempts: int


class Counts(msgspec.Struct):
    """What a client did. `asked` counts requests sent, with retries and redirects; `failed` those unanswered;
    `bytes_on_wire` those of bodies, as packed as they came."""

    asked: int = 0
    retried: int = 0
    failed: int = 0
    truncated: int = 0
    bytes_on_wire: int = 0
    answered: Counter[int] = msgspec.field(default_factory=Counter)


class Exchange(msgspec.Struct, frozen=True):
    """A request and what came of it."""

    answer: Capture | Failure
    location: str | None = None
    retry_after: float | None = None

    @property
    def is_whole(self) -> bool:
        """An answer came to its end, so the connection can carry the next one."""
        return isinstance(self.answer, Capture) and self.answer.truncated is None

    @property
    def is_replayed(self) -> bool:
        """An archive's copy of an answer (RFC 7089): its status is not the archive's own word."""
        return isinstance(self.answer, Capture) and "memento-datetime" in self.answer.headers

    @property
    def fault(self) -> str | None:
        """What the source failed at, if it may do better next time."""
        if self.is_replayed and self.is_whole:
            return None
        match self.answer:
            case Failure(reason=reason):
                return reason
            case Capture(status=status) if status in (408, 425, 429) or status >= 500:
                return f"status {status}"
            case Capture(truncated=truncated) if truncated not in _BEARABLE:
                return f"a body cut short ({truncated})"
        return None
