-- What is inconsistent in a region: open findings first, the gravest and newest first. Texts may come from outside.
-- A withdrawal (E12) strikes every unit at once, and the page says so at its top.
SELECT
    election || '/' || contest_type || '/' || stage AS series, contest_code, rule, severity, unit_code, candidate_id, expected, found, difference,
    epoch(first_seen_at)::BIGINT AS first_seen, epoch(last_seen_at)::BIGINT AS last_seen,
    epoch(resolved_at)::BIGINT AS resolved,
    count(*) OVER () AS findings, count(*) FILTER (resolved_at IS NULL) OVER () AS findings_open
FROM findings
WHERE rule <> 'E12' AND starts_with(unit_code, $prefix) AND length(unit_code) <= $longest_code
ORDER BY resolved_at IS NOT NULL, list_position(['error', 'warning', 'notice'], severity), first_seen_at DESC, rule, unit_code
LIMIT $most
