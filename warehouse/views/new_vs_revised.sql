-- A region's step is split by what its parts did since the version before, on KPU's clock, but only where the parts, every
-- pair's votes and the stations, add up to both versions: files are late, and what was not captured is not known.
-- Elsewhere the region's own figures say what they can.
CREATE OR REPLACE VIEW new_vs_revised AS
WITH
    -- Not materialized, or a filter on one unit would not get through to the tables
    own AS NOT MATERIALIZED (SELECT *, coalesce(votes_after, 0) - coalesce(votes_before, 0) AS moved FROM core.step),
    by_part AS (
        SELECT p.*, s.position_at, s.candidate_id, s.origin, s.moved
        FROM core.part AS p
        JOIN own AS s
            ON s.election = p.election AND s.contest_code = p.contest_code AND s.stage = p.stage AND s.unit_code = part_code
    ),
    placed AS ( -- what a part did belongs to the region's next version; at equal times the part goes first
        SELECT * REPLACE (
            min(version) OVER (
                PARTITION BY election, contest_type, contest_code, stage, unit_code
                ORDER BY position_at, version NULLS FIRST ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
            ) AS version
        )
        FROM (
            SELECT election, contest_type, contest_code, stage, unit_code, position_at, version
            FROM own
            WHERE candidate_id IS NULL
            UNION ALL BY NAME
            FROM by_part
        )
    ),
    by_parts AS (
        SELECT
            election, contest_code, stage, unit_code, version, candidate_id,
            sum(moved) AS parts_moved,
            sum(moved) FILTER (origin = 'new') AS parts_new,
            sum(moved) FILTER (origin = 'revised') AS parts_revised,
            list_sort(list(DISTINCT origin)) AS parts_origins,
            arg_min(part_code, length(part_code)) AS coarsest_part -- what it does not tell nobody does
        FROM placed
        WHERE part_code IS NOT NULL
        GROUP BY ALL
    ),
    compared AS (
        SELECT
            own.*, parts_new, parts_revised, parts_origins, coarsest_part,
            coalesce(parts_moved, 0) AS parts_moved,
            coalesce(sum(parts_moved) OVER (
                PARTITION BY own.election, contest_type, own.contest_code, own.stage, own.unit_code, own.candidate_id
                ORDER BY own.version
            ), 0) AS parts_sum
        FROM own
        LEFT JOIN by_parts
            ON by_parts.election = own.election AND by_parts.contest_code = own.contest_code AND by_parts.stage = own.stage
            AND by_parts.unit_code = own.unit_code AND by_parts.version = own.version
            AND by_parts.candidate_id IS NOT DISTINCT FROM own.candidate_id
    ),
    judged AS (
        SELECT
            * EXCLUDE (coarsest_part, parts_origins),
            max(moved) FILTER (candidate_id IS NULL) OVER step AS new_stations,
            max(coarsest_part) FILTER (candidate_id IS NULL) OVER step AS coarsest_part,
            max(parts_origins) FILTER (candidate_id IS NULL) OVER step AS parts_origins,
            bool_and(
                (parts_moved = moved AND parts_sum = coalesce(votes_after, 0))
                OR (candidate_id IS NULL AND votes_after IS NULL) -- stations are not always given (February's rows)
            ) OVER step AS is_sum_of_parts
        FROM compared
        WINDOW step AS (PARTITION BY election, contest_type, contest_code, stage, unit_code, version)
    ),
    split AS (
        SELECT
            *,
            is_sum_of_parts AND coarsest_part IS NOT NULL AS is_by_parts,
            CASE WHEN is_by_parts THEN parts_origins ELSE [origin] END AS origins,
            CASE WHEN is_by_parts THEN coalesce(parts_new, 0)::BIGINT WHEN origin = 'new' THEN moved ELSE 0 END AS new_votes,
            CASE
                WHEN is_by_parts THEN coalesce(parts_revised, 0)::BIGINT
                WHEN origin = 'revised' THEN moved
                ELSE 0
            END AS revised_votes
        FROM judged
        WHERE candidate_id IS NOT NULL
    )
SELECT
    s.election, contest_type, s.contest_code, stage, s.unit_code, core.level_of(s.unit_code) AS level, unit_name,
    version, reported_at, observed_at,
    s.candidate_id, ballot_number, candidate_name,
    votes_before, votes_after, moved AS votes_delta,
    stations_before, stations_after, new_stations,
    new_votes, revised_votes, moved - new_votes - revised_votes AS unknown_votes,
    CASE WHEN new_stations > 0 AND NOT list_contains(origins, 'unknown') THEN new_votes / new_stations END AS votes_per_new_station,
    CASE
        WHEN list_contains(origins, 'unknown') THEN 'mixed'
        WHEN len(origins) = 2 THEN 'both'
        ELSE origins[1]
    END AS kind,
    core.level_of(CASE WHEN is_by_parts THEN coarsest_part ELSE s.unit_code END) AS basis,
    capture_id
FROM split AS s
LEFT JOIN core.unit_latest AS u ON u.election = s.election AND u.unit_code = s.unit_code
LEFT JOIN core.candidate_latest AS c
    ON c.election = s.election AND c.contest_code = s.contest_code AND c.candidate_id = s.candidate_id;
COMMENT ON VIEW new_vs_revised IS 'New stations or old ones revised: how much of every step of a pair''s votes came from stations that had not reported before, how much from those that had, and how much the figures do not tell';
COMMENT ON COLUMN new_vs_revised.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN new_vs_revised.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN new_vs_revised.contest_code IS 'Contest, such as pkwkp:31 (governor of Jakarta) or pkwkk:3201';
COMMENT ON COLUMN new_vs_revised.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN new_vs_revised.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN new_vs_revised.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN new_vs_revised.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN new_vs_revised.version IS 'Version of the unit''s tally that brought the step; see timeline. Withdrawals are passed over: what comes after one is compared with the last votes before it';
COMMENT ON COLUMN new_vs_revised.reported_at IS 'KPU''s own time of the version';
COMMENT ON COLUMN new_vs_revised.observed_at IS 'When we fetched it first';
COMMENT ON COLUMN new_vs_revised.candidate_id IS 'KPU''s id of the pair; ballot-N if only a rendered page told of it';
COMMENT ON COLUMN new_vs_revised.ballot_number IS 'Number on the ballot, from the pairs file';
COMMENT ON COLUMN new_vs_revised.candidate_name IS 'Names of the pair as KPU wrote them';
COMMENT ON COLUMN new_vs_revised.votes_before IS 'Votes in the version with votes before; NULL if not given';
COMMENT ON COLUMN new_vs_revised.votes_after IS 'Votes from this version on; NULL if no longer given';
COMMENT ON COLUMN new_vs_revised.votes_delta IS 'votes_after minus votes_before, always new_votes + revised_votes + unknown_votes';
COMMENT ON COLUMN new_vs_revised.stations_before IS 'Stations counted in the version with votes before';
COMMENT ON COLUMN new_vs_revised.stations_after IS 'Stations counted in this version';
COMMENT ON COLUMN new_vs_revised.new_stations IS 'Stations of the step: stations_after minus stations_before';
COMMENT ON COLUMN new_vs_revised.new_votes IS 'Votes of stations that had not reported before';
COMMENT ON COLUMN new_vs_revised.revised_votes IS 'By how much the votes of stations that had reported before were changed';
COMMENT ON COLUMN new_vs_revised.unknown_votes IS 'What the figures do not tell apart: new stations came in where others could have been revised meanwhile';
COMMENT ON COLUMN new_vs_revised.votes_per_new_station IS 'new_votes by new station; NULL without any, or where the split is not known';
COMMENT ON COLUMN new_vs_revised.kind IS 'Of the whole step: new, revised, both (and told apart) or mixed (some of it is not known)';
COMMENT ON COLUMN new_vs_revised.basis IS 'Level of the units that the split was read from, the coarsest where there are several: tps is exact, the unit''s own level says least';
COMMENT ON COLUMN new_vs_revised.capture_id IS 'The capture that brought the step; see captures';
