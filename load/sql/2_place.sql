-- Where do the new captures stand among those already known of the same documents?

-- The documents that get new captures, and where the first of these stands.
CREATE OR REPLACE TEMP TABLE touched AS
SELECT endpoint, min(position) AS first_position
FROM staged_capture
WHERE quarantine_reason IS NULL
GROUP BY endpoint;

-- Of those documents: the capture just before the new ones (the base, to compare with) and every later one.
-- Usually there is only the base; an older capture that arrives late makes the later ones count again.
CREATE OR REPLACE TEMP TABLE known_capture AS
WITH
    known AS (FROM core.capture_packed JOIN touched USING (endpoint)),
    base AS (
        SELECT endpoint, max(position) AS base_position FROM known WHERE position < first_position GROUP BY endpoint
    )
SELECT endpoint, position, coalesce(position = base_position, false) AS is_base
FROM known LEFT JOIN base USING (endpoint)
WHERE base_position IS NULL OR position >= base_position;

-- Documents whose change rows from first_position on must be written again.
CREATE OR REPLACE TEMP TABLE revised AS
FROM touched SEMI JOIN (FROM known_capture WHERE NOT is_base) USING (endpoint);

-- What every series said at each of these captures. A capture that does not mention a series that its document
-- has at other times says NULL of it; a known capture says what the change rows say as of its position.
-- No ASOF JOIN: on structs of text it silently misses matches (DuckDB 1.5.5 and 2.0.0).
CREATE OR REPLACE TEMP MACRO observed(said, packed) AS TABLE
WITH
    known AS (
        SELECT endpoint, series, position, {'value': value} AS told, NULL AS is_base
        FROM query_table(packed) SEMI JOIN touched USING (endpoint)
    ),
    all_series AS (SELECT endpoint, series FROM known UNION SELECT endpoint, series FROM query_table(said)),
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
CREATE OR REPLACE TEMP MACRO changed(said, packed) AS TABLE
SELECT endpoint, series, position, value
FROM (
    SELECT *, lag(value) OVER (PARTITION BY endpoint, series ORDER BY position) AS previous
    FROM observed(said, packed)
)
WHERE value IS DISTINCT FROM previous AND NOT is_base;
