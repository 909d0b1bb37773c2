"""Credentials for servers: from the environment, or from a file that only its owner can read; never from flags.

They go to the library that needs them and nowhere else: no log, no manifest, no message says one.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from extract.errors import UsageError

SECRETS = "REALCOUNT_SECRETS"
"""The variable that names the file."""

NAMES = frozenset(
    (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
        "PGPASSWORD",
        "PGPASSFILE",
    )
)
"""What is taken, under the names that the libraries know: the object store's and PostgreSQL's."""

_MOST_BYTES = 1 << 16  # a longer file is another one than was meant


def secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The credentials that are set, by name; the environment's own come before the file's.

    Raises UsageError for a file that is not there, that others can read, or whose lines are not KEY=VALUE.
    """
    named = environment.get(SECRETS)
    kept = dict(_lines(Path(named))) if named else {}
    return kept | {name: value for name in NAMES if (value := environment.get(name))}


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """The file's credentials. What is wrong is told by the line's number: its text may be one."""
    for number, line in enumerate(_text(file).splitlines(), 1):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals:
            raise UsageError(f"line {number} of {file} is not KEY=VALUE")
        if name.strip() in NAMES:
            yield name.strip(), _unquoted(value.strip())


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise UsageError(f"{file} can be read by others ({stat.filemode(mode)}); run: chmod 600 {file}")
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{SECRETS} names {file}, which cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise UsageError(f"{SECRETS} names {file}, which is too long for a file of credentials")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{SECRETS} names {file}, which is no text") from None


def _unquoted(value: str) -> str:
    """The value without the quotes that a shell would take off."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
