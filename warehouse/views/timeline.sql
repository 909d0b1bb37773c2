CREATE OR REPLACE VIEW timeline AS
WITH line AS (
    SELECT
        * EXCLUDE (votes), core.ladder(votes) AS ladder, unnest(map_entries(votes)) AS entry
    FROM core.version
)
SELECT
    line.election, contest_type, line.contest_code, stage, line.unit_code, core.level_of(line.unit_code) AS level, unit_name,
    version, reported_at, observed_at, witness,
    entry.key AS candidate_id, ballot_number, candidate_name,
    entry.value AS votes,
    core.share_pct(entry.value, votes_total) AS share_pct,
    core.rank_in(entry.value, ladder) AS rank,
    core.margin_in(entry.value, ladder) AS margin,
    stations_reported, stations_total, withdrawn_at, capture_id
FROM line
LEFT JOIN core.unit_latest AS u ON u.election = line.election AND u.unit_code = line.unit_code
LEFT JOIN core.candidate_latest AS c
    ON c.election = line.election AND c.contest_code = line.contest_code AND c.candidate_id = entry.key;
COMMENT ON VIEW timeline IS 'How the count grew: every version of every unit''s tally, from its own document and its parent''s rows, in the order of KPU''s clock';
COMMENT ON COLUMN timeline.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN timeline.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN timeline.contest_code IS 'Contest, such as pkwkp:31 (governor of Jakarta) or pkwkk:3201';
COMMENT ON COLUMN timeline.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN timeline.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN timeline.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN timeline.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN timeline.version IS 'Number of the version within contest, stage and unit, from 1';
COMMENT ON COLUMN timeline.reported_at IS 'KPU''s own time of this version';
COMMENT ON COLUMN timeline.observed_at IS 'When we fetched this version first';
COMMENT ON COLUMN timeline.witness IS 'Which document says so: self (the unit''s own), parent (a row of its parent''s table) or page';
COMMENT ON COLUMN timeline.candidate_id IS 'KPU''s id of the pair; ballot-N if only a rendered page told of it';
COMMENT ON COLUMN timeline.ballot_number IS 'Number on the ballot, from the pairs file';
COMMENT ON COLUMN timeline.candidate_name IS 'Names of the pair as KPU wrote them';
COMMENT ON COLUMN timeline.votes IS 'Votes in this version; a pair that was not given has no row, which is not 0';
COMMENT ON COLUMN timeline.share_pct IS 'Votes as a percentage of the votes of all pairs in the unit';
COMMENT ON COLUMN timeline.rank IS '1 for the most votes; pairs with equal votes share a rank';
COMMENT ON COLUMN timeline.margin IS 'Votes minus those of the best other pair: positive for the leader alone';
COMMENT ON COLUMN timeline.stations_reported IS 'Stations counted so far';
COMMENT ON COLUMN timeline.stations_total IS 'Stations in all';
COMMENT ON COLUMN timeline.withdrawn_at IS 'Set on versions whose votes are withdrawn: since when';
COMMENT ON COLUMN timeline.capture_id IS 'The capture these votes came from first; see captures';
