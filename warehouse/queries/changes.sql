SELECT *
FROM changes
WHERE ($region::VARCHAR IS NULL OR unit_code = $region)
    AND ($contest_type::VARCHAR IS NULL OR contest_type = $contest_type)
    AND kind NOT IN ('withdrawn', 'restored')
ORDER BY reported_at DESC, length(unit_code), unit_code, ballot_number
LIMIT $latest
