-- Can the lead still change? The figures stand until they are revised, and every station still out could give all the
-- votes that it may have to the second. Most contests are won by the most votes; a single pair needs more than the blank
-- column, which is the same. Jakarta and the president need more than half of all votes, else there is a second round;
-- that a president also needs 20 % in half of the provinces is not judged here.
CREATE OR REPLACE VIEW outlook AS
WITH
    kept AS ( -- after a withdrawal the stations go on without their votes: those of the last votes count
        SELECT election, contest_type, contest_code, stage, unit_code, arg_max(v.stations_reported, version) AS stations_reported
        FROM core.version AS v
        SEMI JOIN (FROM core.standing WHERE withdrawn_at IS NOT NULL) AS s
            USING (election, contest_type, contest_code, stage, unit_code)
        WHERE v.withdrawn_at IS NULL
        GROUP BY ALL
    ),
    form AS ( -- a form can be there before its votes are; no station has more ballot papers than its voters and a reserve
        SELECT
            f.election, f.contest_type, f.contest_code, f.stage, unnest(core.lineage(f.unit_code)) AS unit_code,
            least(ceil(registered_voters * (1 + reserve_pct / 100))::BIGINT, l.station_voters) AS voters
        FROM core.tally AS f
        JOIN core.rule_parameter AS l USING (election)
        WHERE superseded IS NULL AND is_listed AND witness = 'self' AND length(unit_code) = 13
            AND stations_reported = 0 AND registered_voters > 0
    ),
    known AS (
        SELECT election, contest_type, contest_code, stage, unit_code, count(*) AS stations, sum(voters)::BIGINT AS voters
        FROM form
        GROUP BY ALL
    ),
    standing AS (
        SELECT
            s.* EXCLUDE (stations_reported),
            CASE WHEN s.withdrawn_at IS NULL THEN s.stations_reported ELSE kept.stations_reported END AS stations_reported,
            coalesce(known.stations, 0) AS stations_known,
            coalesce(known.voters, 0) AS voters_known,
            core.ladder(votes) AS ladder,
            core.holder_of(votes, ladder[1]) AS leader_id,
            CASE WHEN ladder[2] < ladder[1] THEN core.holder_of(votes, ladder[2]) END AS runner_up_id,
            s.contest_type = 'ppwp' OR (s.election = 'pilkada-2024' AND s.contest_code = 'pkwkp:31') AS needs_majority
        FROM core.standing AS s
        LEFT JOIN kept USING (election, contest_type, contest_code, stage, unit_code)
        LEFT JOIN known USING (election, contest_type, contest_code, stage, unit_code)
        WHERE votes_total > 0
    ),
    measured AS (
        SELECT
            s.*,
            ladder[1] - coalesce(ladder[2], 0) AS margin,
            stations_total - stations_reported AS stations_outstanding,
            voters_known + greatest(stations_outstanding - stations_known, 0) * station_voters AS votes_outstanding
        FROM standing AS s
        JOIN core.rule_parameter USING (election)
    )
SELECT
    m.election, contest_type, m.contest_code, stage, m.unit_code, core.level_of(m.unit_code) AS level, unit_name,
    leader_id AS candidate_id, leader.candidate_name, ladder[1] AS votes,
    runner_up_id, follower.candidate_name AS runner_up_name, margin,
    stations_reported, stations_total, stations_outstanding, stations_known, votes_outstanding,
    margin > votes_outstanding AS is_decided,
    CASE
        WHEN length(m.unit_code) <> core.area_length(contest_type) OR votes_outstanding IS NULL THEN NULL
        WHEN NOT needs_majority THEN CASE WHEN margin > votes_outstanding THEN 'decided' ELSE 'open' END
        WHEN 2 * ladder[1] > votes_total + votes_outstanding THEN 'decided'
        WHEN votes_total - 2 * ladder[1] >= votes_outstanding THEN 'second_round'
        ELSE 'open'
    END AS outcome,
    reported_at, withdrawn_at
FROM measured AS m
LEFT JOIN core.unit_latest AS u ON u.election = m.election AND u.unit_code = m.unit_code
LEFT JOIN core.candidate_latest AS leader
    ON leader.election = m.election AND leader.contest_code = m.contest_code AND leader.candidate_id = leader_id
LEFT JOIN core.candidate_latest AS follower
    ON follower.election = m.election AND follower.contest_code = m.contest_code AND follower.candidate_id = runner_up_id;
COMMENT ON VIEW outlook IS 'Can the lead still change? Margins against the votes that the stations still out can bring at most, as long as nothing is revised';
COMMENT ON COLUMN outlook.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN outlook.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN outlook.contest_code IS 'Contest, such as pkwkp:31 (governor of Jakarta) or pkwkk:3201';
COMMENT ON COLUMN outlook.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN outlook.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN outlook.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN outlook.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN outlook.candidate_id IS 'The pair with the most votes; NULL if several have as many';
COMMENT ON COLUMN outlook.candidate_name IS 'Its names as KPU wrote them';
COMMENT ON COLUMN outlook.votes IS 'Its votes; after a withdrawal the last ones';
COMMENT ON COLUMN outlook.runner_up_id IS 'The pair with the second most votes; NULL if several have as many, or there is none';
COMMENT ON COLUMN outlook.runner_up_name IS 'Its names';
COMMENT ON COLUMN outlook.margin IS 'Votes ahead of the second';
COMMENT ON COLUMN outlook.stations_reported IS 'Stations that these votes come from';
COMMENT ON COLUMN outlook.stations_total IS 'Stations in all';
COMMENT ON COLUMN outlook.stations_outstanding IS 'Stations still out';
COMMENT ON COLUMN outlook.stations_known IS 'Stations among these whose form tells their registered voters';
COMMENT ON COLUMN outlook.votes_outstanding IS 'The most votes that they can bring: registered voters and reserve ballots where known, else the legal limit (600 a station in November 2024, 300 in February)';
COMMENT ON COLUMN outlook.is_decided IS 'Nobody can overtake the first any more, even with all votes outstanding; NULL where stations are not given';
COMMENT ON COLUMN outlook.outcome IS 'For the contest''s own area: decided, open, or second_round (Jakarta and the president need more than half). It is arithmetic on a running count, not a result';
COMMENT ON COLUMN outlook.reported_at IS 'KPU''s own time of these votes';
COMMENT ON COLUMN outlook.withdrawn_at IS 'Since when KPU no longer shows these votes; NULL while it does';
