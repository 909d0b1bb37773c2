-- Every version of every row of every document in `counted`, in the order of KPU's clock.
CREATE TABLE history AS
WITH
    figure AS (
        SELECT document, split_part(document, '/', -1) AS unit, reported_at, observed_at, said.chart AS figures
        FROM counted
        UNION ALL
        SELECT document, entry.key, reported_at, observed_at, entry.value
        FROM (SELECT * EXCLUDE (said), unnest(map_entries(said."table")) AS entry FROM counted)
    ),
    spread AS (
        SELECT
            document, unit, reported_at, observed_at,
            map_from_entries([
                {'pair': f.key, 'votes': f.value::BIGINT} FOR f IN map_entries(figures) IF f.key[1] BETWEEN '0' AND '9'
            ]) AS votes,
            figures['progres'] ->> 'progres' AS stations_reported,
            figures['progres'] ->> 'total' AS stations_total,
            figures['progres'] ->> 'persen' AS reported_pct,
            figures['status_progress'] ->> '$' AS is_reported,
            figures['psu'] ->> '$' AS revote_status
        FROM figure
    )
SELECT
    *, row_number() OVER (PARTITION BY document, unit ORDER BY reported_at, observed_at) AS version
FROM (
    FROM spread
    QUALIFY (votes, stations_reported, stations_total, reported_pct, is_reported, revote_status)
        IS DISTINCT FROM lag((votes, stations_reported, stations_total, reported_pct, is_reported, revote_status))
            OVER (PARTITION BY document, unit ORDER BY reported_at, observed_at)
);
