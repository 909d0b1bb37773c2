"""The simulators' documents in KPU's shapes, key for key and in its order."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from extract.endpoints import LEVELS, WIB

Body = dict[str, Any]


def figures(total: int, reported: int, votes: Mapping[str, int]) -> Body:
    """A unit's figures in chart or table: no votes before its first station reports, `persen` rounded half up."""
    persen = (20_000 * reported + total) // (2 * total) / 100
    return {**(votes if reported else {}), "progres": {"total": total, "persen": persen, "progres": reported}}


def region(chart: Body, rows: Mapping[str, Body], since: datetime) -> Body:
    """A region's count document: its own figures, those of its children, and when the file was made."""
    progress = chart["progres"]
    return {
        "mode": "hhcw",
        "tungsura": {
            "chart": chart,
            "table": {
                unit: {"psu": "Reguler", **row, "status_progress": row["progres"]["progres"] > 0}
                for unit, row in rows.items()
            },
        },
        "psu": "Reguler",
        "progres": {key: progress[key] for key in ("total", "progres")},
        "ts": _ts(since),
    }


def station(code: str, votes: Mapping[str, int] | None, form: Mapping[str, int] | None, since: datetime) -> Body:
    """A station's document: votes, form and images on an invented host, or nothing of all that before it reports."""
    is_reported = votes is not None
    return {
        "mode": "hhcw",
        "tungsura": {"chart": {"null": None, **votes} if votes is not None else None, "administrasi": form},
        "psu": None,
        "status_suara": is_reported,
        "status_adm": is_reported,
        "images": [f"https://simulated.invalid/{code}-{page}.jpg" if is_reported else None for page in (1, 2, 3)],
        "ts": _ts(since),
    }


def listed(children: Iterable[tuple[str, str, int]]) -> list[Body]:
    """A region list from names, codes and numbers, sorted by name as KPU does it; `tingkat` counts the levels."""
    return [
        {"nama": name, "id": number, "kode": code, "tingkat": list(LEVELS).index(len(code))}
        for name, code, number in sorted(children)
    ]


def _ts(moment: datetime) -> str:
    return moment.astimezone(WIB).strftime("%Y-%m-%d %H:%M:%S")
