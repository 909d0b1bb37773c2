-- The new captures, and those of the same documents around them: each learns when the next one takes its place.
CREATE OR REPLACE TEMP TABLE capture_written AS
WITH
    placed AS (
        SELECT * EXCLUDE (document_number) FROM staged_capture
        UNION ALL BY NAME
        SELECT c.* EXCLUDE (superseded_at)
        FROM (
            SELECT
                *,
                core.endpoint(election, document, contest_type, region_code) AS endpoint,
                core.position(reported_at, observed_at, capture_id) AS position
            FROM core.capture
            WHERE quarantine_reason IS NULL
        ) AS c
        SEMI JOIN known_capture AS k ON k.endpoint = c.endpoint AND k.position = c.position
    )
SELECT
    *,
    CASE
        WHEN quarantine_reason IS NULL
        THEN lead(position.position_at) OVER (PARTITION BY endpoint, quarantine_reason IS NULL ORDER BY position)
    END AS superseded_at
FROM placed;

DELETE FROM core.capture USING capture_written AS w WHERE core.capture.capture_id = w.capture_id;

INSERT INTO core.capture BY NAME
SELECT * EXCLUDE (endpoint, position) FROM capture_written
ORDER BY election, document, contest_type, region_code, position;
