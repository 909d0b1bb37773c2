"""The page as a file: complete in itself, safe against what names may hold, and true without its scripts."""

from __future__ import annotations  # else DuckDB 2.0 complains of leaks when Hypothesis ran beside: see worlds.py

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from answers import A, B, count, figures, listed, pairs
from bs4 import BeautifulSoup
from histories import History

from extract.errors import RegionError, UsageError
from flows.replay import replay_git
from flows.settings import Settings
from warehouse.connection import reading
from warehouse.report import LANGUAGES, content, report
from warehouse.report.colours import paints
from warehouse.report.speech import Speech, words

WRITTEN_AT = datetime(2024, 11, 28, 4, 30, tzinfo=UTC)
KPU_COLOURS = ["#B67352", "#8CB9BD", "#C7B7A3", "#F4CBCC", "#A37E4B", "#F4F0CB"]  # by ballot number, November 2024
TEMPLATES = Path(content.__file__).parents[1] / "templates"


@pytest.fixture
def history(tmp_path: Path, empty: Path) -> History:
    """Two cities of Jakarta: counted, corrected, and withdrawn in one of them."""
    history = History(tmp_path, empty)
    history.seen(
        "02:00:00",
        pairs(),
        listed("31", {"3171": "JAKARTA PUSAT", "3172": "JAKARTA UTARA"}),
        count(
            "31",
            "01:45:00",
            figures({A: 70, B: 30}, 6),
            {"3171": figures({A: 50, B: 10}, 3), "3172": figures({A: 20, B: 20}, 3)},
        ),
        count("3171", "01:45:00", figures({A: 50, B: 10}, 3), {"317101": figures({A: 50, B: 10}, 3)}),
    )
    history.seen(
        "03:00:00", count("3171", "02:45:00", figures({A: 49, B: 12}, 3), {"317101": figures({A: 49, B: 12}, 3)})
    )
    return history


def page(history: History, region: str | None = "31", **options: Any) -> str:
    with history.asking() as connection:
        return report(connection, region, **{"written_at": WRITTEN_AT, **options})


def embedded(html: str) -> dict[str, Any]:
    """The figures that the scripts read."""
    return dict(json.loads(BeautifulSoup(html, "html.parser").select_one("#figures").string))


def rows(html: str, section: str) -> list[list[str]]:
    """The cells of a section's tables, as they stand in the HTML."""
    lines = BeautifulSoup(html, "html.parser").select(f"#{section} tbody tr")
    return [[" ".join(cell.get_text(" ").split()) for cell in line.select("th, td")] for line in lines]


def test_the_page_says_who_leads_without_any_script(history: History) -> None:
    html = page(history)
    assert rows(html, "standings") == [
        ["2 ANI - BUDI", "70", "70,00%", "+40"],
        ["1 KOLOM KOSONG -", "30", "30,00%", "\N{MINUS SIGN}40"],
    ]
    central, north = rows(html, "regions")
    assert central[:5] == ["JAKARTA PUSAT", "2 ANI - BUDI", "80,33%", "+37", "30,00%"]
    assert north[0] == "JAKARTA UTARA"
    assert ["28 Nov 2024 02.45 WIB", "JAKARTA PUSAT", "revisi", "0", "1 +2 2 \N{MINUS SIGN}1"] in rows(html, "changes")


def test_the_page_begins_in_the_language_asked_for(history: History) -> None:
    html = page(history, language="en")
    assert '<html lang="en">' in html
    assert rows(html, "standings")[0][2] == "70.00%"
    assert embedded(html)["language"] == "en"
    assert embedded(page(history))["language"] is None, "then the browser decides"


def test_every_phrase_is_there_in_both_languages_and_is_used() -> None:
    program = "".join(path.read_text("utf-8") for path in TEMPLATES.iterdir() if path.suffix in {".js", ".html"})
    for phrase, said in words().items():
        assert set(said) == set(LANGUAGES)
        assert all(said.values()), phrase
        blanks = [sorted(re.findall(r"\{[^}]*\}", text)) for text in said.values()]
        assert blanks[0] == blanks[1], phrase
    spoken = {phrase for phrase in words() if re.search(rf"[\"'(]{re.escape(phrase)}[\"')]", program)}
    from_figures = {"pilkada-2024", "pemilu-2024", "pkwkp", "pkwkk", "ppwp", "hhcw", "hr", "error", "warning", "notice"}
    levels = {"national", "province", "regency", "district", "village", "tps"}
    kinds = {"first_report", "increase", "decrease", "revision", "mixed", "swap", "restored"}
    assert set(words()) - spoken <= from_figures | levels | kinds
    assert set(re.findall(r"say\([\"'](\w+)[\"']", program)) <= set(words())


def test_the_page_needs_nothing_but_itself_and_names_its_own_script_and_style(history: History) -> None:
    html = page(history)
    soup = BeautifulSoup(html, "html.parser")
    assert not soup.select("[src], link:not([href='data:,']), iframe, object")
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", html)
    policy = soup.select_one("meta[http-equiv=Content-Security-Policy]")["content"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for kind, element in (("script-src", soup.select_one("script[type=module]")), ("style-src", soup.style)):
        digest = base64.b64encode(hashlib.sha256(element.string.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert not soup.select("[style], [onclick], [onload], script:not([type])")


def test_names_and_findings_from_outside_are_text_in_the_html_and_in_the_figures(history: History) -> None:
    hostile = "<img src=x onerror=alert(1)> \"'& </script><!-- \u2028 \u202eevil\x1b[31m {{ 7 * 7 }} {% raw %}"
    history.seen(
        "04:00:00",
        pairs({"31": {A: {"nama": hostile, "nomor_urut": 2, "warna": '#"><script>', "ts": None}}}),
        listed("31", {"3171": hostile, "3172": hostile}),
    )
    html = page(history)
    soup = BeautifulSoup(html, "html.parser")
    assert [script.get("type") for script in soup.select("script")] == ["application/json", "module"]
    assert not soup.select("img, [onerror]")
    assert html.count("<!--") == 0
    shown = hostile.replace("\u2028", "\ufffd").replace("\u202e", "\ufffd").replace("\x1b", "\ufffd")
    assert soup.select_one("#regions bdi").get_text() == shown
    assert embedded(html)["units"]["3171"] == shown
    assert not {"<", ">", "\u2028"} & set(soup.select_one("#figures").string)


def test_a_withdrawal_and_a_simulation_are_told_of_at_the_top(history: History) -> None:
    assert not BeautifulSoup(page(history), "html.parser").select("main > .banner")
    history.seen(
        "11:00:00",
        count(
            "31",
            "10:45:04",
            figures({A: 0, B: 0}, 7),
            {"3171": figures({A: 0, B: 0}, 4), "3172": figures({A: 0, B: 0}, 3)},
        ),
    )
    html = page(history)
    (banner,) = BeautifulSoup(html, "html.parser").select("main > .banner")
    assert "KPU menarik suara di 3 wilayah" in banner.get_text()
    assert "28 Nov 2024 10.45 WIB" in banner.get_text()
    assert rows(html, "standings")[0][1] == "70", "the last votes KPU showed stay"
    steps = embedded(html)["series"]["pilkada-2024/pkwkp/hhcw"]["31"]["steps"]
    assert steps["votes"][-1] is None
    assert steps["stations"][-1] == 7, "the stations go on"


def test_a_page_about_nothing_in_particular_is_about_the_one_province_or_the_country(history: History) -> None:
    assert embedded(page(history, None))["region"] == "31"
    history.seen("05:00:00", count("36", "04:45:00", figures({A: 1}), {"3671": figures({A: 1})}))
    html = page(history, None)
    assert embedded(html)["region"] == "0"
    assert [row[0] for row in rows(html, "regions")] == ["DKI JAKARTA", "BANTEN"]
    assert "12 dari 20" not in html
    assert "11 dari 20 TPS" in html, "the country has no document of its own: its provinces are summed"


def test_the_region_is_found_by_name_and_the_depth_is_a_choice(history: History) -> None:
    units = embedded(page(history, "jakarta pusat"))["series"]["pilkada-2024/pkwkp/hhcw"]
    assert set(units) == {"3171", "317101"}
    assert set(embedded(page(history, depth="regency"))["series"]["pilkada-2024/pkwkp/hhcw"]) == {"31", "3171", "3172"}
    with pytest.raises(RegionError):
        page(history, "atlantis")
    with pytest.raises(UsageError, match="province"):
        page(history, "3171", depth="province")


def test_an_empty_database_gives_a_page_that_says_so(empty: Path, tmp_path: Path) -> None:
    html = page(History(tmp_path, empty), None)
    assert "Belum ada suara di sini." in html
    assert embedded(html)["series"] == {}


def test_a_page_that_would_be_too_large_holds_fewer_steps_and_says_so(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.seen(
        "03:30:00", count("3171", "02:59:00", figures({A: 48, B: 13}, 3), {"317101": figures({A: 48, B: 13}, 3)})
    )
    full = page(history)
    assert "basis data memuat semuanya" not in BeautifulSoup(full, "html.parser").main.get_text()
    with history.asking() as connection:
        size = content.gather(connection, "31", None).size
    monkeypatch.setattr(content, "LARGEST", size - 1)
    thinned = page(history)
    assert "hanya satu langkah per 30 menit" in thinned
    series = "pilkada-2024/pkwkp/hhcw"
    assert len(embedded(full)["series"][series]["3171"]["steps"]["at"]) == 3
    assert len(embedded(thinned)["series"][series]["3171"]["steps"]["at"]) == 2
    assert embedded(thinned)["series"][series]["3171"]["steps"]["votes"][-1] == [13, 48], "in ballot order"
    monkeypatch.setattr(content, "LARGEST", 900)
    assert "isinya berhenti di tingkat" in page(history)


def test_the_largest_province_to_its_districts_stays_below_3_mb_as_it_was_captured(real: Path, tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    replay_git(settings, real / "pilkada-scrap.bundle")
    with reading(settings.published) as connection:
        html = report(connection, "jawa barat", written_at=WRITTEN_AT)
    assert len(html.encode()) < 3_000_000
    governor, regents = embedded(html)["series"].values()
    assert len([code for code in governor if len(code) == 6]) == 627
    assert len([code for code in regents if len(code) == 4]) == 27
    assert rows(html, "standings")[0][1:3] == ["13.841.247", "62,29%"]


def test_provenance_leads_from_the_page_to_run_manifest_and_capture(history: History) -> None:
    section = BeautifulSoup(page(history), "html.parser").select_one("#provenance").get_text(" ")
    ((digest, run),) = history.ask(
        "SELECT (SELECT digest FROM captures WHERE url LIKE '%hhcw/pkwkp/31.json'), "
        "(SELECT manifest_digest FROM runs ORDER BY sequence DESC LIMIT 1)"
    )
    assert digest[:23] in section
    assert run in section


def test_the_page_is_the_same_for_the_same_database_and_moment(history: History) -> None:
    assert page(history) == page(history)


@pytest.mark.parametrize(
    "colours", [KPU_COLOURS, [None] * 6, ["#ffffff"] * 5, ["red", "#12345", "#GGGGGG", "", "url(x)"]]
)
def test_colours_can_be_read_on_both_papers_and_told_apart(colours: list[str | None]) -> None:
    shades = paints(colours)
    assert all(re.fullmatch("#[0-9a-f]{6}", shade) for paint in shades for shade in paint)
    for light, dark in shades:
        assert contrast(light, "#ffffff") >= 4.5
        assert contrast(dark, "#14171a") >= 4.5
    for one, other in combinations(shades[:5], 2):
        assert one != other


def test_kpu_s_own_hue_stays_where_it_can_be_told_apart() -> None:
    brown, teal = paints(KPU_COLOURS)[:2]
    red, green, blue = (int(brown.light[at : at + 2], 16) for at in (1, 3, 5))
    assert red > green > blue
    red, green, blue = (int(teal.light[at : at + 2], 16) for at in (1, 3, 5))
    assert red < green <= blue


def test_numbers_are_written_as_each_language_writes_them_and_rounded_half_up() -> None:
    indonesian, english = map(Speech, LANGUAGES)
    assert (indonesian.number(1_717_245), english.number(1_717_245)) == ("1.717.245", "1,717,245")
    assert (indonesian.percent(1, 8), english.percent(1, 8)) == ("12,50%", "12.50%")
    assert english.percent(12_345, 200_000) == "6.17%"
    assert english.percent(1, 800) == "0.13%"
    assert english.percent(3, 0) == ""
    assert english.signed(-5) == "\N{MINUS SIGN}5"
    assert indonesian.moment(1_732_765_504) == "28 Nov 2024 10.45 WIB"


def contrast(one: str, other: str) -> float:
    """WCAG's contrast of two colours."""

    def luminance(colour: str) -> float:
        parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
