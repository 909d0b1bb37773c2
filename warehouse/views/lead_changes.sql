CREATE OR REPLACE VIEW lead_changes AS
SELECT
    t.election, contest_type, t.contest_code, stage, unit_code, level, unit_name,
    reported_at, observed_at,
    t.candidate_id, t.candidate_name,
    previous_candidate_id, before.candidate_name AS previous_candidate_name,
    margin, stations_reported, stations_total, capture_id
FROM (
    SELECT
        *,
        lag(candidate_id) OVER (
            PARTITION BY election, contest_type, contest_code, stage, unit_code ORDER BY version
        ) AS previous_candidate_id
    FROM leads
    WHERE margin > 0 -- a tie has no leader and changes none, nor has a pair alone
) AS t
LEFT JOIN core.candidate_latest AS before
    ON before.election = t.election AND before.contest_code = t.contest_code AND before.candidate_id = previous_candidate_id
WHERE t.candidate_id <> previous_candidate_id;
COMMENT ON VIEW lead_changes IS 'When another pair took the lead in a unit; ties are passed over';
COMMENT ON COLUMN lead_changes.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN lead_changes.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN lead_changes.contest_code IS 'Contest, such as pkwkp:31 (governor of Jakarta) or pkwkk:3201';
COMMENT ON COLUMN lead_changes.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN lead_changes.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN lead_changes.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN lead_changes.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN lead_changes.reported_at IS 'KPU''s own time of the version';
COMMENT ON COLUMN lead_changes.observed_at IS 'When we fetched it first';
COMMENT ON COLUMN lead_changes.candidate_id IS 'The pair that leads from here on';
COMMENT ON COLUMN lead_changes.candidate_name IS 'Its names';
COMMENT ON COLUMN lead_changes.previous_candidate_id IS 'The pair that led before';
COMMENT ON COLUMN lead_changes.previous_candidate_name IS 'Its names';
COMMENT ON COLUMN lead_changes.margin IS 'Votes ahead of the second';
COMMENT ON COLUMN lead_changes.stations_reported IS 'Stations counted so far';
COMMENT ON COLUMN lead_changes.stations_total IS 'Stations in all';
COMMENT ON COLUMN lead_changes.capture_id IS 'The capture that showed it; see captures';
