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

CREATE OR REPLACE TEMP TABLE tally_changed AS FROM changed('tally_said', 'core.tally_packed');

-- The series to write, and the row in force before the first change in each: it learns what supersedes it.
CREATE OR REPLACE TEMP TABLE tally_series AS
WITH
    written AS (
        SELECT endpoint, series FROM tally_changed
        UNION
        SELECT p.endpoint, p.series
        FROM core.tally_packed AS p JOIN revised AS r ON r.endpoint = p.endpoint AND p.position >= r.first_position
    )
SELECT w.endpoint, w.series, t.first_position, max(p.position) AS base_position
FROM written AS w
JOIN touched AS t USING (endpoint)
LEFT JOIN core.tally_packed AS p
    ON p.endpoint = w.endpoint AND p.series = w.series AND p.position < t.first_position
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE tally_written AS
WITH
    row_to_write AS (
        SELECT endpoint, series, position, value, NULL AS counted, NULL AS withdrawn_at FROM tally_changed
        UNION ALL
        SELECT p.endpoint, p.series, p.position, p.value, p.counted, p.withdrawn_at
        FROM core.tally_packed AS p
        JOIN tally_series AS s ON s.endpoint = p.endpoint AND s.series = p.series AND s.base_position = p.position
    ),
    linked AS (
        SELECT
            * REPLACE (
                last_value(CASE WHEN core.votes_total(value.votes) > 0 THEN position ELSE counted END IGNORE NULLS) OVER earlier AS counted
            ),
            lead(position) OVER series AS superseded
        FROM row_to_write
        WINDOW
            series AS (PARTITION BY endpoint, series ORDER BY position),
            earlier AS (PARTITION BY endpoint, series ORDER BY position ROWS UNBOUNDED PRECEDING)
    )
SELECT
    * REPLACE (
        CASE WHEN counted IS NOT NULL THEN -- withdrawn until there are votes again, even if the unit is left out meanwhile
            min(coalesce(withdrawn_at, position.position_at))
                FILTER (withdrawn_at IS NOT NULL OR core.is_blank(value.votes, value.stations_reported))
                OVER (PARTITION BY endpoint, series, counted ORDER BY position ROWS UNBOUNDED PRECEDING)
        END AS withdrawn_at
    )
FROM linked;

-- What the rows without votes fall back on: the votes of the last row that had any, here or already stored.
CREATE OR REPLACE TEMP TABLE tally_kept AS
WITH
    bare AS (FROM tally_written WHERE counted IS NOT NULL AND coalesce(core.votes_total(value.votes), 0) = 0),
    voted AS (
        SELECT endpoint, series, position, value FROM tally_written
        UNION
        SELECT p.endpoint, p.series, p.position, p.value
        FROM core.tally_packed AS p
        JOIN bare AS b ON b.endpoint = p.endpoint AND b.series = p.series AND b.counted = p.position
    )
SELECT
    b.endpoint, b.series, b.position,
    {
        'votes': v.value.votes, 'votes_total': core.votes_total(v.value.votes),
        'reported_at': source.reported_at, 'observed_at': source.observed_at, 'capture_id': source.capture_id
    } AS kept
FROM bare AS b
JOIN voted AS v ON v.endpoint = b.endpoint AND v.series = b.series AND v.position = b.counted
JOIN core.capture AS source ON source.capture_id = b.counted.capture_id;

DELETE FROM core.tally AS t USING (
    SELECT endpoint, series, coalesce(base_position, first_position) AS first_position FROM tally_series
) AS s
WHERE s.endpoint = core.endpoint(t.election, core.document_of(t.stage, t.witness), t.contest_type, t.region_code)
    AND s.series = {'contest_code': t.contest_code, 'unit_code': t.unit_code, 'witness': t.witness}
    AND core.position(t.reported_at, t.observed_at, t.capture_id) >= s.first_position;

INSERT INTO core.tally BY NAME
SELECT
    endpoint.election, endpoint.contest_type, series.contest_code,
    CASE endpoint.document WHEN 'page' THEN 'hhcw' ELSE endpoint.document END AS stage, -- pages show the stations' count
    endpoint.region_code, series.unit_code, series.witness,
    capture.reported_at, position.observed_at, position.capture_id,
    value IS NOT NULL AS is_listed, unnest(value),
    core.votes_total(value.votes) AS votes_total, superseded, counted, kept, withdrawn_at
FROM tally_written
LEFT JOIN tally_kept USING (endpoint, series, position)
JOIN core.capture AS capture ON capture.capture_id = position.capture_id
ORDER BY endpoint.election, series, endpoint.document, position;
