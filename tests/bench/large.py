"""The benchmark of questions: how long a database of the country's size takes to answer. Run by `make bench`.

The database is made up in SQL (large.sql), and what readers ask for is derived by the loader's own script. Findings are
left out: sums that are made up do not match across levels, and every unit would have some.
"""

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import duckdb

from warehouse.connection import reading, writing
from warehouse.migrate import migrate

HERE = Path(__file__).parent
DERIVING = sorted((HERE.parents[1] / "load" / "sql").glob("7_*.sql"))
RUNS = 15
EVERY_COLUMN = "count(*), sum(votes), sum(margin), sum(rank), sum(share_pct), max(unit_name), max(candidate_name)"
QUESTIONS = {
    "results of a contest, to its stations": f"SELECT {EVERY_COLUMN} FROM results WHERE contest_code = 'pkwkp:31'",
    "results_as_of, the same contest": f"""
        SELECT {EVERY_COLUMN} FROM results_as_of('2024-11-27 22:00:00+07') WHERE contest_code = 'pkwkp:31'
    """,
    "results, all regencies of the country": f"SELECT {EVERY_COLUMN} FROM results WHERE level = 'regency'",
    "results_as_of, one unit": "FROM results_as_of('2024-11-27 22:00:00+07') WHERE unit_code = '3105'",
    "timeline of a unit": "FROM timeline WHERE unit_code = '3105'",
    "changes of the last hour": """
        SELECT count(*), sum(votes_delta), max(kind), max(unit_name), max(candidate_name)
        FROM changes WHERE reported_at > (SELECT max(reported_at) - INTERVAL 1 HOUR FROM captures)
    """,
    "changes of an hour at midnight, one contest": """
        SELECT count(*), sum(votes_delta), max(kind), max(unit_name), max(candidate_name)
        FROM changes
        WHERE contest_code = 'pkwkp:31'
            AND reported_at > '2024-11-27 23:00:00+07' AND reported_at <= '2024-11-28 00:00:00+07'
    """,
}


def build(path: Path, within: str = "") -> float:
    """Make the database, of one province if `within` is its code; returns the seconds it took."""
    started = time.perf_counter()
    with writing(path) as connection:
        migrate(connection, path)
        if within:
            connection.execute("DELETE FROM core.province WHERE unit_code NOT IN ('0', ?)", [within])
        for script in [HERE / "large.sql", *DERIVING]:
            connection.execute(script.read_text("utf-8"))
    return time.perf_counter() - started


def seconds(connection: duckdb.DuckDBPyConnection, question: str) -> tuple[float, int]:
    """The median time to answer, and the rows behind it."""
    times = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        rows = connection.execute(question).fetchall()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:]), rows[0][0] if len(rows) == 1 else len(rows)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="realcount-bench-") as directory:
        path = Path(directory) / "large.duckdb"
        built = build(path)
        print(
            f"A night of the country's size, medians of {RUNS} runs, {len(os.sched_getaffinity(0))} cores, "
            f"Python {platform.python_version()}, DuckDB {duckdb.__version__}\n"
        )
        with reading(path) as connection:
            tallies, figures = connection.execute(
                "SELECT count(*), sum(cardinality(votes))::BIGINT FROM core.tally"
            ).fetchall()[0]
            size = path.stat().st_size / 1e6
            print(f"{figures:,} changes of a pair's votes, by one witness, in {tallies:,} tallies; {size:,.0f} MB\n")
            print(f"{'built':<44} {built:>7.1f} s   limit 60 s")
            for name, question in QUESTIONS.items():
                median, found = seconds(connection, question)
                print(f"{name:<44} {median * 1000:>6.0f} ms   limit 100 ms; {found:,} rows")


if __name__ == "__main__":
    main()
