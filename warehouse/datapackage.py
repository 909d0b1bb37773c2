"""datapackage.json beside published and exported files: what they are, by the Data Package standard, version 2.

Made from the data alone, so that the same captures give the same bytes.
"""

import hashlib
import os
import re
from datetime import UTC
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from warehouse import queries
from warehouse.surface import Column, View

FILE = "datapackage.json"
NAME = "realcount"

_MEDIATYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
_SITES = {"pemilu-2024": "https://pemilu2024.kpu.go.id", "pilkada-2024": "https://pilkada2024.kpu.go.id"}
_LICENCE = {"name": "other-pd", "title": "Facts of a public count: nobody's work, and no rights in them are claimed"}
_TYPES = {
    "VARCHAR": "string",
    "BOOLEAN": "boolean",
    "DOUBLE": "number",
    "FLOAT": "number",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "JSON": "object",
}
_INTEGER = re.compile("U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_APOSTROPHE = "Text that a spreadsheet would run as a formula has an apostrophe before it. "


class File(msgspec.Struct, frozen=True):
    """A view as it was written: into which file, and how many rows."""

    view: View
    path: Path
    rows: int


def describe(connection: duckdb.DuckDBPyConnection, files: list[File], about: str = "") -> bytes:
    """The description of a set of files, which are all in one directory and are on the disk when it returns.

    `about` is a sentence about this set, such as the moment it tells of.
    """
    (made_from,) = queries.ask(connection, "provenance").records()
    simulated = "SIMULATED: made by the simulator, no record of a count. " if made_from["is_simulated"] else ""
    names = {file.view.name for file in files}
    package = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": NAME,
        "title": f"{'SIMULATED: ' if simulated else ''}KPU's count, as realcount recorded it",
        "description": f"{simulated}{about}{_APOSTROPHE if any(f.path.suffix == '.csv' for f in files) else ''}"
        "Two clocks: reported_at is KPU's own time of a figure, observed_at when it was fetched. "
        "hhcw and hr are two series: never add or mix them.",
        "version": f"1.{made_from['sequence'] or 0}.0",  # the surface, and the newest run in it
        "created": None if made_from["observed_at"] is None else made_from["observed_at"].astimezone(UTC).isoformat(),
        "licenses": [_LICENCE],
        "sources": [
            {"title": f"KPU, the public count of {election}", "path": _SITES[election]}
            for election in made_from["elections"]
            if election in _SITES
        ],
        "is_simulated": made_from["is_simulated"],
        "manifest": made_from["manifest_digest"],
        "resources": [_resource(file, names) for file in files],
    }
    return msgspec.json.format(msgspec.json.encode(package), indent=2) + b"\n"


def _resource(file: File, names: set[str]) -> dict[str, Any]:
    form = file.path.suffix.removeprefix(".")
    with file.path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        os.fsync(content.fileno())  # described is written: also if the power fails now
    return {
        "name": file.view.name,
        "type": "table",
        "path": file.path.name,
        "description": file.view.comment,
        "format": form,
        "mediatype": _MEDIATYPES[form],
        **({"encoding": "utf-8"} if form == "csv" else {}),
        "bytes": file.path.stat().st_size,
        "hash": f"sha256:{digest}",
        "rowCount": file.rows,
        "schema": {
            "fields": [
                {"name": column.name, "type": _type(column), "description": column.comment}
                for column in file.view.columns
            ],
            **({"primaryKey": list(file.view.key)} if file.view.key else {}),
            **({"foreignKeys": keys} if (keys := _foreign_keys(file.view, names)) else {}),
        },
    }


def _type(column: Column) -> str:
    """The standard's name of a DuckDB type."""
    if column.type.endswith("[]"):
        return "array"
    if column.type.startswith(("STRUCT", "MAP")):
        return "object"
    return "integer" if _INTEGER.fullmatch(column.type) else _TYPES.get(column.type, "any")


def _foreign_keys(view: View, names: set[str]) -> list[dict[str, Any]]:
    """From any number to the capture it came from, and from a capture to its run."""
    return [
        {"fields": [field], "reference": {"resource": resource, "fields": [field]}}
        for field, resource in (("capture_id", "captures"), ("run", "runs"))
        if view.has(field) and view.name != resource and resource in names
    ]
