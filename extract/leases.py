"""A lock on an object store: one writer at a time, and a dead one's lock ends by itself.

The lease is one object. Who takes, renews or frees it replaces the very version that he read, so that of two who try
exactly one does. It holds until a time by its holder's clock. A clock that is wrong can give two holders, and so can a
long pause of one of them; then the chain of manifests has room for one of them only (see `extract.objects`).
"""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from extract.buckets import AlreadyThereError, Bucket
from extract.errors import BusyError, StorageError, UsageError
from extract.manifests import OpenRun

KEY = "lease.json"
TERM = timedelta(seconds=60)  # how long a dead machine keeps others away
_RENEWALS = 3  # within a term, so that one that fails costs nothing


class Lease(msgspec.Struct, frozen=True):
    """Who may write, and until when; `run` is what he means to do, for whoever has to seal it if he dies.

    A process can take over at once from a dead one that used the same spool: it holds that spool's lock itself.
    """

    host: str
    pid: int
    spool: str
    token: str
    until: datetime
    run: OpenRun | None = None
    is_free: bool = False

    @property
    def holder(self) -> str:
        """The holder, for people."""
        return f"{self.host} (process {self.pid}, until {self.until:%H:%M:%S} UTC)"


class Held:
    """A lease that this process holds and renews from a thread of its own."""

    def __init__(self, bucket: Bucket, lease: Lease, version: str, clock: Callable[[], datetime]) -> None:
        self._bucket, self._lease, self._version, self._clock = bucket, lease, version, clock
        self._lost_to: Lease | None = None
        self._is_over = threading.Event()
        self._renewing = threading.Thread(target=self._renew_on, name="lease", daemon=True)
        self._renewing.start()

    def check(self) -> None:
        """Raises BusyError once another process has taken the lease."""
        if self._lost_to:
            raise BusyError(self._bucket.url, "the archive", self._lost_to.holder)

    def renew(self) -> None:
        """Hold it for another term, or learn that it is lost."""
        self._replace(msgspec.structs.replace(self._lease, until=self._clock() + TERM))

    def free(self) -> None:
        """Give it back; if the store does not answer, it ends by itself."""
        self._is_over.set()
        self._renewing.join()
        if not self._lost_to:
            with suppress(StorageError, UsageError):
                self._replace(msgspec.structs.replace(self._lease, run=None, is_free=True))

    def _replace(self, lease: Lease) -> None:
        try:
            self._version = self._bucket.replace(KEY, msgspec.json.encode(lease), self._version)
        except AlreadyThereError:
            with suppress(FileNotFoundError):
                found, self._version = _read(self._bucket)
                if found.token != lease.token:
                    self._lost_to = found
                return  # our own, of which the answer was lost
            self._lost_to = lease  # somebody removed it: nobody may hold what anybody can take

    def _renew_on(self) -> None:
        while not self._lost_to and not self._is_over.wait(TERM.total_seconds() / _RENEWALS):
            with suppress(StorageError, UsageError):  # while nobody can reach the store, nobody can take the lease
                self.renew()


@contextmanager
def lease(
    bucket: Bucket, spool: str, run: OpenRun, clock: Callable[[], datetime]
) -> Iterator[tuple[Held, OpenRun | None]]:
    """Hold the bucket's lease, and get what its dead holder meant to do, if he left it.

    Raises BusyError that names the holder if there is one, UsageError if the store ignores conditions.
    """
    mine = Lease(socket.gethostname(), os.getpid(), spool, secrets.token_hex(8), clock() + TERM, run)
    content = msgspec.json.encode(mine)
    before = None
    try:
        try:
            before, version = _read(bucket)
        except FileNotFoundError:
            version = bucket.create(KEY, content)
            _require_conditions(bucket, content)
        else:
            was_ours = (before.host, before.spool) == (mine.host, mine.spool)
            if not before.is_free and before.until > clock() and not was_ours:
                raise BusyError(bucket.url, "the archive", before.holder)
            version = bucket.replace(KEY, content, version)
    except AlreadyThereError:
        raise BusyError(bucket.url, "the archive") from None
    held = Held(bucket, mine, version, clock)
    try:
        yield held, before.run if before else None
    finally:
        held.free()


def _read(bucket: Bucket) -> tuple[Lease, str]:
    content, version = bucket.read(KEY)
    try:
        return msgspec.json.decode(content, type=Lease), version
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{bucket.url}/{KEY} is no lease of ours ({error}); move it away") from error


def _require_conditions(bucket: Bucket, content: bytes) -> None:
    """Some stores take conditions and ignore them, and would let two writers in. Asked once in an archive's life."""
    other = content + b" "
    for put in (partial(bucket.create, KEY, other), partial(bucket.replace, KEY, other, '"0"')):
        with suppress(AlreadyThereError):
            put()
            raise UsageError(f"{bucket.url}: the store ignores If-None-Match or If-Match, so it cannot keep an archive")


def utc() -> datetime:
    """The time by which leases end: everybody's, so no virtual one."""
    return datetime.now(UTC)
