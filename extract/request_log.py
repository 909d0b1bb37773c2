"""What the stand-in was asked, so that a crawler's manners can be judged from the server's side."""

import logging
from collections import Counter, deque
from collections.abc import Container, Iterable
from datetime import datetime
from typing import BinaryIO

import msgspec

from extract.faults import Kind

_log = logging.getLogger(__name__)


class Record(msgspec.Struct, frozen=True):
    """One request as the server saw it; `status` 0 is an answer that never began, `sent` counts bytes of the body.

    `connections` is the most that were open at once since the record before; `retry_after` is in seconds.
    """

    began_s: float
    ended_s: float
    connection: int
    connections: int
    method: str
    path: str
    is_conditional: bool
    status: int
    sent: int
    fault: Kind | None
    retry_after: int | None
    at: datetime


class RequestLog:
    """What the server was asked, the newest `keep` requests in memory, all of them as JSON lines in `stream`."""

    def __init__(self, keep: int | None = 200_000, stream: BinaryIO | None = None) -> None:
        self.records: deque[Record] = deque(maxlen=keep)
        self._stream = stream
        self._encode = msgspec.json.Encoder().encode

    @classmethod
    def read(cls, lines: Iterable[bytes]) -> "RequestLog":
        """The log that a server wrote to a stream, such as a file opened for reading bytes."""
        log = cls(keep=None)
        log.records.extend(msgspec.json.decode(line, type=Record) for line in lines)
        return log

    def add(self, record: Record) -> None:
        """Note a request that ended."""
        self.records.append(record)
        self._keep(self._encode(record) + b"\n" if self._stream else b"")

    def flush(self) -> None:
        """Let readers of the stream see what is in it."""
        self._keep(b"", flush=True)

    def _keep(self, line: bytes, *, flush: bool = False) -> None:
        try:
            if self._stream:
                self._stream.write(line)
                if flush:
                    self._stream.flush()
        except OSError as error:
            self._stream = None
            _log.error("the requests are no longer written down: %s", error)

    def by_status(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(record.status for record in self.records)

    def by_fault(self) -> Counter[Kind]:
        """How often each fault struck."""
        return Counter(record.fault for record in self.records if record.fault)

    def most_connections(self) -> int:
        """The most connections that were open at once."""
        return max((record.connections for record in self.records), default=0)

    def busiest(self, seconds: float) -> int:
        """The most requests that began within any so many seconds."""
        recent: deque[float] = deque()
        most = 0
        for began_s in sorted(record.began_s for record in self.records):
            recent.append(began_s)
            while began_s - recent[0] >= seconds:
                recent.popleft()
            most = max(most, len(recent))
        return most

    def too_soon(self, grace_s: float = 0.0) -> list[Record]:
        """The requests that began while a Retry-After asked for silence.

        `grace_s` forgives those under way when it was said: what begins so soon after the answer.
        """
        silences = sorted(
            (one.ended_s + grace_s, one.ended_s + one.retry_after) for one in self.records if one.retry_after
        )
        too_soon, step, silent_until = [], 0, 0.0
        for one in sorted(self.records, key=lambda record: record.began_s):
            while step < len(silences) and silences[step][0] < one.began_s:
                silent_until = max(silent_until, silences[step][1])
                step += 1
            if one.began_s < silent_until:
                too_soon.append(one)
        return too_soon

    def outside(self, paths: Container[str]) -> list[str]:
        """The addresses asked that are none of these."""
        return sorted({record.path for record in self.records if record.path not in paths})
