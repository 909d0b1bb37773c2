"""The command that shows findings: for people, for programs, by area."""

import json
from pathlib import Path
from typing import Any

import pytest
from answers import A, B, count, figures, listed, wib
from histories import History

from extract.errors import RegionError
from flows.findings import NEUTRAL, findings
from flows.settings import Settings
from load.publish import publish


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A district that lost votes and has them back, and a regency that has not."""
    settings = Settings(tmp_path_factory.mktemp("found"), "off")
    history = History(settings.data_dir)
    history.seen("01:00:00", listed("3171", {"317101": "GAMBIR\u202e", "317102": "TANAH ABANG"}))
    for at, district, regency in ((15, 50, 900), (30, 40, 813), (45, 50, 851)):
        rows = {"317101": figures({A: district, B: 0}), "317102": figures({A: regency - district, B: 0})}
        history.seen(f"02:{at}:00", count("3171", f"01:{at}:00", figures({A: regency, B: 0}, 10, 20), rows))
    publish(history.database, settings.published)
    return settings


def shown(settings: Settings, capsys: pytest.CaptureFixture[str], *region: str, **options: Any) -> tuple[str, str]:
    assert findings(*region, settings=settings, **options) == 0
    return capsys.readouterr()


def test_it_shows_what_is_open_and_says_that_it_accuses_nobody(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = shown(settings, capsys)
    assert "317102" in out
    assert "317101" not in out
    assert err.strip() == NEUTRAL


def test_all_shows_what_was_resolved_too_and_nothing_that_steers_a_terminal(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = shown(settings, capsys, "317101", everything=True)
    assert "GAMBIR" in out
    assert "\u202e" not in out
    assert "2024-11-28 01:45:00 WIB" in out


def test_programs_get_every_column_and_no_message(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown(settings, capsys, "3171", rule="e10", everything=True, format="json")
    records = json.loads(out)
    assert err == ""
    assert {record["unit_code"] for record in records} == {"3171", "317101", "317102"}
    assert {record["title"] for record in records} == {"A figure went down"}


def test_a_moment_shows_what_was_open_then(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(settings, capsys, "317101", at=wib("01:30:00").replace(tzinfo=None), format="json")
    assert [(record["unit_code"], record["resolved_at"]) for record in json.loads(out)] == [("317101", None)]


def test_areas_are_counted_by_rule(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(settings, capsys, "3171", by_area=True, everything=True, severity="warning", format="json")
    assert [(row["area_code"], row["rule"], row["findings"], row["still_open"]) for row in json.loads(out)] == [
        ("3171", "E10", 1, 1),
        ("317101", "E10", 1, 0),
        ("317102", "E10", 1, 1),
    ]
    out, _ = shown(settings, capsys, by_area=True)
    assert "A figure went down" in out


def test_nothing_found_is_said_and_is_no_error(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown(settings, capsys, severity="notice")
    assert out == ""
    assert err.startswith("Nothing found")


def test_a_region_that_is_not_known_is_told(settings: Settings) -> None:
    with pytest.raises(RegionError):
        findings("nowhere", settings=settings)


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="load something first"):
        findings(settings=Settings(tmp_path))
