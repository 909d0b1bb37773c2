CREATE OR REPLACE VIEW findings_by_rule AS
WITH
    placed AS (
        SELECT
            *, unnest(list_distinct([
                '0', left(unit_code, 2), CASE WHEN length(unit_code) >= 4 THEN left(unit_code, 4) END
            ])) AS area_code
        FROM core.finding
    ),
    counted AS (
        SELECT
            election, contest_type, stage, rule, area_code,
            count(*) AS findings, count(*) FILTER (resolved_at IS NULL) AS still_open, count(resolved_at) AS resolved,
            count(DISTINCT unit_code) AS units,
            min(first_seen_at) AS first_seen_at, max(last_seen_at) AS last_seen_at
        FROM placed
        WHERE area_code IS NOT NULL
        GROUP BY ALL
    )
SELECT
    c.election, c.contest_type, c.stage, c.rule, r.severity, r.title,
    c.area_code, core.level_of(c.area_code) AS area_level, u.unit_name AS area_name,
    c.findings, c.still_open, c.resolved, c.units, c.first_seen_at, c.last_seen_at
FROM counted AS c
JOIN core.rule AS r USING (rule)
LEFT JOIN core.unit_latest AS u ON u.election = c.election AND u.unit_code = c.area_code;
COMMENT ON VIEW findings_by_rule IS 'How often each rule found something: in the country, in every province and in every regency. A finding of a station counts in all three: choose one area_level before adding up';
COMMENT ON COLUMN findings_by_rule.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN findings_by_rule.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN findings_by_rule.stage IS 'hhcw (the stations'' forms) or hr (recapitulation)';
COMMENT ON COLUMN findings_by_rule.rule IS 'E1 to E20; see rules';
COMMENT ON COLUMN findings_by_rule.severity IS 'error, warning or notice';
COMMENT ON COLUMN findings_by_rule.title IS 'What was found, in a line';
COMMENT ON COLUMN findings_by_rule.area_code IS 'Region in which it was found';
COMMENT ON COLUMN findings_by_rule.area_level IS 'national, province or regency';
COMMENT ON COLUMN findings_by_rule.area_name IS 'Its name';
COMMENT ON COLUMN findings_by_rule.findings IS 'Findings, open and resolved';
COMMENT ON COLUMN findings_by_rule.still_open IS 'Those that are open';
COMMENT ON COLUMN findings_by_rule.resolved IS 'Those that the data resolved';
COMMENT ON COLUMN findings_by_rule.units IS 'Regions and stations with such findings';
COMMENT ON COLUMN findings_by_rule.first_seen_at IS 'KPU''s time of the first';
COMMENT ON COLUMN findings_by_rule.last_seen_at IS 'KPU''s time of the last version with one';
