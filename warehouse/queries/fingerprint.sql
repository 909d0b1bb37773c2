-- One hash per table over its sorted contents. Runs and sources are left out: they tell how we came by a capture,
-- not what it says; unknown keys tell of our version. Hashed by region first, so that the whole country is never one string in memory.
WITH
    content AS (
        SELECT 'capture' AS name, region_code AS area, to_json(c) AS line
        FROM (SELECT * EXCLUDE (run, source, superseded_at, unknown_keys) FROM core.capture) AS c
        UNION ALL SELECT 'unit', region_code, to_json(u) FROM core.unit AS u
        UNION ALL SELECT 'candidate', contest_code, to_json(p) FROM core.candidate AS p
        UNION ALL SELECT 'tally', unit_code, to_json(t) FROM (SELECT * EXCLUDE (kept) FROM core.tally) AS t
    ),
    by_area AS (
        SELECT name, area, count(*) AS rows, sha256(string_agg(sha256(line::VARCHAR), '' ORDER BY line::VARCHAR)) AS digest
        FROM content
        GROUP BY name, area
    )
SELECT name, sum(rows)::BIGINT AS rows, sha256(string_agg(coalesce(area, '') || digest, '' ORDER BY area NULLS FIRST)) AS sha256
FROM by_area
GROUP BY name
ORDER BY name
