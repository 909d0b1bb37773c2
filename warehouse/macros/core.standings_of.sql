CREATE OR REPLACE MACRO core.standings_of(tallies, reported_until) AS TABLE
SELECT
    election, contest_type, contest_code, stage, unit_code, witness, stations_reported, stations_total, reported_pct,
    reported_at AS progress_reported_at, observed_at AS progress_observed_at,
    CASE WHEN withdrawn_at IS NULL THEN votes ELSE kept.votes END AS votes,
    CASE WHEN withdrawn_at IS NULL THEN votes_total ELSE kept.votes_total END AS votes_total,
    CASE WHEN withdrawn_at IS NULL THEN reported_at ELSE kept.reported_at END AS reported_at,
    CASE WHEN withdrawn_at IS NULL THEN observed_at ELSE kept.observed_at END AS observed_at,
    CASE WHEN withdrawn_at IS NULL THEN capture_id ELSE kept.capture_id END AS capture_id,
    withdrawn_at
FROM (
    SELECT
        t.*,
        row_number() OVER (
            PARTITION BY t.election, t.contest_code, t.stage, t.unit_code
            ORDER BY core.standing_order(t.is_listed, t.counted, t.votes, t.stations_reported, t.witness, c.observed_at)
        ) AS choice
    FROM query_table(tallies) AS t
    -- the document's capture in force at the moment: it tells when the document was fetched last
    JOIN core.capture AS c
        ON c.region_code = t.region_code AND c.contest_type = t.contest_type AND c.election = t.election
        AND c.document = core.document_of(t.stage, t.witness) AND c.quarantine_reason IS NULL
    WHERE coalesce(t.reported_at, t.observed_at) <= reported_until
        -- of the field alone, so that nothing else of the column is read
        AND coalesce(t.superseded.position_at > reported_until, true)
        AND coalesce(c.superseded_at > reported_until, true)
        -- conditions on both tables: on captures alone they would make DuckDB hash seven million of them
        AND greatest(coalesce(t.reported_at, t.observed_at), coalesce(c.reported_at, c.observed_at)) <= reported_until
        AND coalesce(least(t.superseded.position_at, c.superseded_at) > reported_until, true)
)
WHERE choice = 1 AND is_listed;
COMMENT ON MACRO TABLE core.standings_of IS 'Contents of core.standing at a moment of KPU''s clock, from the change rows in the table of this name';
