-- A region's step is split by what its parts did since the version before, on KPU's clock, but only where the parts, every
-- pair's votes and the stations, add up to both versions: files are late, and what was not captured is not known.
-- Elsewhere the region's own figures say what they can. `prefix` and `longest_code` choose the regions: other conditions
-- than on one unit do not get through from outside.
CREATE OR REPLACE MACRO core.new_vs_revised_in(prefix, longest_code) AS TABLE
WITH
    -- Not materialized, or a filter on one unit would not get through to the tables
    step AS NOT MATERIALIZED (
        SELECT *, coalesce(votes_after, 0) - coalesce(votes_before, 0) AS moved
        FROM core.step
        WHERE starts_with(unit_code, prefix)
    ),
    own AS NOT MATERIALIZED (FROM step WHERE length(unit_code) <= longest_code),
    by_part AS (
        SELECT p.*, s.position_at, s.candidate_id, s.origin, s.moved
        FROM core.part AS p
        JOIN step AS s
            ON s.election = p.election AND s.contest_code = p.contest_code AND s.stage = p.stage AND s.unit_code = part_code
        WHERE length(p.unit_code) <= longest_code AND starts_with(p.unit_code, prefix)
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
COMMENT ON MACRO TABLE core.new_vs_revised_in IS 'new_vs_revised of the units whose code begins with prefix and is no longer than longest_code';
