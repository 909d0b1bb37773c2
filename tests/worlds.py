"""Worlds for property tests: few documents, few moments, few figures, so that everything meets everything.

Nothing here may import DuckDB: Hypothesis keeps what its strategies call until the end of the process, and DuckDB 2.0
then complains of leaks.
"""

from typing import Any

from answers import A, B, C, figures, listed, pairs, taken, wib
from hypothesis import strategies as st
from kpu_bodies import ADMINISTRASI, november

from extract.capture import Capture
from extract.endpoints import Endpoint

OBSERVED = [wib(time) for time in ("02:00:00", "02:20:00", "02:40:00.5", "03:00:00")]
REPORTED = [f"2024-11-28 {time}" for time in ("01:45:01", "02:00:03", "02:15:02")]
STATION = "3171011001001"

votes = st.sampled_from([{}, {A: 0, B: 0}, {A: 1, B: 0}, {A: 0, B: 1}, {A: 2, B: 2, C: 1}, {C: 3}])
progress = st.sampled_from([0, 3, 4])
rows = st.builds(
    lambda given, reported, flag, psu: {**figures(given, reported), "status_progress": flag, "psu": psu},
    votes,
    progress,
    st.booleans(),
    st.sampled_from(["Reguler", None]),
)
charts = st.builds(figures, votes, progress)
times = st.sampled_from(REPORTED)


def tables(*units: str) -> st.SearchStrategy[Any]:
    """Rows of some of these units, or of none."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(units, rows))


def regions(endpoint: Endpoint, *units: str) -> st.SearchStrategy[tuple[Endpoint, Any]]:
    """A region's count document."""
    nested = st.fixed_dictionaries({"chart": charts, "table": tables(*units)})
    body = {"mode": st.just(endpoint.document), "tungsura": nested, "ts": times}
    if endpoint.document == "hr":  # no recapitulation was ever kept: it may lack its time, its mode, its chart
        nested = st.fixed_dictionaries({}, optional={"chart": charts, "table": tables(*units)})
        return st.tuples(st.just(endpoint), st.fixed_dictionaries({}, optional={"tungsura": nested, "ts": times}))
    return st.tuples(st.just(endpoint), st.fixed_dictionaries(body))


stations = st.tuples(
    st.just(november(STATION)),
    st.fixed_dictionaries(
        {
            "tungsura": st.fixed_dictionaries(
                {
                    "chart": st.none() | votes.map(lambda given: {"null": None, **given}),
                    "administrasi": st.sampled_from([None, {}, ADMINISTRASI, {**ADMINISTRASI, "suara_sah": None}]),
                }
            ),
            "images": st.sampled_from([None, [], [None, "https://scans.invalid/1.jpg"]]),
            "status_suara": st.sampled_from([None, True]),
            "ts": times,
        }
    ),
)
lists = st.dictionaries(
    st.sampled_from(["3101", "3171"]), st.sampled_from(["KEPULAUAN SERIBU", "ADM.\u00a0KEP. “SERIBU”."])
).map(lambda names: listed("31", names))
pair = st.fixed_dictionaries(
    {"nama": st.sampled_from(["ANI - BUDI", "KOLOM KOSONG - "]), "nomor_urut": st.sampled_from([None, 1, 2])}
)
pairs_files = st.dictionaries(
    st.sampled_from(["31", "32"]), st.dictionaries(st.sampled_from([A, B]), pair, max_size=2)
).map(pairs)
bad_bodies = st.sampled_from(
    [
        (november("31"), "<html>Service Unavailable</html>"),
        (november("31"), {"mode": "hr", "tungsura": {"chart": {}}, "ts": REPORTED[1]}),
        (november("3171"), {"mode": "hhcw", "tungsura": {"chart": {A: -1}}, "ts": REPORTED[2]}),
        (november("31", "wilayah"), [{"nama": "BANDUNG", "kode": "3273"}]),
        (november("0", "paslon"), {"31": []}),
    ]
)
answers = st.one_of(
    regions(november("31"), "3101", "3171"),
    regions(november("31"), "3101", "3171"),
    regions(november("3171"), "317101", "317102"),
    regions(november("32", contest_type="pkwkk"), "3201", "3279"),
    regions(november("31", "hr"), "3171"),
    stations,
    lists,
    pairs_files,
    bad_bodies,
)
captures = st.builds(
    lambda answer, observed_at, status: taken(answer, observed_at, status=status),
    answers,
    st.sampled_from(OBSERVED),
    st.sampled_from([200] * 6 + [304, 503]),
)
worlds = st.lists(captures, min_size=2, max_size=9, unique_by=lambda one: one.key)


@st.composite
def retellings(draw: st.DrawFn) -> tuple[list[Capture], list[list[Capture]]]:
    """A world, and the same in any order, in up to four runs, some captures more than once."""
    world = draw(worlds)
    told = draw(st.permutations(world)) + draw(st.lists(st.sampled_from(world), max_size=3))
    ends = sorted(draw(st.lists(st.integers(0, len(told)), max_size=3)))
    return world, [told[start:end] for start, end in zip([0, *ends], [*ends, len(told)], strict=True)]
