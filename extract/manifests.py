"""Run manifests: what each run asked and got, chained by digest so that none can be changed or left out."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from extract.capture import digest_of
from extract.errors import ArchiveError

Outcome = Literal["complete", "failed", "interrupted"]

_FILE_NAME = re.compile(r"\w[\w.-]*")  # a stranger's manifest must not lead to a file elsewhere
_canonical = msgspec.json.Encoder(order="sorted")


class Segment(msgspec.Struct, frozen=True):
    """A file of captures as its run left it, in bytes. `torn_bytes` at its end belong to no intact frame.

    `lines_root` is the root of a Merkle tree over its lines (see `merkle`): with it one line can be proved to somebody
    who has not the file. Manifests of before 21 November 2026 have none.
    """

    name: str
    digest: str
    length: int
    captures: int
    torn_bytes: int = 0
    lines_root: str | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if not _FILE_NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a file beside the others")


class Manifest(msgspec.Struct, frozen=True):
    """One run: what was asked, what was answered (captures by HTTP status), and the segments it wrote.

    `previous` is the digest of the manifest before it (None for the first), `digest` that of this one
    without its own. A run that was killed is `interrupted`: the next writer records what it left. `settings` are how
    it asked (rates, limits, time-outs): only what `flows.settings` lists by name, so that no secret gets here. `shard`
    is the shard that the run belongs to; the archive's own runs have none.
    """

    sequence: int
    run: str
    kind: str
    asked: dict[str, Any]
    outcome: Outcome
    started_at: datetime
    ended_at: datetime
    answered: dict[str, int]
    captures: int
    bodies: int
    segments: tuple[Segment, ...]
    versions: dict[str, str]
    previous: str | None
    digest: str = ""
    settings: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    shard: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def file_name(self) -> str:
        """Manifests sort by name in the order of the chain."""
        return f"{self.sequence:06d}-{self.run}.json"

    @property
    def object_name(self) -> str:
        """The name on an object store, where the number alone must be free."""
        return f"{self.sequence:06d}.json"

    def own_digest(self) -> str:
        """The digest this manifest must carry."""
        return digest_of(_canonical.encode(msgspec.structs.replace(self, digest="")))

    def sealed(self) -> Self:
        """This manifest with its digest."""
        return msgspec.structs.replace(self, digest=self.own_digest())

    def encoded(self) -> bytes:
        """The one form it has on disk: keys in order, no spaces, so that every byte counts."""
        return _canonical.encode(self)


class OpenRun(msgspec.Struct, frozen=True):
    """What a run means to do, kept beside its segment so that a kill does not hide it."""

    run: str
    kind: str
    asked: dict[str, Any]
    started_at: datetime
    versions: dict[str, str]
    settings: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file. Raises ArchiveError if it is none."""
    return decode_manifest(path.read_bytes(), path)


def decode_manifest(content: bytes, place: Path | str) -> Manifest:
    """A manifest that was read at a place; whether it tells the truth is another question (see verification)."""
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArchiveError(
            f"{place}: not a manifest ({error}); restore it from a copy of the archive; without one, move it away: "
            "the next run records its segment again"
        ) from error
