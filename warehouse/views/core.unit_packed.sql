CREATE OR REPLACE VIEW core.unit_packed AS
SELECT
    election, 'wilayah' AS document, contest_type, region_code,
    core.endpoint(election, 'wilayah', contest_type, region_code) AS endpoint,
    {'unit_code': unit_code} AS series,
    core.position(NULL, observed_at, capture_id) AS position,
    CASE WHEN is_listed THEN {'unit_name': unit_name, 'kpu_id': kpu_id} END AS value
FROM core.unit;
COMMENT ON VIEW core.unit_packed IS 'core.unit as the loader compares it: document (in columns, and packed), series, position, value (NULL: not listed)';
