-- Names drift: trailing dots, no-break spaces, typographic quotes, KAB. and KOTA with and without; compare what stays.
CREATE OR REPLACE MACRO find_units(wanted) AS TABLE
WITH matching AS ( -- 435,000 stations share a thousand names
    SELECT
        unit_name,
        CASE
            WHEN core.spelled(unit_name) = core.spelled(wanted) THEN 2
            WHEN core.bare_name(unit_name) = core.bare_name(wanted) THEN 3
            ELSE 4
        END AS closeness
    FROM (SELECT DISTINCT unit_name FROM core.unit_latest WHERE unit_name IS NOT NULL)
    WHERE contains(core.bare_name(unit_name), core.bare_name(wanted)) AND core.bare_name(wanted) <> ''
)
SELECT election, unit_code, level, unit_name, path, closeness
FROM (
    SELECT *, 1 AS closeness FROM units WHERE unit_code = upper(wanted)
    UNION ALL BY NAME
    SELECT * FROM units JOIN matching USING (unit_name) WHERE unit_code <> upper(wanted)
)
ORDER BY closeness, length(unit_code), unit_code, election;
COMMENT ON MACRO TABLE find_units IS 'Regions by code or name, best first. closeness is 1 for the code, 2 for the name as spelled, 3 for the name without its kind (KOTA, KAB.), 4 for a part of it';
