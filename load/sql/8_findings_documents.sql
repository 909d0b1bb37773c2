-- E11 and E13: what a document's captures say of its clock. E8, first half: what a document says of itself.

CREATE OR REPLACE TEMP TABLE clock AS
SELECT
    *,
    max(reported_at) OVER (seen ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest,
    first_value(capture_id) OVER (same ORDER BY observed_at, capture_id) AS first_capture
FROM (
    SELECT election, contest_type, document AS stage, region_code, reported_at, observed_at, capture_id
    FROM core.capture
    SEMI JOIN (SELECT * RENAME (stage AS document) FROM touched_document) USING (election, contest_type, document, region_code)
    WHERE quarantine_reason IS NULL AND reported_at IS NOT NULL
)
WINDOW
    seen AS (PARTITION BY election, contest_type, stage, region_code ORDER BY observed_at, capture_id),
    same AS (PARTITION BY election, contest_type, stage, region_code, reported_at);

CREATE OR REPLACE TEMP MACRO contest_over(contest_type, region_code) AS -- as the loader's tallies name it
    contest_type || ':' || CASE contest_type WHEN 'ppwp' THEN '0' WHEN 'pkwkp' THEN left(region_code, 2) ELSE left(region_code, 4) END;

INSERT INTO finding_told BY NAME -- E11: in the order in which it was fetched
WITH odd AS (
    SELECT
        *,
        count(*) FILTER (newest IS NULL OR reported_at >= newest) OVER seen AS episode,
        reported_at < newest AS is_back
    FROM clock
    WINDOW seen AS (PARTITION BY election, contest_type, stage, region_code ORDER BY observed_at, capture_id)
)
SELECT
    election, contest_type, contest_over(contest_type, region_code) AS contest_code, stage, region_code AS unit_code,
    'E11' AS rule, 'time' AS aspect,
    strftime(any_value(newest), '%Y-%m-%d %H:%M:%S') || ' or later' AS expected,
    strftime(arg_min(reported_at, (observed_at, capture_id)), '%Y-%m-%d %H:%M:%S') AS found,
    any_value(newest) AS first_seen_at, any_value(newest) AS last_seen_at, any_value(next_reported_at) AS resolved_at,
    min(observed_at) AS observed_at, arg_min(capture_id, (observed_at, capture_id)) AS capture_id
FROM odd
LEFT JOIN (
    SELECT election, contest_type, stage, region_code, episode - 1 AS episode, reported_at AS next_reported_at
    FROM odd WHERE NOT coalesce(is_back, false)
) USING (election, contest_type, stage, region_code, episode)
WHERE is_back
GROUP BY election, contest_type, stage, region_code, episode;

INSERT INTO finding_told BY NAME -- E13: only a capture that changed something has rows
SELECT
    c.election, c.contest_type, contest_over(c.contest_type, c.region_code) AS contest_code, c.stage, c.region_code AS unit_code,
    'E13' AS rule, 'content' AS aspect,
    'the same content as other documents of ' || strftime(reported_at, '%Y-%m-%d %H:%M:%S') AS expected,
    counted('regions or stations with other figures', count(DISTINCT unit_code)) AS found,
    c.reported_at AS first_seen_at, c.reported_at AS last_seen_at, any_value(next_at) AS resolved_at,
    min(c.observed_at) AS observed_at, arg_min(c.capture_id, (c.observed_at, c.capture_id)) AS capture_id
FROM clock AS c
JOIN (SELECT capture_id, region_code, unit_code FROM core.tally WHERE witness <> 'page') AS t USING (capture_id, region_code)
LEFT JOIN (
    SELECT
        election, contest_type, stage, region_code, reported_at,
        lead(reported_at) OVER (PARTITION BY election, contest_type, stage, region_code ORDER BY reported_at) AS next_at
    FROM (SELECT DISTINCT election, contest_type, stage, region_code, reported_at FROM clock)
) USING (election, contest_type, stage, region_code, reported_at)
WHERE c.capture_id <> c.first_capture
GROUP BY c.election, c.contest_type, c.stage, c.region_code, c.reported_at;
