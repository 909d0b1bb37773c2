SELECT DISTINCT unit_code, unit_name, closeness
FROM find_units($wanted)
ORDER BY closeness, length(unit_code), unit_code
