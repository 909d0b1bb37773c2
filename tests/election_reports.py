"""The rules of NIST SP 1500-100 version 2 for the parts of a report that realcount writes, as its JSON schema has them.

Written down from the standard: for every class the fields it must and may have, and what may stand in them. A text is
a list of values, a class's name, a kind of value, or a reference; [] around it says that there may be several.
"""

import re
from datetime import date, datetime
from typing import Any

Element = dict[str, Any]

_CLASSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # what must be there, what may be there
    "ElectionReport": (
        {
            "Format": "precinct-level summary-contest",
            "GeneratedDate": datetime,
            "Issuer": str,
            "IssuerAbbreviation": str,
            "SequenceStart": int,
            "SequenceEnd": int,
            "Status": "certified correction pre-election recount unofficial-complete unofficial-partial",
            "VendorApplicationId": str,
        },
        {"IsTest": bool, "TestType": str, "Notes": str, "Election": ["Election"], "GpUnit": ["ReportingUnit"]},
    ),
    "Election": (
        {
            "Name": "InternationalizedText",
            "Type": "general other partisan-primary-closed partisan-primary-open primary runoff special",
            "StartDate": date,
            "EndDate": date,
            "ElectionScopeId": "-> ReportingUnit",
        },
        {
            "Candidate": ["Candidate"],
            "Contest": ["CandidateContest"],
            "BallotCounts": ["BallotCounts"],
            "ExternalIdentifier": ["ExternalIdentifier"],
        },
    ),
    "Candidate": (
        {"@id": str, "BallotName": "InternationalizedText"},
        {"ExternalIdentifier": ["ExternalIdentifier"]},
    ),
    "CandidateContest": (
        {"@id": str, "ElectionDistrictId": "-> ReportingUnit", "Name": str, "VotesAllowed": int},
        {
            "BallotTitle": "InternationalizedText",
            "ContestSelection": ["CandidateSelection"],
            "CountStatus": ["CountStatus"],
            "ExternalIdentifier": ["ExternalIdentifier"],
            "NumberElected": int,
            "SubUnitsReported": int,
            "TotalSubUnits": int,
            "VoteVariation": "approval borda cumulative majority n-of-m other plurality proportional range rcv "
            "super-majority",
        },
    ),
    "CandidateSelection": (
        {"@id": str},
        {"CandidateIds": ["-> Candidate"], "SequenceOrder": int, "VoteCounts": ["VoteCounts"]},
    ),
    "VoteCounts": ({"Count": int, "GpUnitId": "-> ReportingUnit", "Type": "total"}, {}),
    "BallotCounts": ({"GpUnitId": "-> ReportingUnit", "Type": "total"}, {"BallotsCast": int}),
    "ReportingUnit": (
        {
            "@id": str,
            "Type": "ballot-batch ballot-style-area borough city city-council combined-precinct congressional country "
            "county county-council drop-box judicial municipality other polling-place precinct school special "
            "split-precinct state state-house state-senate town township utility village vote-center ward water",
        },
        {
            "ComposingGpUnitIds": ["-> ReportingUnit"],
            "CountStatus": ["CountStatus"],
            "ExternalIdentifier": ["ExternalIdentifier"],
            "IsDistricted": bool,
            "Name": "InternationalizedText",
            "OtherType": str,
            "SubUnitsReported": int,
            "TotalSubUnits": int,
            "VotersParticipated": int,
            "VotersRegistered": int,
        },
    ),
    "CountStatus": (
        {
            "Status": "completed in-process not-processed unknown",
            "Type": "absentee absentee-fwab absentee-in-person absentee-mail early election-day other provisional "
            "seats total uocava write-in",
        },
        {"OtherType": str},
    ),
    "ExternalIdentifier": (
        {"Type": "fips local-level national-level ocd-id other state-level", "Value": str},
        {"Label": str, "OtherType": str},
    ),
    "InternationalizedText": ({"Text": ["LanguageString"]}, {}),
    "LanguageString": ({"Content": str, "Language": "en id"}, {}),
}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")  # with an offset, without fractions


def breaches(report: Element) -> list[str]:
    """Every rule that a report breaks, with its place; none if it is valid."""
    found: list[str] = []
    ids: dict[str, str] = {}
    references: list[tuple[str, str, str]] = []
    _check(report, "ElectionReport", "$", found, ids, references)
    found += [
        f"{place}: {value!r} is no {kind} of this report" for place, value, kind in references if ids.get(value) != kind
    ]
    return found


def _check(
    element: Any, kind: str, place: str, found: list[str], ids: dict[str, str], references: list[tuple[str, str, str]]
) -> None:
    if not isinstance(element, dict) or element.get("@type") != f"ElectionResults.{kind}":
        found.append(f"{place}: is no {kind}")
        return
    required, optional = _CLASSES[kind]
    allowed = required | optional
    found += [f"{place}: lacks {name}" for name in required.keys() - element.keys()]
    found += [f"{place}: has {name}" for name in element.keys() - allowed.keys() - {"@type"}]
    if element.get("Type") == "other" and "OtherType" not in element:
        found.append(f"{place}: is of another type and does not say which")
    if identity := element.get("@id"):
        if identity in ids:
            found.append(f"{place}: another element has the id {identity!r}")
        ids[identity] = kind
    for name in allowed.keys() & element.keys():
        rule, value = allowed[name], element[name]
        if isinstance(rule, list) != isinstance(value, list) or value == []:
            found.append(f"{place}.{name}: one or several, and never an empty list")
            continue
        (rule,), parts = (rule, value) if isinstance(rule, list) else ([rule], [value])
        for number, part in enumerate(parts):
            _check_value(part, rule, f"{place}.{name}[{number}]", found, ids, references)


def _check_value(
    value: Any, rule: Any, place: str, found: list[str], ids: dict[str, str], references: list[tuple[str, str, str]]
) -> None:
    if rule is datetime:
        is_fit = isinstance(value, str) and _MOMENT.fullmatch(value) is not None
    elif rule is date:
        is_fit = isinstance(value, str) and str(date.fromisoformat(value)) == value
    elif isinstance(rule, type):
        is_fit = type(value) is rule
    elif rule in _CLASSES:
        _check(value, rule, place, found, ids, references)
        return
    elif rule.startswith("-> "):
        is_fit = isinstance(value, str)
        references.append((place, value, rule.removeprefix("-> ")))
    else:
        is_fit = value in rule.split()
    if not is_fit:
        found.append(f"{place}: {value!r} is not {rule}")
