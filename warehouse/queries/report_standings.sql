-- How every unit of a region stands, a line of JSON each: votes in the order of report_pairs, NULL where none are given.
WITH
    voted AS (
        SELECT
            election, contest_type, contest_code, stage, unit_code,
            list(votes ORDER BY ballot_number NULLS LAST, candidate_id) AS votes,
            max(reported_at) AS reported_at, max(observed_at) AS observed_at, max(capture_id) AS capture_id
        FROM results
        WHERE starts_with(unit_code, $prefix) AND length(unit_code) <= $longest_code
        GROUP BY ALL
    )
SELECT
    p.election || '/' || p.contest_type || '/' || p.stage AS series, p.unit_code,
    to_json({
        'contest': p.contest_code,
        'stations': p.stations_reported,
        'total': p.stations_total,
        'at': epoch(coalesce(v.reported_at, p.reported_at))::BIGINT,
        'seen': epoch(coalesce(v.observed_at, p.observed_at))::BIGINT,
        'withdrawn': epoch(p.withdrawn_at)::BIGINT,
        'votes': v.votes,
        'digest': left(c.digest, 23) -- sha256: and 16 digits: enough for `realcount archive show`
    }) AS standing
FROM progress AS p
LEFT JOIN voted AS v USING (election, contest_type, contest_code, stage, unit_code)
LEFT JOIN core.capture AS c ON c.capture_id = v.capture_id
WHERE starts_with(p.unit_code, $prefix) AND length(p.unit_code) <= $longest_code
ORDER BY series, p.unit_code
