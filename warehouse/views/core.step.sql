-- A withdrawal is no revision: versions without the votes that were there are passed over, and what comes after them is
-- compared with the last that had them.
CREATE OR REPLACE VIEW core.step AS
WITH
    restored AS (
        SELECT
            now.* EXCLUDE (previous_votes, previous_stations_reported),
            arg_max({'votes': last.votes, 'stations': last.stations_reported}, last.version) AS previous
        FROM (FROM core.version WHERE withdrawn_at IS NULL AND previous_withdrawn_at IS NOT NULL) AS now
        LEFT JOIN core.version AS last
            ON last.election = now.election AND last.contest_code = now.contest_code AND last.stage = now.stage
            AND last.unit_code = now.unit_code AND last.version < now.version AND last.withdrawn_at IS NULL
        GROUP BY ALL
    ),
    step AS (
        FROM core.version WHERE withdrawn_at IS NULL AND previous_withdrawn_at IS NULL
        UNION ALL BY NAME
        SELECT
            * EXCLUDE (previous), previous.votes AS previous_votes, previous.stations AS previous_stations_reported
        FROM restored
    )
SELECT
    election, contest_type, contest_code, stage, unit_code,
    version, position_at, reported_at, observed_at, capture_id,
    previous_stations_reported AS stations_before, stations_reported AS stations_after,
    CASE
        WHEN coalesce(cardinality(previous_votes), 0) = 0
            OR (core.votes_total(previous_votes) = 0 AND coalesce(previous_stations_reported, 0) = 0)
        THEN 'new'
        WHEN length(unit_code) = 13 OR stations_total = 1 OR stations_reported = previous_stations_reported THEN 'revised'
        ELSE 'unknown' -- some stations are new, and others may have been revised meanwhile
    END AS origin,
    unnest(list_append(
        [
            {'candidate_id': id, 'votes_before': previous_votes[id], 'votes_after': votes[id]}
            FOR id IN list_distinct(list_concat(map_keys(votes), map_keys(previous_votes)))
        ],
        {'candidate_id': NULL, 'votes_before': previous_stations_reported::BIGINT, 'votes_after': stations_reported::BIGINT}
    ), max_depth := 2)
FROM step
WHERE votes IS DISTINCT FROM coalesce(previous_votes, MAP {})
    OR coalesce(stations_reported, 0) <> coalesce(previous_stations_reported, 0);
COMMENT ON VIEW core.step IS 'Every step from one version with votes to the next, by pair (candidate_id NULL: the stations themselves), and where the unit''s own figures say it came from';
