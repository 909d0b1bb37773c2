-- By rule and by the regions right below the one asked for; what is about that region itself counts under itself.
WITH counted AS (
    SELECT
        *, left(unit_code, CASE coalesce(length($region::VARCHAR), 1) WHEN 1 THEN 2 WHEN 2 THEN 4 WHEN 4 THEN 6 WHEN 6 THEN 10 ELSE 13 END) AS area_code
    FROM findings_as_of(coalesce($at::TIMESTAMPTZ, TIMESTAMPTZ 'infinity'))
    WHERE ($region::VARCHAR IS NULL OR $region = '0' OR starts_with(unit_code, $region))
        AND ($rule::VARCHAR IS NULL OR rule = upper($rule))
        AND ($severity::VARCHAR IS NULL OR severity = $severity)
        AND ($resolved OR resolved_at IS NULL)
)
SELECT
    c.election, rule, severity, title, area_code, any_value(u.unit_name) AS area_name,
    count(*) AS findings, count(*) FILTER (resolved_at IS NULL) AS still_open, count(DISTINCT c.unit_code) AS units
FROM counted AS c
LEFT JOIN core.unit_latest AS u ON u.election = c.election AND u.unit_code = area_code
GROUP BY c.election, rule, severity, title, area_code
ORDER BY c.election, length(rule), rule, length(area_code), area_code
