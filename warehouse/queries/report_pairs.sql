-- The pairs of every contest that has votes in a region or below it, by ballot number.
-- A name may hold anything: what is not to be seen, or turns the direction of the text around it, is made visible.
SELECT
    r.election, r.contest_code, r.candidate_id, r.ballot_number,
    regexp_replace(any_value(r.candidate_name), '[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]', chr(65533), 'g') AS candidate_name,
    any_value(c.color) AS color
FROM results AS r
LEFT JOIN core.candidate_latest AS c USING (election, contest_code, candidate_id)
WHERE starts_with(r.unit_code, $prefix) AND length(r.unit_code) <= $longest_code
GROUP BY ALL
ORDER BY r.election, r.contest_code, r.ballot_number NULLS LAST, r.candidate_id
