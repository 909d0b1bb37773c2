-- How every unit's tally grew, a line of JSON each: lists with an entry a step, votes in the order of report_pairs.
-- Revisions are told apart by their direction: what one pair lost and another got would else sum up to nothing.
-- Of several steps in `every` minutes the page gets the last, and what was new or revised in all of them; 0 keeps all.
-- The region itself always keeps all. A withdrawal gives no votes.
WITH
    pairs AS (
        SELECT election, contest_code, list(candidate_id ORDER BY ballot_number NULLS LAST, candidate_id) AS ids
        FROM (
            SELECT DISTINCT election, contest_code, candidate_id, ballot_number
            FROM results
            WHERE starts_with(unit_code, $prefix) AND length(unit_code) <= $longest_code
        )
        GROUP BY ALL
    ),
    moved AS (
        SELECT election, contest_code, stage, unit_code, version, any_value(kind) AS kind
        FROM changes
        WHERE starts_with(unit_code, $prefix) AND length(unit_code) <= $longest_code
        GROUP BY ALL
    ),
    split AS (
        SELECT
            election, contest_code, stage, unit_code, version,
            sum(new_votes) AS new_votes,
            sum(greatest(revised_votes, 0)) AS raised_votes, sum(least(revised_votes, 0)) AS lowered_votes,
            sum(unknown_votes) AS unknown_votes
        FROM core.new_vs_revised_in($prefix, $longest_code)
        GROUP BY ALL
    ),
    step AS (
        SELECT
            v.election, v.contest_type, v.stage, v.unit_code, max(v.version) AS version, max(position_at) AS position_at,
            arg_max_null(stations_reported, v.version) AS stations,
            arg_max_null(CASE WHEN withdrawn_at IS NULL THEN [votes[id] FOR id IN ids] END, v.version) AS votes,
            CASE WHEN count(DISTINCT kind) > 1 THEN 'mixed' ELSE any_value(kind) END AS kind,
            sum(new_votes) AS new_votes, sum(raised_votes) AS raised_votes,
            sum(lowered_votes) AS lowered_votes, sum(unknown_votes) AS unknown_votes
        FROM core.version AS v
        LEFT JOIN pairs AS p ON p.election = v.election AND p.contest_code = v.contest_code
        LEFT JOIN moved AS m
            ON m.election = v.election AND m.contest_code = v.contest_code AND m.stage = v.stage
            AND m.unit_code = v.unit_code AND m.version = v.version
        LEFT JOIN split AS s
            ON s.election = v.election AND s.contest_code = v.contest_code AND s.stage = v.stage
            AND s.unit_code = v.unit_code AND s.version = v.version
        WHERE starts_with(v.unit_code, $prefix) AND length(v.unit_code) <= $longest_code
        GROUP BY
            v.election, v.contest_type, v.contest_code, v.stage, v.unit_code, withdrawn_at IS NULL,
            CASE WHEN $every = 0 OR v.unit_code = $region THEN v.version ELSE epoch_ms(position_at) // (60_000 * $every) END
    )
SELECT
    election || '/' || contest_type || '/' || stage AS series, unit_code,
    to_json({
        'at': list(epoch(position_at)::BIGINT // 60 ORDER BY version),
        'stations': list(stations ORDER BY version),
        'votes': list(votes ORDER BY version),
        'kind': list(kind ORDER BY version),
        'new': list(new_votes ORDER BY version),
        'raised': list(raised_votes ORDER BY version),
        'lowered': list(lowered_votes ORDER BY version),
        'unknown': list(unknown_votes ORDER BY version)
    }) AS steps
FROM step
GROUP BY series, unit_code
