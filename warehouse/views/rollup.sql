-- Sums from the finest units captured, whatever the region's own document says. Within a contest they are by pair. Above
-- it every contest has its own pairs, which are never added to others': there one row says how many votes were cast.
CREATE OR REPLACE VIEW rollup AS
WITH
    member AS (
        FROM core.part
        UNION ALL BY NAME
        SELECT election, contest_type, contest_code, stage, unit_code, unit_code AS part_code
        FROM core.standing ANTI JOIN core.part USING (election, contest_type, contest_code, stage, unit_code)
    ),
    given AS NOT MATERIALIZED ( -- or a filter on one unit would not get through to the tables
        SELECT m.*, s.* EXCLUDE (election, contest_type, contest_code, stage, unit_code)
        FROM member AS m
        JOIN core.standing AS s
            ON s.election = m.election AND s.contest_code = m.contest_code AND s.stage = m.stage AND s.unit_code = m.part_code
    ),
    total AS NOT MATERIALIZED (
        SELECT
            election, contest_type, contest_code, stage, unit_code,
            max({'length': -length(part_code), 'level': core.level_of(part_code)}) AS coarsest,
            count(*) AS parts, count(votes_total) AS parts_counted,
            sum(votes_total)::BIGINT AS votes_total,
            sum(stations_reported)::BIGINT AS stations_reported, sum(stations_total)::BIGINT AS stations_total,
            min(reported_at) FILTER (votes_total IS NOT NULL) AS oldest_reported_at,
            max(reported_at) FILTER (votes_total IS NOT NULL) AS newest_reported_at, min(withdrawn_at) AS withdrawn_at
        FROM given
        GROUP BY ALL
    ),
    by_pair AS (
        SELECT election, contest_type, contest_code, stage, unit_code, entry.key AS candidate_id, sum(entry.value)::BIGINT AS votes
        FROM (SELECT election, contest_type, contest_code, stage, unit_code, unnest(map_entries(votes)) AS entry FROM given)
        GROUP BY ALL
    ),
    above AS (
        SELECT
            election, contest_type, contest_type || ':' || above_code AS contest_code, stage, above_code AS unit_code,
            max(coarsest) AS coarsest, sum(parts)::BIGINT AS parts, sum(parts_counted)::BIGINT AS parts_counted,
            sum(votes_total)::BIGINT AS votes_total,
            sum(stations_reported)::BIGINT AS stations_reported, sum(stations_total)::BIGINT AS stations_total,
            min(oldest_reported_at) AS oldest_reported_at, max(newest_reported_at) AS newest_reported_at,
            min(withdrawn_at) AS withdrawn_at
        FROM (
            SELECT *, unnest(core.regions_around(core.parent_of(unit_code))) AS above_code
            FROM total
            WHERE length(unit_code) = core.area_length(contest_type) AND contest_type <> 'ppwp'
        )
        GROUP BY ALL
    ),
    line AS (
        SELECT t.*, candidate_id, votes, rank() OVER (
            PARTITION BY t.election, t.contest_type, t.contest_code, t.stage, t.unit_code ORDER BY votes DESC
        ) AS rank
        FROM total AS t
        JOIN by_pair USING (election, contest_type, contest_code, stage, unit_code)
        UNION ALL BY NAME
        SELECT *, votes_total AS votes FROM above
    )
SELECT
    l.election, l.contest_type, l.contest_code, l.stage, l.unit_code, core.level_of(l.unit_code) AS level, u.unit_name,
    l.candidate_id, ballot_number, candidate_name, l.votes, core.share_pct(l.votes, l.votes_total) AS share_pct,
    CASE WHEN l.votes_total > 0 THEN rank END AS rank,
    s.votes[l.candidate_id] AS own_votes,
    coarsest.level AS from_level, parts_counted AS units_counted, greatest(parts, units_expected) AS units_expected,
    l.stations_reported, l.stations_total, oldest_reported_at, newest_reported_at, l.withdrawn_at
FROM line AS l
LEFT JOIN core.standing AS s
    ON s.election = l.election AND s.contest_code = l.contest_code AND s.stage = l.stage AND s.unit_code = l.unit_code
LEFT JOIN coverage AS e
    ON e.election = l.election AND e.contest_type = l.contest_type AND e.stage = l.stage
    AND e.region_code = l.unit_code AND e.level = coarsest.level
LEFT JOIN core.unit_latest AS u ON u.election = l.election AND u.unit_code = l.unit_code
LEFT JOIN core.candidate_latest AS c
    ON c.election = l.election AND c.contest_code = l.contest_code AND c.candidate_id = l.candidate_id;
COMMENT ON VIEW rollup IS 'Sums from the finest units captured, by pair within a contest; above it, where other pairs stand, votes cast in one row without a pair';
COMMENT ON COLUMN rollup.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN rollup.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN rollup.contest_code IS 'Contest, such as pkwkp:31; above a contest''s own area (pkwkk:32) the contests there taken together';
COMMENT ON COLUMN rollup.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN rollup.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN rollup.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN rollup.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN rollup.candidate_id IS 'KPU''s id of the pair; NULL above a contest''s own area: the votes of all pairs';
COMMENT ON COLUMN rollup.ballot_number IS 'Number on the ballot, from the pairs file';
COMMENT ON COLUMN rollup.candidate_name IS 'Names of the pair as KPU wrote them';
COMMENT ON COLUMN rollup.votes IS 'Sum of the votes; after a withdrawal of the last ones';
COMMENT ON COLUMN rollup.share_pct IS 'votes as a percentage of the votes of all pairs';
COMMENT ON COLUMN rollup.rank IS '1 for the most votes; NULL while nobody has any';
COMMENT ON COLUMN rollup.own_votes IS 'What the region''s own figures say, for comparison; NULL if they say nothing';
COMMENT ON COLUMN rollup.from_level IS 'Level of the units that were added up, the coarsest where there are several';
COMMENT ON COLUMN rollup.units_counted IS 'Units that had votes to add';
COMMENT ON COLUMN rollup.units_expected IS 'Units of that level that are known to be there';
COMMENT ON COLUMN rollup.stations_reported IS 'Stations counted so far in the units added up';
COMMENT ON COLUMN rollup.stations_total IS 'Stations in all in these';
COMMENT ON COLUMN rollup.oldest_reported_at IS 'KPU''s time of the oldest votes added';
COMMENT ON COLUMN rollup.newest_reported_at IS 'KPU''s time of the newest';
COMMENT ON COLUMN rollup.withdrawn_at IS 'Since when the first of these votes are withdrawn; NULL if none is';
