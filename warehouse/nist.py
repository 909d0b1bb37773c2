"""An election report by NIST SP 1500-100 version 2, as JSON: the count at one moment of KPU's clock.

What the standard has no place for is listed in docs/nist.md.
"""

from collections import defaultdict
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import duckdb
import msgspec

from extract.endpoints import LEVELS, NATIONAL, ContestType, Level
from extract.errors import UsageError
from warehouse import queries
from warehouse.nist_elements import (
    Element,
    Line,
    candidate_id,
    contest_id,
    identifier,
    is_city,
    lineage,
    moment,
    one_each,
    statuses,
    texts,
    typed,
    unit_id,
)

_ELECTIONS = {  # the day, and the name in English and Indonesian
    "pemilu-2024": ("2024-02-14", "General election 2024", "Pemilihan Umum 2024"),
    "pilkada-2024": ("2024-11-27", "Regional elections 2024", "Pemilihan Serentak 2024"),
}
_OFFICES = {
    "pkwkp": ("Governor", "Gubernur dan Wakil Gubernur"),
    "pkwkk": ("Regent", "Bupati dan Wakil Bupati"),
    "pkwkk in a city": ("Mayor", "Wali Kota dan Wakil Wali Kota"),
    "ppwp": ("President", "Presiden dan Wakil Presiden"),
}
_UNIT_TYPES: dict[str, str] = {
    "national": "country",
    "province": "state",
    "regency": "county",
    "village": "village",
    "tps": "precinct",
}
_NEEDS_MAJORITY = ("pkwkp:31", "ppwp:0")  # Jakarta's law and the constitution; elsewhere the most votes win


class Choice(msgspec.Struct, frozen=True):
    """Which count a report is of: region and depth, series, type of contest (all if None), moment (latest if None)."""

    region: str = NATIONAL
    depth: Level = "district"
    stage: str = "hhcw"
    contest_type: ContestType | None = None
    at: datetime | None = None


def election_report(
    connection: duckdb.DuckDBPyConnection, choice: Choice, generated_at: datetime, application: str
) -> Element:
    """The report as JSON has it. Raises UsageError if there is no contest in the choice."""
    longest = next(length for length, level in LEVELS.items() if level == choice.depth) or len(NATIONAL)
    lines = queries.ask(
        connection,
        "nist_lines",
        at=choice.at,
        region=choice.region,
        longest_code=longest,
        stage=choice.stage,
        contest_type=choice.contest_type,
    ).records()
    if not lines:
        raise UsageError("no contest has results for that choice; see what there is with: realcount status")
    sequence = queries.ask(connection, "nist_sequence", at=choice.at, stage=choice.stage).records()[0]
    withdrawn = [line["withdrawn_at"] for line in lines if line["withdrawn_at"]]
    return typed(
        "ElectionReport",
        Format="precinct-level" if choice.depth == "tps" else "summary-contest",
        GeneratedDate=moment(generated_at),
        Issuer="realcount, from the documents that KPU published",
        IssuerAbbreviation="realcount",
        SequenceStart=max(sequence["number"], 1),
        SequenceEnd=max(sequence["known"], 1),
        Status="unofficial-complete" if _is_complete(lines) and not withdrawn else "unofficial-partial",
        VendorApplicationId=application,
        IsTest=sequence["is_simulated"],
        TestType="simulated" if sequence["is_simulated"] else None,
        Notes=_notes(choice, sequence, withdrawn),
        Election=[_election(name, list(part)) for name, part in groupby(lines, itemgetter("election"))],
        GpUnit=_units(connection, lines),
    )


def _election(name: str, lines: list[Line]) -> Element:
    day, english, indonesian = _ELECTIONS[name]
    contests = [(code, list(part)) for code, part in groupby(lines, itemgetter("contest_code"))]
    return typed(
        "Election",
        Name=texts(en=english, id=indonesian),
        Type="general",
        StartDate=day,
        EndDate=day,
        ElectionScopeId=unit_id(NATIONAL),
        ExternalIdentifier=[identifier("other", name, "realcount's name of the election")],
        Candidate=[candidate for code, part in contests for candidate in _candidates(code, part)],
        Contest=[_contest(code, part) for code, part in contests],
        BallotCounts=_ballot_counts(lines),
    )


def _candidates(contest: str, lines: list[Line]) -> list[Element]:
    """Pairs as they stand on the ballot: one name for two people, which is not ours to take apart."""
    return [
        typed(
            "Candidate",
            candidate_id(contest, line["candidate_id"]),
            BallotName=texts(id=line["candidate_name"] or line["candidate_id"]),
            ExternalIdentifier=[identifier("other", line["candidate_id"], "KPU's id of the pair")],
        )
        for line in one_each(lines, "candidate_id")
    ]


def _contest(code: str, lines: list[Line]) -> Element:
    kind, area = code.split(":")
    english, indonesian = _OFFICES["pkwkk in a city" if kind == "pkwkk" and is_city(area) else kind]
    whole = [line for line in lines if line["unit_code"] == area]
    place = next((line["unit_name"] for line in whole if line["unit_name"]), area)
    pairs = one_each(lines, "candidate_id")
    return typed(
        "CandidateContest",
        contest_id(code),
        Name=f"{english}, {place}",
        BallotTitle=texts(en=f"{english}, {place}", id=f"{indonesian} {place}"),
        ElectionDistrictId=unit_id(area),
        ExternalIdentifier=[identifier("other", code, "realcount's contest_code")],
        VotesAllowed=1,
        NumberElected=1,
        VoteVariation="majority" if code in _NEEDS_MAJORITY or _is_against_blank(pairs) else "plurality",
        SubUnitsReported=whole[0]["stations_reported"] if whole else None,
        TotalSubUnits=whole[0]["stations_total"] if whole else None,
        CountStatus=statuses({(line["stations_reported"], line["stations_total"]) for line in whole}, lines),
        ContestSelection=[_selection(code, pair, lines) for pair in pairs],
    )


def _selection(contest: str, pair: Line, lines: list[Line]) -> Element:
    """A pair with its votes in every unit; votes that were not given are left out, which is not 0."""
    candidate = candidate_id(contest, pair["candidate_id"])
    return typed(
        "CandidateSelection",
        f"selection-{candidate.removeprefix('candidate-')}",
        CandidateIds=[candidate],
        SequenceOrder=pair["ballot_number"],
        VoteCounts=[
            typed("VoteCounts", Type="total", GpUnitId=unit_id(line["unit_code"]), Count=line["votes"])
            for line in lines
            if line["candidate_id"] == pair["candidate_id"] and line["votes"] is not None
        ],
    )


def _ballot_counts(lines: list[Line]) -> list[Element]:
    """Valid and invalid votes together, from the stations' forms. A voter gets a ballot for each type of contest, and
    the standard does not say for which one a count is: so only for one type."""
    if len({line["contest_type"] for line in lines}) > 1:
        return []
    return [
        typed("BallotCounts", Type="total", GpUnitId=unit_id(line["unit_code"]), BallotsCast=line["ballots"])
        for line in one_each(lines, "unit_code")
        if line["ballots"] is not None
    ]


def _units(connection: duckdb.DuckDBPyConnection, lines: list[Line]) -> list[Element]:
    """Every unit that is counted or referred to, and the regions above it, from the country down."""
    told = defaultdict(list)
    for line in lines:
        told[line["unit_code"]].append(line)
    areas = {line["contest_code"].split(":")[1] for line in lines}
    codes = {above for code in told.keys() | areas for above in lineage(code)}
    children = defaultdict(list)
    for code in sorted(codes - {NATIONAL}):
        children[lineage(code)[-2]].append(code)
    names = dict(queries.ask(connection, "nist_names", codes=sorted(codes)).rows)
    return [
        _unit(code, names.get(code), children[code], told[code], is_area=code in areas)
        for code in sorted(codes, key=lambda code: (code != NATIONAL, len(code), code))
    ]


def _unit(code: str, name: str | None, children: list[str], lines: list[Line], *, is_area: bool) -> Element:
    level = LEVELS[0 if code == NATIONAL else len(code)]
    kind = "city" if level == "regency" and is_city(code) else _UNIT_TYPES.get(level, "other")
    progress = {(line["stations_reported"], line["stations_total"]) for line in lines}
    reported, total = (
        progress.pop() if len(progress) == 1 else (None, None)
    )  # contests there may be at different points
    form = lines[0] if lines else {}
    return typed(
        "ReportingUnit",
        unit_id(code),
        Type=kind,
        OtherType="kecamatan" if kind == "other" else None,
        Name=texts(id=name) if name else None,
        ExternalIdentifier=[identifier("national-level", code, "Kemendagri's code, as KPU writes it")],
        IsDistricted=is_area or None,
        ComposingGpUnitIds=[unit_id(child) for child in children],
        SubUnitsReported=reported,
        TotalSubUnits=total,
        CountStatus=statuses({(reported, total)} if total is not None else set(), ()),
        VotersRegistered=form.get("registered_voters"),
        VotersParticipated=form.get("voters"),
    )


def _notes(choice: Choice, sequence: Line, withdrawn: list[datetime]) -> str:
    notes = [
        *(["SIMULATED: made by the simulator, no record of a count."] if sequence["is_simulated"] else []),
        f"As of {moment(choice.at)} on KPU's clock." if choice.at else "The latest that is known.",
        f"KPU's newest time in it is {moment(sequence['reported_at'])}." if sequence["reported_at"] else "",
        f"Series: {choice.stage}.",
        *(
            [f"KPU withdrew votes from {moment(min(withdrawn))}; given are the last it published before."]
            if withdrawn
            else []
        ),
    ]
    return " ".join(filter(None, notes))


def _is_complete(lines: list[Line]) -> bool:
    """Whether every contest's whole area is there and has all its stations."""
    whole = {
        line["contest_code"]: line["stations_total"] and line["stations_reported"] == line["stations_total"]
        for line in lines
        if line["contest_code"].endswith(f":{line['unit_code']}")
    }
    return whole.keys() == {line["contest_code"] for line in lines} and all(whole.values())


def _is_against_blank(pairs: list[Line]) -> bool:
    """A single pair against the blank column needs more than half of the votes."""
    return any((pair["candidate_name"] or "").startswith("KOLOM KOSONG") for pair in pairs)
