"""Asking a source politely over HTTP: every answer becomes a capture, whatever it says and however it broke off.

The only module that knows httpx, and of httpx only its transports: `Client` follows redirects, unpacks bodies and
keeps no cookies by itself, so nothing happens on the wire that is not written here.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Self

import httpx
import msgspec
import stamina

from extract.answers import Counts, Exchange, Failure, Validators
from extract.capture import STAND_IN, Capture, capture
from extract.errors import UsageError
from extract.politeness import Breaker, Manners, Pace, retry_after
from extract.unpacking import ACCEPT_ENCODING, Body, Truncation

_LABEL = re.compile(r"(?:simulated|replay)[\w:.-]{0,60}")  # what a stand-in may call its answers
_REDIRECTS = (301, 302, 303, 307, 308)
_IDLE = 60.0  # seconds a connection is kept for the next request: at 5 requests/s a worker rests between two
_REASONS: dict[type[Exception], str] = {
    httpx.ConnectTimeout: "no connection in time",
    httpx.ReadTimeout: "no answer in time",
    httpx.WriteTimeout: "could not send in time",
    httpx.PoolTimeout: "no free connection in time",
    httpx.ConnectError: "no connection",
    httpx.ReadError: "the connection broke",
    httpx.WriteError: "the connection broke",
    httpx.CloseError: "the connection broke",
    httpx.ProxyError: "the proxy refused",
    httpx.UnsupportedProtocol: "not an HTTP address",
    httpx.LocalProtocolError: "the request is not sendable",
    httpx.RemoteProtocolError: "no HTTP answer",
    TimeoutError: "no answer in time",
    OSError: "the connection broke",
}


logging.getLogger("stamina").addHandler(logging.NullHandler())  # or Python prints every retry to stderr


class _FaultError(Exception):
    """Makes stamina try again."""

    def __init__(self, fault: str, exchange: Exchange) -> None:
        super().__init__(fault)
        self.exchange = exchange


class Client:
    """Asks for documents, one limiter and one breaker for all of them; use it as `async with Client(…) as client`.

    `keep` gets every capture as soon as it is complete: those of failed attempts and of redirects too. `clock` gives
    their `observed_at`, in UTC. `proxy` is only ever the caller's word: the environment is not asked. With `packed`,
    bodies stay as they came, for digests that somebody took so, and the headers say how they are packed.
    """

    def __init__(
        self,
        manners: Manners,
        clock: Callable[[], datetime],
        keep: Callable[[Capture], object],
        *,
        source: str = "kpu",
        pace: Pace | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        packed: bool = False,
    ) -> None:
        self.manners = manners
        self.counts = Counts()
        self.pace = pace or Pace(manners.rate)
        self.breaker = Breaker(source, manners.failures)
        self._clock, self._keep, self._source = clock, keep, source
        self._proxy, self._ssl_context, self._packed = proxy, ssl_context, packed
        self._headers = httpx.Headers({**manners.headers, "Accept-Encoding": ACCEPT_ENCODING})
        self._timeouts = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), manners.request_timeout)}
        self._slots = asyncio.Semaphore(manners.connections)
        self._connections: list[httpx.AsyncHTTPTransport] = []  # idle ones

    async def __aenter__(self) -> Self:
        self._ssl_context = self._ssl_context or httpx.create_ssl_context(trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._connections:
            await self._connections.pop().aclose()

    async def fetch(self, url: str, validators: Validators | None = None) -> Capture | Failure:
        """The last word on a document: its capture, an error's capture, or why there was no answer at all.

        Raises UsageError for a host that is not allowed, SourceDownError when asking is over.
        """
        address = self._permitted(url)
        attempts = stamina.retry_context(
            on=self._try_again,
            attempts=self.manners.retries + 1,
            timeout=None,
            wait_initial=min(0.5, self.manners.longest_wait),
            wait_max=self.manners.longest_wait,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    self.counts.retried += attempt.num > 1
                    return await self._follow(address, validators, attempt.num)
        except _FaultError as last:
            return last.exchange.answer
        raise AssertionError  # pragma: no cover - stamina returns or raises

    async def fetch_all(
        self, wanted: Iterable[tuple[str, Validators | None]]
    ) -> AsyncGenerator[tuple[str, Capture | Failure]]:
        """Each wanted address with its answer, as they come; `wanted` is read as connections become free.

        Raises what `fetch` raises, after handing out the answers that came before.
        """
        waiting = iter(wanted)
        answers: asyncio.Queue[tuple[str, Capture | Failure] | Exception | None] = asyncio.Queue(
            self.manners.connections  # whoever reads slowly is asked for slowly
        )

        async def work() -> None:
            try:
                for url, validators in waiting:
                    await answers.put((url, await self.fetch(url, validators)))
            except Exception as error:  # it is raised where the answers are read
                await answers.put(error)
            else:
                await answers.put(None)

        workers = [asyncio.create_task(work()) for _ in range(self.manners.connections)]
        try:
            at_work = len(workers)
            while at_work:
                answer = await answers.get()
                if isinstance(answer, Exception):
                    raise answer
                if answer:
                    yield answer
                at_work -= answer is None
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _permitted(self, url: str) -> httpx.URL:
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise UsageError(f"not an address: {url!r} ({error})") from error
        if address.userinfo:
            raise UsageError(f"an address with a password would be archived with it: {address.host!r}; leave it out")
        host = address.netloc.decode("ascii")  # as httpx will connect to it: no second parser to disagree with
        if address.scheme not in ("http", "https") or host not in self.manners.allowed_hosts:
            allowed = ", ".join(sorted(self.manners.allowed_hosts))
            raise UsageError(f"{url!r} is not on a host that may be asked ({allowed})")
        return address

    def _try_again(self, error: Exception) -> bool | float:
        if not isinstance(error, _FaultError) or self.breaker.is_down:
            return False
        return True if error.exchange.retry_after is None else 0.0  # 0.0: the pace waits out the pause

    async def _follow(self, address: httpx.URL, validators: Validators | None, attempt: int) -> Capture | Failure:
        """One attempt, redirects and all. Raises _FaultError if another one is worth while."""
        for _ in range(self.manners.redirects + 1):
            exchange = await self._ask(address, validators, attempt)
            if exchange.fault:
                raise _FaultError(exchange.fault, exchange)
            target = self._target(address, exchange.location)
            if target is None:
                break
            address = target
        return exchange.answer

    def _target(self, address: httpx.URL, location: str | None) -> httpx.URL | None:
        """Where a redirect leads, if we may go there: never to a foreign host, never from https to http."""
        if location is None:
            return None
        with suppress(httpx.InvalidURL, UsageError):
            target = self._permitted(str(address.join(location)))
            if (address.scheme, target.scheme) != ("https", "http"):
                return target
        return None

    async def _ask(self, address: httpx.URL, validators: Validators | None, attempt: int) -> Exchange:
        """One request, when it is its turn; the capture is kept and the answer judged."""
        request = httpx.Request("GET", address, headers=self._headers, extensions=self._timeouts)
        if validators:
            request.headers.update(validators.headers)
        async with self._slots:
            self.breaker.check()
            asked_at = await self.pace.turn()
            self.breaker.check()
            connection = self._connections.pop() if self._connections else self._connect()
            exchange = None
            try:
                self.counts.asked += 1
                exchange = await self._receive(connection, request, validators, attempt)
                self._judge(exchange, asked_at)  # before anybody else gets a turn
            finally:
                if exchange and exchange.is_whole:
                    self._connections.append(connection)
                else:  # also when cancelled; what else was on its way is not wanted any more
                    await connection.aclose()
        return exchange

    def _judge(self, exchange: Exchange, asked_at: float) -> None:
        """Keep the capture, and draw from it how fast to ask on, and whether to."""
        answer, pause, was_paused = exchange.answer, exchange.retry_after, self.pace.is_paused
        if isinstance(answer, Failure):
            self.counts.failed += 1
        else:
            self.counts.answered[answer.status] += 1
            self.counts.truncated += answer.truncated is not None
            if answer.status in (429, 503) and not exchange.is_replayed:
                self.pace.slow_down(asked_at)
        if pause:
            self.pace.pause(pause)
            if pause > self.manners.longest_pause:
                self.breaker.trip(f"it wants to be left alone for {pause:.0f} s", pause)
        if exchange.fault is None:
            self.breaker.good()
            self.pace.go_on()
        elif not (pause and was_paused):  # those under way together were refused together: that is one refusal
            self.breaker.bad(exchange.fault)
        if isinstance(answer, Capture):
            self._keep(answer)

    def _connect(self) -> httpx.AsyncHTTPTransport:
        """One connection: httpx's pool gets slower with every connection it shares (585/s against 1,850/s)."""
        return httpx.AsyncHTTPTransport(
            verify=self._ssl_context or True,
            http2=True,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=_IDLE),
            trust_env=False,
            proxy=self._proxy,
        )

    async def _receive(
        self, connection: httpx.AsyncHTTPTransport, request: httpx.Request, validators: Validators | None, attempt: int
    ) -> Exchange:
        """Send a request and take in its answer, as far as it comes and as long as it is bearable."""
        response = body = None
        truncated: Truncation | None = None
        try:
            async with asyncio.timeout(self.manners.total_timeout):
                response = await connection.handle_async_request(request)
                coding = "" if self._packed else response.headers.get("content-encoding", "")
                body = Body(coding, self.manners.most_bytes)
                truncated = await self._take_in(response, body)
        except (httpx.TransportError, OSError) as error:  # OSError: asyncio's TimeoutError, and ssl's
            if response is None or body is None:
                return Exchange(Failure(str(request.url), _reason(error), attempt))
            truncated = "time" if isinstance(error, TimeoutError | httpx.TimeoutException) else "disconnect"
        finally:
            if response is not None:
                with suppress(httpx.TransportError, OSError):
                    await response.aclose()
        return self._exchange(request, response, body, truncated, validators)

    async def _take_in(self, response: httpx.Response, body: Body) -> Truncation | None:
        """Read a body to its end; else why it was not."""
        async for chunk in response.stream:  # type: ignore[union-attr]  # it is asynchronous here
            if refused := body.feed(chunk):
                return refused
            if body.on_wire > self.manners.most_bytes_on_wire:
                return "length"
        promised = response.headers.get("content-length", "")
        has_body = response.status_code not in (204, 304)
        is_short = promised.isdecimal() and body.on_wire < int(promised)
        return "disconnect" if has_body and (is_short or not body.is_complete) else None

    def _exchange(
        self,
        request: httpx.Request,
        response: httpx.Response,
        body: Body,
        truncated: Truncation | None,
        validators: Validators | None,
    ) -> Exchange:
        """What archives will say of an answer."""
        now, headers, status = self._clock(), response.headers, response.status_code
        answer = capture(
            str(request.url),
            body.content,
            now,
            stand_in if _LABEL.fullmatch(stand_in := headers.get(STAND_IN, "")) else self._source,
            status=status,
            mimetype=headers.get("content-type", "").split(";")[0].strip().lower() or "unk",  # CDX's word
            headers=headers,
            truncated=truncated,
        )
        if status == 304 and validators:
            answer = msgspec.structs.replace(answer, body=None, digest=validators.digest, length=validators.length)
        if self._packed and (coding := headers.get("content-encoding")):
            answer = msgspec.structs.replace(answer, headers=answer.headers | {"content-encoding": coding})
        self.counts.bytes_on_wire += body.on_wire
        location = headers.get("location") if status in _REDIRECTS else None
        is_own = status >= 300 and "memento-datetime" not in headers  # an archive's copy of a refusal refuses nothing
        return Exchange(answer, location, retry_after(headers, now) if is_own else None)


def _reason(error: Exception) -> str:
    """One line for a person: what happened, and what httpx knows of it."""
    words = next(_REASONS[kind] for kind in type(error).__mro__ if kind in _REASONS)
    return f"{words} ({str(error) or type(error).__name__})"
