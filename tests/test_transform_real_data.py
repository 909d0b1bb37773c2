"""KPU's own files are understood, every one, and nothing that they say is lost."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kpu_bodies import Body, november, own

from extract.capture import Capture
from extract.endpoints import Endpoint
from extract.sources import FolderSource, GitSource
from transform.model import Document, Tally
from transform.normalise import read


def votes_by_hand(cells: Body | None) -> Body:
    return {key: cell for key, cell in (cells or {}).items() if key.isdecimal() and cell is not None}


def assert_nothing_is_lost(kept: Capture) -> Document:
    """What was understood is what the JSON says, looked up without any of our code."""
    said, body = read(kept), json.loads(kept.body or b"")
    assert isinstance(said, Document), said
    if said.endpoint.document == "wilayah":
        assert [(unit.unit_code, unit.unit_name, unit.kpu_id) for unit in said.units] == [
            (region["kode"], region["nama"], region["id"]) for region in body
        ]
    elif said.endpoint.document == "paslon":
        assert [(pair.candidate_id, pair.ballot_number, pair.candidate_name) for pair in said.candidates] == [
            (key, pair["nomor_urut"], pair["nama"]) for pairs in body.values() for key, pair in pairs.items()
        ]
    else:
        root = body.get("tungsura") or body
        cells = {said.endpoint.region: root["chart"], **(root.get("table") or {})}
        assert {tally.unit_code: tally.votes for tally in said.tallies} == {
            code: votes_by_hand(row) for code, row in cells.items()
        }
        assert said.reported_at == datetime.fromisoformat(body["ts"] + "+07:00")
    return said


@pytest.fixture(scope="module")
def of_february(real: Path) -> list[Capture]:
    source = FolderSource(real / "pemilu2024", observed_at=datetime(2024, 3, 7, tzinfo=UTC))
    return [kept for kept in source.captures() if kept.mimetype == "application/json"]


def test_every_file_kept_from_february_is_understood_and_loses_nothing(of_february: list[Capture]) -> None:
    assert len(of_february) == 64
    kinds = Counter(assert_nothing_is_lost(kept).endpoint.document for kept in of_february)
    assert kinds == {"hhcw": 59, "wilayah": 5}


def test_the_53_stations_of_jakarta_say_what_their_files_say(of_february: list[Capture]) -> None:
    stations = [kept for kept in of_february if "/31/3101/" in kept.url]
    tallies = [own(Endpoint.from_url(kept.url), kept.body) for kept in stations]
    bodies = [json.loads(kept.body or b"") for kept in stations]
    votes: Counter[str] = Counter()
    for tally in tallies:
        votes.update(tally.votes)
    no_votes = [not tally.votes for tally in tallies]
    no_form = [tally.valid_votes is None for tally in tallies]
    assert len(tallies) == 53
    assert no_votes == [body["chart"] is None for body in bodies]
    assert no_form == [body["administrasi"] is None for body in bodies]
    assert (sum(no_votes), sum(no_form), sum(map(all, zip(no_votes, no_form, strict=True)))) == (7, 24, 6)
    assert votes == {"100025": 3337, "100026": 5160, "100027": 1876}
    assert sum(tally.valid_votes or 0 for tally in tallies) == 6010
    assert sum(tally.stations_reported or 0 for tally in tallies) == 46
    assert sum(((tally.form and tally.form.images) or ()).count(None) for tally in tallies) == 19


def test_every_version_in_a_scrape_of_november_is_understood_and_loses_nothing(real: Path) -> None:
    with GitSource(real / "pilkada-scrap.bundle") as source:
        distinct = {(kept.url, kept.digest): kept for kept in source.captures()}
    said = [assert_nothing_is_lost(kept) for kept in distinct.values()]
    assert Counter(document.endpoint.document for document in said) == {"hhcw": 3639, "wilayah": 38, "paslon": 2}
    jakarta = {document.reported_at: document.tallies[0] for document in said if document.endpoint == november("31")}
    last_good = jakarta[datetime(2024, 11, 28, 3, 0, 5, tzinfo=UTC)]  # 10:00:05 in Jakarta
    assert last_good == Tally(
        "pkwkp:31",
        "31",
        "self",
        {"1000023": 1_717_245, "1000024": 458_886, "1000025": 2_181_939},
        14_825,
        14_835,
        99.93,
        revote_status="Reguler",
    )
    withdrawn = jakarta[max(moment for moment in jakarta if moment)]
    assert (set(withdrawn.votes.values()), withdrawn.stations_reported) == ({0}, 14_826)
