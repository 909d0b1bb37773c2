-- Each capture learns when the next one of its document takes its place: the new ones, and the known ones around them.
CREATE OR REPLACE TEMP TABLE capture_placed AS
SELECT
    endpoint, position, is_new,
    lead(position.position_at) OVER (PARTITION BY endpoint ORDER BY position) AS superseded_at
FROM (
    SELECT endpoint, position, true AS is_new FROM staged_capture WHERE quarantine_reason IS NULL
    UNION ALL
    SELECT endpoint, position, false AS is_new FROM known_capture
);

UPDATE core.capture SET superseded_at = p.superseded_at
FROM (SELECT position.capture_id AS capture_id, superseded_at FROM capture_placed WHERE NOT is_new) AS p
WHERE p.capture_id = core.capture.capture_id;

INSERT INTO core.capture BY NAME
SELECT s.* EXCLUDE (document_number, endpoint, position), p.superseded_at
FROM staged_capture AS s
LEFT JOIN (SELECT position.capture_id AS capture_id, superseded_at FROM capture_placed WHERE is_new) AS p USING (capture_id)
ORDER BY election, document, contest_type, region_code, position;
