-- Names of a region, of the regions above it and of all below it.
SELECT
    unit_code,
    regexp_replace(any_value(unit_name), '[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]', chr(65533), 'g') AS unit_name
FROM core.unit_latest
WHERE (starts_with(unit_code, $prefix) OR starts_with($prefix, unit_code)) AND length(unit_code) <= $longest_code
    AND unit_name IS NOT NULL
GROUP BY unit_code
ORDER BY unit_code
