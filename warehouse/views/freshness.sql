CREATE OR REPLACE VIEW freshness AS
WITH
    version AS (
        SELECT
            election, contest_type, document AS stage, region_code, reported_at,
            min(observed_at) AS first_observed_at, max(observed_at) AS last_observed_at, count(*) AS captures
        FROM core.capture
        WHERE document IN ('hhcw', 'hr') AND quarantine_reason IS NULL
        GROUP BY ALL
    ),
    document AS (
        SELECT
            election, contest_type, stage, region_code, core.level_of(region_code) AS level,
            max(reported_at) AS reported_at, max(last_observed_at) AS observed_at, sum(captures) AS captures
        FROM version
        GROUP BY ALL
    ),
    lag AS (
        SELECT
            election, contest_type, stage, core.level_of(region_code) AS level,
            median(epoch(first_observed_at) - epoch(reported_at)) / 60 AS median_lag_minutes
        FROM version
        GROUP BY ALL
    )
SELECT
    election, contest_type, stage, level,
    count(*) AS documents, sum(captures)::BIGINT AS captures,
    max(reported_at) AS newest_reported_at, min(reported_at) AS oldest_reported_at,
    max(observed_at) AS newest_observed_at, min(observed_at) AS oldest_observed_at,
    any_value(median_lag_minutes) AS median_lag_minutes
FROM document
JOIN lag USING (election, contest_type, stage, level)
GROUP BY ALL;
COMMENT ON VIEW freshness IS 'How old what we have is, by level of the documents; freshness_at(moment) adds the ages';
COMMENT ON COLUMN freshness.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN freshness.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN freshness.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN freshness.level IS 'Level of the documents'' regions';
COMMENT ON COLUMN freshness.documents IS 'Count documents captured and understood';
COMMENT ON COLUMN freshness.captures IS 'Their captures';
COMMENT ON COLUMN freshness.newest_reported_at IS 'KPU''s time of the newest document';
COMMENT ON COLUMN freshness.oldest_reported_at IS 'KPU''s time of the document that has not changed for longest';
COMMENT ON COLUMN freshness.newest_observed_at IS 'When a document was fetched last';
COMMENT ON COLUMN freshness.oldest_observed_at IS 'Last fetch of the document that was not asked for the longest';
COMMENT ON COLUMN freshness.median_lag_minutes IS 'Median minutes from KPU''s time of a version to our first sight of it';
