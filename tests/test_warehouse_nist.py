"""Election reports by NIST SP 1500-100: valid by its rules, and faithful to the count."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from answers import A, B, count, figures, listed, pairs, wib
from election_reports import Element, breaches
from histories import History
from kpu_bodies import EVERY_SHAPE, STATION, november, station

from extract.capture import capture
from extract.errors import UsageError
from extract.night import Night
from extract.simulator import Simulation
from warehouse.nist import Choice, election_report

NOW = datetime(2024, 12, 1, 3, 4, 5, 678, tzinfo=UTC)


@pytest.fixture
def history(tmp_path: Path, empty: Path) -> History:
    """Jakarta at 02:15 and at 03:00."""
    history = History(tmp_path, empty)
    rows = {"3101": figures({A: 1, B: 2}, 1, 2), "3171": figures({A: 4}, 2, 4)}
    history.seen("02:20:00", pairs(), listed("31", {"3101": "ADM. KEP. SERIBU", "3171": "JAKARTA PUSAT"}))
    history.seen("02:20:01", count("31", "02:15:00", figures({A: 5, B: 2}, 3, 6), rows))
    rows = {"3101": figures({A: 1, B: 2}, 2, 2), "3171": figures({A: 9, B: 1}, 4, 4)}
    history.seen("03:05:00", count("31", "03:00:00", figures({A: 10, B: 3}, 6, 6), rows))
    return history


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> History:
    history = History(tmp_path_factory.mktemp("night"), empty)
    history.loaded(Simulation(Night(seed=7, withdrawal=True)).captures("regency"))
    return history


def report(history: History, **choice: Any) -> Element:
    with history.asking() as connection:
        return election_report(connection, Choice(**choice), NOW, "realcount 0")


def contest_of(report: Element) -> Element:
    ((contest,),) = [election["Contest"] for election in report["Election"]]
    return dict(contest)


def votes(report: Element) -> dict[tuple[str, str], int]:
    """Votes by KPU's ids of pair and unit."""
    return {
        (selection["@id"].rsplit("-", 1)[1], counts["GpUnitId"].removeprefix("unit-")): counts["Count"]
        for selection in contest_of(report)["ContestSelection"]
        for counts in selection.get("VoteCounts", ())
    }


def unit(report: Element, code: str) -> Element:
    (found,) = [element for element in report["GpUnit"] if element["@id"] == f"unit-{code}"]
    return dict(found)


def test_a_report_is_valid_by_the_standard_s_rules(history: History, night: History) -> None:
    assert breaches(report(history)) == []
    assert breaches(report(night)) == []
    assert breaches(report(night, at=wib("00:00:00"), region="3171")) == []


def test_a_report_of_every_shape_of_document_is_valid(tmp_path: Path, empty: Path) -> None:
    history = History(tmp_path, empty)
    history.loaded(capture(endpoint.url(), _sent(body), wib("03:00:00"), "test") for endpoint, body in EVERY_SHAPE)
    assert breaches(report(history, depth="tps")) == []
    assert breaches(report(history, depth="province", stage="hr")) == []


def _sent(body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda report: report.pop("Status"),
        lambda report: report.update(Status="final"),
        lambda report: report.update(Colour="red"),
        lambda report: report.update(GeneratedDate="2024-12-01"),
        lambda report: report["GpUnit"].pop(1),
        lambda report: report["GpUnit"].append(report["GpUnit"][0]),
        lambda report: report["Election"][0]["Contest"][0].pop("Name"),
        lambda report: report["Election"][0]["Contest"][0]["ContestSelection"][0]["VoteCounts"][0].update(Count="5"),
        lambda report: report["Election"][0]["Candidate"].clear(),
    ],
)
def test_the_rules_find_what_is_wrong(history: History, spoil: Any) -> None:
    spoilt = deepcopy(report(history))
    spoil(spoilt)
    assert breaches(spoilt)


def test_the_latest_report_has_the_latest_votes_and_is_complete(history: History) -> None:
    told = report(history)
    assert votes(told) == {
        (A, "31"): 10, (A, "3101"): 1, (A, "3171"): 9, (B, "31"): 3, (B, "3101"): 2, (B, "3171"): 1,
    }  # fmt: skip
    assert told["Status"] == "unofficial-complete"
    assert (told["SequenceStart"], told["SequenceEnd"]) == (2, 2)
    assert told["GeneratedDate"] == "2024-12-01T10:04:05+07:00"
    assert (told["Format"], told["IsTest"], told["VendorApplicationId"]) == ("summary-contest", False, "realcount 0")


def test_a_report_of_an_earlier_moment_has_the_votes_of_that_moment(history: History) -> None:
    told = report(history, at=wib("02:30:00"))
    assert votes(told) == {(A, "31"): 5, (B, "31"): 2, (A, "3101"): 1, (B, "3101"): 2, (A, "3171"): 4}
    assert told["Status"] == "unofficial-partial"
    assert (told["SequenceStart"], told["SequenceEnd"]) == (1, 2)
    assert "As of 2024-11-28T02:30:00+07:00" in told["Notes"]


def test_votes_that_were_not_given_are_left_out_and_not_0(history: History) -> None:
    assert (B, "3171") not in votes(report(history, at=wib("02:30:00")))


def test_a_contest_says_how_far_it_is_and_so_does_every_unit(history: History) -> None:
    told = report(history, at=wib("02:30:00"))
    contest = contest_of(told)
    assert (contest["SubUnitsReported"], contest["TotalSubUnits"]) == (3, 6)
    assert [status["Status"] for status in contest["CountStatus"]] == ["in-process"]
    district = unit(told, "3101")
    assert (district["SubUnitsReported"], district["TotalSubUnits"]) == (1, 2)
    assert unit(report(history), "3101")["CountStatus"][0]["Status"] == "completed"


def test_units_are_a_tree_from_the_country_down(history: History) -> None:
    told = report(history)
    assert unit(told, "0")["ComposingGpUnitIds"] == ["unit-31"]
    assert unit(told, "31")["ComposingGpUnitIds"] == ["unit-3101", "unit-3171"]
    kinds = {element["@id"]: element["Type"] for element in told["GpUnit"]}
    assert kinds == {"unit-0": "country", "unit-31": "state", "unit-3101": "county", "unit-3171": "city"}
    assert unit(told, "3171")["Name"]["Text"][0]["Content"] == "JAKARTA PUSAT"


def test_a_region_and_a_depth_make_it_smaller(history: History) -> None:
    assert votes(report(history, depth="province")).keys() == {(A, "31"), (B, "31")}
    inner = report(history, region="3171")
    assert votes(inner).keys() == {(A, "31"), (B, "31"), (A, "3171"), (B, "3171")}
    assert contest_of(inner)["SubUnitsReported"] == 6
    with pytest.raises(UsageError, match="no contest"):
        report(history, region="11")
    with pytest.raises(UsageError, match="no contest"):
        report(history, contest_type="pkwkk")


def test_withdrawn_votes_are_the_last_that_were_published_and_are_marked(history: History) -> None:
    rows = {"3101": figures({A: 0, B: 0}, 2, 2), "3171": figures({A: 0, B: 0}, 4, 4)}
    history.seen("10:50:00", count("31", "10:45:04", figures({A: 0, B: 0}, 6, 6), rows))
    told = report(history)
    assert votes(told)[A, "31"] == 10
    assert told["Status"] == "unofficial-partial"
    assert "KPU withdrew votes from 2024-11-28T10:45:04+07:00" in told["Notes"]
    marked = contest_of(told)["CountStatus"][-1]
    assert (marked["Type"], marked["Status"]) == ("other", "unknown")
    assert marked["OtherType"] == "votes withdrawn by KPU since 2024-11-28T10:45:04+07:00, in 3 units of this report"
    assert report(history, at=wib("10:00:00"))["Status"] == "unofficial-complete"


def test_a_simulated_night_is_marked_as_a_test(night: History) -> None:
    told = report(night)
    assert (told["IsTest"], told["TestType"]) == (True, "simulated")
    assert told["Notes"].startswith("SIMULATED")


def test_a_station_s_form_gives_ballots_and_voters(history: History) -> None:
    history.loaded([capture(november(STATION).url(), _sent(station()), wib("03:10:00"), "test")])
    told = report(history, depth="tps")
    assert breaches(told) == []
    assert told["Format"] == "precinct-level"
    assert told["Election"][0]["BallotCounts"] == [
        {
            "@type": "ElectionResults.BallotCounts",
            "Type": "total",
            "GpUnitId": f"unit-{STATION}",
            "BallotsCast": 476,
        }
    ]
    place = unit(told, STATION)
    assert (place["Type"], place["VotersRegistered"], place["VotersParticipated"]) == ("precinct", 580, 477)


def test_a_contest_against_the_blank_column_needs_a_majority_like_jakarta_s(tmp_path: Path, empty: Path) -> None:
    history = History(tmp_path, empty)
    both = {"nama": "C - D", "nomor_urut": 2}
    history.seen(
        "02:20:00",
        pairs(
            {
                "32": {A: {"nama": "A - B", "nomor_urut": 1}, B: both},
                "33": {"1": {"nama": "KOLOM KOSONG - "}, "2": both},
            }
        ),
        count("32", "02:15:00", figures({A: 5, B: 2}, 3, 6)),
        count("33", "02:15:00", figures({"1": 5, "2": 2}, 3, 6)),
    )
    contests = report(history)["Election"][0]["Contest"]
    assert [contest["VoteVariation"] for contest in contests] == ["plurality", "majority"]


def test_the_report_of_the_captured_night_is_valid(real: Path, tmp_path: Path) -> None:
    from flows.replay import replay_git
    from flows.settings import Settings

    settings = Settings(tmp_path, parquet="off")
    replay_git(settings, real / "pilkada-scrap.bundle")
    history = History(tmp_path / "history")
    history.database = settings.published
    told = report(history, at=wib("10:00:05"), depth="regency")
    assert breaches(told) == []
    jakarta = next(contest for contest in told["Election"][0]["Contest"] if contest["@id"] == "contest-pkwkp-31")
    assert (jakarta["SubUnitsReported"], jakarta["TotalSubUnits"]) == (14825, 14835)
    assert {
        selection["SequenceOrder"]: next(
            counts["Count"] for counts in selection["VoteCounts"] if counts["GpUnitId"] == "unit-31"
        )
        for selection in jakarta["ContestSelection"]
    } == {1: 1717245, 2: 458886, 3: 2181939}
