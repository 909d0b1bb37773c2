CREATE OR REPLACE VIEW core.unit_latest AS
SELECT
    coalesce(listed.election, named.election) AS election,
    coalesce(listed.unit_code, named.unit_code) AS unit_code,
    coalesce(listed.unit_name, named.unit_name) AS unit_name,
    coalesce(listed.is_listed, true) AS is_listed
FROM (
    SELECT
        election, unit_code,
        arg_max(unit_name, (observed_at, capture_id)) AS unit_name,
        arg_max(is_listed, (observed_at, capture_id)) AS is_listed
    FROM core.unit
    GROUP BY election, unit_code
) AS listed
FULL JOIN (
    SELECT election, unit_code, unit_name
    FROM core.province, (SELECT DISTINCT election FROM core.capture WHERE election IS NOT NULL)
) AS named USING (election, unit_code);
COMMENT ON VIEW core.unit_latest IS 'Every region and station of the lists with its latest name; provinces have one even without lists';
COMMENT ON COLUMN core.unit_latest.election IS 'Election';
COMMENT ON COLUMN core.unit_latest.unit_code IS 'Region or station';
COMMENT ON COLUMN core.unit_latest.unit_name IS 'Latest name, as KPU wrote it';
COMMENT ON COLUMN core.unit_latest.is_listed IS 'false: its parent''s latest list leaves it out';
