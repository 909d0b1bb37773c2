CREATE OR REPLACE TEMP TABLE candidate_said AS
SELECT
    c.endpoint, c.position,
    {'contest_code': p.contest_code, 'candidate_id': p.candidate_id} AS series,
    {
        'ballot_number': p.ballot_number, 'candidate_name': p.candidate_name,
        'color': p.color, 'updated_at': p.updated_at
    } AS value
FROM staged_capture AS c
JOIN (SELECT document_number, unnest(candidates) AS p FROM staged_document) USING (document_number);

CREATE OR REPLACE TEMP TABLE candidate_changed AS FROM changed('candidate_said', 'candidate_near');

DELETE FROM core.candidate AS c USING recounted AS r WHERE r.capture_id = c.capture_id;

INSERT INTO core.candidate BY NAME
SELECT
    endpoint.election, endpoint.document, endpoint.contest_type, endpoint.region_code,
    series.contest_code, series.candidate_id, capture.reported_at, position.observed_at, position.capture_id,
    value IS NOT NULL AS is_listed, value.ballot_number, value.candidate_name, value.color, value.updated_at
FROM candidate_changed
JOIN core.capture AS capture ON capture.capture_id = position.capture_id
ORDER BY ALL;
