CREATE OR REPLACE VIEW progress AS
SELECT
    s.election, contest_type, contest_code, stage, s.unit_code, core.level_of(s.unit_code) AS level, unit_name,
    stations_reported, stations_total,
    coalesce(core.share_pct(stations_reported, stations_total), reported_pct) AS reported_pct,
    progress_reported_at AS reported_at, progress_observed_at AS observed_at, withdrawn_at, witness
FROM core.standing AS s
LEFT JOIN core.unit_latest AS u ON u.election = s.election AND u.unit_code = s.unit_code;
COMMENT ON VIEW progress IS 'How far the count is: stations reported of all, for every contest, stage and unit';
COMMENT ON COLUMN progress.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN progress.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN progress.contest_code IS 'Contest; above a contest''s own area (pkwkk:32) the contests there taken together';
COMMENT ON COLUMN progress.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN progress.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN progress.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN progress.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN progress.stations_reported IS 'Stations counted so far';
COMMENT ON COLUMN progress.stations_total IS 'Stations in all';
COMMENT ON COLUMN progress.reported_pct IS 'Share of stations reported; KPU''s own percentage where it gave no station counts (February)';
COMMENT ON COLUMN progress.reported_at IS 'KPU''s own time of this progress';
COMMENT ON COLUMN progress.observed_at IS 'When we fetched it first';
COMMENT ON COLUMN progress.withdrawn_at IS 'Since when the votes are withdrawn; the stations go on';
COMMENT ON COLUMN progress.witness IS 'Which document says so: self (the unit''s own), parent (a row of its parent''s table) or page';
