"""Everything that can go wrong and that a person can do something about.

RealcountError                      exit code 1: our fault unless a branch below says otherwise
├── UsageError                      2: what was asked for cannot be done as asked
│   ├── EndpointError               not a question KPU can answer
│   ├── SourceError                 nothing to import at that place
│   ├── RegionError                 no region, or several, by that name
│   └── QueryError                  the database refused the SQL
├── StorageError                    1: the disk is full or refuses to be written, or the object store is down
├── ArchiveError                    1: an archive that is not what it says it is
├── WarehouseError                  2: a database that this version must not touch
├── BusyError                       75: another process is writing; try again later
│   └── UncommittedError            the warehouse's server is away, or other loaders came first every time
└── SourceDownError                 75: the source is failing; try again later
    └── RateLimitError              the rate that all crawlers share cannot be asked for

The exit code is part of the contract with users' scripts.
"""

import re
from pathlib import Path

_PASSWORD = re.compile(  # in an address (also one that a path has lost a slash of), or without its scheme
    r"""(?<=:/)(/?)[^\s'"/?#]+@ | (?<![^\s'"=(])()[^\s'"/=(@:]*:[^\s'"/]+@(?=\S)""", re.VERBOSE
)


def without_passwords(text: str) -> str:
    """The text with `…@host` wherever it has `user:password@host`: messages end in logs that others read."""
    return _PASSWORD.sub(lambda found: f"{found[1] or ''}…@", text)


class RealcountError(Exception):
    """Base of every error raised on purpose; its text is one line, made for a person, and repeats no password."""

    exit_code = 1

    def __init__(self, *words: object) -> None:
        super().__init__(*(without_passwords(word) if isinstance(word, str) else word for word in words))


class UsageError(RealcountError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class EndpointError(UsageError):
    """A URL, path or code that names no KPU document."""

    def __init__(self, value: str, why: str) -> None:
        super().__init__(f"not a KPU document: {value!r} ({why})")
        self.value = value


class SourceError(UsageError):
    """A place to import from that is missing, unreadable or of another kind."""

    def __init__(self, place: Path | str, why: str) -> None:
        super().__init__(f"cannot import from {str(place)!r}: {why}")
        self.place = place


class RegionError(UsageError):
    """A region that is not known, or whose name fits several."""

    def __init__(self, wanted: str, candidates: list[str]) -> None:
        near = f": {', '.join(candidates)}" if candidates else ""
        hint = "name one by its code" if candidates else "give a code such as 31, or load a region list that has it"
        super().__init__(f"{'several regions match' if candidates else 'no region is called'} {wanted!r}{near}; {hint}")
        self.wanted = wanted
        self.candidates = candidates


class QueryError(UsageError):
    """SQL that the database refused."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the query cannot run: {why}")


class StorageError(RealcountError):
    """The disk is full or refuses to be written, or the object store does not answer."""

    def __init__(self, place: Path | str, why: str, remedy: str = "make room or set --data-dir elsewhere") -> None:
        super().__init__(
            f"cannot write {str(place)!r}: {why}; {remedy}, then run the same command again (what was archived is safe)"
        )
        self.place = place


class ArchiveError(RealcountError):
    """An archive whose files contradict its own manifests."""


class WarehouseError(RealcountError):
    """A database file that is not ours, or newer than this version."""

    exit_code = 2


class BusyError(RealcountError):
    """Another process holds the writer's lock, `by` whom if that is known."""

    exit_code = 75

    def __init__(self, place: Path | str, what: str, by: str = "another process") -> None:
        super().__init__(f"{what} {str(place)!r} is being written by {by}; try again when it is done")
        self.place = place


class UncommittedError(BusyError):
    """The server that keeps the warehouse's catalog cannot be reached, or does not say that it committed."""

    def __init__(self, place: object, why: str) -> None:
        RealcountError.__init__(
            self, f"the warehouse {str(place)!r} cannot be used now: {why}; try again later (what was archived is safe)"
        )
        self.place = str(place)


class SourceDownError(RealcountError):
    """A source that fails so steadily, or wants to be left alone for so long, that asking on would be hammering.

    `retry_after` is in seconds from when it was said, where the source said it.
    """

    exit_code = 75

    def __init__(self, source: str, why: str, retry_after: float | None = None) -> None:
        later = f"in {round(retry_after)} s" if retry_after else "later"
        super().__init__(f"{source} is failing: {why}; what was archived is safe, try again {later}")
        self.source = source
        self.retry_after = retry_after


class RateLimitError(SourceDownError):
    """The rate that all crawlers share cannot be asked for, or is none any more: nothing is asked without it."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"the shared rate limit {name!r}", why)
