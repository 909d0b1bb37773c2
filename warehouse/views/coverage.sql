CREATE OR REPLACE VIEW coverage AS
WITH line AS (
    SELECT
        * EXCLUDE (unit_code), core.level_of(unit_code) AS level,
        unnest(core.regions_around(unit_code)) AS region_code
    FROM core.expected
)
SELECT
    l.election, contest_type, stage, region_code, unit_name AS region_name, level,
    count(*) AS units_expected,
    count(*) FILTER (state IN ('captured', 'overdue')) AS units_captured,
    count(*) FILTER (state = 'overdue') AS units_overdue,
    count(*) FILTER (state = 'told') AS units_told,
    count(*) FILTER (state = 'missing') AS units_missing,
    core.share_pct(units_captured, units_expected) AS captured_pct
FROM line AS l
LEFT JOIN core.unit_latest AS u ON u.election = l.election AND u.unit_code = region_code
GROUP BY ALL;
COMMENT ON VIEW coverage IS 'What we expect, have and miss: units that a region list or a count document names, by the region they lie in and by level';
COMMENT ON COLUMN coverage.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN coverage.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN coverage.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN coverage.region_code IS 'The region they lie in, at any level above them or their own; 0 is the country';
COMMENT ON COLUMN coverage.region_name IS 'Its latest name';
COMMENT ON COLUMN coverage.level IS 'Level of the units counted here';
COMMENT ON COLUMN coverage.units_expected IS 'Units that are named; on region lists without pairs of candidates nobody is elected, and nothing is expected';
COMMENT ON COLUMN coverage.units_captured IS 'Units whose own document (or rendered page) was captured and understood';
COMMENT ON COLUMN coverage.units_overdue IS 'Units among these whose parent''s row is newer by KPU''s clock, and differs';
COMMENT ON COLUMN coverage.units_told IS 'Units known from a row of their parent''s document only';
COMMENT ON COLUMN coverage.units_missing IS 'Units that are listed, and of which nothing was captured';
COMMENT ON COLUMN coverage.captured_pct IS 'units_captured as a percentage of units_expected';
