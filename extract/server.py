"""A stand-in for KPU's data host: an archive or a simulated night over HTTP/1.1, at a virtual clock.

KPU's own response headers were never recorded (facts §5): validators and compression are ours, and can be left out.
Times ending in `_s` are seconds of the machine's monotonic clock; everything that is served is in virtual time.
"""

import asyncio
import ipaddress
import logging
import signal
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import cast

from extract.errors import UsageError
from extract.faults import Faults, Kind
from extract.replayed import ArchivedSource, Document, SimulatedSource, Source, VirtualClock
from extract.request_log import Record, RequestLog
from extract.responses import METHODS, NO_REQUEST, Answer, ReplayServer, Request, encoding_for, head_of, page, parse

__all__ = [
    "ArchivedSource",
    "Document",
    "Record",
    "ReplayServer",
    "RequestLog",
    "SimulatedSource",
    "Source",
    "VirtualClock",
    "encoding_for",
    "is_loopback",
    "parse",
    "run",
    "serving",
]

_log = logging.getLogger(__name__)
_HEAD_LIMIT = 16 << 10  # bytes of request line and headers; nginx allows 8 KB a line
_DROPS = 20  # pieces of a slow body
_AT_THE_HEAD = ("error_500", "error_503", "too_many", "timeout", "redirect_away")  # faults that strike HEAD too
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


class _Connection(asyncio.Protocol):
    """One client's connection: its requests are answered in turn, however many came at once."""

    _transport: asyncio.Transport

    def __init__(self, server: ReplayServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._is_stuck = False  # the client does not read
        self._timer: asyncio.TimerHandle | None = None  # set while an answer is late on purpose
        self._note: Callable[..., Record] | None = None  # set while an answer is under way
        self._status = self._sent = 0
        self._stays_open = True
        self._quiet_since_s = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        server = self._server
        server.accepted += 1
        self._number = server.accepted
        server.connections.add(self)
        server.most_connections = max(server.most_connections, len(server.connections))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature; why is no matter
        if self._timer:
            self._timer.cancel()
        self._end()
        self._server.connections.discard(self)

    def pause_writing(self) -> None:
        self._is_stuck = True

    def resume_writing(self) -> None:
        self._is_stuck = False
        self._go_on()

    def data_received(self, received: bytes) -> None:
        self._received += received
        self._go_on()

    def close_if_quiet(self, since_s: float) -> None:
        """Close it if its last answer ended before a moment, unless it is we who keep it waiting."""
        if self._timer or self._quiet_since_s > since_s:
            return
        if self._received and not (self._is_stuck or self._transport.is_closing()):
            self._refuse(408)
        else:
            self.abort()

    def abort(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def _go_on(self) -> None:
        """Answer what has come whole, unless an answer is still under way."""
        while not (self._timer or self._is_stuck or self._transport.is_closing()):
            end = self._received.find(b"\r\n\r\n", 0, _HEAD_LIMIT)
            if end < 0:
                if len(self._received) >= _HEAD_LIMIT:
                    self._refuse(431)
                break
            head = bytes(self._received[:end]).lstrip(b"\r\n")  # some clients send an empty line too many
            del self._received[: end + 4]
            if head:
                self._take(head)
        if len(self._received) < _HEAD_LIMIT:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _take(self, head: bytes) -> None:
        """Answer one request."""
        began_s, server, request = self._loop.time(), self._server, parse(head)
        if request is None:
            self._refuse(400)
        elif request.method not in METHODS:
            self._refuse(405, request)
        else:
            server.asked += 1
            at = server.clock()
            fault = server.faults.struck(server.asked, at)
            if request.method == "HEAD" and fault not in _AT_THE_HEAD:
                fault = None
            try:
                answer, fault = server.answer(request, at, fault)
            except Exception:  # whatever is wrong with the source, the other answers go on
                _log.exception("cannot serve %s", request.path)
                answer, fault = page(500), None
            self._stays_open = request.stays_open
            self._begin(request, began_s, at, fault)
            self._send(answer, b"" if request.method == "HEAD" else answer.body, at, fault)

    def _refuse(self, status: int, request: Request = NO_REQUEST) -> None:
        """Answer what cannot be served, and close: what follows may be anything."""
        answer = page(status, *(("Allow: GET, HEAD",) if status == 405 else ()))
        at = self._server.clock()
        self._received.clear()
        self._stays_open = False
        self._begin(request, self._loop.time(), at, None)
        self._send(answer, answer.body, at, None)

    def _begin(self, request: Request, began_s: float, at: datetime, fault: Kind | None) -> None:
        """Keep what to note when the answer has ended, however it ends."""
        server = self._server
        self._status = self._sent = 0
        self._note = partial(
            Record,
            began_s=began_s,
            connection=self._number,
            connections=server.most_connections,
            method=request.method,
            path=request.path,
            is_conditional="if-none-match" in request.headers or "if-modified-since" in request.headers,
            fault=fault,
            retry_after=server.faults.retry_after if fault == "too_many" else None,
            at=at,
        )
        server.most_connections = len(server.connections)

    def _send(self, answer: Answer, body: bytes, at: datetime, fault: Kind | None) -> None:
        """Send an answer whole, or as its fault has it."""
        faults = self._server.faults
        if fault == "timeout":
            self._timer = self._loop.call_later(faults.hold_seconds, self.abort)
            return
        self._status = answer.status
        head = head_of(answer, at, self._server.label, stays_open=self._stays_open)
        match fault:
            case "slow":
                size = -(-len(body) // _DROPS) or 1
                drops = deque(body[start : start + size] for start in range(0, len(body), size))
                self._write(head, b"")
                self._drip(drops, faults.slow_seconds / _DROPS)
            case "truncated" | "reset":
                half = body[: len(body) // 2]
                self._write(head, half)
                self._stays_open = False
                if fault == "reset":
                    self._transport.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
                    )
                    self.abort()
                self._end()
            case _:
                self._write(head, body)
                self._end()

    def _drip(self, drops: deque[bytes], every_s: float) -> None:
        """Send one drop after a while, then the rest likewise."""
        self._timer = self._loop.call_later(every_s, self._drop, drops, every_s)

    def _drop(self, drops: deque[bytes], every_s: float) -> None:
        self._timer = None
        self._write(b"", drops.popleft() if drops else b"")
        if drops:
            self._drip(drops, every_s)
        else:
            self._end()
            self._go_on()

    def _write(self, head: bytes, body: bytes) -> None:
        self._transport.write(head + body)
        self._sent += len(body)

    def _end(self) -> None:
        """The answer is out, or the client has gone: note it."""
        self._quiet_since_s = self._loop.time()
        if self._note:
            self._server.log.add(self._note(ended_s=self._quiet_since_s, status=self._status, sent=self._sent))
            self._note = None
        if not self._stays_open:
            self._transport.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at this address; a name may mean anything, but for localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@asynccontextmanager
async def serving(
    source: Source,
    clock: Callable[[], datetime],
    *,
    faults: Faults | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    validators: bool = True,
    compression: bool = True,
    idle_seconds: float = 15.0,
    log: RequestLog | None = None,
) -> AsyncIterator[ReplayServer]:
    """Serve a source on a port (0: any free one) while the block runs. Raises UsageError if it cannot listen there.

    A connection that has asked nothing whole for `idle_seconds` is closed.
    """
    server = ReplayServer(
        source, clock, faults or Faults(), log or RequestLog(), validators=validators, compression=compression
    )
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(lambda: _Connection(server), host, port, backlog=512)
    except (OSError, OverflowError) as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error}; choose another port") from error
    address, bound, *_ = listener.sockets[0].getsockname()
    server.base_url = f"http://{f'[{address}]' if ':' in address else address}:{bound}"
    housekeeping = asyncio.create_task(_keep_house(server, idle_seconds))
    try:
        yield server
    finally:
        housekeeping.cancel()
        listener.close()
        for connection in list(server.connections):
            connection.abort()
        await listener.wait_closed()
        await asyncio.sleep(0)  # in Python 3.11 that waits for no connection: let each note its end
        server.log.flush()


async def _keep_house(server: ReplayServer, idle_seconds: float) -> None:
    """Close idle connections, and let readers of the log see it."""
    while True:
        await asyncio.sleep(min(1.0, idle_seconds / 4))
        server.log.flush()
        for connection in list(server.connections):
            connection.close_if_quiet(asyncio.get_running_loop().time() - idle_seconds)


def run(
    service: AbstractAsyncContextManager[ReplayServer], ready: Callable[[ReplayServer], None] = lambda _: None
) -> ReplayServer:
    """Run what `serving(...)` gave until SIGINT or SIGTERM, then stop cleanly. `ready` is called when it listens."""

    async def until_told() -> ReplayServer:
        told = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        async with service as server:
            ready(server)
            await told.wait()
        return server

    return asyncio.run(until_told())
