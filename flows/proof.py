"""How a proof looks: to a person a page that ends in one word, to a program one row for each number and capture."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from extract.evidence import Exhibit, Place
from flows.output import Format, emit, moment, printable, say, show
from flows.proving import Evidence, Proof
from flows.settings import Settings
from flows.views import SIMULATED, count, headline

COLUMNS = (
    "election", "contest_type", "contest_code", "stage", "unit_code", "unit_name",
    "candidate_id", "ballot_number", "candidate_name", "votes",
    "role", "place", "found", "url", "reported_at", "observed_at", "source", "status", "digest", "length",
    "run", "segment", "line", "lines", "body_segment", "body_line",
    "manifest", "sequence", "manifest_digest", "manifests", "newest_digest", "is_proven", "problems",
)  # fmt: skip

_SHOWN_FOR = {
    "votes": "The votes",
    "withdrawal": "The withdrawal: the first answer without these votes",
    "pairs": "Who the pairs are",
}


def tell(settings: Settings, evidence: Evidence, bundle: Path | None, form: Format) -> int:
    """Show the evidence, and write the bundle if one is wanted and all is proven. 0: proven, 1: contradicted."""
    if form == "table":
        for proof in evidence.proofs:
            _page(evidence, proof)
    else:
        emit(COLUMNS, (row for proof in evidence.proofs for row in _rows(evidence, proof)), form)
    problems = [*evidence.problems, *(problem for proof in evidence.proofs for problem in proof.problems)]
    for problem in problems:
        say(f"CONTRADICTED: {problem}")
    if problems:
        say("Not proven. See also: realcount archive verify")
        return 1
    if form == "table":
        newest = ", ".join(manifest.digest for manifest in evidence.newest)
        print(
            "PROVEN: the bodies, segments and manifests named above were hashed again and the numbers read from the "
            f"bodies again; all agree, and the chain holds from the first manifest to the newest, {newest}."
        )
    if bundle:
        size = evidence.write(settings.archives, bundle)
        say(f"Wrote {bundle}, {size:,} bytes. Anybody can check it: unpack it and run python3 evidence/check.py")
    return 0


def _page(evidence: Evidence, proof: Proof) -> None:
    """One tally: its numbers, then each capture that they came from."""
    first = proof.numbers[0]
    print(headline(first))
    shown = next((exhibit for exhibit in proof.exhibits if exhibit.role == "votes"), None)
    rows = [
        (
            str(number["ballot_number"] or ""),
            printable(number["candidate_name"] or number["candidate_id"]),
            count(number["votes"]),
            _written(_figure(shown, number)[0]) if shown else "",
        )
        for number in proof.numbers
    ]
    show(("no.", "pair", "votes", "place in the body"), rows, left=("pair", "place in the body"))
    for exhibit in proof.exhibits:
        print(f"{_SHOWN_FOR[exhibit.role]}:")
        for name, text in _facts(evidence, proof, exhibit).items():
            print(f"{name:>12}  {printable(text)}")
        print()
    if any(exhibit.capture.source.startswith("simulated") for exhibit in proof.exhibits):
        print(f"{SIMULATED}\n")


def _facts(evidence: Evidence, proof: Proof, exhibit: Exhibit) -> dict[str, str]:
    capture, (manifest, segment) = exhibit.capture, _holder(evidence, exhibit)
    facts = {"address": capture.url}
    if reported_at := _reported_at(proof, exhibit):
        facts["KPU's time"] = _both(reported_at)
    facts["observed"] = f"{_both(capture.observed_at)}, by {capture.source}"
    facts["body"] = f"{capture.digest}, {capture.length:,} bytes"
    facts["line"] = f"{exhibit.line.number:,} of {segment.captures:,} in {segment.name}"
    if exhibit.body_line != exhibit.line:
        facts["its body"] = f"came first in line {exhibit.body_line.number:,} of {exhibit.body_line.segment}"
    facts["run"] = f"{manifest.run}, {manifest.kind}, realcount {manifest.versions.get('realcount', 'unknown')}"
    facts["manifest"] = (
        f"{manifest.file_name}, number {manifest.sequence:,} of {len(evidence.chain_of(manifest)):,}, {manifest.digest}"
    )
    return facts


def _rows(evidence: Evidence, proof: Proof) -> Iterator[tuple[Any, ...]]:
    """Each number with each capture it rests on; a number whose captures cannot be shown stands alone."""
    outcome = (evidence.is_proven, [*evidence.problems, *proof.problems])
    for number in proof.numbers:
        about = tuple(number[column] for column in COLUMNS[: COLUMNS.index("role")])
        exhibits = [shown for shown in proof.exhibits if shown.role != "pairs" or _figure(shown, number)[0]]
        for shown in exhibits:
            capture, (manifest, segment) = shown.capture, _holder(evidence, shown)
            place, found = _figure(shown, number)
            yield (
                *about, shown.role, place and _written(place), found,
                capture.url, _reported_at(proof, shown), capture.observed_at, capture.source, capture.status,
                capture.digest, capture.length, manifest.run, segment.name, shown.line.number, segment.captures,
                shown.body_line.segment, shown.body_line.number, manifest.file_name, manifest.sequence,
                manifest.digest, len(chain := evidence.chain_of(manifest)), chain[-1].digest, *outcome,
            )  # fmt: skip
        if not exhibits:
            yield (*about, *(None for _ in COLUMNS[len(about) : -len(outcome)]), *outcome)


def _figure(exhibit: Exhibit, number: dict[str, Any]) -> tuple[Place | None, int | str | None]:
    """Where the body tells of this pair, and what: its votes, or its name; a rendered page has no places."""
    for place, value in exhibit.figures:
        if place and (place[-1] == number["candidate_id"] or place[-2:] == (number["candidate_id"], "nama")):
            return place, value
    return None, number["votes"] if exhibit.role == "votes" else None


def _holder(evidence: Evidence, exhibit: Exhibit) -> tuple[Any, Any]:
    """The manifest and the segment of the exhibit's line."""
    return next(
        (manifest, segment)
        for manifest in evidence.manifests
        for segment in manifest.segments
        if segment.name == exhibit.line.segment
    )


def _reported_at(proof: Proof, exhibit: Exhibit) -> datetime | None:
    """KPU's time of the document, which was compared with its body."""
    column = {"votes": "reported_at", "withdrawal": "withdrawn_at"}.get(exhibit.role)
    reported_at: datetime | None = proof.numbers[0][column] if column else None
    return reported_at


def _written(place: Place | None) -> str:
    return ".".join(("$", *place)) if place else "in the page's text"


def _both(when: datetime) -> str:
    """A moment on the count's clock, and in UTC."""
    return f"{moment(when)} = {when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
