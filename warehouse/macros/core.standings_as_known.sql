CREATE OR REPLACE MACRO core.standings_as_known(reported_until, observed_until) AS TABLE
WITH
    known AS NOT MATERIALIZED (
        SELECT *, core.position(reported_at, observed_at, capture_id) AS position
        FROM core.capture
        WHERE quarantine_reason IS NULL
            AND observed_at <= observed_until AND coalesce(reported_at, observed_at) <= reported_until
    ),
    -- What we had of each document by then. A row's own observed_at will not do: an older capture that is found
    -- later can move the row to an earlier place in the series.
    head AS (
        SELECT election, document, contest_type, region_code, max(position) AS head FROM known GROUP BY ALL
    ),
    chosen AS (
        SELECT * EXCLUDE (choice)
        FROM (
            SELECT
                t.*, h.head, h.document,
                row_number() OVER (
                    PARTITION BY t.election, t.contest_code, t.stage, t.unit_code
                    ORDER BY core.standing_order(
                        t.is_listed, t.counted, t.votes, t.stations_reported, t.witness, h.head.observed_at
                    )
                ) AS choice
            FROM core.tally AS t
            JOIN head AS h
                ON h.election = t.election AND h.contest_type = t.contest_type AND h.region_code = t.region_code
                AND h.document = core.document_of(t.stage, t.witness)
                AND core.position(t.reported_at, t.observed_at, t.capture_id) <= h.head
                AND (t.superseded IS NULL OR t.superseded > h.head)
        )
        WHERE choice = 1 AND is_listed
    ),
    -- Of a unit without its votes: what its witness had said before, as far as a capture had told us by then. The row
    -- itself will not do here either: its last votes may have become known only later.
    told AS (
        SELECT
            now.election, now.contest_type, now.contest_code, now.stage, now.unit_code,
            t.capture_id AS row_id, t.votes, t.votes_total, core.is_blank(t.votes, t.stations_reported) AS is_blank,
            min(k.position) AS position, arg_min(k.reported_at, k.position) AS reported_at
        FROM chosen AS now
        JOIN core.tally AS t
            ON t.election = now.election AND t.contest_code = now.contest_code AND t.stage = now.stage
            AND t.unit_code = now.unit_code AND t.witness = now.witness AND t.region_code = now.region_code
        JOIN known AS k
            ON k.election = now.election AND k.contest_type = now.contest_type AND k.region_code = now.region_code
            AND k.document = now.document AND k.position <= now.head
            AND k.position >= core.position(t.reported_at, t.observed_at, t.capture_id)
            AND (t.superseded IS NULL OR k.position < t.superseded)
        WHERE now.withdrawn_at IS NOT NULL
        GROUP BY ALL
    ),
    kept AS (
        SELECT
            *,
            max(position) FILTER (votes_total > 0) OVER unit AS counted
        FROM told
        WINDOW unit AS (PARTITION BY election, contest_code, stage, unit_code)
    ),
    fallen AS (
        SELECT
            election, contest_code, stage, unit_code,
            any_value({
                'votes': votes, 'votes_total': votes_total, 'reported_at': reported_at,
                'observed_at': position.observed_at, 'capture_id': position.capture_id
            }) FILTER (position = counted) AS kept,
            min(position.position_at) FILTER (is_blank AND position > counted) AS withdrawn_at
        FROM kept
        GROUP BY ALL
        HAVING kept IS NOT NULL
    )
SELECT
    c.election, c.contest_type, c.contest_code, c.stage, c.unit_code, witness,
    stations_reported, stations_total, reported_pct,
    c.reported_at AS progress_reported_at, c.observed_at AS progress_observed_at,
    CASE WHEN f.kept IS NULL THEN votes ELSE f.kept.votes END AS votes,
    CASE WHEN f.kept IS NULL THEN votes_total ELSE f.kept.votes_total END AS votes_total,
    CASE WHEN f.kept IS NULL THEN c.reported_at ELSE f.kept.reported_at END AS reported_at,
    CASE WHEN f.kept IS NULL THEN c.observed_at ELSE f.kept.observed_at END AS observed_at,
    CASE WHEN f.kept IS NULL THEN c.capture_id ELSE f.kept.capture_id END AS capture_id,
    f.withdrawn_at
FROM chosen AS c
LEFT JOIN fallen AS f
    ON f.election = c.election AND f.contest_code = c.contest_code AND f.stage = c.stage AND f.unit_code = c.unit_code;
COMMENT ON MACRO TABLE core.standings_as_known IS 'One row per contest, stage and unit as of both clocks: KPU''s, and what we had fetched by then';
