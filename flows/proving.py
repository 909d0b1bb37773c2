"""The proof of a number: from `results` back to the bytes, each link computed again while you wait."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from extract.archive import Holdings
from extract.errors import ArchiveError, UsageError
from extract.evidence import (
    Claim,
    Exhibit,
    Figure,
    Role,
    bundle,
    examine,
    exhibit,
    find_body,
    find_capture,
    is_body_with,
)
from extract.files import write_whole
from extract.manifests import Manifest
from extract.verification import Problem, chain
from flows.settings import Settings
from transform.model import Document, Tally
from transform.normalise import read
from transform.places import cells, progress, value_at
from warehouse import queries
from warehouse.connection import reading

Record = dict[str, Any]

_TALLY = ("election", "contest_type", "contest_code", "stage", "unit_code")


class Proof(msgspec.Struct, frozen=True):
    """The numbers of one tally, the captures they came from, and what contradicts them: nothing, if they are proven."""

    numbers: tuple[Record, ...]
    exhibits: tuple[Exhibit, ...]
    problems: tuple[str, ...]

    @property
    def claim(self) -> Claim:
        """What a bundle of it claims."""
        first = self.numbers[0]
        return Claim(
            first["election"], first["contest_type"], first["stage"], first["unit_code"], exhibits=self.exhibits
        )


class Evidence(msgspec.Struct, frozen=True):
    """Proofs of a unit's tallies, the chains of manifests they hang on, and what is wrong with the chains."""

    proofs: tuple[Proof, ...]
    manifests: tuple[Manifest, ...]
    problems: tuple[str, ...]

    def chain_of(self, manifest: Manifest) -> list[Manifest]:
        """The manifests of the same shard, first to newest."""
        return [one for one in self.manifests if one.shard == manifest.shard]

    @property
    def newest(self) -> list[Manifest]:
        """The newest manifest of every chain."""
        return list({manifest.shard: manifest for manifest in self.manifests}.values())

    @property
    def is_proven(self) -> bool:
        """Nothing contradicts anything."""
        return not self.problems and not any(proof.problems for proof in self.proofs)

    def write(self, archive: Holdings, path: Path) -> int:
        """Write the bundle for third parties; its size in bytes. Raises UsageError if it cannot be made."""
        if not path.parent.is_dir():
            raise UsageError(f"cannot write {str(path)!r}: there is no such folder")
        packed = bundle(archive, list(self.manifests), [proof.claim for proof in self.proofs])
        write_whole(path, packed)
        return len(packed)


def prove(
    settings: Settings,
    region: str,
    candidate: str | None = None,
    at: datetime | None = None,
    contest: str | None = None,
) -> Evidence:
    """The evidence for a unit's numbers, now or at a moment of KPU's clock. Raises UsageError if there are none."""
    with reading(settings.published) as connection:
        code, _ = queries.find_region(connection, region)
        numbers = queries.ask(
            connection, "prove", region=code, candidate=candidate, reported_until=at, contest_type=contest
        ).records()
        wanted = {number[role] for number in numbers for role in ("votes_id", "withdrawal_id", "pairs_id")} - {None}
        captures = queries.ask(connection, "prove_captures", capture_ids=sorted(wanted)).records()
    if not numbers:
        whose = f"of candidate {candidate} " if candidate else ""
        raise UsageError(f"there are no votes {whose}in {code} for that choice; see: realcount results {code}")
    manifests, broken = _chains(settings.archives, {run for one in captures for run in (one["run"], *one["body_runs"])})
    found = _Finder(settings.archives, manifests, {capture["capture_id"]: capture for capture in captures})
    proofs = [found.proof(list(tally)) for _, tally in groupby(numbers, lambda number: [number[key] for key in _TALLY])]
    return Evidence(tuple(proofs), tuple(manifests), tuple(f"{problem.file}: {problem.what}" for problem in broken))


def _chains(archives: Holdings, runs: set[str]) -> tuple[list[Manifest], list[Problem]]:
    """The chains of the archive and of the shards that these runs belong to, and what is wrong with them."""
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    for archive in archives.members():
        try:
            matters = not runs.isdisjoint(manifest.run for manifest in archive.manifests())
        except ArchiveError:  # told below
            matters = True
        if matters:
            found, broken = chain(archive)
            manifests += found
            problems += broken
    return manifests, problems


class _Finder:
    """Looks up captures in the archive that the database tells of."""

    def __init__(self, archive: Holdings, manifests: list[Manifest], captures: dict[int, Record]) -> None:
        self._archive = archive
        self._manifests = manifests
        self._runs = {manifest.run: manifest for manifest in manifests}
        self._captures = captures

    def proof(self, numbers: list[Record]) -> Proof:
        """The proof of one tally, or why it fails."""
        exhibits: list[Exhibit] = []
        problems: list[str] = []
        roles: list[tuple[Role, str]] = [("votes", "votes_id"), ("withdrawal", "withdrawal_id"), ("pairs", "pairs_id")]
        for role, column in roles:
            for capture_id in sorted({number[column] for number in numbers} - {None}):
                told = [number for number in numbers if number[column] == capture_id]
                try:
                    shown = self._exhibit(role, self._captures[capture_id])
                    figures, ts, contradictions = _reread(shown, told)
                    exhibits.append(msgspec.structs.replace(shown, figures=figures, ts=ts))
                    problems += contradictions
                except (ArchiveError, OSError, ValueError) as error:  # ValueError: JSON, UTF-8 and base64 alike
                    problems.append(str(error))
        try:
            problems += examine(self._archive, self._manifests, exhibits)
        except (OSError, ValueError) as error:
            problems.append(str(error))
        return Proof(tuple(numbers), tuple(exhibits), tuple(problems))

    def _exhibit(self, role: Role, capture: Record) -> Exhibit:
        manifest = self._runs.get(capture["run"])
        if manifest is None or manifest.digest != capture["manifest_digest"]:
            raise ArchiveError(
                f"the database took the run {capture['run']} from another archive; run: realcount rebuild"
            )
        line = find_capture(
            self._archive, self._segments(capture["run"]), capture["url"], capture["observed_at"], capture["digest"]
        )
        if is_body_with(line):
            return exhibit(role, line, line)
        beside = [run for run in capture["body_runs"] if run in self._runs and self._runs[run].shard == manifest.shard]
        earlier = sorted(beside, key=lambda run: self._runs[run].sequence)
        segments = (segment for run in earlier for segment in self._segments(run))
        return exhibit(role, line, find_body(self._archive, segments, capture["digest"]))

    def _segments(self, run: str) -> Iterator[str]:
        yield from (segment.name for segment in self._runs[run].segments)


def _reread(shown: Exhibit, numbers: list[Record]) -> tuple[tuple[Figure, ...], str | None, list[str]]:
    """What the body says, read anew: the figures with their places, KPU's time in its own words, contradictions."""
    said = read(shown.capture)
    if not isinstance(said, Document):
        return (), None, [f"the body of {shown.capture.url} is unfit: {said.reason} at {said.place}, {said.detail}"]
    if shown.role == "pairs":
        return _names(shown, said, numbers)
    first = numbers[0]
    told = [
        tally for tally in said.tallies if (tally.unit_code, tally.witness) == (first["unit_code"], first["witness"])
    ]
    if len(told) != 1:
        return (), None, [f"{shown.capture.url} says nothing of {first['unit_code']}"]
    problems = list(_contradictions(shown.role, said, told[0], numbers))
    if told[0].witness == "page":
        votes = [_votes(told[0], number) for number in numbers]
        return tuple(Figure(None, count) for count in votes if count is not None), None, problems
    content = msgspec.json.decode(shown.capture.body or b"")
    row = cells(content, first["unit_code"], told[0].witness)
    places = [(*row, number["candidate_id"]) for number in numbers]
    if stations := progress(content, first["unit_code"], told[0].witness):
        places += [(*stations, key) for key in ("progres", "total") if value_at(content, (*stations, key)) is not None]
    figures = tuple(Figure(place, value_at(content, place)) for place in places)
    if [figure.value for figure in figures[: len(numbers)]] != [_votes(told[0], number) for number in numbers]:
        problems.append(f"the places {places[: len(numbers)]} of {shown.capture.url} hold other numbers")
    return figures, content.get("ts"), problems


def _contradictions(role: Role, said: Document, tally: Tally, numbers: list[Record]) -> Iterator[str]:
    """Where the document and the database differ."""
    for number in numbers:
        votes = _votes(tally, number)
        pair = f"candidate {number['candidate_id']} in {number['unit_code']}"
        if role == "votes" and votes != number["votes"]:
            yield f"{pair}: the body says {votes}, the database {number['votes']}"
        if role == "withdrawal" and votes:
            yield f"{pair}: the body that should show the withdrawal has {votes} votes"
    first = numbers[0]
    when = first["reported_at"] if role == "votes" else first["withdrawn_at"]
    if said.reported_at != when and (role == "votes" or said.reported_at is not None):
        yield f"the body's own time is {said.reported_at}, the database says {when}"
    stations = (tally.stations_reported, tally.stations_total)
    known = (first["stations_reported"], first["stations_total"])
    if role == "votes" and not first["withdrawn_at"] and stations != known:
        yield f"the body counts {stations} stations, the database {known}"


def _names(shown: Exhibit, said: Document, numbers: list[Record]) -> tuple[tuple[Figure, ...], str | None, list[str]]:
    """Who the pairs are, from the pairs file."""
    known = {(pair.contest_code, pair.candidate_id): pair for pair in said.candidates}
    content = msgspec.json.decode(shown.capture.body or b"")
    figures, problems = [], []
    for number in numbers:
        pair = known.get((number["contest_code"], number["candidate_id"]))
        if pair is None or (pair.ballot_number, pair.candidate_name) != (
            number["ballot_number"],
            number["candidate_name"],
        ):
            problems.append(f"{shown.capture.url} has another pair {number['candidate_id']} than the database")
        nest = (number["contest_code"].partition(":")[2],) if said.endpoint.election == "pilkada-2024" else ()
        places = [(*nest, number["candidate_id"], key) for key in ("nama", "nomor_urut")]
        figures += [Figure(place, value_at(content, place)) for place in places]
    return tuple(figures), None, problems


def _votes(tally: Tally, number: Record) -> int | None:
    """The votes of a pair; rendered pages know pairs by their ballot number only."""
    return tally.votes.get(number["candidate_id"], tally.votes.get(f"ballot-{number['ballot_number']}"))
