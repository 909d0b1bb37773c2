CREATE OR REPLACE VIEW changes AS
WITH
    step AS (
        SELECT
            * EXCLUDE (votes, previous_votes, has_moved),
            coalesce(cardinality(previous_votes), 0) = 0 AS is_first,
            [
                {'id': id, 'before': previous_votes[id], 'after': votes[id]}
                FOR id IN list_sort(list_distinct(list_concat(map_keys(votes), map_keys(previous_votes))))
                IF previous_votes[id] IS DISTINCT FROM votes[id]
            ] AS moved
        FROM core.version
        WHERE has_moved
    ),
    judged AS (
        SELECT
            *,
            len([m FOR m IN moved IF m.after > m.before]) AS ups,
            len([m FOR m IN moved IF m.after < m.before]) AS downs,
            CASE
                WHEN withdrawn_at IS NOT NULL AND previous_withdrawn_at IS NULL THEN 'withdrawn'
                WHEN withdrawn_at IS NULL AND previous_withdrawn_at IS NOT NULL THEN 'restored'
                WHEN is_first THEN 'first_report'
                WHEN len(moved) = 2 AND moved[1].before = moved[2].after AND moved[1].after = moved[2].before THEN 'swap'
                WHEN stations_reported = previous_stations_reported THEN 'revision' -- unknown (February's rows) is not the same
                WHEN ups > 0 AND downs > 0 THEN 'mixed'
                WHEN downs > 0 THEN 'decrease'
                ELSE 'increase'
            END AS kind,
            unnest(moved) AS entry
        FROM step
    )
SELECT
    j.election, contest_type, j.contest_code, stage, j.unit_code, core.level_of(j.unit_code) AS level, unit_name,
    version, reported_at, observed_at, witness,
    entry.id AS candidate_id, ballot_number, candidate_name,
    entry.before AS votes_before, entry.after AS votes_after, entry.after - coalesce(entry.before, 0) AS votes_delta,
    previous_stations_reported AS stations_before, stations_reported AS stations_after,
    stations_reported - previous_stations_reported AS stations_delta,
    kind, capture_id
FROM judged AS j
LEFT JOIN core.unit_latest AS u ON u.election = j.election AND u.unit_code = j.unit_code
LEFT JOIN core.candidate_latest AS c
    ON c.election = j.election AND c.contest_code = j.contest_code AND c.candidate_id = entry.id;
COMMENT ON VIEW changes IS 'What changed since: every step of every pair''s votes in every unit, with its kind';
COMMENT ON COLUMN changes.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN changes.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN changes.contest_code IS 'Contest, such as pkwkp:31 (governor of Jakarta) or pkwkk:3201';
COMMENT ON COLUMN changes.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN changes.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN changes.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN changes.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN changes.version IS 'Version of the unit''s tally that brought the change; see timeline';
COMMENT ON COLUMN changes.reported_at IS 'KPU''s own time of the version';
COMMENT ON COLUMN changes.observed_at IS 'When we fetched it first';
COMMENT ON COLUMN changes.witness IS 'Which document says so: self (the unit''s own), parent (a row of its parent''s table) or page';
COMMENT ON COLUMN changes.candidate_id IS 'KPU''s id of the pair; ballot-N if only a rendered page told of it';
COMMENT ON COLUMN changes.ballot_number IS 'Number on the ballot, from the pairs file';
COMMENT ON COLUMN changes.candidate_name IS 'Names of the pair as KPU wrote them';
COMMENT ON COLUMN changes.votes_before IS 'Votes in the version before; NULL if not given';
COMMENT ON COLUMN changes.votes_after IS 'Votes from this version on; NULL if no longer given';
COMMENT ON COLUMN changes.votes_delta IS 'votes_after minus votes_before, a pair not given before counting from 0';
COMMENT ON COLUMN changes.stations_before IS 'Stations counted in the version before';
COMMENT ON COLUMN changes.stations_after IS 'Stations counted in this version';
COMMENT ON COLUMN changes.stations_delta IS 'New stations of the step; 0 means that stations already counted were revised';
COMMENT ON COLUMN changes.kind IS 'first_report, increase, decrease, revision (no new station), mixed (some pairs up, others down), swap (two pairs exchanged their votes), withdrawn or restored';
COMMENT ON COLUMN changes.capture_id IS 'The capture that brought it; see captures';
