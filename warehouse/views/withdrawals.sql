CREATE OR REPLACE VIEW withdrawals AS
WITH
    turn AS ( -- from votes to none, or back
        SELECT
            *,
            lead(position_at) OVER series AS restored_at
        FROM core.version
        WHERE (withdrawn_at IS NULL) <> (previous_withdrawn_at IS NULL)
        WINDOW series AS (PARTITION BY election, contest_type, contest_code, stage, unit_code ORDER BY version)
    )
SELECT
    t.election, contest_type, t.contest_code, stage, t.unit_code, core.level_of(t.unit_code) AS level, unit_name,
    version, withdrawn_at, observed_at, restored_at,
    core.votes_total(previous_votes) AS votes_before,
    previous_stations_reported AS stations_before, stations_reported AS stations_after, stations_total,
    capture_id
FROM turn AS t
LEFT JOIN core.unit_latest AS u ON u.election = t.election AND u.unit_code = t.unit_code
WHERE withdrawn_at IS NOT NULL;
COMMENT ON VIEW withdrawals IS 'Votes that were there and are gone: every withdrawal in every unit; the votes themselves are in changes, and the last ones stay in results';
COMMENT ON COLUMN withdrawals.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN withdrawals.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN withdrawals.contest_code IS 'Contest, such as pkwkp:31 (governor of Jakarta) or pkwkk:3201';
COMMENT ON COLUMN withdrawals.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN withdrawals.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN withdrawals.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN withdrawals.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN withdrawals.version IS 'Version of the unit''s tally that took the votes away; see timeline';
COMMENT ON COLUMN withdrawals.withdrawn_at IS 'Since when they are gone, by KPU''s clock';
COMMENT ON COLUMN withdrawals.observed_at IS 'When we saw it first';
COMMENT ON COLUMN withdrawals.restored_at IS 'When there were votes again, by KPU''s clock; NULL if not yet';
COMMENT ON COLUMN withdrawals.votes_before IS 'Votes of all pairs together in the version before';
COMMENT ON COLUMN withdrawals.stations_before IS 'Stations counted in the version before';
COMMENT ON COLUMN withdrawals.stations_after IS 'Stations counted although their votes are gone';
COMMENT ON COLUMN withdrawals.stations_total IS 'Stations in all';
COMMENT ON COLUMN withdrawals.capture_id IS 'The capture that showed it first; see captures';
