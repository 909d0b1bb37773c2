-- E6, E9 and E12: what a version of a unit says of itself.

CREATE OR REPLACE TEMP TABLE version_odd AS
SELECT
    v.election, v.contest_type, v.contest_code, v.stage, v.unit_code, v.version, v.position_at, v.observed_at, v.capture_id,
    unnest([
        c FOR c IN [
            {'rule': 'E6', 'aspect': 'votes', 'holds': length(v.unit_code) = 13 AND v.votes_total > p.station_voters,
                'expected': counted('votes at most', p.station_voters), 'found': counted('votes', v.votes_total),
                'difference': v.votes_total - p.station_voters},
            {'rule': 'E9', 'aspect': 'stations', 'holds': v.stations_reported > v.stations_total,
                'expected': counted('stations at most', v.stations_total), 'found': counted('stations reported', v.stations_reported),
                'difference': v.stations_reported - v.stations_total},
            {'rule': 'E9', 'aspect': 'votes', 'holds': v.stations_reported = 0 AND v.votes_total > 0,
                'expected': 'no votes from no station', 'found': counted('votes', v.votes_total), 'difference': v.votes_total}
        ]
        IF c.holds
    ]) AS odd
FROM core.version AS v
SEMI JOIN written_unit USING (election, contest_type, unit_code)
JOIN core.rule_parameter AS p USING (election)
WHERE v.stations_reported > v.stations_total OR v.stations_reported = 0 AND v.votes_total > 0
    OR length(v.unit_code) = 13 AND v.votes_total > p.station_voters;

INSERT INTO broken BY NAME
SELECT
    * EXCLUDE (version, odd), version AS place, version + 1 AS next_place, true AS is_version,
    odd.rule, odd.aspect, odd.expected, odd.found, odd.difference
FROM version_odd;

-- E9: KPU's flag, which only rows of tables have. Above the area of a contest no row has candidates.
INSERT INTO broken BY NAME
SELECT
    election, contest_type, contest_code, stage, unit_code, 'E9' AS rule, 'flag' AS aspect,
    capture_id AS place, superseded.capture_id AS next_place, false AS is_version,
    coalesce(reported_at, observed_at) AS position_at, superseded.position_at AS next_at, observed_at, capture_id,
    CASE WHEN is_reported THEN 'stations and votes, as the flag says' ELSE 'no station, as the flag says' END AS expected,
    counted('stations reported', stations_reported)
        || CASE WHEN is_reported AND votes_total IS NULL THEN ' and no votes given' ELSE '' END AS found
FROM written_tally
WHERE is_reported AND (
        stations_reported = 0
        OR votes_total IS NULL AND withdrawn_at IS NULL
            AND length(unit_code) >= CASE contest_type WHEN 'pkwkk' THEN 4 WHEN 'pkwkp' THEN 2 ELSE 1 END
    )
    OR NOT is_reported AND stations_reported > 0;

-- E12: a withdrawal may be over thousands of units at once.
INSERT INTO finding_told BY NAME
SELECT
    election, contest_type, contest_code, stage, unit_code, 'E12' AS rule, 'votes' AS aspect,
    counted('votes, as before', coalesce(arg_min(votes_before, version), 0)) AS expected,
    coalesce(counted('votes', arg_min(votes_total, version)), 'no votes given') AS found,
    coalesce(arg_min(votes_total, version), 0) - arg_min(votes_before, version) AS difference,
    min(position_at) AS first_seen_at, max(position_at) FILTER (withdrawn_at IS NOT NULL) AS last_seen_at,
    min(position_at) FILTER (withdrawn_at IS NULL) AS resolved_at,
    arg_min(observed_at, version) AS observed_at, arg_min(capture_id, version) AS capture_id
FROM (
    SELECT
        *,
        core.votes_total(previous_votes) AS votes_before,
        count(*) FILTER (previous_withdrawn_at IS NULL) OVER (
            PARTITION BY election, contest_code, stage, unit_code ORDER BY version ROWS UNBOUNDED PRECEDING
        ) AS episode
    FROM core.version SEMI JOIN written_unit USING (election, contest_type, unit_code)
    WHERE withdrawn_at IS NOT NULL OR previous_withdrawn_at IS NOT NULL
)
GROUP BY election, contest_type, contest_code, stage, unit_code, episode;
