-- A version stands at every grid moment until the next one comes: no join in time is needed. Moments are counted from a
-- midnight in Jakarta, so that hours and days begin when they do there. After a withdrawal the last votes stay.
CREATE OR REPLACE MACRO timeline_every(step) AS TABLE
WITH
    ending AS (
        SELECT election, contest_type, stage, max(position_at) AS last_at FROM core.version GROUP BY ALL
    ),
    standing AS (
        SELECT
            * EXCLUDE (votes, votes_total),
            last_value(CASE WHEN withdrawn_at IS NULL THEN votes END IGNORE NULLS) OVER (
                PARTITION BY election, contest_type, contest_code, stage, unit_code ORDER BY version ROWS UNBOUNDED PRECEDING
            ) AS votes,
            lead(position_at) OVER (
                PARTITION BY election, contest_type, contest_code, stage, unit_code ORDER BY version
            ) AS next_at
        FROM core.version
    ),
    gridded AS (
        SELECT
            s.*, core.ladder(votes) AS ladder,
            unnest(generate_series(
                core.grid_from(position_at, step), coalesce(next_at - INTERVAL 1 MICROSECOND, core.grid_from(last_at, step)), step
            )) AS grid_at
        FROM standing AS s
        JOIN ending AS e ON e.election = s.election AND e.contest_type = s.contest_type AND e.stage = s.stage
        WHERE cardinality(votes) > 0
    ),
    line AS (SELECT * EXCLUDE (votes), core.votes_total(votes) AS votes_total, unnest(map_entries(votes)) AS entry FROM gridded)
SELECT
    line.election, contest_type, line.contest_code, stage, line.unit_code, core.level_of(line.unit_code) AS level, unit_name,
    grid_at, version, reported_at,
    entry.key AS candidate_id, ballot_number, candidate_name,
    entry.value AS votes,
    core.share_pct(entry.value, votes_total) AS share_pct,
    core.rank_in(entry.value, ladder) AS rank,
    core.margin_in(entry.value, ladder) AS margin,
    stations_reported, stations_total, withdrawn_at
FROM line
LEFT JOIN core.unit_latest AS u ON u.election = line.election AND u.unit_code = line.unit_code
LEFT JOIN core.candidate_latest AS c
    ON c.election = line.election AND c.contest_code = line.contest_code AND c.candidate_id = entry.key;
COMMENT ON MACRO TABLE timeline_every IS 'timeline on an even grid of KPU''s clock, such as timeline_every(INTERVAL 30 MINUTE): what stood at each grid_at, for charts';
