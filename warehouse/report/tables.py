"""The topmost region's tables as they stand in the HTML, for readers without JavaScript and for search."""

from collections.abc import Iterable
from typing import Any

import msgspec

from extract.endpoints import parent_of
from warehouse.report.content import Content, Record, Tally

_LATEST = 20  # changes; with scripts the page shows more


class Shown(msgspec.Struct):
    """What the HTML shows of one series: the region's own standing, those below it, and the latest steps there."""

    series: str
    standing: Record
    pairs: list[Record]
    units: list[Record]
    changes: list[Record]


def tables(content: Content) -> list[Shown]:
    """A set of tables for every series."""
    return [_shown(content, series, tallies) for series, tallies in content.series.items()]


def _shown(content: Content, series: str, tallies: dict[str, Tally]) -> Shown:
    election, _, _ = series.split("/")
    region = content.extent.region
    below = [code for code in tallies if code != region and parent_of(code) == region]
    standings = {code: msgspec.json.decode(tallies[code].standing) for code in below}
    own = msgspec.json.decode(tallies[region].standing) if region in tallies else _summed(standings.values())

    def pairs_of(standing: Record) -> list[Record]:
        return content.contests.get(f"{election}/{standing['contest']}", [])

    units = []
    for code, standing in standings.items():
        ranked = _ranked(pairs_of(standing), standing["votes"])
        leader = ranked[0] if ranked and ranked[0]["votes"] and ranked[0]["margin"] != 0 else None
        units.append({"code": code, **standing, "leader": leader})
    steps = ((code, msgspec.json.decode(tallies[code].steps), pairs_of(standings[code])) for code in below)
    changes = [change for code, kept, pairs in steps if kept for change in _changes(code, kept, pairs)]
    changes.sort(key=lambda change: (-change["at"], change["code"]))
    return Shown(series, own, _ranked(pairs_of(own), own["votes"]), units, changes[:_LATEST])


def _summed(standings: Iterable[Record]) -> Record:
    """Where the region has no document of its own: how far those below it are."""
    given = list(standings)
    return {
        "contest": None,
        "stations": sum(standing["stations"] or 0 for standing in given),
        "total": sum(standing["total"] or 0 for standing in given),
        "at": max((standing["at"] for standing in given if standing["at"]), default=None),
        "seen": max((standing["seen"] for standing in given if standing["seen"]), default=None),
        "withdrawn": None,
        "votes": None,
        "digest": None,
    }


def _ranked(pairs: list[Record], votes: list[int | None] | None) -> list[Record]:
    """The pairs with their votes, most first; what was not given comes last."""
    if not votes:
        return []
    whole = sum(given or 0 for given in votes)
    places = enumerate(zip(pairs, votes, strict=True))
    ranked = [{**pair, "place": place, "votes": given, "whole": whole} for place, (pair, given) in places]
    ranked.sort(key=lambda pair: (pair["votes"] is None, -(pair["votes"] or 0)))
    first, second = ranked[0], ranked[1] if len(ranked) > 1 else None
    for pair in ranked:
        rival = second if pair is first else first
        is_known = rival is not None and None not in (pair["votes"], rival["votes"])
        pair["margin"] = pair["votes"] - rival["votes"] if rival and is_known else None
    return ranked


def _changes(code: str, steps: dict[str, list[Any]], pairs: list[Record]) -> list[Record]:
    """What each step changed in a unit's votes. Only the last ones can be among the latest of all."""
    before = [0] * len(pairs)
    stations = 0
    changes = []
    for at, reported, given, kind in zip(steps["at"], steps["stations"], steps["votes"], steps["kind"], strict=True):
        votes = [part or 0 for part in given] if given else before
        if given and kind and kind != "withdrawn":
            deltas = [after - was for after, was in zip(votes, before, strict=True)]
            moved = [{**pair, "place": n, "delta": deltas[n]} for n, pair in enumerate(pairs)]
            gained = (reported or 0) - stations
            changes.append({"code": code, "at": at * 60, "stations": gained, "kind": kind, "moved": moved})
        before, stations = votes, reported or stations
    return changes[-_LATEST:]
