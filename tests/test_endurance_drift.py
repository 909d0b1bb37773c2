"""KPU changes its documents in the middle of the night: what is new is told, what is missing is quarantined, and the
count goes on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from answers import A, B, count, figures, listed, pairs
from crawls import Change, Country, InProcess, Steps, crawl, place
from histories import History
from kpu_bodies import REGIONS, Body, november, province, refused, station, understood
from kpu_bodies import STATION as A_STATION

from extract.endpoints import Endpoint
from flows import views
from flows.plan import Scope
from warehouse import queries
from warehouse.connection import reading, writing
from warehouse.migrate import migrate

JAKARTA = november("31")


def renamed(body: Any, old: str, new: str) -> Any:
    """The body with a key under another name, wherever it stands."""
    return json.loads(json.dumps(body).replace(f'"{old}":', f'"{new}":'))


# One body


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("chart", "$.tungsura"),
        ("table", "$.tungsura"),
        ("tungsura", "$"),
        ("ts", "$.ts"),
        ("1000023", None),
    ],
)
def test_a_key_without_which_a_count_cannot_be_read_is_missed(key: str, place: str | None) -> None:
    body = renamed(province(), key, "baru")
    if place:
        said = refused(JAKARTA, body)
        assert (said.reason, said.place) == ("wrong_shape", place)
    else:
        assert understood(JAKARTA, body).unknown_keys == ("$.tungsura.chart.baru", "$.tungsura.table.*.baru")


@pytest.mark.parametrize("cell", [{A: 1}, 5, [1]], ids=["nested", "renamed", "listed"])
def test_votes_that_moved_to_a_key_nobody_knows_are_no_withdrawal(cell: Any) -> None:
    """A chart without any pair's votes would mean that KPU had withdrawn them."""
    chart = {"suara": cell, "progres": {"total": 10, "persen": 50, "progres": 5}}
    said = refused(JAKARTA, {"mode": "hhcw", "tungsura": {"chart": chart, "table": {}}, "ts": "2024-11-28 02:15:00"})
    assert (said.reason, said.place) == ("wrong_shape", "$.tungsura.chart.suara")
    body = station()
    body["tungsura"]["chart"] = {"null": None, "suara": cell}
    assert refused(november(A_STATION), body).place == "$.tungsura.chart.suara"
    row = province()
    row["tungsura"]["table"]["3171"] = chart
    assert refused(JAKARTA, row).place == "$.tungsura.table.3171.suara"


def test_a_new_key_beside_no_votes_is_told_where_there_never_were_any() -> None:
    chart = {"kontes": 27, "progres": {"total": 18900, "persen": 52.37, "progres": 9898}}
    body = {"mode": "hhcw", "tungsura": {"chart": chart, "table": {}}, "ts": "2024-11-28 02:15:00"}
    assert understood(november("32", contest_type="pkwkk"), body).unknown_keys == ("$.tungsura.chart.kontes",)


def test_new_keys_are_told_at_every_place_a_document_has() -> None:
    body = province()
    body["versi"] = body["progres"]["baru"] = body["tungsura"]["meta"] = 1
    body["tungsura"]["chart"]["progres"]["sisa"] = body["tungsura"]["table"]["3101"]["catatan"] = "x"
    assert understood(JAKARTA, body).unknown_keys == (
        "$.progres.baru", "$.tungsura.chart.progres.sisa", "$.tungsura.meta", "$.tungsura.table.*.catatan", "$.versi",
    )  # fmt: skip
    form = station()
    form["tungsura"]["administrasi"]["suara_ragu"] = 3
    assert understood(november(A_STATION), form).unknown_keys == ("$.tungsura.administrasi.suara_ragu",)
    assert understood(november("31", "wilayah"), [{**row, "luas": 1} for row in REGIONS]).unknown_keys == ("$[*].luas",)
    pair = {"31": {A: {"nama": "ANI - BUDI", "nomor_urut": 1, "partai": []}}}
    assert understood(november("0", "paslon"), pair).unknown_keys == ("$.*.*.partai",)


def test_the_captured_documents_have_no_key_that_is_not_known() -> None:
    for endpoint, body in (
        (JAKARTA, province()),
        (november(A_STATION), station()),
        (november("31", "wilayah"), REGIONS),
    ):
        assert understood(endpoint, body).unknown_keys == ()


# A night


VILLAGES = ["3171011001", "3171011002", "3171021001", "3101011001"]
CHANGES = [
    Change(step, village, (step + 1, 10 * step + n, 5 * step))
    for step in range(4)
    for n, village in enumerate(VILLAGES)
]
SCOPE = Scope(roots=("31",), depth="district", reask_share=0)

Drift = Callable[[Body], Any]


def strings(body: Body) -> Body:
    """Every number as text."""
    return json.loads(json.dumps(body), parse_int=str, parse_float=str)  # type: ignore[no-any-return]


def without_a_level(body: Body) -> Body:
    """Rows of the level after the next."""
    table = body["tungsura"]["table"]
    return {**body, "tungsura": {**body["tungsura"], "table": {f"{code}01": row for code, row in table.items()}}}


DRIFTS: dict[str, tuple[Drift, bool]] = {
    "a key added": (lambda body: {**body, "versi": 2}, True),
    "a key added to every row": (
        lambda body: {**body, "tungsura": {**body["tungsura"], "table": {
            code: {**row, "urut": 1} for code, row in body["tungsura"]["table"].items()}}}, True),
    "the chart renamed": (lambda body: renamed(body, "chart", "grafik"), False),
    "the table renamed": (lambda body: renamed(body, "table", "tabel"), False),
    "the time gone": (lambda body: {key: cell for key, cell in body.items() if key != "ts"}, False),
    "the nesting gone": (lambda body: {**body, **body["tungsura"], "tungsura": None}, True),
    "another mode": (lambda body: {**body, "mode": "hhcw2"}, False),
    "numbers as text": (strings, False),
    "a level missing": (without_a_level, False),
    "pairs under other names": (lambda body: renamed(renamed(body, "1000023", "p1"), "1000024", "p2"), False),
}  # fmt: skip
"""What changes from the third look on, and whether the documents can still be read."""


@pytest.mark.parametrize("name", DRIFTS)
def test_a_drift_in_one_regency_s_documents_costs_no_vote_and_stops_nothing_else(tmp_path: Path, name: str) -> None:
    """The regency 3171 and all below it change their shape in the middle of the night, and back at its end."""
    drift, is_readable = DRIFTS[name]
    settings, clock, country, step = place(tmp_path), Steps(), Country(VILLAGES, CHANGES), 0
    has_drifted = False

    def answer(endpoint: Endpoint) -> tuple[int, bytes]:
        status, body = country.document(endpoint, step)
        if has_drifted and endpoint.document == "hhcw" and endpoint.region.startswith("3171"):
            return status, json.dumps(drift(json.loads(body))).encode()
        return status, body

    def votes() -> dict[str, tuple[int, ...]]:
        with reading(settings.published) as connection:
            sql = "SELECT unit_code, list(votes ORDER BY candidate_id), max(withdrawn_at) FROM results GROUP BY ALL"
            rows = list(queries.query(connection, sql).rows)
        assert not [row for row in rows if row[2]], "nobody withdrew anything"
        return {code: tuple(votes) for code, votes, _ in rows if code != "0" and any(votes)}

    def really(at: int) -> dict[str, tuple[int, ...]]:
        return {code: country.figures(code, at)[1:] for code in ("31", "3101", "310101", "3171", "317101", "317102")}

    source = InProcess(answer, clock)
    for step in (0, 1):  # noqa: B007 (it is `answer` that looks at it)
        crawl(settings, SCOPE, source, clock)
    before = votes()
    assert before.items() >= really(1).items()
    has_drifted = True
    for step in (2, 3):
        cycle = crawl(settings, SCOPE, source, clock)
        seen, told = votes(), really(step)
        assert seen["31"] == told["31"]
        assert seen["310101"] == told["310101"], "what did not change its shape goes on"
        assert seen["3171"] == told["3171"], "the parent still tells of it"
        assert seen["317101"] == (told if is_readable else before)["317101"]
        assert bool(cycle.counts.unfit) is not is_readable
        assert cycle.counts.unfit.keys() <= {"wrong_shape", "wrong_mode", "wrong_region"}
    has_drifted = False
    for _ in range(3):
        crawl(settings, SCOPE, source, clock)
    assert votes().items() >= really(3).items()


# Told


def test_the_operator_is_told_of_new_keys_in_status_and_by_sql(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, history = place(tmp_path), History(tmp_path)
    endpoint, body = count("31", "02:00:03", figures({A: 10, B: 5}))
    history.seen("02:10:00", (endpoint, {**body, "versi": 2, "\x1b[2J": 1}), listed("31", {"3101": "X"}), pairs())
    history.seen("02:20:00", (endpoint, {**body, "versi": 2}))
    with history.asking() as connection:
        assert views.status(connection, settings, "table") == 0
        told = queries.ask(connection, "unknown_keys").records()
    shown = capsys.readouterr().out
    assert "unknown keys  in 2 captures" in shown
    assert "$.versi" in shown
    assert "\x1b" not in shown
    assert (told[0]["unknown_key"], told[0]["document"], told[0]["captures"]) == ("$.versi", "hhcw", 2)
    assert history.ask("SELECT count(*) FROM captures WHERE unknown_keys IS NOT NULL") == [(2,)]
    assert history.ask("SELECT sum(votes)::BIGINT FROM results") == [(15,)]


def test_a_database_of_before_is_upgraded_and_says_the_same(tmp_path: Path) -> None:
    """Its captures were read before unknown keys were noted: they have none, and the fingerprint leaves them out."""
    history = History(tmp_path)
    history.seen("02:10:00", count("31", "02:00:03", figures({A: 10, B: 5})))
    fingerprint = history.fingerprint()
    with duckdb.connect(str(history.database)) as connection:
        connection.execute("ALTER TABLE core.capture DROP COLUMN unknown_keys")
        connection.execute("ALTER TABLE core.run DROP COLUMN shard")
        connection.execute("DELETE FROM core.migration WHERE version >= 4")
        connection.execute("UPDATE core.migration SET surface_digest = 'older'")
    with writing(history.database) as connection:
        migrate(connection, history.database)
    assert history.fingerprint() == fingerprint
    history.seen("02:20:00", count("31", "02:15:03", figures({A: 11, B: 5})))
    assert history.ask("SELECT sum(votes)::BIGINT FROM results") == [(16,)]
