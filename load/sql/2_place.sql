-- Where do the new captures stand among those already known of the same documents? From here on only what is near them
-- is looked at: a load costs what it brings, not what is there. Whole tables are met in plain columns, never in structs.

-- The documents that get new captures, and where the first of these stands.
CREATE OR REPLACE TEMP TABLE touched AS
SELECT endpoint, election, document, contest_type, region_code, min(position) AS first_position, count(*) AS captures
FROM staged_capture
WHERE quarantine_reason IS NULL
GROUP BY ALL;

-- Of those documents: the capture just before the new ones (the base, to compare with) and every later one.
-- Usually there is only the base; an older capture that arrives late makes the later ones count again.
CREATE OR REPLACE TEMP TABLE known_capture AS
WITH
    known AS MATERIALIZED (
        SELECT t.endpoint, c.position, first_position
        FROM core.capture_packed AS c JOIN touched AS t USING (election, document, contest_type, region_code)
    ),
    base AS (
        SELECT endpoint, max(position) AS base_position FROM known WHERE position < first_position GROUP BY endpoint
    )
SELECT endpoint, position, coalesce(position = base_position, false) AS is_base
FROM known LEFT JOIN base USING (endpoint)
WHERE base_position IS NULL OR position >= base_position;

-- Documents whose change rows from first_position on must be written again.
CREATE OR REPLACE TEMP TABLE revised AS
FROM touched SEMI JOIN (FROM known_capture WHERE NOT is_base) USING (endpoint);

-- What the tables say of the touched documents: of a revised one everything, of the others what is in force.
CREATE OR REPLACE TEMP TABLE unit_near AS
FROM core.unit_packed SEMI JOIN touched USING (election, document, contest_type, region_code)
QUALIFY endpoint IN (SELECT endpoint FROM revised) OR position = max(position) OVER (PARTITION BY endpoint, series);

CREATE OR REPLACE TEMP TABLE candidate_near AS
FROM core.candidate_packed SEMI JOIN touched USING (election, document, contest_type, region_code)
QUALIFY endpoint IN (SELECT endpoint FROM revised) OR position = max(position) OVER (PARTITION BY endpoint, series);

CREATE OR REPLACE TEMP TABLE tally_near AS
FROM core.tally_packed
SEMI JOIN (FROM touched ANTI JOIN revised USING (endpoint)) AS t USING (election, document, contest_type, region_code)
WHERE superseded IS NULL
UNION ALL
FROM core.tally_packed SEMI JOIN revised USING (election, document, contest_type, region_code);

-- Nearly every document of a crawl: one new capture, and none after it.
CREATE OR REPLACE TEMP TABLE in_order AS
SELECT endpoint, first_position AS position FROM touched ANTI JOIN revised USING (endpoint) WHERE captures = 1;

-- What every series said at each of the captures of the other documents. A capture that does not mention a series that its document
-- has at other times says NULL of it; a known capture says what the change rows say as of its position.
-- No ASOF JOIN: on structs of text it silently misses matches (DuckDB 1.5.5 and 2.0.0).
CREATE OR REPLACE TEMP MACRO observed(said, near) AS TABLE
WITH
    known AS (
        SELECT endpoint, series, position, {'value': value} AS told, NULL AS is_base
        FROM query_table(near) ANTI JOIN in_order USING (endpoint)
    ),
    all_series AS (
        SELECT endpoint, series FROM known
        UNION
        SELECT endpoint, series FROM query_table(said) ANTI JOIN in_order USING (endpoint)
    ),
    carried AS (
        SELECT
            endpoint, series, position, is_base,
            last_value(told IGNORE NULLS) OVER (PARTITION BY endpoint, series ORDER BY position) AS told
        FROM (
            FROM known
            UNION ALL BY NAME
            SELECT endpoint, series, position, is_base FROM known_capture JOIN all_series USING (endpoint)
        )
    )
SELECT endpoint, series, position, is_base, told.value AS value FROM carried WHERE is_base IS NOT NULL
UNION ALL
SELECT g.endpoint, g.series, g.position, false AS is_base, s.value
FROM (
    SELECT endpoint, series, position
    FROM staged_capture JOIN all_series USING (endpoint)
    WHERE quarantine_reason IS NULL
) AS g
LEFT JOIN query_table(said) AS s USING (endpoint, series, position);

-- Only what differs from the one before it in its series is a change. What was never given has not changed.
CREATE OR REPLACE TEMP MACRO changed(said, near) AS TABLE
SELECT endpoint, series, position, value
FROM (
    SELECT *, lag(value) OVER (PARTITION BY endpoint, series ORDER BY position) AS previous
    FROM observed(said, near)
)
WHERE value IS DISTINCT FROM previous AND NOT is_base
UNION ALL
SELECT endpoint, series, o.position, s.value
FROM query_table(near) AS n
FULL JOIN query_table(said) AS s USING (endpoint, series)
JOIN in_order AS o USING (endpoint)
WHERE s.value IS DISTINCT FROM n.value;

-- The captures whose change rows are written again.
CREATE OR REPLACE TEMP TABLE recounted AS SELECT position.capture_id AS capture_id FROM known_capture WHERE NOT is_base;
