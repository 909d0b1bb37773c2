"""Checks a bundle of evidence made by realcount. It needs Python 3.9 or newer, and nothing else.

    python3 check.py [FOLDER OR ZIP] [--known DIGEST]

DIGEST is that of a manifest you were given earlier: the checker says whether the bundle's chain holds it.
Exit code 0: accepted; 1: rejected; 2: wrong usage. README.txt says what acceptance proves, and what it does not.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

FORMAT = "realcount evidence 1"
TOP = "evidence/"
ROLES = ("votes", "withdrawal", "pairs")
TEXTS = ("README.txt", "check.py")  # for people; nothing is read from them
MOST_BYTES = 1 << 28  # of one file: a stranger's bundle must not fill the memory

_COUNT = re.compile(r"(?:^|/)(pilkada|pemilu)/(hhcw|hr)/(\w+?)(?:/([\w/]+))?\.json\Z")
_PAIRS = re.compile(r"(?:^|/)(pilkada/paslon|pemilu)/(\w+)\.json\Z")
_TALLY = ("election", "contest_type", "stage", "unit_code")
_HEX = re.compile(r"[0-9a-f]{64}\Z")


class RejectedError(Exception):
    """The bundle contradicts itself."""


def expect(holds: bool, otherwise: str) -> None:
    """Reject the bundle unless this holds."""
    if not holds:
        raise RejectedError(otherwise)


def members(place: Path) -> dict[str, bytes]:
    """The files of a bundle, packed or unpacked, by their names below its top folder; nothing is written anywhere."""
    if place.is_dir():
        files = (path for path in sorted(place.rglob("*")) if path.is_file() and not path.name.startswith("."))
        return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}
    try:
        with zipfile.ZipFile(place) as packed:
            entries = packed.infolist()
            names = [entry.filename for entry in entries]
            expect(len(set(names)) == len(names), "the zip holds a file twice")
            expect(all(name.startswith(TOP) for name in names), f"the zip holds files outside of {TOP}")
            expect(all(entry.file_size <= MOST_BYTES for entry in entries), "the zip holds a file too large to check")
            return {entry.filename[len(TOP) :]: packed.read(entry) for entry in entries}
    except RejectedError:
        raise
    except Exception as error:  # a damaged zip breaks the reading in a dozen ways
        raise RejectedError(f"no zip that can be read: {type(error).__name__} {error}") from error


def check(files: dict[str, bytes]) -> list[str]:
    """What the evidence shows, in lines for people. Raises RejectedError if it contradicts itself anywhere."""
    try:
        return _check(files)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RejectedError(f"not as a bundle is made: {type(error).__name__} {error}") from error


def digests(files: dict[str, bytes]) -> list[str]:
    """The digests of the chain's manifests, first to newest."""
    return [manifest["digest"] for manifest in map(json.loads, files["manifests.jsonl"].splitlines())]


def _check(files: dict[str, bytes]) -> list[str]:
    claim = json.loads(files["claim.json"])
    expect(files["claim.json"] == written(claim), "claim.json was changed")
    expect(set(claim) == {"bundle", "chain", "lines", "claims"} and claim["bundle"] == FORMAT, "of another format")
    manifests = _chain(files["manifests.jsonl"], claim["chain"])
    texts = _texts(files["lines.jsonl"], "lines.jsonl")
    expect(len(texts) == len(claim["lines"]), "lines.jsonl has lines too many or too few")
    _in_order("lines", [[place["manifest"], place["segment"], place["number"]] for place in claim["lines"]])
    _in_order("claims", [[one[key] for key in _TALLY] for one in claim["claims"]])
    lines = [_line(text, place, manifests) for text, place in zip(texts, claim["lines"])]  # noqa: B905 (Python 3.9)
    used = {"claim.json", "manifests.jsonl", "lines.jsonl", *TEXTS}
    shown: list[str] = []
    for one in claim["claims"]:
        shown += _claim(one, lines, files, used)
    expect(bool(claim["claims"]), "it claims nothing")
    expect(all("is_used" in line for line in lines), "lines.jsonl holds a line that proves nothing")
    expect(set(files) == used, f"files missing or too many: {sorted(set(files) ^ used)}")
    return [*shown, *_chains_shown(manifests)]


def _chains_shown(manifests: list[dict[str, Any]]) -> list[str]:
    """Each chain with its first and newest manifest."""
    shown = []
    for number, newest in enumerate(manifests):
        if number + 1 == len(manifests) or manifests[number + 1]["sequence"] == 1:
            first = manifests[number + 1 - newest["sequence"]]
            of = f" of shard {newest['shard']}" if "shard" in newest else ""
            shown.append(
                f"The chain{of}: {newest['sequence']} manifests, {first['started_at']} to {newest['ended_at']}, each "
                f"naming the one before it. The newest is {newest['digest']}"
            )
    return shown


def written(claim: Any) -> bytes:
    """The one form in which a claim is written."""
    return (json.dumps(claim, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _chain(content: bytes, stated: Any) -> list[dict[str, Any]]:
    """The manifests, if each carries its own digest and that of the one before it.

    An archive in shards has a chain for each, one after another here; `stated` is then a list.
    """
    manifests: list[dict[str, Any]] = []
    chains: list[dict[str, Any]] = []
    previous: dict[str, Any] = {}
    for number, text in enumerate(_texts(content, "manifests.jsonl"), 1):
        manifest = json.loads(text)
        seal = '"digest":"{}"'.format(manifest["digest"]).encode()
        sealed = text.count(seal) == 1 and _digest(text.replace(seal, b'"digest":""')) == manifest["digest"]
        expect(sealed, f"manifest {number} was changed after it was written")
        if isinstance(stated, list) and manifest["sequence"] == 1:
            previous = {}
            chains.append({"shard": manifest.get("shard")})
        expected = (previous.get("sequence", 0) + 1, previous.get("digest"))
        follows = (manifest["sequence"], manifest["previous"]) == expected
        expect(follows, f"manifest {number} breaks the chain")
        expect(not previous or manifest.get("shard") == previous.get("shard"), f"manifest {number} is another shard's")
        previous = manifest
        manifests.append(manifest)
        chains = chains or [{}]
        chains[-1].update({"manifests": manifest["sequence"], "newest": manifest["digest"]})
    found = chains if isinstance(stated, list) else chains[0]
    expect(stated == found, "manifests are missing at the end of the chain")
    if isinstance(stated, list):
        expect(len(chains) > 1, "of another format")
        _in_order("chains", [chain["shard"] or "" for chain in chains])
    return manifests


def _line(text: bytes, place: dict[str, Any], manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """A line of the archive, if it stands in its segment where it is said to, as that segment's manifest knows it."""
    expect(set(place) == {"manifest", "segment", "number", "path"}, "of another format")
    number, sequence = place["number"], place["manifest"]
    expect(type(number) is int and type(sequence) is int and sequence > 0, "of another format")
    manifest = manifests[sequence - 1]
    (segment,) = (segment for segment in manifest["segments"] if segment["name"] == place["segment"])
    expect(0 < number <= segment["captures"], f"segment {segment['name']} has no line {number}")
    expect(all(_HEX.match(step) for step in place["path"]), "a path is no path")
    steps = [bytes.fromhex(step) for step in reversed(place["path"])]
    node, position, size = hashlib.sha256(b"\0" + text).digest(), number - 1, segment["captures"]
    while size > 1:  # a Merkle tree as in RFC 9162: a node without a neighbour moves up as it is
        if position ^ 1 < size:
            pair = steps.pop() + node if position & 1 else node + steps.pop()
            node = hashlib.sha256(b"\1" + pair).digest()
        position, size = position // 2, (size + 1) // 2
    proved = not steps and f"sha256:{node.hex()}" == segment["lines_root"]
    expect(proved, f"line {number} is not the one that the run {manifest['run']} wrote there")
    found = f"line {number} of {segment['captures']} in {segment['name']}, manifest {sequence} of {len(manifests)}"
    return {**json.loads(text), "where": found, "run": manifest["run"], "kind": manifest["kind"]}


def _claim(claim: dict[str, Any], lines: list[dict[str, Any]], files: dict[str, bytes], used: set[str]) -> list[str]:
    """One tally: the capture of its votes, the one that withdrew them, and those that name the pairs."""
    expect(set(claim) == {*_TALLY, "captures"}, "of another format")
    roles = [capture["role"] for capture in claim["captures"]]
    expect(roles.count("votes") == 1 and roles.count("withdrawal") <= 1, "the votes are missing, or there twice")
    _in_order("captures", [[ROLES.index(capture["role"]), capture["line"]] for capture in claim["captures"]])
    shown = ["{election}, {contest_type}, {stage}, unit {unit_code}:".format(**claim)]
    times: list[str] = []
    for capture in claim["captures"]:
        expect(set(capture) == {"role", "line", "body_line", "reported_at", "figures"}, "of another format")
        expect(min(capture["line"], capture["body_line"]) >= 0, "of another format")
        line, holder = lines[capture["line"]], lines[capture["body_line"]]
        line["is_used"] = holder["is_used"] = True
        body = _body(line, holder, files, used)
        shown.append(
            f"  {capture['role']}: {line['original']}\n    observed at {line['timestamp']} (UTC) by {line['source']}, "
            f"KPU's own time (WIB) {capture['reported_at'] or 'not given'}\n    body {line['digest']}, {line['where']}"
        )
        if line["source"].startswith("simulated"):
            shown.append("    SIMULATED: made by the simulator; no record of a count")
        if line["mimetype"] == "text/html":
            shown += _page(capture, body)
            continue
        _in_order("figures", [figure["place"] for figure in capture["figures"]])
        _addressed(claim, capture, line["original"])
        content = json.loads(body)
        shown += [f"    {_figure(content, figure, capture['role'])}" for figure in capture["figures"]]
        own = content.get("ts") if capture["role"] != "pairs" else None
        expect(own == capture["reported_at"], f"the body's own time is {own}")
        times += [own] if own else []
    expect(times == sorted(times), "the votes are younger than their withdrawal")
    return shown


def _body(line: dict[str, Any], holder: dict[str, Any], files: dict[str, bytes], used: set[str]) -> bytes:
    """The bytes as they were served; a line that repeats earlier bytes names the line that holds them."""
    expect(line["statuscode"] in (200, 304) and "truncated" not in line, "the answer was an error, or broke off")
    expect(holder is line or not {"body", "body_base64"} & set(line), "another line is said to hold the body")
    held = base64.b64decode(holder["body_base64"]) if "body_base64" in holder else holder["body"].encode()
    kind = {"application/json": "json", "text/html": "html"}.get(line["mimetype"], "bin")
    name = f"bodies/{line['digest'].replace(':', '-')}.{kind}"
    used.add(name)
    same = line["digest"] == holder["digest"] == _digest(files[name]) and files[name] == held
    expect(same and line["length"] == len(held), f"{name} is not the body that was archived")
    return held


def _addressed(claim: dict[str, Any], capture: dict[str, Any], address: str) -> None:
    """Reject a capture of another document than the one that could say this."""
    unit, kind = claim["unit_code"], claim["contest_type"]
    found = (_PAIRS if capture["role"] == "pairs" else _COUNT).search(address)
    if found is None:
        raise RejectedError(f"{address} cannot tell that")
    election = claim["election"].split("-")[0]
    if capture["role"] == "pairs":
        expect((found[1].split("/")[0], found[2]) == (election, kind), f"{address} names other pairs")
        named = [figure["place"][:-2] for figure in capture["figures"]]  # [region], or nothing in February
        expect(all(unit.startswith(region) for place in named for region in place), "pairs of another contest")
        return
    expect((found[1], found[2], found[3]) == (election, claim["stage"], kind), f"{address} is another series")
    expect(claim["election"] in ("pilkada-2024", "pemilu-2024"), "no such election")
    region = (found[4] or "0").split("/")[-1]
    for figure in capture["figures"]:
        place = [step for step in figure["place"] if step != "tungsura"]
        told = place[1] if place[0] == "table" else region
        expect(told == unit and place[0] in ("chart", "table", "progres"), f"a figure of {told}, not of {unit}")


def _figure(content: Any, figure: dict[str, Any], role: str) -> str:
    """A number or name, read from its place in the body; votes that were withdrawn are 0, or not there any more."""
    expect(set(figure) == {"place", "value"}, "of another format")
    place, value, found = figure["place"], figure["value"], content
    for step in place:
        found = found.get(step) if isinstance(found, dict) else None
    shown = ".".join(place)
    same = found == value and type(found) is type(value)
    expect(same, f"{shown} is {found!r} in the body, not {value!r}")
    expect(role != "votes" or type(value) is int, f"{shown} is no number")
    expect(role != "withdrawal" or place[-2] == "progres" or not value, f"{shown} was not withdrawn")
    return f"{shown} = {format(value, ',') if isinstance(value, int) else value}"


def _page(capture: dict[str, Any], body: bytes) -> list[str]:
    """A rendered page has no places: its numbers must occur in it, with dots for thousands."""
    text, shown = body.decode("utf-8", "replace"), []
    expect(capture["role"] == "votes" and capture["reported_at"] is None, "of another format")
    for figure in capture["figures"]:
        number = f"{figure['value']:,}".replace(",", ".")
        expect(set(figure) == {"place", "value"} and figure["place"] is None, "of another format")
        expect(re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", text) is not None, f"the page has no {number}")
        shown.append(f"    {number} occurs in the page")
    return [*shown, "    NOT CHECKED: what the page is about, and its time; open the body in a browser"]


def _in_order(what: str, keys: list[Any]) -> None:
    """There is one order to write a claim in, and nothing stands in it twice."""
    expect(all(one < next_ for one, next_ in zip(keys, keys[1:])), f"the {what} stand in another order")  # noqa: B905, RUF007 (Python 3.9)


def _texts(content: bytes, name: str) -> list[bytes]:
    expect(content.endswith(b"\n"), f"{name} is cut short")
    return content[:-1].split(b"\n")


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def main(arguments: list[str]) -> int:
    """Check the bundle that is named, else the one this file lies in."""
    known = None
    if "--known" in arguments[:-1]:
        at = arguments.index("--known")
        known = arguments[at + 1]
        del arguments[at : at + 2]
    place = Path(arguments[0] if arguments else Path(__file__).parent)
    if len(arguments) > 1 or str(place).startswith("-") or not place.exists():
        print(__doc__, file=sys.stderr)
        return 2
    try:
        files = members(place)
        shown = check(files)
        if known:
            chain = digests(files)
            expect(known in chain, f"the chain does not hold the manifest you know, {known}")
            number = chain.index(known) + 1
            shown.append(f"You hold manifest {number}: what it and those before it name was there when you got it.")
    except (RejectedError, OSError) as error:
        print(f"REJECTED: {error}".encode("ascii", "replace").decode())
        return 1
    for line in "\n".join(shown).splitlines():  # names come from outside: nothing in them may steer a terminal
        print("".join(letter if letter.isprintable() else "?" for letter in line))
    print("ACCEPTED. README.txt says what this proves, and what it does not.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
