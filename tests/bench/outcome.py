"""What a crawled night came to: whether its results are the truth, and how long its database takes to answer."""

from pathlib import Path

from large import seconds

from flows.settings import Settings
from warehouse.connection import copying, reading

_ROWS = "count(*), sum(votes), sum(margin), sum(rank), sum(share_pct), max(unit_name), max(candidate_name)"
_COMPARED = """
    WITH
        counted AS (
            SELECT j[1] AS contest, j[2] AS unit, j[3] AS pair, j[4]::BIGINT AS votes, j[5]::BIGINT AS stations
            FROM (
                SELECT from_json(line, '["VARCHAR"]') AS j
                FROM read_csv(?, columns = {'line': 'VARCHAR'}, delim = chr(1), quote = '', header = false)
            )
        ),
        shown AS (
            SELECT contest_code, unit_code, candidate_id, votes, stations_reported FROM results WHERE votes IS NOT NULL
        )
    SELECT
        (SELECT count(*) FROM counted),
        (SELECT count(*) FROM (FROM counted EXCEPT FROM shown)),
        (SELECT count(*) FROM (FROM shown EXCEPT FROM counted))
"""


def compared(settings: Settings, truth: Path) -> dict[str, int]:
    """Votes of pairs in units, of all levels and both contests: how many there are, and how many are in one only."""
    with copying(settings.published) as connection:
        connection.execute("SET memory_limit = '2GB'")
        ((pairs, missing, surplus),) = connection.execute(_COMPARED, [str(truth)]).fetchall()
    return {"pairs": pairs, "missing": missing, "surplus": surplus}


def answered(settings: Settings) -> dict[str, tuple[float, int]]:
    """Medians, in seconds, of what people ask, and the rows behind each."""
    with reading(settings.published) as connection:
        ((unit, contest, middle),) = connection.execute(
            "SELECT max(unit_code), 'pkwkp:' || max(unit_code)[:2], quantile_disc(reported_at, 0.5) "
            "FROM results WHERE level = 'regency' AND contest_type = 'pkwkp' AND rank = 1"
        ).fetchall()
        questions = {
            "results, all provinces": f"SELECT {_ROWS} FROM results WHERE level = 'province'",
            "results, all regencies": f"SELECT {_ROWS} FROM results WHERE level = 'regency'",
            "results of a contest, to its stations": f"SELECT {_ROWS} FROM results WHERE contest_code = '{contest}'",
            "results_as_of, one regency": f"FROM results_as_of('{middle}') WHERE unit_code = '{unit}'",
            "timeline of a regency": f"FROM timeline WHERE unit_code = '{unit}'",
            "timeline of its province": f"FROM timeline WHERE unit_code = '{unit[:2]}'",
        }
        return {name: seconds(connection, question) for name, question in questions.items()}
