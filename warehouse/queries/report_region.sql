-- What a report is about if nobody says: the one province that was looked into, or the country if there are several.
SELECT CASE WHEN count(DISTINCT province) = 1 THEN min(province) ELSE '0' END AS region
FROM (
    SELECT left(unit_code, 2) AS province, length(unit_code) > 2 AS is_below
    FROM core.tally
    WHERE unit_code <> '0'
    QUALIFY is_below OR NOT bool_or(is_below) OVER () -- a national file has a row of every province
)
