"""What KPU answers in the tests of the database: small bodies of made-up figures, at moments of one day."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from kpu_bodies import november

from extract.capture import Capture, capture
from extract.endpoints import ContestType, Endpoint

WIB = timezone(timedelta(hours=7), "WIB")
A, B, C = "1000001", "1000002", "1000003"
"""Ids of pairs. Their ballot numbers are another order: see `PAIRS`."""

PAIRS = {
    "31": {
        A: {"nama": "ANI - BUDI", "nomor_urut": 2, "warna": "#C7B7A3", "ts": "2024-11-21 21:55:15"},
        B: {"nama": "KOLOM KOSONG - ", "nomor_urut": 1, "warna": "#8CB9BD", "ts": "2024-11-21 21:55:15"},
    }
}
"""The pairs of Jakarta: a blank column has ballot number 1."""

Answer = tuple[Endpoint, Any]
"""A question, and the body that answers it."""


def wib(time: str) -> datetime:
    """This time on 28 November 2024 in Jakarta."""
    return datetime.fromisoformat(f"2024-11-28T{time}").replace(tzinfo=WIB)


def figures(votes: dict[str, int], reported: int | None = None, total: int = 10) -> dict[str, Any]:
    """A chart or a row: votes of the pairs given, stations reported of all."""
    reported = (5 if votes else 0) if reported is None else reported
    return {**votes, "progres": {"total": total, "persen": 100 * reported / total, "progres": reported}}


def count(
    region: str,
    ts: str,
    chart: dict[str, Any],
    rows: dict[str, Any] | None = None,
    *,
    contest_type: ContestType = "pkwkp",
    document: Any = "hhcw",
) -> Answer:
    """A region's count document of this time, with rows of its children."""
    body = {
        "mode": document,
        "tungsura": {"chart": chart, "table": {} if rows is None else rows},
        "psu": "Reguler",
        "progres": chart.get("progres"),
        "ts": f"2024-11-28 {ts}",
    }
    return november(region, document, contest_type), body


def pairs(content: dict[str, Any] = PAIRS, contest_type: ContestType = "pkwkp") -> Answer:
    """The pairs file."""
    return november("0", "paslon", contest_type), content


def listed(region: str, names: dict[str, str]) -> Answer:
    """The list of a region's children."""
    return november(region, "wilayah"), [
        {"nama": name, "id": int(code), "kode": code, "tingkat": 2} for code, name in names.items()
    ]


def taken(answer: Answer, observed_at: datetime, *, status: int = 200) -> Capture:
    """An answer as a capture; text is sent as it is."""
    endpoint, body = answer
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return capture(endpoint.url(), sent, observed_at, "test", status=status)
