CREATE OR REPLACE TEMP TABLE unit_said AS
SELECT
    c.endpoint, c.position,
    {'unit_code': u.unit_code} AS series,
    {'unit_name': u.unit_name, 'kpu_id': u.kpu_id} AS value
FROM staged_capture AS c
JOIN (SELECT document_number, unnest(units) AS u FROM staged_document) USING (document_number);

CREATE OR REPLACE TEMP TABLE unit_changed AS FROM changed('unit_said', 'unit_near');

DELETE FROM core.unit AS u USING recounted AS r WHERE r.capture_id = u.capture_id;

INSERT INTO core.unit BY NAME
SELECT
    endpoint.election, endpoint.contest_type, endpoint.region_code,
    series.unit_code, position.observed_at, position.capture_id,
    value IS NOT NULL AS is_listed, value.unit_name, value.kpu_id
FROM unit_changed
ORDER BY ALL;
