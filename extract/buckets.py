"""A bucket of an S3-compatible object store: objects are made once and read whole, and one may be replaced by who
knows its state. Asked for is what Amazon's S3, MinIO and Ceph give: conditional PUTs, and listings that are up to date.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from extract.errors import StorageError, UsageError

PATIENCE = timedelta(seconds=30)  # to go on asking a store that does not answer: a restart takes less
_REQUEST = timedelta(seconds=60)  # for one answer: 4 MiB at 70 kB/s
_REGION = "us-east-1"  # what stores other than Amazon's take, whatever they are called
_RETRIES = 20  # the patience ends first

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_FORBIDDEN = ("401", "403")

_Answer = TypeVar("_Answer")


class AlreadyThereError(Exception):
    """Another object is there, or it is no longer in the state in which it was to be replaced."""


class Bucket:
    """The objects below a prefix, by key.

    Every question may raise StorageError if the store does not answer for `patience`, and UsageError if it refuses.
    """

    def __init__(self, url: str, credentials: Mapping[str, str], patience: timedelta = PATIENCE) -> None:
        """Nothing is asked yet. Raises UsageError for an address that names no bucket, or has credentials in it."""
        parts = urlsplit(url)
        if "@" in url or parts.query or parts.fragment:
            raise UsageError("the archive's address is s3://bucket/prefix; credentials go into the environment")
        if parts.scheme != "s3" or not parts.netloc:
            raise UsageError(f"{url!r} is no address such as s3://bucket/prefix")
        self.url = url.rstrip("/")
        self._store = _opened(parts.netloc, parts.path.strip("/"), credentials, patience)

    def names(self, folder: str) -> list[tuple[str, str]]:
        """The objects right below a folder, as names and versions, sorted by name."""
        import obstore

        def listed() -> Iterator[tuple[str, str]]:
            for batch in obstore.list(self._store, prefix=folder, chunk_size=1000):
                for entry in batch:
                    name = entry["path"].removeprefix(f"{folder}/")
                    if "/" not in name:
                        yield name, entry["e_tag"] or ""

        return self._ask(lambda: sorted(listed()))

    def folders(self, folder: str) -> list[str]:
        """The names of the folders right below a folder, sorted."""
        import obstore

        found = self._ask(lambda: obstore.list_with_delimiter(self._store, prefix=folder))
        return sorted(prefix.removeprefix(f"{folder}/") for prefix in found["common_prefixes"])

    def read(self, key: str) -> tuple[bytes, str]:
        """An object's content and version. Raises FileNotFoundError if there is none."""
        import obstore

        def answered() -> tuple[bytes, str]:
            answer = obstore.get(self._store, key)
            return bytes(answer.bytes()), answer.meta["e_tag"] or ""

        return self._ask(answered)

    def create(self, key: str, content: bytes) -> str:
        """Put an object where none is; its version. Raises AlreadyThereError if there is another one.

        The very same one may be there: an answer got lost, or a process died, after the store had taken it.
        """
        try:
            return self._put(key, content, "create")
        except AlreadyThereError:
            found, version = self.read(key)
            if found != content:
                raise
            return version

    def replace(self, key: str, content: bytes, version: str) -> str:
        """Put an object in the place of this version of it. Raises AlreadyThereError if it is no longer that."""
        return self._put(key, content, {"e_tag": version})

    def _put(self, key: str, content: bytes, mode: Any) -> str:
        import obstore
        from obstore.exceptions import AlreadyExistsError, NotFoundError, PreconditionError

        def answered() -> str:
            try:
                return obstore.put(self._store, key, content, mode=mode, use_multipart=False)["e_tag"] or ""
            except (AlreadyExistsError, PreconditionError):
                raise AlreadyThereError(key) from None
            except NotFoundError as error:  # of a condition: what was to be replaced is gone
                if "NoSuchBucket" in str(error):
                    raise
                raise AlreadyThereError(key) from None

        return self._ask(answered)

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        with self._refusals():
            return question()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What the store refuses, in our words: its own may repeat what was signed, and with what."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (FileNotFoundError, BaseError) as error:
            raise _told(self.url, error) from None


def _opened(bucket: str, prefix: str, credentials: Mapping[str, str], patience: timedelta) -> Any:
    """The library's store. Without a key in `credentials` it looks where the library's own chain does."""
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise UsageError("archives on an object store need the extra: pip install 'realcount[s3]'") from error
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    given: dict[str, Any] = {name.lower(): credentials[name] for name in names if name in credentials}
    if endpoint := credentials.get("AWS_ENDPOINT_URL"):
        given["endpoint"] = endpoint
    return S3Store(
        bucket,
        prefix=prefix or None,
        region=credentials.get("AWS_REGION", _REGION),
        **given,
        client_options={"allow_http": bool(endpoint), "timeout": _REQUEST, "connect_timeout": timedelta(seconds=5)},
        retry_config={"max_retries": _RETRIES, "retry_timeout": patience},
    )


def _told(url: str, error: Exception) -> Exception:
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    why = " ".join(found[1] for found in (status, code) if found) or "it does not answer"
    if "NoSuchBucket" in why:
        return UsageError(f"{url}: there is no such bucket; make it, or name another one")
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{url}: an object is gone")
    if why.startswith(_FORBIDDEN):
        return UsageError(f"{url} refuses ({why}); see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do")
    if "configured region" in text:
        return UsageError(f"{url} lies in another region; set AWS_REGION")
    return StorageError(url, why, "see that the store answers")
