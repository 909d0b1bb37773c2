CREATE OR REPLACE VIEW turnout AS
WITH
    form AS (
        SELECT DISTINCT ON (election, contest_type, contest_code, stage, unit_code)
            election, contest_type, contest_code, stage, unit_code,
            registered_voters, form.voters AS voters, ballots, valid_votes, invalid_votes
        FROM core.tally
        WHERE superseded IS NULL AND is_listed AND witness <> 'parent' AND length(unit_code) = 13
            AND coalesce(registered_voters, form.voters, ballots, valid_votes, invalid_votes) IS NOT NULL
        ORDER BY witness = 'page'
    ),
    line AS (
        SELECT * EXCLUDE (unit_code), unnest(core.regions_around(unit_code)) AS unit_code FROM form
    )
SELECT
    l.election, contest_type, core.contest_of(contest_type, l.unit_code) AS contest_code, stage,
    l.unit_code, core.level_of(l.unit_code) AS level, unit_name,
    count(*) AS stations_with_form,
    sum(registered_voters)::BIGINT AS registered_voters,
    sum(voters)::BIGINT AS voters,
    sum(ballots)::BIGINT AS ballots,
    sum(valid_votes)::BIGINT AS valid_votes,
    sum(invalid_votes)::BIGINT AS invalid_votes,
    core.share_pct( -- of the stations that give both, as below
        sum(voters) FILTER (registered_voters IS NOT NULL), sum(registered_voters) FILTER (voters IS NOT NULL)
    ) AS turnout_pct,
    core.share_pct(
        sum(invalid_votes) FILTER (valid_votes IS NOT NULL), sum(valid_votes + invalid_votes)
    ) AS invalid_pct
FROM line AS l
LEFT JOIN core.unit_latest AS u ON u.election = l.election AND u.unit_code = l.unit_code
GROUP BY ALL;
COMMENT ON VIEW turnout IS 'Who came to vote: figures of the stations'' forms where they were captured, at stations and added up for every region';
COMMENT ON COLUMN turnout.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN turnout.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN turnout.contest_code IS 'Contest, such as pkwkp:31; above a contest''s own area (pkwkk:32) the contests there taken together';
COMMENT ON COLUMN turnout.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN turnout.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN turnout.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN turnout.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN turnout.stations_with_form IS 'Stations whose form was captured: all figures here rest on these, and each on those that give it';
COMMENT ON COLUMN turnout.registered_voters IS 'Registered voters (DPT)';
COMMENT ON COLUMN turnout.voters IS 'Voters who came, of all lists';
COMMENT ON COLUMN turnout.ballots IS 'Valid and invalid votes as the forms add them up';
COMMENT ON COLUMN turnout.valid_votes IS 'Valid votes as the forms say, not as the pairs'' votes add up';
COMMENT ON COLUMN turnout.invalid_votes IS 'Invalid votes';
COMMENT ON COLUMN turnout.turnout_pct IS 'Voters as a percentage of registered voters, over the stations that give both';
COMMENT ON COLUMN turnout.invalid_pct IS 'Invalid votes as a percentage of valid and invalid ones, over the stations that give both';
