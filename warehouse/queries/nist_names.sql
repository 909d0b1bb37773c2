SELECT unit_code, min(unit_name) AS unit_name
FROM core.unit_latest
WHERE list_contains($codes, unit_code)
GROUP BY unit_code
