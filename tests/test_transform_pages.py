"""A rendered page is a second witness: it says what it states, or exactly why it states nothing."""

from datetime import datetime, timedelta, timezone
from html import escape
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.endpoints import Endpoint
from transform.model import Candidate, Document, Quarantine, StationForm, Tally
from transform.pages import read_page

REAL = Path(__file__).parents[1].parent / "shared/real/pemilu2024/tps-page.html"
WIB = timezone(timedelta(hours=7))

FEBRUARY = "/pilpres/hitung-suara/33/3326/332612/3326122005"
GOVERNOR = "/pilgub/jawa-tengah/pekalongan/332612/3326122005"
MAYOR = "/pilwalkot/nusa-tenggara-barat/bima"
NAMES = ("PROV. JAWA TENGAH", "KAB. PEKALONGAN", "KEC. WONOPRINGGO", "KEL. KWAGEAN", "TPS 005")
VERSION = "Versi: 28 Nov 2024 02:15:00"
PROGRESS = "Progress: 1542 dari 1600 TPS (96.38%)"
WEB = "https://pilkada2024.kpu.go.id"

VOTERS = (
    "<h5>DATA PENGGUNA HAK PILIH</h5><table><thead><tr><th>URAIAN</th><th>JUMLAH (L+P)</th></tr></thead><tbody>"
    "<tr><td>Jumlah pengguna hak pilih dalam DPT</td><td>180</td></tr>"
    "<tr><td>Jumlah pengguna hak pilih dalam DPTb</td><td>4</td></tr>"
    "<tr><td>Jumlah pengguna hak pilih dalam DPK</td><td>6</td></tr>"
    "<tr><td>Jumlah pengguna hak pilih</td><td>190</td></tr></tbody></table>"
)
TOTALS = (
    "<h5>JUMLAH SUARA SAH DAN TIDAK SAH</h5><table><tbody>"
    "<tr><td>A</td><td>JUMLAH SELURUH SUARA SAH</td><td>185</td></tr>"
    "<tr><td>B</td><td>JUMLAH SUARA TIDAK SAH</td><td>5</td></tr>"
    "<tr><td>C</td><td>JUMLAH SELURUH SUARA SAH DAN SUARA TIDAK SAH</td><td>190</td></tr></tbody></table>"
)


def crumbs(route: str, *names: str) -> str:
    """One step a name; all but the last are links, as the site draws them."""
    first, *rest = route.strip("/").split("/")
    start = [first, rest.pop(0)] if first == "pilpres" else [first]
    linked = [
        f'<li class="breadcrumb-item"><a href="{WEB}/{"/".join([*start, *rest[:step]])}">{name}</a></li>'
        for step, name in enumerate(names[:-1], 1)
    ]
    return "<ol>" + "".join(linked) + f'<li class="breadcrumb-item"><span>{names[-1]}</span></li></ol>'


def version(*copies: str) -> str:
    return '<div class="p-2 version-progress">' + "".join(f"<div>{copy}<!----></div>" for copy in copies) + "</div>"


def votes(*rows: tuple[str, str, str]) -> str:
    body = "".join(f"<tr><td>{number}</td><td>{name}</td><td>{count}</td></tr>" for number, name, count in rows)
    return f"<h5>PEROLEHAN SUARA</h5><table><thead><tr><th>URAIAN</th></tr></thead><tbody>{body}</tbody></table>"


def scans(*links: str) -> str:
    return "".join(f'<div><a href="{link}"><img class="img-fluid" src="saved.jpg"></a></div>' for link in links)


def page(*parts: str) -> bytes:
    head = "<!DOCTYPE html><html><head><meta charset='UTF-8'></head><body>"
    return f"{head}<div id='app'>{''.join(parts)}</div></body></html>\n".encode()


def station(*parts: str, route: str = FEBRUARY) -> bytes:
    return page(crumbs(route, *NAMES), *parts, version(VERSION, VERSION))


def read(body: bytes, url: str = "saved/page.html") -> Document:
    document = read_page(url, body)
    assert isinstance(document, Document), document
    return document


def refuse(body: bytes, url: str = "saved/page.html") -> Quarantine:
    quarantine = read_page(url, body)
    assert isinstance(quarantine, Quarantine), quarantine
    return quarantine


def only(document: Document) -> Tally:
    (tally,) = document.tallies
    assert tally.witness == "page"
    assert tally.unit_code == document.endpoint.region
    return tally


@pytest.mark.skipif(not REAL.exists(), reason="KPU's own pages stay beside the repository")
def test_the_real_page_is_read_with_the_contradiction_that_kpu_showed():
    document = read(REAL.read_bytes())
    tally = only(document)
    assert document.endpoint == Endpoint("pemilu-2024", "page", "ppwp", "8271021022008")
    assert document.reported_at == datetime(2024, 2, 15, 12, 0, 28, tzinfo=WIB)
    assert tally.contest_code == "ppwp:0"
    assert tally.votes == {"ballot-1": 90, "ballot-2": 160, "ballot-3": 60}  # 310, against
    assert (tally.valid_votes, tally.invalid_votes, tally.ballots) == (210, 0, 210)
    assert tally.form is not None
    assert (tally.form.voters_dpt, tally.form.voters_dptb, tally.form.voters_non_dpt) == (198, 9, 3)
    assert tally.form.voters == 210
    assert tally.form.images is not None
    assert [str(image).count("/8271021022008-20240214-") for image in tally.form.images] == [1, 1, 1]
    assert [candidate.ballot_number for candidate in document.candidates] == [1, 2, 3]
    assert document.candidates[1].candidate_name == "H. PRABOWO SUBIANTO - GIBRAN RAKABUMING RAKA"


@pytest.mark.skipif(not REAL.exists(), reason="KPU's own pages stay beside the repository")
def test_the_real_page_torn_anywhere_never_states_anything():
    body = REAL.read_bytes().rstrip()
    for end in range(0, len(body), 397):
        assert refuse(body[:end])


def test_a_station_page_of_february_gives_votes_totals_voters_and_scans():
    links = [f"https://forms.example/3326122005005-2024-{n}.jpg" for n in (1, 2)]
    rows = votes(("1", "SATU - DUA", "100"), ("2", "TIGA - EMPAT", "1.085"))
    document = read(station(VOTERS, rows, TOTALS, scans(*links)))
    assert document.endpoint == Endpoint("pemilu-2024", "page", "ppwp", "3326122005005")
    assert document.reported_at == datetime(2024, 11, 28, 2, 15, tzinfo=WIB)
    assert document.candidates == (
        Candidate("ppwp:0", "ballot-1", 1, "SATU - DUA"),
        Candidate("ppwp:0", "ballot-2", 2, "TIGA - EMPAT"),
    )
    form = StationForm(voters=190, voters_dpt=180, voters_dptb=4, voters_non_dpt=6, images=tuple(links))
    assert document.tallies == (
        Tally(
            "ppwp:0",
            "3326122005005",
            "page",
            {"ballot-1": 100, "ballot-2": 1085},
            valid_votes=185,
            invalid_votes=5,
            ballots=190,
            form=form,
        ),
    )


@pytest.mark.parametrize(
    ("route", "contest_type", "contest"),
    [
        (GOVERNOR, "pkwkp", "pkwkp:33"),
        (GOVERNOR.replace("pilgub", "pilwalkot"), "pkwkk", "pkwkk:3326"),
        (GOVERNOR.replace("pilgub", "pilbup"), "pkwkk", "pkwkk:3326"),
    ],
)
def test_a_station_page_of_pilkada_belongs_to_the_contest_of_its_route(route, contest_type, contest):
    body = station(votes(("1", "A", "3"), ("2", "KOLOM KOSONG - ", "4")), route=route)
    for url in ("page.html", f"{WEB}{route}/3326122005005", f"{WEB}{route}/3326122005005/?tab=1#top"):
        document = read(body, url)
        assert document.endpoint == Endpoint("pilkada-2024", "page", contest_type, "3326122005005")
        assert only(document).contest_code == contest
        assert document.candidates[1] == Candidate(contest, "ballot-2", 2, "KOLOM KOSONG -")


def test_an_address_alone_names_the_region_also_inside_a_web_archive():
    body = page(version(f"{VERSION} {PROGRESS}"))
    for prefix in (WEB, "http://localhost:8000", "https://web.archive.org/web/2024/https://pilkada2024.kpu.go.id"):
        assert read(body, f"{prefix}{GOVERNOR}").endpoint.region == "3326122005"
    assert read(body, f"{WEB}/pilgub/").endpoint == Endpoint("pilkada-2024", "page", "pkwkp")
    assert read(body, "https://pemilu2024.kpu.go.id/pilpres/hitung-suara").endpoint.contest_type == "ppwp"


@pytest.mark.parametrize("route", [FEBRUARY, GOVERNOR])
def test_a_region_page_without_an_address_is_known_by_the_links_below_it(route):
    below = f"<a href='{route}/3326122005001'>TPS 001</a>"
    for depth, code in enumerate(("33", "3326", "332612", "3326122005"), 1):
        endpoint = read(page(crumbs(route, *NAMES[:depth]), version(VERSION), below)).endpoint
        assert endpoint.region == code
        assert endpoint.contest_type == ("ppwp" if route == FEBRUARY else "pkwkp")


def test_a_regency_known_by_slugs_takes_its_code_from_links_that_agree():
    body = page(version(VERSION), *(f"<a href='{MAYOR}/{code}'></a>" for code in ("520601", "520602")))
    assert read(body, WEB + MAYOR).endpoint.region == "5206"
    other = page(version(VERSION), *(f"<a href='{MAYOR}/{code}'></a>" for code in ("520601", "527201")))
    assert refuse(other, WEB + MAYOR).place == "li.breadcrumb-item"


def test_links_to_other_places_and_contests_do_not_name_the_region():
    links = ("/pilgub/bali/badung/510301", "/pilwalkot/nusa-tenggara-barat/dompu/520501", "/pilgub", "mailto:x@y")
    body = page(version(VERSION), *(f"<a href='{link}'></a>" for link in (*links, f"{MAYOR}/520601")))
    assert read(body, WEB + MAYOR).endpoint.region == "5206"


def test_a_region_page_gives_progress_and_leaves_the_tables_of_its_children_alone():
    children = (
        '<table class="table table-bordered fs-12"><tr><td>KEC. A</td><td>1.717.245</td><td>78.81%</td></tr>'
        '<tr><td colspan="3">Data sedang dalam proses</td></tr></table>'
    )
    progress = f"{VERSION} {PROGRESS}"
    document = read(page(crumbs(GOVERNOR, *NAMES[:4]), children, version(progress, progress, progress)), WEB + GOVERNOR)
    expected = Tally("pkwkp:33", "3326122005", "page", {}, 1542, 1600, 96.38)
    assert document.tallies == (expected,)
    assert document.candidates == ()


@pytest.mark.parametrize(
    ("text", "reported", "total", "percent"),
    [
        ("Progress: 0 dari 14835 TPS (0%)", 0, 14835, 0.0),
        ("Progress: 14.825 dari 14.835 TPS (99.93%)", 14825, 14835, 99.93),
        ("Progress: 1.000 dari 1.000 TPS (100.0 %)", 1000, 1000, 100.0),
        ("Progress: 11 dari 10 TPS (110%)", 11, 10, 110.0),  # stations added late: a finding, not a bad page
    ],
)
def test_a_dot_parts_thousands_in_a_count_and_decimals_in_a_percentage(text, reported, total, percent):
    tally = only(read(page(version(f"{VERSION} {text}")), WEB + GOVERNOR))
    assert (tally.stations_reported, tally.stations_total, tally.reported_pct) == (reported, total, percent)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Progress: -1 dari 10 TPS (10%)", "absurd_value"),
        ("Progress: 1 dari \u221210 TPS (10%)", "absurd_value"),
        ("Progress: 1 dari 10 TPS (-10%)", "absurd_value"),
        ("Progress: 1 dari 999999999999999999999999 TPS (10%)", "absurd_value"),
        ("Progress: 1 dari 210000001 TPS (10%)", "absurd_value"),
        ("Progress: satu dari 10 TPS (10%)", "wrong_shape"),
        ("Progress: 1.5 dari 10 TPS (15%)", "wrong_shape"),
        ("Progress: ٣ dari 10 TPS (30%)", "wrong_shape"),
        ("Progress: 1 dari 10 TPS (10,5%)", "wrong_shape"),
        ("Progress: 1 dari 10 TPS (NaN%)", "wrong_shape"),
        ("Progress: 1 dari 10 TPS", "wrong_shape"),
        ("Progress: sedang dimuat", "wrong_shape"),
    ],
)
def test_a_progress_that_is_no_number_is_quarantined_at_its_place(text, reason):
    quarantine = refuse(page(version(f"{VERSION} {text}")), WEB + GOVERNOR)
    assert (quarantine.reason, quarantine.place) == (reason, "div.version-progress")


def test_months_are_english_whatever_the_language_of_the_machine():
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    for number, month in enumerate(months, 1):
        document = read(page(version(f"Versi: 5 {month} 2024 23:59:59")), WEB + "/pilgub")
        assert document.reported_at == datetime(2024, number, 5, 23, 59, 59, tzinfo=WIB)
        assert str(document.reported_at).endswith("+07:00")


@pytest.mark.parametrize(
    "text",
    [
        "Versi: 28 Agu 2024 02:15:00",  # Indonesian, which KPU's page never spoke
        "Versi: 28 nov 2024 02:15:00",
        "Versi: 28-11-2024 02:15:00",
        "Versi: 28 Nov 2024 02:15:001",
        "Versi:",
        "",
    ],
)
def test_a_page_without_a_time_has_no_place_in_the_count(text):
    quarantine = refuse(page("x", version(text)), WEB + GOVERNOR)
    assert (quarantine.reason, quarantine.place) == ("unknown_page", "div.version-progress")


@pytest.mark.parametrize("time", ["31 Feb 2024 02:15:00", "28 Nov 2024 25:15:00", "28 Nov 0001 02:15:00"])
def test_a_time_that_never_was_is_quarantined(time):
    quarantine = refuse(page(version(f"Versi: {time}")), WEB + GOVERNOR)
    assert quarantine.reason in {"absurd_value", "wrong_shape"}
    assert quarantine.place == "div.version-progress"


@pytest.mark.parametrize(
    "other",
    [f"Versi: 28 Nov 2024 02:30:00 {PROGRESS}", f"{VERSION} Progress: 1543 dari 1600 TPS (96.38%)"],
)
def test_copies_of_the_version_line_that_contradict_each_other_are_quarantined(other):
    quarantine = refuse(page(version(f"{VERSION} {PROGRESS}", other)), WEB + GOVERNOR)
    assert (quarantine.reason, quarantine.place) == ("wrong_shape", "div.version-progress")
    assert "contradict" in quarantine.detail


def test_a_copy_that_leaves_the_progress_out_contradicts_nothing():
    tally = only(read(page(version(VERSION, f"{VERSION}<br>{PROGRESS}")), WEB + GOVERNOR))
    assert tally.stations_reported == 1542


@pytest.mark.parametrize(
    "body",
    [
        b'<div id="app"></div>',
        b'<!DOCTYPE html><html><body><div id="app" translate="no">\n <!-- --> </div><script></script></body></html>',
        b'<html><body><div id="app"><div class="spinner"><svg></svg></div></div></body></html>',
    ],
)
def test_the_shell_that_the_server_sends_states_nothing(body):
    quarantine = refuse(body, WEB + GOVERNOR)
    assert (quarantine.reason, quarantine.place) == ("empty_shell", "#app")


def test_a_page_of_nowhere_is_unknown():
    assert refuse(page("x", version(VERSION))).place == "li.breadcrumb-item"
    assert (
        refuse(page(version(VERSION)), "https://pemilu2024.kpu.go.id/pilpres/rekapitulasi/33").reason == "unknown_page"
    )
    assert refuse(page(version(VERSION)), f"{WEB}/pilgub/jawa-tengah").reason == "unknown_page"  # a slug, no code
    assert refuse(page(version(VERSION)), f"{WEB}/pilgub/a/b/332612/3426122005").reason == "unknown_page"
    assert refuse(page(crumbs(FEBRUARY, *NAMES, "TPS 006"), version(VERSION))).reason == "unknown_page"
    assert refuse(page(crumbs(FEBRUARY, *NAMES[:4], "TPSLN 005"), version(VERSION))).reason == "unknown_page"


def test_a_breadcrumb_that_does_not_lead_down_to_one_region_is_unknown():
    astray = (
        crumbs(FEBRUARY, *NAMES)
        .replace("/33/3326/332612<", "/33/3327/332701<")
        .replace('/33/3326/332612"', '/33/3327/332701"')
    )
    assert refuse(page(astray, version(VERSION))).reason == "unknown_page"
    skipped = page(crumbs(FEBRUARY, *NAMES).replace("/3326122005", ""), version(VERSION))
    assert refuse(skipped).reason == "unknown_page"


@pytest.mark.parametrize(
    "url",
    [
        f"{WEB}{GOVERNOR}/3326122005006",
        f"{WEB}{GOVERNOR}",
        f"{WEB}/pilgub/jawa-tengah/pekalongan/332612/3326122006/3326122006005",
        f"{WEB}{GOVERNOR.replace('pekalongan', 'batang')}/3326122005005",
        f"{WEB}{GOVERNOR.replace('pilgub', 'pilwalkot')}/3326122005005",
    ],
)
def test_a_page_that_shows_another_region_than_its_address_is_quarantined(url):
    assert refuse(station(route=GOVERNOR), url).reason == "wrong_region"


def test_a_scan_of_another_station_is_quarantined():
    quarantine = refuse(station(scans("https://forms.example/33/3326122005006-2024.jpg")))
    assert (quarantine.reason, quarantine.place) == ("wrong_region", "a > img.img-fluid")


def test_what_a_station_page_does_not_give_is_not_zero():
    nothing = only(read(station()))
    assert nothing == Tally("ppwp:0", "3326122005005", "page")
    waiting = '<h5>PEROLEHAN SUARA</h5><table><tr><td colspan="3">Data sedang dalam proses</td></tr></table>'
    assert only(read(station(waiting))) == nothing
    empty = read(station(votes(("1", "A", ""), ("2", "B", "0")), VOTERS.replace(">190<", "><")))
    assert only(empty).votes == {"ballot-2": 0}
    assert len(empty.candidates) == 2
    assert only(empty).form == StationForm(voters_dpt=180, voters_dptb=4, voters_non_dpt=6)
    assert (
        only(read(station("<h5>PEROLEHAN SUARA</h5>", VOTERS))).votes == {}
    )  # the next heading's table is not its own


def test_a_row_whose_name_is_not_known_is_left_alone():
    form = only(read(station(VOTERS.replace("dalam DPK", "lainnya")))).form
    assert form == StationForm(voters=190, voters_dpt=180, voters_dptb=4)


@pytest.mark.parametrize(
    ("rows", "reason", "where"),
    [
        ([("1", "A", "-3")], "absurd_value", "tr:nth-child(1) td:nth-child(3)"),
        ([("1", "A", "3"), ("2", "B", "9" * 5000)], "absurd_value", "tr:nth-child(2) td:nth-child(3)"),
        ([("1", "A", "210.000.001")], "absurd_value", "tr:nth-child(1) td:nth-child(3)"),
        ([("1", "A", "banyak")], "wrong_shape", "tr:nth-child(1) td:nth-child(3)"),
        ([("1", "A", "12.5")], "wrong_shape", "tr:nth-child(1) td:nth-child(3)"),
        ([("1", "A", "1<!---->6")], "wrong_shape", "tr:nth-child(1) td:nth-child(3)"),
        ([("x", "A", "3")], "wrong_shape", "tr:nth-child(1) td:nth-child(1)"),
        ([("", "A", "3")], "wrong_shape", "tr:nth-child(1) td:nth-child(1)"),
        ([("0", "A", "3")], "wrong_shape", "tr:nth-child(1) td:nth-child(1)"),
        ([("1", "A", "3"), ("1", "B", "4")], "wrong_shape", "tr:nth-child(2) td:nth-child(1)"),
        ([("1", "A", "3</td><td>4")], "wrong_shape", "tr:nth-child(1)"),
    ],
)
def test_votes_that_cannot_be_are_quarantined_at_their_cell(rows, reason, where):
    quarantine = refuse(station(votes(*rows)))
    assert quarantine.reason == reason
    assert quarantine.place == f'h5:-soup-contains("PEROLEHAN SUARA") + table tbody {where}'
    assert len(quarantine.detail) < 200


def test_two_tables_or_rows_of_one_name_are_quarantined():
    assert refuse(station(TOTALS, TOTALS)).reason == "wrong_shape"
    assert refuse(station(VOTERS.replace("DPTb", "DPT"))).reason == "wrong_shape"


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "'; DROP TABLE results; --",
        '=HYPERLINK("x")',
        "{{ 7*7 }} \u202e\u0000 \u2018x\u2019 😀",
        "A & B &lt;i&gt;",
    ],
)
def test_a_hostile_name_is_kept_as_text(name):
    document = read(station(votes(("1", escape(name), "3"))))
    assert document.candidates[0].candidate_name == name


def test_a_scan_that_is_no_web_address_keeps_its_place_but_not_its_link():
    form = only(read(station(scans("javascript:alert(1)", "https://forms.example/a.jpg")))).form
    assert form == StationForm(images=(None, "https://forms.example/a.jpg"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe<\x00h\x00",
        b'{"mode": "hhcw"}',
        b"\x00" * 100,
        station(votes(("1", "A", "3")))[:-12],
        page(version(VERSION), "<!-- torn"),
        b"<![oops]><div></div>",
        b"<p>&#" + b"9" * 5000 + b";</p>",
        b"<?xml version='1.0'?><rss></rss>",
        "<p>\ud800</p>".encode("utf-8", "surrogatepass"),
    ],
)
def test_what_is_no_whole_page_is_quarantined(body):
    assert refuse(body, WEB + GOVERNOR).reason in {"wrong_shape", "unknown_page"}


@pytest.mark.parametrize(
    "unit", ["<div>", "<a", "<!--", "<!-- >", "<![CDATA[>", "<br></p>", "<a b='", "a<b>", "</x>", "&x", "<td>", "<h5>"]
)
@pytest.mark.parametrize("end", ["", "></html>"])
def test_a_hostile_page_of_megabytes_is_refused_before_it_costs_minutes(unit, end):
    # Without the limits, Python 3.11's html.parser needs minutes for most of these
    for body in (unit * (5_000_000 // len(unit)), unit * (3_900_000 // len(unit)), unit * 9_000 + "y" * 3_800_000):
        assert refuse((body + end).encode(), WEB + GOVERNOR)


PIECES = st.sampled_from(
    [
        crumbs(FEBRUARY, *NAMES),
        crumbs(GOVERNOR, *NAMES),
        crumbs(FEBRUARY, *NAMES[:2]),
        version(VERSION, VERSION),
        version(f"{VERSION} {PROGRESS}"),
        VOTERS,
        TOTALS,
        votes(("1", "A", "3"), ("2", "B", "4")),
        scans("https://forms.example/a.jpg"),
        "<table><tr><td>",
        "<h5>PEROLEHAN SUARA",
        "</div>",
        "<!--",
        "-->",
        '<a href="/pilgub/a/b/1',
        "&#xD800;&#0;&#1114112;",
        "</html>",
        "<?xml ?>",
    ]
)
URLS = st.one_of(st.text(), st.sampled_from([f"{FEBRUARY}/3326122005005", GOVERNOR, "/pilgub", "/pilgub/0", "//["]))


def states_or_says_why(url: str, body: bytes) -> None:
    answer = read_page(url, body)
    assert isinstance(answer, Document | Quarantine)
    assert answer == read_page(url, body)
    assert msgspec.json.decode(msgspec.json.encode(answer), type=type(answer)) == answer  # fit for the warehouse


@given(URLS, st.binary())
def test_no_bytes_raise(url, body):
    states_or_says_why(url, body)


@given(URLS, st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=12))
def test_no_arrangement_of_a_pages_parts_raises(url, parts):
    states_or_says_why(url, page(*parts))
    states_or_says_why(url, "".join(parts).encode("utf-8", "replace"))


@given(st.integers(0, 4000), st.binary(min_size=1, max_size=3))
def test_no_damage_to_a_page_raises(position, damage):
    body = station(VOTERS, votes(("1", "A", "3")), TOTALS, scans("https://forms.example/a.jpg"))
    at = position % len(body)
    states_or_says_why("x", body[:at] + damage + body[at + len(damage) :])
