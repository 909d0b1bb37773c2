"""The peer dlt: its merge strategy scd2 into DuckDB, one load a commit, the commit's time as the boundary.

`snapshots`, what the strategy expects by default: every load is the whole count as it stood, and what is missing is
retired. `changes`: only the documents that a commit changed, with the document as merge key, so that others stay.
A row's version is a hash of its figures, so that a document's clock alone makes no new one.

python dlt_scd2.py BUNDLE DIRECTORY snapshots|changes    prints what came out as JSON
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from observations import Observation, digest, observations, rows

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}  # asks nobody, tells nobody

import dlt
import duckdb


def loaded(found: Iterable[Observation]) -> Iterator[list[dict[str, Any]]]:
    """The rows of documents in pages, as dlt recommends, with KPU's clock and the row's version."""
    for observation in found:
        reported_at = json.loads(observation.body)["ts"]
        yield [{**row, "reported_at": reported_at, "row_version": digest(row)} for row in rows(observation)]


def build(bundle: Path, directory: Path, way: str) -> Path:
    """Load commit after commit; returns the database."""
    standing: dict[str, Observation] = {}
    database = directory / "count.duckdb"
    pipeline = dlt.pipeline(
        pipeline_name="count",
        pipelines_dir=str(directory / "pipelines"),
        destination=dlt.destinations.duckdb(str(database)),
        dataset_name="history",
    )
    for (_, at), found in itertools.groupby(observations(bundle, directory), key=lambda one: (one.commit, one.at)):
        scd2 = {
            "disposition": "merge",
            "strategy": "scd2",
            "row_version_column_name": "row_version",
            "boundary_timestamp": datetime.fromisoformat(at),
        }
        if way == "snapshots":
            standing |= {observation.document: observation for observation in found}
            found = iter(standing.values())
        columns = {"votes": {"data_type": "json"}}  # else every pair in the country becomes a column
        key = "document" if way == "changes" else None
        resource = dlt.resource(loaded(found), name="tally", write_disposition=scd2, merge_key=key, columns=columns)
        pipeline.run(resource)
    return database


def main(bundle: Path, directory: Path, way: str) -> None:
    """Build the history once and count it."""
    started = time.perf_counter()
    database = build(bundle, directory, way)
    seconds = time.perf_counter() - started
    with duckdb.connect(str(database), read_only=True) as connection:
        ((versions, series),) = connection.execute(
            "SELECT count(*), count(DISTINCT (document, unit)) FROM history.tally"
        ).fetchall()
    print(json.dumps({"seconds": seconds, "versions": versions, "series": series}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
