"""Rendered pages of KPU's public sites: a second witness of progress and, at a station, of the votes.

Source: the one page kept from February 2024, and the selectors of public scrapers of November 2024, when the
same front end was used again. Tables of children's figures are left alone: no such page was ever kept.
"""

import re
from collections.abc import Iterator
from datetime import datetime

import msgspec
from bs4 import BeautifulSoup, Tag
from bs4.exceptions import ParserRejectedMarkup

from extract.endpoints import LEVELS, NATIONAL, ContestType, ElectionId, Endpoint, level_of, lineage
from extract.errors import EndpointError
from transform.cells import MOST_VOTERS, UnfitError, moment
from transform.model import Candidate, Document, Quarantine, Reason, StationForm, Tally, contest_of

# What is left open, nested deeply or endless costs html.parser and bs4 quadratic time: minutes for a megabyte.
# Such bodies are refused before, or while, they are read. The real page: 22 kB, 490 marks, 18 levels.
_MOST_BYTES = 4_000_000  # a browser that saves everything into one file puts the three scans into it
_MOST_MARKS = 20_000  # tags and &entities; a village of 300 stations needs some 6,000
_MOST_LEVELS = 100

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # in any locale
_VERSION = re.compile(r"Versi: ([0-9]{1,2}) ([A-Za-z]{3}) ([0-9]{4}) ([0-9:]{8})(?!\S)")
_PROGRESS = re.compile(r"Progress: (\S{1,40}) dari (\S{1,40}) TPS \((\S{1,40}?) ?%\)")
_COUNT = re.compile(r"[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+")  # 1.717.245: here the dot parts thousands,
_PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,2})?")  # and on the same page, in 78.81%, it is the decimal point
_NEGATIVE = re.compile("[-\\u2212][0-9.]+")  # with either minus sign of typography
_Progress = tuple[int | None, int | None, float | None]

_Site = tuple[ElectionId, ContestType]
_SITES: dict[str, tuple[_Site, int]] = {  # by first word of the route; how many slugs come before the codes
    "pilpres": (("pemilu-2024", "ppwp"), 0),
    "pilgub": (("pilkada-2024", "pkwkp"), 2),
    "pilwalkot": (("pilkada-2024", "pkwkk"), 2),  # seen for regents too
    "pilbup": (("pilkada-2024", "pkwkk"), 2),  # never seen, but it could mean nothing else
}
_LENGTHS = tuple(LEVELS)  # of a region's code, by its depth: 0 is the country, 5 a station
_STATION = 5
_SCAN_OF = re.compile(r"/([0-9]{13})-")  # scans were named by their station in February 2024
_FIGURES = {  # what the rows of a station's tables are called; a row called otherwise is left alone
    "jumlah pengguna hak pilih": "voters",
    "jumlah pengguna hak pilih dalam dpt": "voters_dpt",
    "jumlah pengguna hak pilih dalam dptb": "voters_dptb",
    "jumlah pengguna hak pilih dalam dpk": "voters_non_dpt",  # DPK: who came with only an identity card
    "jumlah seluruh suara sah": "valid_votes",
    "jumlah suara tidak sah": "invalid_votes",
    "jumlah seluruh suara sah dan suara tidak sah": "ballots",
}


def read_page(url: str, body: bytes) -> Document | Quarantine:
    """What a rendered page states about its own region; pairs are known by ballot number, as `ballot-1`.

    `url`, where the page was found, helps if it is a route of the public sites, and then it must agree.
    Nothing raises, whatever the bytes; a Quarantine's place is a CSS selector.
    """
    try:
        return _read(url, _parse(body))
    except UnfitError as unfit:
        return unfit.quarantine


def _read(url: str, soup: BeautifulSoup) -> Document:
    app = soup.find(id="app")
    if app and not app.get_text(strip=True):
        raise UnfitError("empty_shell", "#app", "the page was kept before its script had filled it")
    reported_at, progress = _version(soup)
    endpoint = _endpoint(url, soup)
    tally = Tally(contest_of(endpoint.contest_type, endpoint.region), endpoint.region, "page", {}, *progress)
    if level_of(endpoint.region) != "tps":
        return Document(endpoint, reported_at, tallies=(tally,))
    candidates, tally = _station(soup, tally)
    return Document(endpoint, reported_at, candidates=candidates, tallies=(tally,))


class _Soup(BeautifulSoup):
    """Refuses to grow deeper than any page of KPU's: bs4 climbs up again from every element it adds."""

    def pushTag(self, tag: Tag) -> None:  # noqa: N802 (bs4's own name)
        """Open an element, or raise UnfitError if it lies too deep."""
        if len(self.tagStack) > _MOST_LEVELS:
            raise UnfitError("wrong_shape", "html", f"nested deeper than {_MOST_LEVELS} levels")
        super().pushTag(tag)


def _parse(body: bytes) -> BeautifulSoup:
    if len(body) > _MOST_BYTES:
        raise UnfitError("wrong_shape", "html", f"{len(body)} bytes, where no page has more than {_MOST_BYTES}")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnfitError("wrong_shape", "html", f"not UTF-8 at byte {error.start}") from error
    if text.count("<") + text.count("&") > _MOST_MARKS or text.count("<![") > 100:  # an open <![ is sought to the end
        raise UnfitError("wrong_shape", "html", f"more than {_MOST_MARKS} tags and entities, or 100 of <![")
    # A browser closes every tag and comment when it saves a page: whatever stayed open was torn off
    is_open = "<html" in text and "</html>" not in text
    if is_open or not text.rstrip().endswith(">") or text.rfind("<!--") > text.rfind("-->"):
        raise UnfitError("wrong_shape", "html", "not a whole page: it stops in the middle")
    try:
        return _Soup("<html>" + text, "html.parser")  # bs4 warns of XML unless html is the first tag
    except (ParserRejectedMarkup, ValueError) as error:  # a bad declaration; &# and more than 4,300 digits
        raise UnfitError("wrong_shape", "html", "html.parser rejects it") from error


def _version(soup: BeautifulSoup) -> tuple[datetime, _Progress]:
    """KPU's time for the page; stations reported, stations in all, per cent. All copies must agree."""
    place = "div.version-progress"
    moments, progresses = set[datetime](), set[_Progress]()
    for text in map(_text, soup.select(place, limit=10)):  # two or three copies, for wide and narrow screens
        versions, lines = _VERSION.findall(text), _PROGRESS.findall(text)
        if len(versions) != text.count("Versi:"):
            raise UnfitError("unknown_page", place, f"no version we can read: {text[:100]!r}")
        if len(lines) != text.count("Progress:"):
            raise UnfitError("wrong_shape", place, f"no progress we can read: {text[:100]!r}")
        moments.update(_reported_at(day, month, year, time, place) for day, month, year, time in versions)
        progresses.update((_count(n, place), _count(m, place), float(_check(_PERCENT, p, place))) for n, m, p in lines)
    if not moments:
        raise UnfitError("unknown_page", place, "no version line: its place in the count is unknown")
    if len(moments) > 1 or len(progresses) > 1:
        copies = ", ".join([*map(str, sorted(moments)), *sorted(map(str, progresses))])
        raise UnfitError("wrong_shape", place, f"its copies contradict each other: {copies[:200]}")
    return moments.pop(), progresses.pop() if progresses else (None, None, None)


def _reported_at(day: str, month: str, year: str, time: str, place: str) -> datetime:
    if month not in _MONTHS:
        raise UnfitError("unknown_page", place, f"no month that KPU's page would show: {month!r}")
    return moment(f"{year}-{_MONTHS.index(month) + 1:02}-{int(day):02} {time}", place)


class _Route(msgspec.Struct, frozen=True):
    """An address of the public sites: whose count, and the way down to a region by slugs, then codes."""

    site: _Site
    way: tuple[str, ...]
    code: str | None  # None while there are only slugs

    def leads_to(self, other: "_Route") -> bool:
        return self.site == other.site and self.way == other.way[: len(self.way)]


def _route(address: str) -> _Route | None:
    """`/pilpres/hitung-suara/82/8271` or `/pilgub/jawa-tengah/pekalongan/332612`, on any host; else None."""
    parts = [part for part in re.split("[?#]", address[:500], maxsplit=1)[0].split("/") if part]
    start = next((n for n, part in enumerate(parts) if part in _SITES), None)
    if start is None:
        return None
    (site, slugs), way = _SITES[parts[start]], parts[start + 1 :]
    if parts[start] == "pilpres" and (not way or way.pop(0) != "hitung-suara"):
        return None  # the recapitulation is another series
    if len(way) <= slugs:
        return _Route(site, tuple(way), None if way else NATIONAL)
    try:
        level_of(way[-1])
    except EndpointError:
        return None
    return _Route(site, tuple(way), way[-1]) if lineage(way[-1])[slugs:] == way[slugs:] else None


def _routes(part: Tag) -> list[_Route]:
    return [route for link in part.find_all("a", href=True) if (route := _route(str(link["href"])))]


def _endpoint(url: str, soup: BeautifulSoup) -> Endpoint:
    """Which region's page it is: by its address, its breadcrumb, or the links to what lies below it."""
    place = "li.breadcrumb-item"
    crumbs = soup.select(place, limit=_STATION + 1)
    asked, trail = _route(url), [(step, route) for step, crumb in enumerate(crumbs, 1) for route in _routes(crumb)]
    depth = len(asked.way) if asked and not crumbs else len(crumbs)
    if depth > _STATION or not (asked or crumbs):
        raise UnfitError("unknown_page", place, f"{len(crumbs)} steps, where a region has 1 to 5")
    if any(len(route.way) != step or not route.leads_to(trail[-1][1]) for step, route in trail):
        raise UnfitError("unknown_page", place, "its links do not lead down to one region")
    if asked and (len(asked.way) != depth or not all(route.leads_to(asked) for _, route in trail)):
        raise UnfitError("wrong_region", place, f"another region than its address: {url[:200]!r}")
    known = asked or (trail[-1][1] if trail else None)
    codes = _codes(soup, known, depth)
    # A station's own step is no link, but it ends with the last three digits of the code: TPS 008
    tps = re.fullmatch("TPS ([0-9]{3})", _text(crumbs[-1])) if depth == _STATION and crumbs else None
    if tps and known and known.code and len(known.way) >= _STATION - 1:
        codes.add((known.site, known.code[: _LENGTHS[_STATION - 1]] + tps[1]))
    if len(codes) != 1:
        found = ", ".join(sorted(code for _, code in codes)[:5]) or "no code"
        reason: Reason = "wrong_region" if asked and codes else "unknown_page"
        raise UnfitError(reason, place, f"which region it is cannot be known: {found}")
    (election, contest_type), region = codes.pop()
    return Endpoint(election, "page", contest_type, region)


def _codes(soup: BeautifulSoup, known: _Route | None, depth: int) -> set[tuple[_Site, str]]:
    """The codes a page at this depth may have: the known route's, or what the links further down begin with."""
    if known and len(known.way) == depth and known.code:
        return {(known.site, known.code)}
    below = [route for route in _routes(soup) if len(route.way) > depth and (not known or known.leads_to(route))]
    return {(route.site, route.code[: _LENGTHS[depth]]) for route in below if route.code}


def _station(soup: BeautifulSoup, tally: Tally) -> tuple[tuple[Candidate, ...], Tally]:
    """The three tables and the scans of a station's page."""
    candidates: dict[str, Candidate] = {}
    votes: dict[str, int] = {}
    for place, (number, name, cell) in _rows(soup, "PEROLEHAN SUARA", 3):
        ballot, count = _count(number, f"{place} td:nth-child(1)"), _count(cell, f"{place} td:nth-child(3)")
        pair = f"ballot-{ballot}"
        if not ballot or ballot > 99 or pair in candidates:
            raise UnfitError("wrong_shape", f"{place} td:nth-child(1)", f"no ballot number of its own: {number!r}")
        candidates[pair] = Candidate(tally.contest_code, pair, ballot, name)
        if count is not None:
            votes[pair] = count
    figures: dict[str, int | None] = {}
    rows = [*_rows(soup, "DATA PENGGUNA HAK PILIH", 2), *_rows(soup, "JUMLAH SUARA SAH DAN TIDAK SAH", 3)]
    for place, (*_, label, cell) in rows:
        figure = _FIGURES.get(label.casefold())
        if figure in figures:
            raise UnfitError("wrong_shape", place, f"a second row called {label[:80]!r}")
        if figure:
            figures[figure] = _count(cell, f"{place} td:last-child")
    form = StationForm(
        voters=figures.get("voters"),
        voters_dpt=figures.get("voters_dpt"),
        voters_dptb=figures.get("voters_dptb"),
        voters_non_dpt=figures.get("voters_non_dpt"),
        images=_scans(soup, tally.unit_code),
    )
    totals = {name: figures.get(name) for name in ("valid_votes", "invalid_votes", "ballots")}
    tally = msgspec.structs.replace(tally, votes=votes, form=None if form == StationForm() else form, **totals)
    return tuple(candidates.values()), tally


def _rows(soup: BeautifulSoup, heading: str, width: int) -> Iterator[tuple[str, list[str]]]:
    """The place and the cells of each row of the table right after a heading, if the page has it."""
    place = f'h5:-soup-contains("{heading}") + table'
    follow = [h5.find_next_sibling() for h5 in soup.find_all("h5") if _text(h5) == heading]
    tables = [table for table in follow if table and table.name == "table"]
    if len(tables) > 1:
        raise UnfitError("wrong_shape", place, f"{len(tables)} tables of that name")
    rows = [row.find_all("td", recursive=False) for table in tables for row in table.find_all("tr")]
    for number, cells in enumerate(filter(None, rows), 1):
        here, texts = f"{place} tbody tr:nth-child({number})", [_text(cell) for cell in cells]
        if len(cells) == 1 and cells[0].has_attr("colspan") and texts[0].casefold() == "data sedang dalam proses":
            continue  # not given, which is not 0
        if len(cells) != width:
            raise UnfitError("wrong_shape", here, f"{len(cells)} cells, expected {width}")
        yield here, texts


def _scans(soup: BeautifulSoup, station: str) -> tuple[str | None, ...] | None:
    """The addresses of the scanned forms; None if the page was saved with that part folded."""
    place = "a > img.img-fluid"
    links = [str(image.parent["href"]) for image in soup.select(f"a[href]{place[1:]}") if image.parent]
    for link in links:
        if (found := _SCAN_OF.search(link)) and found[1] != station:
            raise UnfitError("wrong_region", place, f"a form of station {found[1]}")
    # Only web addresses: a reader of the warehouse may click on them
    return tuple(link if link.startswith(("https://", "http://")) else None for link in links) or None


def _text(tag: Tag) -> str:
    return " ".join(tag.get_text(" ").split())


def _count(text: str, place: str) -> int | None:
    """A whole number, or None for an empty cell: the site's framework (Vue) writes null as nothing."""
    digits = _check(_COUNT, text, place).replace(".", "").lstrip("0") or "0" if text else None
    if digits and (len(digits) > len(str(MOST_VOTERS)) or int(digits) > MOST_VOTERS):
        raise UnfitError("absurd_value", place, f"{text[:40]} cannot be a count in Indonesia")
    return int(digits) if digits else None


def _check(number: re.Pattern[str], text: str, place: str) -> str:
    if _NEGATIVE.fullmatch(text):
        raise UnfitError("absurd_value", place, f"{text[:40]} is negative")
    if not number.fullmatch(text):
        raise UnfitError("wrong_shape", place, f"no {'count' if number is _COUNT else 'percentage'}: {text[:40]!r}")
    return text
