"""Evidence of captures: where each lies in the archive, whether all of it still holds, and a bundle for third parties.

A bundle is small because a manifest holds the root of a tree over its segment's lines: the line, the way from it to
the root and the chain of manifests tie a body to the newest manifest without the rest of the archive.
"""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from extract.archive import Holdings
from extract.bundle import check
from extract.capture import Capture, Line, digest_of, digest_of_file, from_line
from extract.errors import ArchiveError, UsageError
from extract.manifests import Manifest, Segment
from extract.merkle import leaf, path, root
from extract.segments import frames

Role = Literal["votes", "withdrawal", "pairs"]
"""What a capture is shown for: the votes, that they were withdrawn later, or who the pairs are."""

Place = tuple[str, ...]
"""The keys that lead to a value in a JSON body."""

_TEXTS = Path(check.__file__).parent
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold: a bundle is the same bytes whenever it is made
_line = msgspec.json.Decoder(Line)


class Figure(NamedTuple):
    """A number or name that a body states, and where; on a rendered page there is no such place."""

    place: Place | None
    value: int | str | None


class Located(NamedTuple):
    """A line of the archive: its segment, its number there (from 1), and its bytes."""

    segment: str
    number: int
    text: bytes


class Holder(NamedTuple):
    """The manifest that names a segment, and its place among all that a bundle has, from 1."""

    number: int
    manifest: Manifest
    segment: Segment


class Exhibit(msgspec.Struct, frozen=True):
    """A capture with its body, the line that recorded it, the line that holds the body (for a revisit an earlier
    one), and what it is shown for. `ts` is KPU's own time as the body writes it."""

    role: Role
    capture: Capture
    line: Located
    body_line: Located
    figures: tuple[Figure, ...] = ()
    ts: str | None = None


class Claim(msgspec.Struct, frozen=True):
    """What the exhibits are evidence of: the votes of one unit in one series."""

    election: str
    contest_type: str
    stage: str
    unit_code: str
    exhibits: tuple[Exhibit, ...]


def find_capture(archive: Holdings, segments: Iterable[str], url: str, observed_at: Any, digest: str) -> Located:
    """The line of a capture in one of these segments. Raises ArchiveError if there is none."""
    return _find(
        archive, segments, digest, lambda line: line.original == url and line.timestamp == observed_at, f"of {url}"
    )


def find_body(archive: Holdings, segments: Iterable[str], digest: str) -> Located:
    """The first line in these segments that holds a body. Raises ArchiveError if there is none."""
    return _find(archive, segments, digest, lambda line: not line.is_revisit, "with the body")


def exhibit(role: Role, line: Located, body_line: Located) -> Exhibit:
    """An exhibit of these two lines, which may be the same."""
    body = from_line(_line.decode(body_line.text)).body
    return Exhibit(role, msgspec.structs.replace(from_line(_line.decode(line.text)), body=body), line, body_line)


def is_body_with(located: Located) -> bool:
    """Whether the line holds its body itself, and is no revisit."""
    return not _line.decode(located.text).is_revisit


def examine(archive: Holdings, manifests: list[Manifest], exhibits: Sequence[Exhibit]) -> Iterator[str]:
    """What contradicts the exhibits in the archive: every body, segment and root is hashed again."""
    named = {segment.name: segment for manifest in manifests for segment in manifest.segments}
    for shown in exhibits:
        if digest_of(shown.capture.body or b"") != shown.capture.digest:
            yield f"the body of {shown.capture.url} is not {shown.capture.digest}"
    for name in sorted({line.segment for shown in exhibits for line in (shown.line, shown.body_line)}):
        if name in named:
            yield from _reexamined(archive, named[name])
        else:
            yield f"no manifest names the segment {name}"


def _reexamined(archive: Holdings, segment: Segment) -> Iterator[str]:
    with archive.original(segment.name) as file:
        digest, leaves = digest_of_file(file), _leaves(file)
    if digest != segment.digest or len(leaves) != segment.captures:
        yield f"the segment {segment.name} is not the one its manifest names"
    if segment.lines_root not in (msgspec.UNSET, root(leaves)):
        yield f"the lines of {segment.name} are not those of its manifest"


def bundle(archive: Holdings, manifests: list[Manifest], claims: Sequence[Claim]) -> bytes:
    """A zip that a third party can check without this project; equal claims and archives give equal bytes.

    Raises UsageError for captures of a run whose manifest is too old to prove single lines.
    """
    exhibits = [shown for claim in claims for shown in claim.exhibits]
    lines = {line for shown in exhibits for line in (shown.line, shown.body_line)}
    chains = _chains(manifests, {line.segment for line in lines})
    manifests = [manifest for chain in chains for manifest in chain]
    holders = {
        segment.name: Holder(number, manifest, segment)
        for number, manifest in enumerate(manifests, 1)
        for segment in manifest.segments
    }
    ordered = sorted(lines, key=lambda line: (holders[line.segment].number, line.segment, line.number))
    ends = [{"manifests": len(chain), "newest": chain[-1].digest} for chain in chains]
    shards = [{"shard": chain[0].shard or None} for chain in chains]
    stated = {
        "bundle": check.FORMAT,
        "chain": ends[0] if len(ends) == 1 else [shard | end for shard, end in zip(shards, ends, strict=True)],
        "lines": list(_places(archive, holders, ordered)),
        "claims": sorted((_stated(claim, ordered) for claim in claims), key=lambda one: [*one.values()][:4]),
    }
    files = {
        "README.txt": (_TEXTS / "README.txt").read_bytes(),
        "check.py": (_TEXTS / "check.py").read_bytes(),
        "claim.json": check.written(stated),
        "lines.jsonl": b"".join(line.text + b"\n" for line in ordered),
        "manifests.jsonl": b"".join(manifest.encoded() + b"\n" for manifest in manifests),
        **{_body_name(shown.capture): shown.capture.body or b"" for shown in exhibits},
    }
    check.check(files)  # what its own checker would refuse is not handed to anybody
    return _packed(files)


def _chains(manifests: Iterable[Manifest], segments: set[str]) -> list[list[Manifest]]:
    """The chains that tell of these segments, by the shard each belongs to, first to newest."""
    found: dict[str, list[Manifest]] = {}
    for manifest in manifests:
        found.setdefault(manifest.shard or "", []).append(manifest)
    return [
        chain
        for _, chain in sorted(found.items())
        if not segments.isdisjoint(segment.name for manifest in chain for segment in manifest.segments)
    ]


def _places(archive: Holdings, holders: dict[str, Holder], lines: list[Located]) -> Iterator[dict[str, Any]]:
    """Where each line stands, and the way from it to the root that the manifest holds."""
    leaves: dict[str, list[bytes]] = {}
    for line in lines:
        number, manifest, segment = holders[line.segment]
        if segment.lines_root is msgspec.UNSET:
            raise UsageError(
                f"the run {manifest.run} was recorded by a version whose manifests prove whole segments only: its "
                "numbers can be proved here, not in a bundle; hand over a copy of the archive instead"
            )
        if line.segment not in leaves:
            leaves[line.segment] = _leaves(archive.segment(line.segment))
        yield {
            "manifest": number,
            "segment": line.segment,
            "number": line.number,
            "path": path(leaves[line.segment], line.number - 1),
        }


def _stated(claim: Claim, lines: list[Located]) -> dict[str, Any]:
    captures = [
        {
            "role": shown.role,
            "line": lines.index(shown.line),
            "body_line": lines.index(shown.body_line),
            "reported_at": shown.ts,
            "figures": [
                {"place": place and list(place), "value": value}
                for place, value in sorted(shown.figures, key=lambda figure: figure.place or ())
            ],
        }
        for shown in claim.exhibits
    ]
    return {
        "election": claim.election,
        "contest_type": claim.contest_type,
        "stage": claim.stage,
        "unit_code": claim.unit_code,
        "captures": sorted(captures, key=lambda one: (check.ROLES.index(one["role"]), one["line"])),
    }


def _body_name(capture: Capture) -> str:
    kind = {"application/json": "json", "text/html": "html"}.get(capture.mimetype, "bin")
    return f"bodies/{capture.digest.replace(':', '-')}.{kind}"


def _packed(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(check.TOP + name, _LONG_AGO)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def _find(archive: Holdings, segments: Iterable[str], digest: str, is_it: Callable[[Line], bool], what: str) -> Located:
    """The first line of this digest that is meant. Lines without it are not decoded."""
    wanted = digest.encode()
    for segment in segments:
        passed = 0
        for frame in frames(archive.segment(segment)):
            texts = frame.texts()
            if wanted in frame.text:
                for number, text in enumerate(texts, passed + 1):
                    if wanted in text and (line := _line.decode(text)).digest == digest and is_it(line):
                        return Located(segment, number, text)
            passed += len(texts)
    raise ArchiveError(f"{archive.place}: no line {what} ({digest}); run: realcount archive verify")


def _leaves(file: Path) -> list[bytes]:
    return [leaf(text) for frame in frames(file) for text in frame.texts()]
