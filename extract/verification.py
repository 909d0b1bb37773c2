"""Does an archive still say what its runs recorded? Every digest, count and link is computed again."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from extract.archive import Archive
from extract.capture import Line, digest_of, digest_of_file, from_line
from extract.errors import ArchiveError
from extract.manifests import Manifest, Segment, decode_manifest
from extract.merkle import leaf, root
from extract.segments import frames


class Problem(NamedTuple):
    """One thing that is wrong: the file, the run it belongs to (None if unknown), and what."""

    file: str
    run: str | None
    what: str


class Verdict(NamedTuple):
    """What was checked, and every problem found; none means that the archive is intact."""

    runs: int
    captures: int
    bodies: int
    problems: tuple[Problem, ...]


def verify(archive: Archive) -> Verdict:
    """Compute everything again: the chain, each segment, each body, each revisit's target."""
    manifests, problems = chain(archive)
    stored: set[str] = set()
    revisited: dict[str, Problem] = {}
    captures = 0
    for manifest in manifests:
        for segment in manifest.segments:
            leaves: list[bytes] = []
            with archive.original(segment.name) as file:
                problems += [Problem(segment.name, manifest.run, what) for what in _segment(file, segment)]
                try:
                    for line in _lines(file, leaves):
                        captures += 1
                        if line.is_revisit:
                            what = f"revisits {line.digest}, which no capture holds"
                            revisited[line.digest] = Problem(segment.name, manifest.run, what)
                        elif digest_of(from_line(line).body or b"") == line.digest:
                            stored.add(line.digest)
                        else:
                            what = f"the body of {line.original} is not {line.digest}"
                            problems.append(Problem(segment.name, manifest.run, what))
                except (ArchiveError, OSError, ValueError) as error:  # ValueError: JSON, UTF-8 and base64 alike
                    problems.append(Problem(segment.name, manifest.run, str(error)))
            if segment.lines_root not in (msgspec.UNSET, root(leaves)):
                problems.append(Problem(segment.name, manifest.run, "its lines are not those of its manifest"))
    problems += [problem for digest, problem in revisited.items() if digest not in stored]
    problems += _strays(archive, manifests)
    return Verdict(len(manifests), captures, len(stored), tuple(problems))


def chain(archive: Archive) -> tuple[list[Manifest], list[Problem]]:
    """The manifests that can be read, first to newest, and what is wrong with the chain."""
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    names = [name for name, _ in archive.store.manifests()]
    for name, content in zip(names, archive.store.contents(names), strict=True):
        run = name.removesuffix(".json").split("-", 1)[-1]
        try:
            manifest = decode_manifest(content, f"{archive.place}/manifests/{name}")
        except ArchiveError as error:
            problems.append(Problem(name, run, str(error)))
            continue
        run = manifest.run if name == manifest.object_name else run  # such a name has none
        expected = manifests[-1].sequence + 1 if manifests else 1
        if content != manifest.encoded() or manifest.own_digest() != manifest.digest:
            problems.append(Problem(name, run, "the manifest was changed after it was written"))
        if manifest.sequence != expected or name not in (manifest.file_name, manifest.object_name):
            problems.append(Problem(name, run, f"manifest {expected} should stand here"))
        elif manifest.previous != (manifests[-1].digest if manifests else None):
            problems.append(Problem(name, run, "it does not follow the manifest before it"))
        elif archive.store.shard and manifest.shard != archive.store.shard:
            problems.append(Problem(name, run, f"it is no manifest of the shard {archive.store.shard}"))
        manifests.append(manifest)
    return manifests, problems


def _lines(file: Path, leaves: list[bytes]) -> Iterator[Line]:
    """The lines of a segment's intact frames; their hashes are left in `leaves`."""
    for frame in frames(file):
        leaves += map(leaf, frame.texts())
        yield from frame.lines()


def _segment(file: Path, segment: Segment) -> Iterator[str]:
    """What is wrong with a segment's file as a whole."""
    if file.exists() and digest_of_file(file) != segment.digest:
        yield f"the segment was changed: {file.stat().st_size:,} bytes, {segment.length:,} expected, another digest"


def _strays(archive: Archive, manifests: list[Manifest]) -> Iterator[Problem]:
    """Segments that no run owns up to: a run is open, was killed, or its manifest is gone."""
    named = {segment.name for manifest in manifests for segment in manifest.segments}
    for name in archive.segment_names():
        if name not in named:
            what = "no manifest names this segment: a run is open or was killed (the next run records it)"
            yield Problem(name, None, what)
