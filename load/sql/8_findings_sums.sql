-- E8: a region against the sum of its parts. First within each document, whose chart and table are of one moment.

-- By capture of a document: its own figures and the sum of its rows, as differences from the capture before.
CREATE OR REPLACE TEMP TABLE chart_odd AS
WITH
    told AS (
        SELECT
            election, contest_type, stage, region_code, capture_id, coalesce(reported_at, observed_at) AS position_at, observed_at,
            superseded, witness = 'self' AS is_own, is_listed, stations_reported, weighed(votes) AS votes
        FROM core.tally SEMI JOIN touched_document USING (election, contest_type, stage, region_code)
        WHERE witness <> 'page' AND length(region_code) < 13
    ),
    change AS (
        SELECT election, contest_type, stage, region_code, capture_id, position_at, observed_at, is_own, 1 AS sign,
            is_listed, stations_reported, votes
        FROM told
        UNION ALL
        SELECT election, contest_type, stage, region_code, superseded.capture_id, superseded.position_at, superseded.observed_at,
            is_own, -1, is_listed, stations_reported, votes
        FROM told
        WHERE superseded IS NOT NULL
    ),
    changed AS (
        SELECT
            any_value(election) AS election, any_value(contest_type) AS contest_type, any_value(stage) AS stage,
            any_value(region_code) AS region_code, capture_id,
            any_value(position_at) AS position_at, any_value(observed_at) AS observed_at,
            sum(sign * votes) FILTER (is_own) AS own_votes,
            sum(sign) FILTER (is_own AND votes IS NOT NULL) AS own_given,
            sum(sign * stations_reported) FILTER (is_own) AS own_stations,
            sum(sign) FILTER (is_own AND stations_reported IS NOT NULL) AS own_told,
            sum(sign * votes) FILTER (NOT is_own) AS row_votes,
            sum(sign) FILTER (NOT is_own AND votes IS NOT NULL) AS row_given,
            sum(sign * stations_reported) FILTER (NOT is_own) AS row_stations,
            sum(sign) FILTER (NOT is_own AND stations_reported IS NOT NULL) AS row_told,
            sum(sign) FILTER (NOT is_own AND is_listed AND stations_reported IS NULL) AS row_untold
        FROM change
        GROUP BY capture_id
    ),
    standing AS (
        SELECT
            election, contest_type, stage, region_code, capture_id, position_at, observed_at,
            coalesce(sum(own_given) OVER so_far, 0) > 0 AND coalesce(sum(row_given) OVER so_far, 0) > 0
                AND sum(own_votes) OVER so_far <> sum(row_votes) OVER so_far AS is_votes,
            coalesce(sum(own_told) OVER so_far, 0) > 0 AND coalesce(sum(row_told) OVER so_far, 0) > 0
                AND coalesce(sum(row_untold) OVER so_far, 0) = 0
                AND sum(own_stations) OVER so_far <> sum(row_stations) OVER so_far AS is_stations,
            lead(capture_id) OVER series AS next_place,
            lead(position_at) OVER series AS next_at
        FROM changed
        WINDOW
            series AS (PARTITION BY election, contest_type, stage, region_code ORDER BY position_at, observed_at, capture_id),
            so_far AS (
                PARTITION BY election, contest_type, stage, region_code ORDER BY position_at, observed_at, capture_id
                ROWS UNBOUNDED PRECEDING
            )
    )
FROM standing
WHERE is_votes OR is_stations;

-- The few that differ, candidate by candidate: only what both chart and rows give is compared.
INSERT INTO broken BY NAME
WITH
    in_force AS (
        SELECT c.*, t.contest_code, t.unit_code, t.witness, t.votes, t.stations_reported
        FROM chart_odd AS c
        JOIN core.tally AS t
            ON t.election = c.election AND t.contest_type = c.contest_type AND t.stage = c.stage AND t.region_code = c.region_code
            AND t.witness <> 'page' AND t.is_listed
            AND (coalesce(t.reported_at, t.observed_at), t.observed_at, t.capture_id) <= (c.position_at, c.observed_at, c.capture_id)
            AND (
                t.superseded IS NULL
                OR (t.superseded.position_at, t.superseded.observed_at, t.superseded.capture_id) > (c.position_at, c.observed_at, c.capture_id)
            )
    ),
    figure AS (
        SELECT * EXCLUDE (entry, votes, stations_reported), entry.key AS candidate_id, entry.value AS figure
        FROM (SELECT *, unnest(map_entries(votes)) AS entry FROM in_force WHERE is_votes)
        UNION ALL BY NAME
        SELECT * EXCLUDE (votes, stations_reported), stations_reported AS figure FROM in_force WHERE is_stations
    ),
    compared AS (
        SELECT
            election, contest_type, stage, region_code, capture_id, next_place, position_at, next_at, observed_at, candidate_id,
            any_value(contest_code) FILTER (witness = 'self') AS contest_code,
            sum(figure) FILTER (witness = 'parent') AS rows_sum,
            any_value(figure) FILTER (witness = 'self') AS own
        FROM figure
        GROUP BY ALL
    )
SELECT
    election, contest_type, contest_code, stage, region_code AS unit_code, 'E8' AS rule, 'chart' AS aspect, candidate_id,
    capture_id AS place, next_place, position_at, next_at, observed_at, capture_id,
    counted(CASE WHEN candidate_id IS NULL THEN 'stations' ELSE 'votes' END || ' in the rows of its table', rows_sum) AS expected,
    counted(CASE WHEN candidate_id IS NULL THEN 'stations' ELSE 'votes' END || ' in its chart', own) AS found,
    own - rows_sum AS difference
FROM compared
WHERE own <> rows_sum;
