"""Small bodies in the shapes of KPU's documents, written by hand, and how the tests have them read."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from extract.capture import Capture, capture
from extract.endpoints import ContestType, DocumentKind, Endpoint
from transform.model import Document, Quarantine, Tally
from transform.normalise import read

Body = dict[str, Any]

OBSERVED_AT = datetime(2024, 11, 27, 19, 23, 11, tzinfo=UTC)
STATION = "3101011001001"

_PROVINCE: Body = {
    "mode": "hhcw",
    "tungsura": {
        "chart": {
            "1000023": 152235,
            "1000024": 44865,
            "1000025": 220372,
            "progres": {"total": 1583, "persen": 97.41, "progres": 1542},
        },
        "table": {
            "3171": {
                "psu": "Reguler",
                "1000023": 152235,
                "1000024": 44865,
                "1000025": 220372,
                "progres": {"total": 1542, "persen": 100, "progres": 1542},
                "status_progress": True,
            },
            "3101": {
                "psu": "Reguler",
                "progres": {"total": 41, "persen": 0.0, "progres": 0},
                "status_progress": False,
            },
        },
    },
    "psu": "Reguler",
    "progres": {"total": 1583, "progres": 1542},
    "ts": "2024-11-28 02:15:00",
}

_REGENTS: Body = {
    "mode": "hhcw",
    "tungsura": {
        "chart": {"progres": {"total": 18900, "persen": 52.37, "progres": 9898}},
        "table": {
            "3201": {
                "psu": "Reguler",
                "1000580": 611,
                "1000581": 702,
                "progres": {"total": 7100, "persen": 0.11, "progres": 8},
                "status_progress": True,
            },
            "3279": {
                "psu": "Reguler",
                "1000640": 55,
                "progres": {"total": 300, "persen": 1, "progres": 3},
                "status_progress": True,
            },
        },
    },
    "psu": "Reguler",
    "progres": {"total": 18900, "progres": 9898},
    "ts": "2024-11-27 23:45:03",
}

ADMINISTRASI = {
    "suara_sah": 465,
    "suara_tidak_sah": 11,
    "suara_total": 476,
    "pemilih_dpt_j": 580,
    "pemilih_dpt_l": 281,
    "pemilih_dpt_p": 299,
    "pengguna_dpt_j": 470,
    "pengguna_dpt_l": 221,
    "pengguna_dpt_p": 249,
    "pengguna_dptb_j": 4,
    "pengguna_dptb_l": 3,
    "pengguna_dptb_p": 1,
    "pengguna_non_dpt_j": 2,
    "pengguna_non_dpt_l": 0,
    "pengguna_non_dpt_p": 5,
    "pengguna_total_j": 477,
    "pengguna_total_l": 224,
    "pengguna_total_p": 253,
}
"""Eighteen different figures, so that none can stand in for another (and wrong on purpose: 2 is not 0 + 5)."""

_STATION: Body = {
    "mode": "hhcw",
    "tungsura": {
        "chart": {"null": None, "1000023": 190, "1000024": 45, "1000025": 230},
        "administrasi": ADMINISTRASI,
    },
    "psu": "Penghitungan Suara Ulang",
    "status_suara": True,
    "status_adm": True,
    "images": [f"https://scans.invalid/pilkada/31/01/{STATION}-20241127-1.jpg", None, "https://scans.invalid/3.jpg"],
    "ts": "2024-11-27 19:30:02",
}

_FEBRUARY: Body = {
    "ts": "2024-02-22 17:00:16",
    "psu": "Reguler",
    "mode": "hhcw",
    "chart": {"100025": 2883, "100026": 458, "100027": 46, "persen": 78.11},
    "table": {
        "1101012001": {
            "psu": "Reguler",
            "100025": 555,
            "100026": 94,
            "100027": 15,
            "persen": 100,
            "status_progress": True,
        },
        "1101012002": {"psu": None, "persen": 0, "status_progress": False},
    },
    "progres": {"total": 15, "progres": 12},
}

_FEBRUARY_STATION: Body = {  # without `mode`, as three quarters of February's station files are
    "chart": {"null": None, "100025": 14, "100026": 27, "100027": 5},
    "images": [None, None, "https://scans.invalid/1101012001001-20240215-061044.jpg"],
    "administrasi": None,
    "psu": None,
    "ts": "2024-02-15 07:00:44",
    "status_suara": True,
    "status_adm": False,
}

PAIRS: dict[str, Body] = {
    "31": {
        "1000025": {
            "ts": "2024-11-21 21:55:15",
            "nama": "Dr. Ir. PRAMONO ANUNG WIBOWO, M.M. - H. RANO KARNO, S.I.P.",
            "warna": "#C7B7A3",
            "nomor_urut": 3,
        },
        "1000023": {
            "ts": "2024-11-21 21:55:15",
            "nama": "H. MOCHAMAD RIDWAN KAMIL, S.T., M.U.D. - H. SUSWONO",
            "warna": "#B67352",
            "nomor_urut": 1,
        },
    },
    "92": {
        "1000099": {"ts": "2024-11-21 21:55:15", "nama": "KOLOM KOSONG - ", "warna": "#8CB9BD", "nomor_urut": 1},
        "1000098": {"ts": "2024-11-21 21:55:15", "nama": "DOMINGGUS - LAKOTANI", "warna": "#B67352", "nomor_urut": 2},
    },
}

REGIONS: list[Body] = [
    {"nama": "ADM. KEP. SERIBU.", "id": 191001, "kode": "3101", "tingkat": 2},
    {"nama": " JAKARTA\u00a0PUSAT\u00a0", "id": 191002, "kode": "3171", "tingkat": 2},
    {"nama": "PULAU \u2019D\u2018 \u201cSEBUTAN\u201d'", "id": 191003, "kode": "3175", "tingkat": 2},
]


def province() -> Body:
    """Jakarta's governor: one regency complete, one not begun."""
    return deepcopy(_PROVINCE)


def regents() -> Body:
    """A province's file of its regents' contests: candidates in the rows only."""
    return deepcopy(_REGENTS)


def station() -> Body:
    """A station of November, complete."""
    return deepcopy(_STATION)


def february() -> Body:
    """A district of February, flat."""
    return deepcopy(_FEBRUARY)


def february_station() -> Body:
    """A station of February, flat, without the figures of its form."""
    return deepcopy(_FEBRUARY_STATION)


def november(region: str, document: DocumentKind = "hhcw", contest_type: ContestType = "pkwkp") -> Endpoint:
    """A question about the regional elections of 27 November 2024."""
    return Endpoint("pilkada-2024", document, contest_type, region)


def presidential(region: str, document: DocumentKind = "hhcw") -> Endpoint:
    """A question about the presidential election of 14 February 2024."""
    return Endpoint("pemilu-2024", document, "ppwp", region)


def captured(
    endpoint: Endpoint,
    body: Any,
    *,
    status: int = 200,
    mimetype: str = "application/json",
    truncated: str | None = None,
) -> Capture:
    """This body as the answer to this question; anything but bytes is sent as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return capture(endpoint.url(), sent, OBSERVED_AT, "test", status=status, mimetype=mimetype, truncated=truncated)


def understood(endpoint: Endpoint, body: Any) -> Document:
    """What the body says; it must say something."""
    said = read(captured(endpoint, body))
    assert isinstance(said, Document), said
    return said


def refused(endpoint: Endpoint, body: Any, **answer: Any) -> Quarantine:
    """Why the body says nothing; it must be refused."""
    said = read(captured(endpoint, body, **answer))
    assert isinstance(said, Quarantine), said
    return said


def own(endpoint: Endpoint, body: Any) -> Tally:
    """What a document says about its own region."""
    tally, *_ = understood(endpoint, body).tallies
    assert (tally.unit_code, tally.witness) == (endpoint.region, "self")
    return tally


EVERY_SHAPE: list[tuple[Endpoint, Any]] = [
    (november("31"), province()),
    (november("32", contest_type="pkwkk"), regents()),
    (november(STATION), station()),
    (presidential("110101"), february()),
    (presidential("1101012001001"), february_station()),
    (november("31", "hr"), {"mode": "hr", "tungsura": {"chart": {"1000023": 6578}, "table": {"3101": {"1000023": 5}}}}),
    (presidential("1101", "hr"), {"mode": "hr", "chart": None, "table": None, "url_formd": ["d.pdf"]}),
    (november("0", "paslon"), PAIRS),
    (presidential("0", "paslon"), {"100025": {"nama": "H. ANIES - H. MUHAIMIN", "nomor_urut": 1}}),
    (november("31", "wilayah"), REGIONS),
]
"""A question and an answer for every shape that KPU's documents have."""
