CREATE OR REPLACE TEMP TABLE tally_said AS
SELECT
    c.endpoint, c.position,
    {'contest_code': t.contest_code, 'unit_code': t.unit_code, 'witness': t.witness} AS series,
    {
        'stations_reported': t.stations_reported, 'stations_total': t.stations_total, 'reported_pct': t.reported_pct,
        'is_reported': t.is_reported, 'votes': coalesce(t.votes, MAP {}), 'valid_votes': t.valid_votes,
        'invalid_votes': t.invalid_votes, 'ballots': t.ballots, 'registered_voters': t.registered_voters,
        'revote_status': t.revote_status, 'form': t.form
    } AS value
FROM staged_capture AS c
JOIN (SELECT document_number, unnest(tallies) AS t FROM staged_document) USING (document_number);

CREATE OR REPLACE TEMP TABLE tally_changed AS FROM changed('tally_said', 'tally_near');

-- The series to write, and the row in force before the first change in each: it learns what supersedes it.
CREATE OR REPLACE TEMP TABLE tally_series AS
WITH
    written AS (
        SELECT endpoint, series FROM tally_changed
        UNION
        SELECT n.endpoint, n.series
        FROM tally_near AS n JOIN revised AS r ON r.endpoint = n.endpoint AND n.position >= r.first_position
    )
SELECT w.endpoint, w.series, max(n.position) AS base_position
FROM written AS w
JOIN touched AS t USING (endpoint)
LEFT JOIN tally_near AS n
    ON n.endpoint = w.endpoint AND n.series = w.series AND n.position < t.first_position
GROUP BY ALL;

-- Besides its own figures a row knows the last votes of its series, and since when they are gone.
CREATE OR REPLACE TEMP TABLE tally_written AS
WITH
    row_to_write AS (
        SELECT
            endpoint, series, position, value, false AS is_base,
            NULL AS counted, NULL AS kept, NULL AS withdrawn_at
        FROM tally_changed
        UNION ALL
        SELECT n.endpoint, n.series, n.position, n.value, true AS is_base, n.counted, n.kept, n.withdrawn_at
        FROM tally_near AS n
        JOIN tally_series AS s ON s.endpoint = n.endpoint AND s.series = n.series AND s.base_position = n.position
    ),
    timed AS (
        SELECT *, core.votes_total(value.votes) AS votes_total
        FROM row_to_write
        JOIN (
            SELECT capture_id, reported_at
            FROM core.capture SEMI JOIN (SELECT position.capture_id AS capture_id FROM row_to_write) USING (capture_id)
        ) AS c ON c.capture_id = position.capture_id
    ),
    linked AS (
        SELECT
            * EXCLUDE (capture_id) REPLACE (
                last_value(CASE WHEN votes_total > 0 THEN position ELSE counted END IGNORE NULLS) OVER earlier AS counted,
                last_value(
                    CASE WHEN votes_total > 0 THEN {
                        'votes': value.votes, 'votes_total': votes_total,
                        'reported_at': reported_at, 'observed_at': position.observed_at, 'capture_id': position.capture_id
                    } ELSE kept END IGNORE NULLS
                ) OVER earlier AS kept
            ),
            lead(position) OVER series AS superseded
        FROM timed
        WINDOW
            series AS (PARTITION BY endpoint, series ORDER BY position),
            earlier AS (PARTITION BY endpoint, series ORDER BY position ROWS UNBOUNDED PRECEDING)
    )
SELECT
    * REPLACE (
        CASE WHEN coalesce(votes_total, 0) = 0 THEN kept END AS kept, -- what rows without votes fall back on
        CASE WHEN counted IS NOT NULL THEN -- withdrawn until there are votes again, even if the unit is left out meanwhile
            min(coalesce(withdrawn_at, position.position_at))
                FILTER (withdrawn_at IS NOT NULL OR core.is_blank(value.votes, value.stations_reported))
                OVER (PARTITION BY endpoint, series, counted ORDER BY position ROWS UNBOUNDED PRECEDING)
        END AS withdrawn_at
    )
FROM linked;

UPDATE core.tally SET superseded = w.superseded
FROM (
    SELECT position.capture_id AS capture_id, series.*, superseded FROM tally_written WHERE is_base
) AS w
WHERE w.capture_id = core.tally.capture_id AND w.unit_code = core.tally.unit_code
    AND w.witness = core.tally.witness AND w.contest_code = core.tally.contest_code;

DELETE FROM core.tally AS t USING recounted AS r WHERE r.capture_id = t.capture_id;

INSERT INTO core.tally BY NAME
SELECT
    endpoint.election, endpoint.contest_type, series.contest_code,
    CASE endpoint.document WHEN 'page' THEN 'hhcw' ELSE endpoint.document END AS stage, -- pages show the stations' count
    endpoint.region_code, series.unit_code, series.witness,
    reported_at, position.observed_at, position.capture_id,
    value IS NOT NULL AS is_listed, unnest(value),
    votes_total, superseded, counted, kept, withdrawn_at
FROM tally_written
WHERE NOT is_base
ORDER BY endpoint.election, series, endpoint.document, position;
