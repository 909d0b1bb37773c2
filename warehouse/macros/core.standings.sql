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
                -- a witness that never had votes does not speak against one that had (its first answer may have come
                -- after a withdrawal), nor a page against JSON; else the document that was fetched last speaks,
                -- and of two that came together the unit's own
                ORDER BY
                    t.is_listed DESC, t.counted IS NULL AND core.is_blank(t.votes, t.stations_reported),
                    t.witness = 'page', h.head.observed_at DESC, t.witness = 'parent'
            ) AS choice
        FROM core.tally AS t
        JOIN head AS h
            ON h.election = t.election AND h.contest_type = t.contest_type AND h.region_code = t.region_code
            AND h.document = core.document_of(t.stage, t.witness)
            AND core.position(t.reported_at, t.observed_at, t.capture_id) <= h.head
            AND (t.superseded IS NULL OR t.superseded > h.head)
    ),
    chosen AS MATERIALIZED (FROM in_force WHERE choice = 1 AND is_listed)
SELECT
    election, contest_type, contest_code, stage, unit_code, witness, stations_reported, stations_total, reported_pct,
    reported_at AS progress_reported_at, observed_at AS progress_observed_at,
    votes, votes_total, reported_at, observed_at, capture_id, withdrawn_at
FROM chosen
WHERE withdrawn_at IS NULL
UNION ALL
SELECT -- after a withdrawal: the version that had votes last (a capture has a unit and witness once). It is a branch of
       -- its own because it costs a third of the answer, and nothing as long as nothing is withdrawn.
    now.election, now.contest_type, now.contest_code, now.stage, now.unit_code, now.witness,
    now.stations_reported, now.stations_total, now.reported_pct, now.reported_at, now.observed_at,
    last.votes, last.votes_total, last.reported_at, last.observed_at, last.capture_id, now.withdrawn_at
FROM chosen AS now
JOIN core.tally AS last
    ON last.capture_id = now.counted.capture_id AND last.unit_code = now.unit_code AND last.witness = now.witness
WHERE now.withdrawn_at IS NOT NULL;
COMMENT ON MACRO TABLE core.standings IS 'One row per contest, stage and unit as of both clocks: the latest progress, and the votes of the latest version that had any';
