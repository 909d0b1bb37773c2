-- The numbers of a unit as of a moment of KPU's clock, each with the captures that say so
WITH
    shown AS (
        SELECT *
        FROM results_as_of(coalesce($reported_until::TIMESTAMPTZ, TIMESTAMPTZ 'infinity'))
        WHERE unit_code = $region AND votes IS NOT NULL
            AND ($contest_type::VARCHAR IS NULL OR contest_type = $contest_type)
            AND ($candidate::VARCHAR IS NULL OR candidate_id = $candidate OR ballot_number::VARCHAR = $candidate)
    ),
    withdrawal AS ( -- the first answer without the votes that this witness had shown
        SELECT
            election, contest_code, stage, witness, withdrawn_at,
            arg_min(capture_id, core.position(reported_at, observed_at, capture_id)) AS withdrawal_id
        FROM core.tally
        WHERE unit_code = $region AND withdrawn_at IS NOT NULL
        GROUP BY ALL
    ),
    pair AS (
        SELECT
            election, contest_code, candidate_id,
            arg_max(capture_id, core.position(reported_at, observed_at, capture_id)) AS pairs_id
        FROM core.candidate
        WHERE document = 'paslon'
        GROUP BY ALL
    )
SELECT
    election, contest_type, contest_code, stage, unit_code, level, unit_name,
    candidate_id, ballot_number, candidate_name, votes,
    stations_reported, stations_total, reported_at, observed_at, withdrawn_at, witness,
    capture_id AS votes_id, withdrawal_id, pairs_id
FROM shown
LEFT JOIN withdrawal USING (election, contest_code, stage, witness, withdrawn_at)
LEFT JOIN pair USING (election, contest_code, candidate_id)
ORDER BY election, contest_type, stage, ballot_number, candidate_id
