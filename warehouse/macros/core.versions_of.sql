CREATE OR REPLACE MACRO core.versions_of(tallies) AS TABLE
WITH
    told AS (
        SELECT
            election, contest_type, contest_code, stage, unit_code, witness, reported_at, observed_at, capture_id,
            stations_reported, stations_total, votes, votes_total, withdrawn_at,
            coalesce(reported_at, observed_at) AS position_at
        FROM query_table(tallies)
        WHERE is_listed
    ),
    json AS (FROM told WHERE witness <> 'page'),
    -- both witnesses in the order of KPU's clock; at equal times the unit's own document goes first
    merged AS (
        SELECT
            * REPLACE (
                -- a witness whose first answer came after the withdrawal has not seen it, but another has seen votes
                CASE
                    WHEN withdrawn_at IS NULL AND core.is_blank(votes, stations_reported) AND bool_or(votes_total > 0) OVER earlier
                    THEN position_at
                    ELSE withdrawn_at
                END AS withdrawn_at
            )
        FROM (
            FROM json
            UNION ALL -- a page speaks only where no JSON does
            FROM told ANTI JOIN json USING (election, contest_code, stage, unit_code)
        )
        WINDOW
            series AS (
                PARTITION BY election, contest_code, stage, unit_code
                ORDER BY position_at, witness = 'parent', observed_at, capture_id
            ),
            earlier AS (
                PARTITION BY election, contest_code, stage, unit_code
                ORDER BY position_at, witness = 'parent', observed_at, capture_id
                ROWS UNBOUNDED PRECEDING
            )
        QUALIFY
            (votes, stations_reported, stations_total) IS DISTINCT FROM lag((votes, stations_reported, stations_total)) OVER series
    )
SELECT
    election, contest_type, contest_code, stage, unit_code,
    row_number() OVER series AS version,
    position_at, reported_at, observed_at, capture_id, witness,
    stations_reported, stations_total, votes, votes_total, withdrawn_at,
    lag(votes) OVER series AS previous_votes,
    votes IS DISTINCT FROM previous_votes AS has_moved,
    lag(stations_reported) OVER series AS previous_stations_reported,
    lag(withdrawn_at) OVER series AS previous_withdrawn_at
FROM merged
WINDOW series AS (
    PARTITION BY election, contest_code, stage, unit_code
    ORDER BY position_at, witness = 'parent', observed_at, capture_id
);
COMMENT ON MACRO TABLE core.versions_of IS 'Contents of core.version, from the change rows in the table of this name: both witnesses merged in the order of KPU''s clock';
