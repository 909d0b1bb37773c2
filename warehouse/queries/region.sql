-- Names drift: trailing dots, no-break spaces, typographic quotes, KAB. and KOTA with and without; compare what stays.
WITH
    named AS (
        SELECT DISTINCT unit_code, unit_name, core.bare_name(unit_name) AS bare
        FROM core.unit_latest
        WHERE unit_name IS NOT NULL
    ),
    found AS (
        SELECT unit_code, unit_name, 1 AS closeness
        FROM (SELECT DISTINCT unit_code FROM core.tally UNION SELECT unit_code FROM named)
        LEFT JOIN named USING (unit_code)
        WHERE unit_code = upper($wanted)
        UNION ALL
        SELECT
            unit_code, unit_name,
            CASE WHEN core.spelled(unit_name) = core.spelled($wanted) THEN 2 WHEN bare = core.bare_name($wanted) THEN 3 ELSE 4 END
        FROM named
        WHERE contains(bare, core.bare_name($wanted)) AND core.bare_name($wanted) <> ''
    )
SELECT unit_code, unit_name, closeness FROM found ORDER BY closeness, length(unit_code), unit_code
