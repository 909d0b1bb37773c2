"""From the bytes of a capture to what they state, or to the reason why they state nothing.

Pure: the same capture gives the same answer, on any machine, in any year. Nothing raises; a body that is not
what was asked for comes back as a Quarantine with its exact place.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from extract.capture import Capture
from extract.endpoints import LEVELS, Endpoint, level_of
from extract.errors import EndpointError
from transform.cells import (
    UnfitError,
    convert,
    expect,
    kind_of,
    moment,
    number,
    percent,
    region_code,
    require_child,
    whole,
)
from transform.drift import of_count, of_items, told, unknown_cells
from transform.model import Candidate, Document, Quarantine, ReportingUnit, StationForm, Tally, Witness, contest_of
from transform.wire import ADMINISTRASI, Chart, Count, Paslon, Wilayah

_MOST_BYTES = 32 << 20  # what is taken off the wire at most; 100 MB of brackets become gigabytes of Python objects
_FORM_STATION = re.compile(r"(?:^|/)(\d{13})-")  # form images were named by their station in February 2024
_ORDER = tuple(LEVELS.values())
_ELECTING = {"pkwkp": "province", "pkwkk": "regency", "ppwp": "national"}

_count = msgspec.json.Decoder(Count)
_regions = msgspec.json.Decoder(list[Any])
_pairs = msgspec.json.Decoder(dict[str, Any])


def read(capture: Capture) -> Document | Quarantine:
    """What a capture says. It must have its body; its URL tells what was asked for."""
    body = capture.body or b""
    if unusable := _unusable(capture, len(body)):
        return unusable
    if capture.mimetype == "text/html" and not capture.url.endswith(".json"):
        from transform.pages import read_page  # BeautifulSoup takes 0.1 s to import and JSON never needs it

        return read_page(capture.url, body)
    try:
        body.decode()  # msgspec does not look into the keys and texts that it skips
        endpoint = Endpoint.from_url(capture.url)
        match endpoint.document:
            case "wilayah":
                return _read_regions(endpoint, body)
            case "paslon":
                return _read_pairs(endpoint, body)
            case _:
                return _read_count(endpoint, body)
    except UnfitError as unfit:
        return unfit.quarantine
    except EndpointError as error:
        return Quarantine("wrong_shape", "$", f"{error!s:.200}")
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")
        return Quarantine("wrong_shape", place.strip("`") or "$", what)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Quarantine("not_json", "$", f"{error} ({body[:40]!r}…)")


def _unusable(capture: Capture, length: int) -> Quarantine | None:
    """Why an answer need not be looked into."""
    if capture.status not in (200, 304):  # 304: the bytes we had before, confirmed
        return Quarantine("http_status", "$", f"the source answered {capture.status}")
    if capture.truncated:
        return Quarantine("truncated", "$", f"the body is not whole ({capture.truncated})")
    if length > _MOST_BYTES:
        return Quarantine("wrong_shape", "$", f"{length} bytes, where no document has more than {_MOST_BYTES}")
    return None


def _read_regions(endpoint: Endpoint, body: bytes) -> Document:
    """A region list: the children of one region."""
    units: dict[str, ReportingUnit] = {}
    items = _regions.decode(body)
    for index, item in enumerate(items):
        place = f"$[{index}]"
        row = convert(item, Wilayah, place)
        require_child(row.kode, endpoint.region, f"{place}.kode")
        if row.kode in units:
            raise UnfitError("wrong_shape", f"{place}.kode", f"{row.kode} is listed twice")
        units[row.kode] = ReportingUnit(row.kode, level_of(row.kode), row.nama, number(row.id, place, "id"))
    return Document(endpoint, units=tuple(units.values()), unknown_keys=told(of_items(items, Wilayah, "$[*]")))


def _read_pairs(endpoint: Endpoint, body: bytes) -> Document:
    """The pairs of every contest of a type, with their ballot numbers: never infer those from ids or order."""
    content = _pairs.decode(body)
    nested = endpoint.election == "pilkada-2024"  # February has one contest and leaves the region out
    candidates = []
    for region, pairs in content.items() if nested else [("0", content)]:
        place = f"$.{region}" if nested else "$"
        if not isinstance(pairs, dict):
            raise UnfitError("wrong_shape", place, f"expected an object of pairs, found {kind_of(pairs)}")
        contest = contest_of(endpoint.contest_type, region_code(region, place))
        if level_of(region) != _ELECTING[endpoint.contest_type]:
            raise UnfitError("wrong_region", place, f"{endpoint.contest_type} is not voted on in {region} by itself")
        for candidate_id, item in pairs.items():
            here = f"{place}.{candidate_id}"
            pair = convert(item, Paslon, here)
            ballot_number = number(pair.nomor_urut, here, "nomor_urut")
            updated_at = moment(pair.ts, f"{here}.ts") if pair.ts else None
            candidates.append(Candidate(contest, candidate_id, ballot_number, pair.nama, pair.warna, updated_at))
    items = [item for pairs in (content.values() if nested else [content]) for item in pairs.values()]
    unknown = told(of_items(items, Paslon, "$.*.*" if nested else "$.*"))
    return Document(endpoint, candidates=tuple(candidates), unknown_keys=unknown)


def _read_count(endpoint: Endpoint, body: bytes) -> Document:
    """A count or recapitulation of any level, nested (Pilkada) or flat (February)."""
    count = _count.decode(body)
    if count.mode is not None and count.mode != endpoint.document:
        raise UnfitError("wrong_mode", "$.mode", f"asked for {endpoint.document}, got {count.mode!r}")
    root, nest = (count.tungsura, "$.tungsura") if count.tungsura else (count, "$")
    if endpoint.document == "hhcw":  # the shape of hr was never recorded: ask nothing of it
        if root.chart is msgspec.UNSET:
            raise UnfitError("wrong_shape", nest, "no chart")
        if count.ts is None:
            raise UnfitError("wrong_shape", "$.ts", "no time: its place in the count is unknown")
    reported_at = moment(count.ts, "$.ts") if count.ts is not None else None
    if level_of(endpoint.region) == "tps":
        if root.table:
            raise UnfitError("wrong_region", f"{nest}.table", "a region's document: a station has no children")
        tallies = [_station(endpoint, count, root.chart or {}, root.administrasi or {}, nest)]
    else:
        if endpoint.document == "hhcw" and (count.images or root.administrasi or count.status_suara is not None):
            raise UnfitError("wrong_region", "$", "a station's document: only stations have forms")
        if endpoint.document == "hhcw" and root.table is msgspec.UNSET:  # or all its children would seem to be gone
            raise UnfitError("wrong_shape", nest, "no table")
        form = StationForm(images=tuple(count.url_formd)) if count.url_formd else None
        chart, place = root.chart or {}, f"{nest}.chart"
        own = _tally(endpoint, endpoint.region, "self", chart, place, count.progres)
        _require_votes_nowhere_else(own, chart, place)
        tallies = [msgspec.structs.replace(own, revote_status=count.psu, form=form)]
        tallies += _rows(endpoint, root.table or {}, f"{nest}.table")
    return Document(endpoint, reported_at, tallies=tuple(tallies), unknown_keys=told(of_count(body, count, root, nest)))


def _rows(endpoint: Endpoint, table: dict[str, Any], place: str) -> Iterator[Tally]:
    """What a region's table says about each child."""
    for code, row in table.items():
        here = f"{place}.{code}"
        require_child(code, endpoint.region, here)
        if not isinstance(row, dict):
            raise UnfitError("wrong_shape", here, f"expected an object, found {kind_of(row)}")
        yield _require_votes_nowhere_else(_tally(endpoint, code, "parent", row, here, None), row, here)


def _tally(
    endpoint: Endpoint, unit: str, witness: Witness, cells: Chart, place: str, progress: dict[str, Any] | None
) -> Tally:
    """A chart or a row: candidate ids mixed with progress and status."""
    votes: dict[str, int] = {}
    reported = total = share = is_reported = revote = None
    where = "$.progres"  # that of `progress`, unless the chart or row brings its own
    for key, cell in cells.items():
        if key.isdecimal():
            if cell is not None:  # null, like an absent key, is not given: not 0
                votes[key] = whole(cell, place, key)
        elif key == "progres":
            progress, where = cell, f"{place}.progres"
        elif key == "persen":
            share = percent(cell, f"{place}.persen")
        elif key == "psu":
            revote = cell
        elif key == "status_progress":
            is_reported = cell
    if progress is not None:
        if not isinstance(progress, dict):
            raise UnfitError("wrong_shape", where, f"expected an object, found {kind_of(progress)}")
        reported = number(progress.get("progres"), where, "progres")
        total = number(progress.get("total"), where, "total")
        share = percent(progress.get("persen", share), f"{where}.persen")
    return Tally(
        contest_of(endpoint.contest_type, unit),
        unit,
        witness,
        dict(sorted(votes.items())),  # equal votes must compare as equal, whatever the order of keys
        reported,
        total,
        share,
        expect(is_reported, bool, f"{place}.status_progress"),
        revote_status=expect(revote, str, f"{place}.psu"),
    )


def _require_votes_nowhere_else(tally: Tally, cells: Chart, place: str) -> Tally:
    """The tally: votes that moved to keys we do not know are no withdrawal."""
    if not tally.votes and tally.stations_reported != 0 and _has_candidates(tally):
        for key in unknown_cells(cells):
            if isinstance(cells[key], int | dict | list) and not isinstance(cells[key], bool):
                raise UnfitError("wrong_shape", f"{place}.{key}", "no pair's votes, but something else instead")
    return tally


def _has_candidates(tally: Tally) -> bool:
    """Above its contests' own areas KPU gives progress only: `pkwkk/31.json`."""
    electing = _ELECTING[tally.contest_code.partition(":")[0]]
    return _ORDER.index(level_of(tally.unit_code)) >= _ORDER.index(electing)


def _station(endpoint: Endpoint, count: Count, chart: Chart, administration: dict[str, Any], nest: str) -> Tally:
    """A station's own document: votes, the administration figures of its form, and the scans."""
    for index, image in enumerate(count.images or ()):
        found = _FORM_STATION.search(image or "")
        if found and found[1] != endpoint.region:
            raise UnfitError("wrong_region", f"$.images[{index}]", f"a form of station {found[1]}")
    tally = _tally(endpoint, endpoint.region, "self", chart, f"{nest}.chart", None)
    _require_votes_nowhere_else(tally, chart, f"{nest}.chart")
    place = f"{nest}.administrasi"
    figures = {
        name: number(administration[key], place, key) for key, name in ADMINISTRASI.items() if key in administration
    }
    totals = ("valid_votes", "invalid_votes", "ballots", "registered_voters")
    form = StationForm(
        **{name: figure for name, figure in figures.items() if name not in totals},
        images=None if count.images is None else tuple(count.images),
        is_votes_complete=count.status_suara,
        is_form_complete=count.status_adm,
    )
    # Regions count the stations that have a chart (exact over the 2,084 stations of one regency)
    return msgspec.structs.replace(
        tally,
        stations_reported=1 if tally.votes else 0,
        stations_total=1,
        revote_status=count.psu,
        form=form,
        **{name: figures.get(name) for name in totals},
    )
