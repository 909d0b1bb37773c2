SELECT *
FROM timeline
WHERE unit_code = $region AND ($contest_type::VARCHAR IS NULL OR contest_type = $contest_type)
    AND ($stage::VARCHAR IS NULL OR stage = $stage)
ORDER BY election, contest_code, stage, version, ballot_number, candidate_id
