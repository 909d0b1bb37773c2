"""Writing the page: figures, words, styles and scripts in one file that asks nobody for anything.

Names come from outside. In the HTML they are escaped by the template engine, in the figures they are JSON in which no
`<` remains, and the scripts put them on the page as text only: the page forbids itself everything else, scripts and
styles but its own included, which its security policy names by their hashes.
"""

from base64 import b64encode
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
from markupsafe import Markup

from extract.endpoints import Level, level_of, lineage
from warehouse.report.content import Content, gather
from warehouse.report.speech import Language, Speech, words
from warehouse.report.tables import tables

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).parents[1] / "templates"
_STYLES = ("colours.css", "page.css", "parts.css", "print.css")
_SCRIPTS = ("speech.js", "count.js", "elements.js", "plot.js", "charts.js", "tiles.js", "tables.js", "page.js")


class _Withdrawal(msgspec.Struct):
    withdrawn: int | None


def report(
    connection: duckdb.DuckDBPyConnection,
    region: str | None = None,
    *,
    depth: Level | None = None,
    language: Language | None = None,
    written_at: datetime,
) -> str:
    """The page about a region (a code or name; else about what the database is mostly about) down to a level.

    It begins in the language given, else in the one that the reader's browser asks for. It has less than 3 MB: where
    all steps would be more, it has fewer and says so. Raises RegionError and UsageError for what cannot be shown.
    """
    content = gather(connection, region, depth)
    speech = Speech(language or "id")
    style = "".join(_read(name) for name in _STYLES) + _painted(content.palette)
    script = "".join(_read(name) for name in _SCRIPTS)
    return (
        _environment()
        .get_template("report.html")
        .render(
            content=content,
            shown=tables(content),
            path=_path(content, speech),
            speech=speech,
            written_at=int(written_at.timestamp()),
            withdrawn=_withdrawn(content),
            style=Markup(style),  # noqa: S704 (ours, and colours that are checked)
            script=Markup(script),  # noqa: S704 (ours)
            figures=_embedded(_figures(content, language, written_at)),
            policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
            "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        )
    )


def _figures(content: Content, language: Language | None, written_at: datetime) -> dict[str, Any]:
    """What the scripts read."""
    provinces = msgspec.json.decode(_read("provinces.json"))
    return {
        "language": language,
        "written": int(written_at.timestamp()),
        "region": content.extent.region,
        "units": content.units,
        "contests": {
            contest: [
                {
                    "id": pair["candidate_id"],
                    "number": pair["ballot_number"],
                    "name": pair["candidate_name"],
                    "paint": pair["paint"],
                }
                for pair in pairs
            ]
            for contest, pairs in content.contests.items()
        },
        "series": content.series,
        "findings": content.findings,
        "rules": content.rules,
        "provinces": provinces,
        "words": words(),
    }


def _embedded(figures: dict[str, Any]) -> Markup:
    """JSON that ends no script element and opens no comment, whatever the names in it are."""
    text = msgspec.json.encode(figures).decode()
    for letter in "&<>\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 (nothing in it can be taken for markup now)


def _painted(palette: list[tuple[str, str]]) -> str:
    """A class for each paint: no style may stand at an element under the page's policy."""
    light = "".join(f".paint-{number}{{--pair:{paint[0]}}}" for number, paint in enumerate(palette))
    dark = "".join(f".paint-{number}{{--pair:{paint[1]}}}" for number, paint in enumerate(palette))
    return f"{light}@media screen and (prefers-color-scheme:dark){{{dark}}}"


def _path(content: Content, speech: Speech) -> list[tuple[str, str]]:
    """Codes and names from the province down to the region."""
    region = content.extent.region
    if not lineage(region):
        return [(region, speech.say("country"))]
    return [(code, content.units.get(code) or f"{speech.say(level_of(code))} {code}") for code in lineage(region)]


def _withdrawn(content: Content) -> dict[str, int] | None:
    """How many units' votes are withdrawn, and since when."""
    read = msgspec.json.Decoder(_Withdrawal).decode
    moments = [read(tally.standing).withdrawn for tallies in content.series.values() for tally in tallies.values()]
    known = [at for at in moments if at is not None]
    return {"units": len(known), "at": min(known)} if known else None


def _hash(text: str) -> str:
    """A script or style as a security policy names it."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> "jinja2.Environment":
    import jinja2  # takes longer to import than other commands to start

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")
