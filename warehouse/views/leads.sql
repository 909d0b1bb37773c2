CREATE OR REPLACE VIEW leads AS
WITH ranked AS (
    SELECT
        *,
        core.ladder(votes) AS ladder,
        core.holder_of(votes, ladder[1]) AS leader_id, -- a tie has no leader
        CASE WHEN ladder[2] < ladder[1] THEN core.holder_of(votes, ladder[2]) END AS runner_up_id
    FROM core.version
    WHERE votes_total > 0
)
SELECT
    r.election, contest_type, r.contest_code, stage, r.unit_code, core.level_of(r.unit_code) AS level, unit_name,
    version, reported_at, observed_at,
    leader_id AS candidate_id, leader.candidate_name, leader.ballot_number, ladder[1] AS votes,
    runner_up_id, follower.candidate_name AS runner_up_name,
    ladder[1] - ladder[2] AS margin, core.share_pct(margin, votes_total) AS margin_pct,
    stations_reported, stations_total, core.share_pct(stations_reported, stations_total) AS reported_pct,
    capture_id
FROM ranked AS r
LEFT JOIN core.unit_latest AS u ON u.election = r.election AND u.unit_code = r.unit_code
LEFT JOIN core.candidate_latest AS leader
    ON leader.election = r.election AND leader.contest_code = r.contest_code AND leader.candidate_id = leader_id
LEFT JOIN core.candidate_latest AS follower
    ON follower.election = r.election AND follower.contest_code = r.contest_code AND follower.candidate_id = runner_up_id;
COMMENT ON VIEW leads IS 'Who led when: the first and the second of every version of every unit''s tally that has votes, in the order of KPU''s clock';
COMMENT ON COLUMN leads.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN leads.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN leads.contest_code IS 'Contest, such as pkwkp:31 (governor of Jakarta) or pkwkk:3201';
COMMENT ON COLUMN leads.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN leads.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN leads.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN leads.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN leads.version IS 'Version of the unit''s tally; see timeline';
COMMENT ON COLUMN leads.reported_at IS 'KPU''s own time of the version';
COMMENT ON COLUMN leads.observed_at IS 'When we fetched it first';
COMMENT ON COLUMN leads.candidate_id IS 'The pair with the most votes; NULL if several have as many';
COMMENT ON COLUMN leads.candidate_name IS 'Its names as KPU wrote them';
COMMENT ON COLUMN leads.ballot_number IS 'Its number on the ballot';
COMMENT ON COLUMN leads.votes IS 'Its votes, or those of each at the top if several have as many';
COMMENT ON COLUMN leads.runner_up_id IS 'The pair with the second most votes; NULL if several have as many, or there is none';
COMMENT ON COLUMN leads.runner_up_name IS 'Its names';
COMMENT ON COLUMN leads.margin IS 'Votes ahead of the second; 0 in a tie, NULL for a pair alone';
COMMENT ON COLUMN leads.margin_pct IS 'The margin as a percentage of the votes of all pairs';
COMMENT ON COLUMN leads.stations_reported IS 'Stations counted so far';
COMMENT ON COLUMN leads.stations_total IS 'Stations in all';
COMMENT ON COLUMN leads.reported_pct IS 'Share of stations reported; NULL where KPU gave no station counts (February''s rows)';
COMMENT ON COLUMN leads.capture_id IS 'The capture that showed it first; see captures';
