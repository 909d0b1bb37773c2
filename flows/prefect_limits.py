"""Global concurrency limits on Prefect's server: made and asked through its API, fail closed.

Whatever keeps a limit from being asked, or makes it no limit (deleted, switched off, without decay), is an error: never
is a request sent because nobody could say no.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from prefect import get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings

from extract.errors import RateLimitError, RealcountError, UsageError
from flows.pacing import Bucket

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

_LOCKED = 423


class PrefectLimit:
    """One limit, by its name. Prefect's client tries again for a minute before it gives up."""

    def __init__(self, name: str, client: "PrefectClient") -> None:
        self.name = name
        self._client = client

    async def look(self) -> tuple[Bucket, int]:
        """The limit as it is, and the slots that have not decayed yet."""
        with self._failing():
            found = await self._client.read_global_concurrency_limit_by_name(self.name)
        if not found.active:  # Prefect then gives everybody as much as they like
            raise RateLimitError(self.name, "it is switched off; switch it on in Prefect")
        if found.limit < 1 or not found.slot_decay_per_second > 0:
            raise RateLimitError(self.name, "it has no slots, or none that decay; 'realcount deploy --rate' mends it")
        return Bucket(found.limit, found.slot_decay_per_second), found.active_slots

    async def take(self, slots: int) -> bool:
        """Take the slots now; false if somebody else was faster."""
        try:
            with self._failing():
                answer = await self._client.increment_concurrency_slots([self.name], slots, "rate_limit")
        except _TakenError:
            return False
        if not answer.json():  # names that Prefect does not know are no limit to it
            raise RateLimitError(self.name, "it is not there any more; 'realcount deploy --rate' makes it")
        return True

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except ObjectNotFound:
            raise RateLimitError(self.name, "it is not there; 'realcount deploy --rate' makes it") from None
        except PrefectHTTPStatusError as error:
            if error.response.status_code == _LOCKED:
                raise _TakenError from None
            why = f"Prefect's server answers {error.response.status_code}"
            raise RateLimitError(self.name, why) from error
        except RealcountError:
            raise
        except Exception as error:  # httpx's, which only extract/ knows: no connection, no answer in time
            why = f"Prefect's server does not answer ({type(error).__name__})"
            raise RateLimitError(self.name, why) from error


class _TakenError(Exception):
    """The slots are somebody else's now."""


@asynccontextmanager
async def prefect_limit(name: str) -> AsyncIterator[PrefectLimit]:
    """The limit of this name, which must be there.

    Raises UsageError if Prefect has no server to keep it, RateLimitError if it cannot be relied on.
    """
    if not get_current_settings().api.url:
        raise UsageError(f"the shared rate limit {name!r} lies on a Prefect server; set PREFECT_API_URL")
    async with get_client() as client:
        limit = PrefectLimit(name, client)
        await limit.look()
        yield limit


async def set_limit(client: "PrefectClient", name: str, bucket: Bucket) -> None:
    """Make the limit, or change it to this; what was taken before decays at the new pace."""
    await client.upsert_global_concurrency_limit_by_name(name, bucket.slots, bucket.decay)
