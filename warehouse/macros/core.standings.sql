CREATE OR REPLACE MACRO core.standings(reported_until, observed_until) AS TABLE
WITH
    -- What we had of each document by then. A row's own observed_at will not do: an older capture that is found
    -- later can move the row to an earlier place in the series.
    head AS (
        SELECT
            election, document, contest_type, region_code,
            max(core.position(reported_at, observed_at, capture_id)) AS head
        FROM core.capture
        WHERE quarantine_reason IS NULL
            AND observed_at <= observed_until AND coalesce(reported_at, observed_at) <= reported_until
        GROUP BY ALL
    ),
    in_force AS (
        SELECT
            t.*,
            row_number() OVER (
                PARTITION BY t.election, t.contest_code, t.stage, t.unit_code
                -- a page counts only where no JSON does; else the document that was fetched last speaks,
                -- and of two that came together the unit's own
                ORDER BY t.is_listed DESC, t.witness = 'page', h.head.observed_at DESC, t.witness = 'parent'
            ) AS choice
        FROM core.tally AS t
        JOIN head AS h
            ON h.election = t.election AND h.contest_type = t.contest_type AND h.region_code = t.region_code
            AND h.document = core.document_of(t.stage, t.witness)
            AND core.position(t.reported_at, t.observed_at, t.capture_id) <= h.head
            AND (t.superseded IS NULL OR t.superseded > h.head)
    )
SELECT
    now.election, now.contest_type, now.contest_code, now.stage, now.unit_code, now.witness,
    now.stations_reported, now.stations_total, now.reported_pct,
    now.reported_at AS progress_reported_at, now.observed_at AS progress_observed_at,
    CASE WHEN now.withdrawn_at IS NULL THEN now.votes ELSE last.votes END AS votes,
    CASE WHEN now.withdrawn_at IS NULL THEN now.votes_total ELSE last.votes_total END AS votes_total,
    CASE WHEN now.withdrawn_at IS NULL THEN now.reported_at ELSE last.reported_at END AS reported_at,
    CASE WHEN now.withdrawn_at IS NULL THEN now.observed_at ELSE last.observed_at END AS observed_at,
    CASE WHEN now.withdrawn_at IS NULL THEN now.capture_id ELSE last.capture_id END AS capture_id,
    now.withdrawn_at
FROM in_force AS now
LEFT JOIN core.tally AS last -- the version that had votes last
    ON now.withdrawn_at IS NOT NULL -- a capture is one document, which has a unit and witness once
    AND last.capture_id = now.counted.capture_id AND last.unit_code = now.unit_code AND last.witness = now.witness
WHERE now.choice = 1 AND now.is_listed;
COMMENT ON MACRO TABLE core.standings IS 'One row per contest, stage and unit as of both clocks: the latest progress, and the votes of the latest version that had any';
