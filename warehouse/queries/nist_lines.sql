-- Votes as of a moment of KPU's clock, with what the stations' forms say beside them: a region down to a level, and
-- the whole area of every contest there, for how far that is.
SELECT
    r.election, r.contest_type, r.contest_code, r.unit_code, r.level, r.unit_name,
    r.candidate_id, r.ballot_number, r.candidate_name, r.votes, r.stations_reported, r.stations_total, r.withdrawn_at,
    t.ballots, t.registered_voters, t.form.voters AS voters
FROM core.results_at(coalesce($at::TIMESTAMPTZ, TIMESTAMPTZ 'infinity'), TIMESTAMPTZ 'infinity') AS r
LEFT JOIN core.tally AS t
    ON t.capture_id = r.capture_id AND t.witness = r.witness
    AND t.contest_code = r.contest_code AND t.unit_code = r.unit_code
WHERE r.stage = $stage
    AND ($contest_type::VARCHAR IS NULL OR r.contest_type = $contest_type)
    AND (
        (len(r.unit_code) <= $longest_code AND ($region = '0' OR starts_with(r.unit_code, $region)))
        OR (r.contest_code = r.contest_type || ':' || r.unit_code AND starts_with($region, r.unit_code))
    )
ORDER BY r.election, len(r.contest_code), r.contest_code, len(r.unit_code), r.unit_code, r.ballot_number, r.candidate_id
