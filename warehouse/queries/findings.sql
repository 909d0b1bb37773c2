SELECT f.* EXCLUDE (aspect, capture_id), c.candidate_name, f.aspect, f.capture_id
FROM findings_as_of(coalesce($at::TIMESTAMPTZ, TIMESTAMPTZ 'infinity')) AS f
LEFT JOIN core.candidate_latest AS c USING (election, contest_code, candidate_id)
WHERE ($region::VARCHAR IS NULL OR $region = '0' OR starts_with(unit_code, $region))
    AND ($rule::VARCHAR IS NULL OR rule = upper($rule))
    AND ($severity::VARCHAR IS NULL OR severity = $severity)
    AND ($resolved OR resolved_at IS NULL)
ORDER BY first_seen_at DESC, length(rule), rule, length(unit_code), unit_code, contest_code, stage, f.aspect, candidate_id
