CREATE OR REPLACE VIEW core.candidate_packed AS
SELECT
    election, document, contest_type, region_code,
    core.endpoint(election, document, contest_type, region_code) AS endpoint,
    {'contest_code': contest_code, 'candidate_id': candidate_id} AS series,
    core.position(reported_at, observed_at, capture_id) AS position,
    CASE WHEN is_listed THEN {
        'ballot_number': ballot_number, 'candidate_name': candidate_name, 'color': color, 'updated_at': updated_at
    } END AS value
FROM core.candidate;
COMMENT ON VIEW core.candidate_packed IS 'core.candidate as the loader compares it: document (in columns, and packed), series, position, value (NULL: not listed)';
