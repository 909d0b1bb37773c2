-- E8, second half: the row of a unit in its parent's table against the unit's own document. These are published
-- minutes apart, so that most differences are mere lag, either way: on 28 November 2024 the parents were older in
-- 24 regencies of one capture and newer in 107 of another. A difference counts only if both are of one publication,
-- or if the unit's document was seen again, unchanged, long after the parent's time.

-- What each of the two says from a moment of KPU's clock on, where the other speaks too.
CREATE OR REPLACE TEMP TABLE told_twice AS
WITH
    told AS (
        SELECT
            election, contest_type, contest_code, stage, unit_code, witness, reported_at AS position_at, superseded.position_at AS next_at,
            capture_id, CASE WHEN is_listed THEN stations_reported END AS stations, weighed(votes) AS votes
        FROM core.tally SEMI JOIN touched_unit USING (election, contest_type, unit_code)
        SEMI JOIN (FROM tally_in_force WHERE witness = 'self') AS own USING (election, contest_code, stage, unit_code)
        WHERE witness <> 'page' AND reported_at IS NOT NULL AND superseded.position_at IS DISTINCT FROM reported_at
    ),
    event AS (
        SELECT
            election, contest_type, contest_code, stage, unit_code, position_at,
            any_value({'at': position_at, 'next_at': next_at, 'capture_id': capture_id, 'stations': stations, 'votes': votes})
                FILTER (witness = 'self') AS own_change,
            any_value({'at': position_at, 'next_at': next_at, 'capture_id': capture_id, 'stations': stations, 'votes': votes})
                FILTER (witness = 'parent') AS row_change
        FROM told
        GROUP BY ALL
    )
FROM (
    SELECT
        election, contest_type, contest_code, stage, unit_code, position_at,
        last_value(own_change IGNORE NULLS) OVER so_far AS own,
        last_value(row_change IGNORE NULLS) OVER so_far AS told_row,
        row_number() OVER series AS segment,
        lead(position_at) OVER series AS next_at
    FROM event
    WINDOW
        series AS (PARTITION BY election, contest_type, contest_code, stage, unit_code ORDER BY position_at),
        so_far AS (
            PARTITION BY election, contest_type, contest_code, stage, unit_code ORDER BY position_at ROWS UNBOUNDED PRECEDING
        )
)
WHERE own.votes <> told_row.votes OR own.stations <> told_row.stations;

-- When a difference is certain: the first moment at which two documents that can be compared say it.
CREATE OR REPLACE TEMP TABLE certain AS
WITH
    document AS (
        SELECT
            election, contest_type, document AS stage, region_code, reported_at, observed_at, capture_id,
            reported_at >= max(reported_at) OVER (
                PARTITION BY election, contest_type, document, region_code ORDER BY observed_at, capture_id
            ) AS is_fresh -- no old copy
        FROM core.capture
        SEMI JOIN (
            SELECT election, contest_type, stage AS document, unit_code AS region_code FROM told_twice
            UNION
            SELECT election, contest_type, stage, core.parent_of(unit_code) FROM told_twice
        ) USING (election, contest_type, document, region_code)
        WHERE quarantine_reason IS NULL AND reported_at IS NOT NULL
    ),
    own_seen AS MATERIALIZED ( -- else DuckDB joins all documents of a contest with each other first
        SELECT d.*, own.reported_at AS own_reported_at, own.observed_at AS own_observed_at, own.is_fresh
        FROM told_twice AS d
        JOIN document AS own
            ON own.election = d.election AND own.contest_type = d.contest_type AND own.stage = d.stage AND own.region_code = d.unit_code
            AND own.reported_at >= d.own.at AND (d.own.next_at IS NULL OR own.reported_at < d.own.next_at)
    )
SELECT
    d.election, d.contest_code, d.stage, d.unit_code, d.segment,
    arg_min(
        {'position_at': greatest(own_reported_at, above.reported_at), 'observed_at': above.observed_at, 'capture_id': above.capture_id},
        (greatest(own_reported_at, above.reported_at), above.observed_at, above.capture_id)
    ) AS seen
FROM own_seen AS d
JOIN core.rule_parameter AS p USING (election)
JOIN document AS above
    ON above.election = d.election AND above.contest_type = d.contest_type AND above.stage = d.stage
    AND above.region_code = core.parent_of(d.unit_code)
    AND above.reported_at >= d.told_row.at AND (d.told_row.next_at IS NULL OR above.reported_at < d.told_row.next_at)
WHERE greatest(own_reported_at, above.reported_at) >= d.position_at
    AND (d.next_at IS NULL OR greatest(own_reported_at, above.reported_at) < d.next_at)
    AND (
        abs(epoch(own_reported_at) - epoch(above.reported_at)) <= epoch(p.publication)
        OR own_reported_at < above.reported_at AND d.is_fresh AND own_observed_at >= above.reported_at + p.grace
    )
GROUP BY d.election, d.contest_code, d.stage, d.unit_code, d.segment;

INSERT INTO finding_told BY NAME
WITH
    figure AS (
        SELECT
            d.* EXCLUDE (own, told_row), e.key AS candidate_id, e.value AS expected, r.votes[e.key] AS found
        FROM told_twice AS d
        JOIN core.tally AS o ON o.capture_id = d.own.capture_id AND o.unit_code = d.unit_code AND o.witness = 'self'
        JOIN core.tally AS r ON r.capture_id = d.told_row.capture_id AND r.unit_code = d.unit_code AND r.witness = 'parent',
            unnest(map_entries(o.votes)) AS u(e)
        UNION ALL BY NAME
        SELECT * EXCLUDE (own, told_row), own.stations AS expected, told_row.stations AS found FROM told_twice
    ),
    differing AS (
        SELECT
            f.*, c.seen, -- consecutive segments are one difference
            segment - row_number() OVER (
                PARTITION BY f.election, f.contest_code, f.stage, f.unit_code, candidate_id ORDER BY segment
            ) AS island
        FROM figure AS f
        LEFT JOIN certain AS c USING (election, contest_code, stage, unit_code, segment)
        WHERE expected <> found
    )
SELECT
    election, contest_type, contest_code, stage, unit_code, 'E8' AS rule, 'row' AS aspect, candidate_id,
    counted(
        CASE WHEN candidate_id IS NULL THEN 'stations' ELSE 'votes' END || ' in its own document',
        arg_min(expected, segment) FILTER (seen IS NOT NULL)
    ) AS expected,
    counted(
        CASE WHEN candidate_id IS NULL THEN 'stations' ELSE 'votes' END || ' in its row of the region above',
        arg_min(found, segment) FILTER (seen IS NOT NULL)
    ) AS found,
    arg_min(found - expected, segment) FILTER (seen IS NOT NULL) AS difference,
    min(seen.position_at) AS first_seen_at,
    greatest(min(seen.position_at), max(position_at)) AS last_seen_at,
    arg_max({'next_at': next_at}, segment).next_at AS resolved_at,
    arg_min(seen.observed_at, segment) FILTER (seen IS NOT NULL) AS observed_at,
    arg_min(seen.capture_id, segment) FILTER (seen IS NOT NULL) AS capture_id
FROM differing
GROUP BY election, contest_type, contest_code, stage, unit_code, candidate_id, island
HAVING count(seen) > 0;
