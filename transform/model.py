"""What a captured document says, in the election standard's words (NIST SP 1500-100, AP).

A `Document` is the meaning of one body. Absent figures are None: not given, which is not 0.
Field names are the warehouse's column names.
"""

from datetime import datetime
from typing import Literal

import msgspec

from extract.endpoints import NATIONAL, ContestType, Endpoint, Level

Witness = Literal["self", "parent", "page"]
"""Which document says so: the unit's own, a row in its parent's table, a rendered page."""

Reason = Literal[
    "http_status",  # the source answered with something other than 200 or 304
    "truncated",  # the body broke off, or was cut for its size
    "not_json",
    "wrong_mode",  # another document kind than the one asked for; KPU's own front end rejects these too
    "wrong_shape",
    "wrong_region",  # another region's document
    "absurd_value",  # a negative count, or more votes than Indonesia has voters
    "empty_shell",  # the page before its script ran: no figures in it
    "unknown_page",  # a page without a region or a version we can read
]


class ReportingUnit(msgspec.Struct, frozen=True):
    """A region or station, as listed under its parent. `kpu_id` is KPU's internal number."""

    unit_code: str
    level: Level
    unit_name: str
    kpu_id: int | None


class Candidate(msgspec.Struct, frozen=True):
    """A pair of candidates. A rendered page knows pairs by ballot number only: id `ballot-1`."""

    contest_code: str
    candidate_id: str
    ballot_number: int | None
    candidate_name: str
    color: str | None = None
    updated_at: datetime | None = None


class StationForm(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a station's form says beside the votes: voters by list and sex, scans, KPU's two status flags.

    `dpt` are the registered voters, `dptb` those who moved in, `non_dpt` those with only an identity card.
    """

    registered_male: int | None = None
    registered_female: int | None = None
    voters: int | None = None
    voters_male: int | None = None
    voters_female: int | None = None
    voters_dpt: int | None = None
    voters_dpt_male: int | None = None
    voters_dpt_female: int | None = None
    voters_dptb: int | None = None
    voters_dptb_male: int | None = None
    voters_dptb_female: int | None = None
    voters_non_dpt: int | None = None
    voters_non_dpt_male: int | None = None
    voters_non_dpt_female: int | None = None
    images: tuple[str | None, ...] | None = None
    is_votes_complete: bool | None = None
    is_form_complete: bool | None = None


class Tally(msgspec.Struct, frozen=True, omit_defaults=True):
    """Contest and unit as one witness tells it: progress in stations, ballots, and votes by candidate id.

    `reported_pct` is KPU's own `persen`, rounded half up to two places. `votes` lacks candidates not given.
    """

    contest_code: str
    unit_code: str
    witness: Witness
    votes: dict[str, int] = {}
    stations_reported: int | None = None
    stations_total: int | None = None
    reported_pct: float | None = None
    is_reported: bool | None = None
    valid_votes: int | None = None
    invalid_votes: int | None = None
    ballots: int | None = None
    registered_voters: int | None = None
    revote_status: str | None = None
    form: StationForm | None = None


class Document(msgspec.Struct, frozen=True):
    """The meaning of one body: which question it answers, KPU's own time for it, and what it states.

    `reported_at` is None where KPU gives no time (region lists, pairs). `unknown_keys` are those that nobody reads.
    """

    endpoint: Endpoint
    reported_at: datetime | None = None
    units: tuple[ReportingUnit, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    tallies: tuple[Tally, ...] = ()
    unknown_keys: tuple[str, ...] = ()


class Quarantine(msgspec.Struct, frozen=True):
    """A body that is not what was asked for: why, where in it (a JSON path such as `$.tungsura`), and what."""

    reason: Reason
    place: str
    detail: str


def contest_of(contest_type: ContestType, unit_code: str) -> str:
    """The contest a unit's votes belong to: `pkwkp:31`, `pkwkk:3201`, `ppwp:0`.

    Above a contest's own area (`pkwkk:32`, `pkwkp:0`) the code names the contests there taken together:
    KPU gives progress for them, and no candidates.
    """
    area = {"pkwkp": 2, "pkwkk": 4, "ppwp": 0}[contest_type]
    return f"{contest_type}:{unit_code[:area] or NATIONAL}"
