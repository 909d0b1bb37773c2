CREATE OR REPLACE VIEW core.capture_packed AS
SELECT
    election, document, contest_type, region_code, reported_at,
    core.endpoint(election, document, contest_type, region_code) AS endpoint,
    core.position(reported_at, observed_at, capture_id) AS position
FROM core.capture
WHERE quarantine_reason IS NULL;
COMMENT ON VIEW core.capture_packed IS 'The captures that were understood, as the loader places them: document (in columns, and packed) and position';
