"""The page in a real browser, without a network: what it draws, where it leads, and that no name in it is ever code."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import browser
import pytest
from answers import A, B, count, figures, listed, pairs
from browser import Browser, Page
from bs4 import BeautifulSoup
from histories import History

from extract.night import Night
from extract.recording import record
from extract.simulator import Simulation
from warehouse.report import report

pytestmark = pytest.mark.skipif(not browser.COMMAND, reason="no Chromium on this machine")

WRITTEN_AT = datetime(2024, 11, 28, 4, 30, tzinfo=UTC)
CITY = "#pilkada-2024/pkwkp/hhcw/3171"
HOSTILE = (
    "<img src=x onerror=alert(1)> \"quoted\" 'too' & </script><script>alert(2)</script> <!-- \u202eright to left\u202c "
    "\x1b[31mred\x07 {{ 7*7 }} \u2028 " + "very long" * 40
)
CHARTS = ["share_over_time", "margin_over_time", "stations_over_time", "new_vs_revised"]

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser.started(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a simulated night of Jakarta, to its districts, that ends in a withdrawal."""
    history = History(tmp_path_factory.mktemp("night"))
    with record(history.archive, "replay simulated", {}, lambda: WRITTEN_AT, {}) as run:
        for capture in Simulation(Night(seed=7, revisions=0.02, slips=0.002, withdrawal=True)).captures("district"):
            run.append(capture)
    return written(history)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a count in which every name is an attack."""
    history = History(tmp_path_factory.mktemp("hostile"))
    first, later = figures({A: 5, B: 3}), figures({A: 4, B: 9}, 6)
    history.seen(
        "02:00:00",
        pairs({"31": {A: {"nama": HOSTILE, "nomor_urut": 1, "warna": "red;}</style>", "ts": None}}}),
        listed("31", {"3171": HOSTILE}),
        listed("3171", {"317101": HOSTILE}),
        count("31", "01:45:00", first, {"3171": first}),
        count("3171", "01:45:00", first, {"317101": first}),
    )
    history.seen("03:00:00", count("31", "02:45:00", later, {"3171": later}))
    return written(history)


def written(history: History) -> Path:
    """The page of a history, beside it."""
    history.load()
    with history.asking() as connection:
        page = report(connection, "31", written_at=WRITTEN_AT)
    path = history.database.with_name("report.html")
    path.write_text(page, "utf-8")
    return path


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Open]:
    """Open a page in a tab of its own; Indonesian on a desk, unless told otherwise."""
    pages = []

    def open_(path: Path, *, width: int = 1280, language: str = "id", is_dark: bool = False, at: str = "") -> Page:
        pages.append(Page(chromium, path, width, language, is_dark, at))
        return pages[-1]

    yield open_
    for page in pages:
        page.close()


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_asks_nobody_complains_of_nothing_and_fits_its_screen(
    night: Path, opened: Open, width: int, is_dark: bool
) -> None:
    for at in ("", CITY, "#pilkada-2024/pkwkp/hhcw/317101", "#nonsense/31", "#%/toString"):
        page = opened(night, width=width, is_dark=is_dark, at=at)
        assert page.troubles == []
        assert page.requested == [night.as_uri()]
        assert page.ask("innerWidth") == width
        assert page.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_all_charts_are_drawn_and_every_one_has_its_values_as_a_table(night: Path, opened: Open) -> None:
    page = opened(night)
    assert page.ask("[...document.querySelectorAll('figure')].map((one) => one.dataset.chart)") == CHARTS
    for chart in CHARTS:
        place = f'figure[data-chart="{chart}"]'
        marks = f"[...document.querySelectorAll('{place} :is(path, rect)')].map((mark) => mark.getBBox())"
        sizes = page.ask(f"{marks}.map((box) => box.width * box.height)")
        assert sum(size > 100 for size in sizes) >= 1
        assert page.ask(f"document.querySelector('{place} .plot[role=img]').ariaLabel").endswith(
            "Panah kiri dan kanan membaca nilai."
        )
        page.click(f"{place} summary")
        assert len(page.texts(f"{place} tbody tr")) > 10
    assert len(page.texts("figure .label")) >= 4, "lines carry their ballot number, not only a colour"


def test_a_reader_goes_down_to_a_district_and_up_again(night: Path, opened: Open) -> None:
    page = opened(night)
    assert page.text("h1") == "DKI JAKARTA"
    page.follow("#regions tr[data-code='3171'] a")
    assert page.text("h1") == "KOTA ADM. JAKARTA PUSAT"
    assert page.ask("location.hash") == CITY
    assert len(page.texts("#regions tbody tr")) == 8
    page.follow("#map .tile[data-code='317101']")
    assert page.text("#path li:last-child") == "Kecamatan"
    assert page.texts("#path li a") == ["DKI JAKARTA", "KOTA ADM. JAKARTA PUSAT"]
    assert page.ask("document.getElementById('regions').hidden")
    page.follow("#path a")
    assert page.text("h1") == "DKI JAKARTA"
    assert page.troubles == []


def test_search_finds_a_district_by_words_in_any_case_or_by_its_code(night: Path, opened: Open) -> None:
    page = opened(night)
    page.type("#search", "tanah AB")
    assert [row.split("\t")[0].split("\n")[0] for row in page.texts("#regions tbody tr")] == ["TANAH ABANG"]
    assert page.text("#found") == "1 wilayah"
    page.type("#search", "3174")
    assert len(page.texts("#regions tbody tr")) == 11
    page.type("#search", "nowhere")
    assert page.texts("#regions tbody tr") == []
    page.type("#search", "tanah abang")
    page.follow("#regions tbody a")
    assert page.text("h1") == "TANAH ABANG"


def test_the_table_of_regions_sorts_by_what_its_heads_say(night: Path, opened: Open) -> None:
    page = opened(night, language="en")
    page.click("#regions th:nth-child(3) button")
    assert page.ask("document.querySelector('#regions [aria-sort]').getAttribute('aria-sort')") == "descending"
    margins = [int(text.replace(",", "")) for text in page.texts("#regions td:nth-child(3)")]
    assert margins == sorted(margins, reverse=True)
    page.click("#regions th:nth-child(3) button")
    assert [int(text.replace(",", "")) for text in page.texts("#regions td:nth-child(3)")] == margins[::-1]
    page.click("#regions th:nth-child(1) button")
    names = page.texts("#regions th[scope=row]")
    assert names == sorted(names)


def test_the_language_switches_all_words_and_numbers_and_is_remembered(night: Path, opened: Open) -> None:
    page = opened(night)
    assert page.text("h2") == "Perolehan suara"
    assert "2.181.939" in page.text("#standings")
    assert "50,07%" in page.text("#standings")
    ours = "main h2, main figure h3, main thead th, main p, main button, main dt, main summary"
    indonesian = page.texts(ours)
    page.click("button[value=en]")
    assert page.text("h2") == "Standings"
    assert page.ask("document.documentElement.lang") == "en"
    assert "2,181,939" in page.text("#standings")
    assert "50.07%" in page.text("#standings")
    assert page.ask("document.title").startswith("DKI JAKARTA: count so far")
    english = page.texts(ours)
    assert len(english) == len(indonesian) > 40
    assert {text for text in english if text in indonesian and any(map(str.islower, text))} <= {"Total"}
    page.follow("#regions tbody a")
    assert page.text("h2") == "Standings"


def test_a_page_without_a_language_takes_the_browser_s(night: Path, opened: Open) -> None:
    assert opened(night, language="en-US").text("h2") == "Standings"
    assert opened(night, language="id-ID").text("h2") == "Perolehan suara"
    assert opened(night, language="fr").text("h2") == "Perolehan suara"


def test_words_in_the_html_are_the_words_of_the_scripts(night: Path, opened: Open) -> None:
    """Two programs say the same phrases: the one that writes the page, and the one on it."""
    soup = BeautifulSoup(night.read_text("utf-8"), "html.parser")
    said = {node["data-say"]: node.get_text() for node in soup.select("[data-say]")}
    page = opened(night)
    entries = "[...document.querySelectorAll('[data-say]')].map((node) => [node.dataset.say, node.textContent])"
    assert dict(page.ask(entries)).items() <= said.items()
    standing = soup.select_one("#standings table").get_text(" ")
    for value in page.texts("#standings .figure"):
        assert all(part in standing for part in value.split())


def test_everything_can_be_reached_with_the_keyboard(night: Path, opened: Open) -> None:
    page = opened(night)
    focus = "document.activeElement"
    page.press("Tab")
    assert page.ask(f"{focus}.className") == "skip"
    assert page.ask(f"{focus}.getBoundingClientRect().top") >= 0, "the link is seen once it has the focus"
    assert page.ask(f"getComputedStyle({focus}).outlineStyle") == "solid"
    page.ask("document.querySelector('#map .tile').focus()")
    first = page.ask(f"{focus}.dataset.code")
    page.press("ArrowRight")
    second = page.ask(f"{focus}.dataset.code")
    assert second != first
    assert page.ask("document.querySelectorAll('#map .tile[tabindex=\"0\"]').length") == 1, "the map is one stop"
    page.press("ArrowLeft")
    assert page.ask(f"{focus}.dataset.code") == first
    page.press("Enter")
    assert page.ask("new Promise((done) => setTimeout(() => done(location.hash)))").endswith(first)


def test_a_chart_is_read_with_the_arrow_keys(night: Path, opened: Open) -> None:
    page = opened(night)
    readout = "figure[data-chart=stations_over_time] .readout"
    last = page.text(readout)
    page.ask("document.querySelector('figure[data-chart=stations_over_time] svg').focus()")
    page.press("Home")
    first = page.text(readout)
    page.press("ArrowRight")
    assert len({first, page.text(readout), last}) == 3
    page.press("End")
    assert page.text(readout) == last


def test_the_map_shows_leaders_or_progress_and_says_so_in_words(night: Path, opened: Open) -> None:
    page = opened(night)
    tile = "document.querySelector('#map .tile[data-code=\"317101\"]')"
    assert "%" in page.ask(f"{tile}.getAttribute('aria-label')")
    assert page.ask(f"{tile}.innerText").startswith(("1", "3")), "the leader's ballot number stands on the tile"
    page.click("button[value=progress]")
    assert page.ask(f"{tile}.innerText").startswith("100")
    assert page.ask(f"{tile}.getAttribute('aria-label')").endswith("100,00%")


def test_simulation_and_withdrawal_stand_above_everything(night: Path, opened: Open) -> None:
    simulated, withdrawn = opened(night, language="en").texts(".banner")
    assert "SIMULATED. These figures were made by the simulator" in simulated
    assert "first at 28 Nov 2024 10:45 WIB" in withdrawn


@pytest.mark.parametrize("at", ["", CITY])
def test_a_hostile_name_stays_text_everywhere(hostile: Path, opened: Open, at: str) -> None:
    page = opened(hostile, width=360, at=at)
    page.type("#search", "img")
    page.click("button[value=en]")
    for summary in range(4):
        page.ask(f"document.querySelectorAll('summary')[{summary}]?.click()")
    assert page.troubles == []
    assert page.requested == [hostile.as_uri()]
    assert page.ask("document.querySelectorAll('img, main script, iframe, [onerror]').length") == 0
    shown = page.ask("[...document.querySelectorAll('#standings bdi')].at(-1).textContent")
    assert shown.startswith("<img src=x onerror=alert(1)> \"quoted\" 'too' & </script><script>alert(2)</script> <!-- ")
    assert "{{ 7*7 }}" in shown
    assert not {"\u202e", "\u202c", "\x1b", "\x07", "\u2028"} & set(shown)
    assert page.ask("document.documentElement.scrollWidth") == 360


def test_the_page_forbids_itself_every_other_script_and_all_markup_from_text(night: Path, opened: Open) -> None:
    page = opened(night)
    ways = (
        "document.body.innerHTML = '<b>1</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>1</b>')",
        "(0, eval)('1')",
    )
    for way in ways:
        refused = f"(() => {{ try {{ {way}; return 'done' }} catch (error) {{ return error.name }} }})()"
        assert page.ask(refused) in {"TypeError", "EvalError"}, way
    page.ask("document.body.append(Object.assign(document.createElement('img'), { src: 'https://example.org/1.png' }))")
    assert json.dumps(page.troubles).count("Content Security Policy") >= 1
