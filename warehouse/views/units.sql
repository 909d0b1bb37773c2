CREATE OR REPLACE VIEW units AS
WITH known AS (
    FROM core.unit_latest
    UNION ALL BY NAME
    SELECT DISTINCT election, unit_code, false AS is_listed -- counted, although no list names it
    FROM core.standing ANTI JOIN core.unit_latest USING (election, unit_code)
)
SELECT
    k.election, k.unit_code, core.level_of(k.unit_code) AS level, k.unit_name,
    core.parent_of(k.unit_code) AS parent_code,
    concat_ws(
        ' / ',
        core.name_above(k.unit_code, 2, province.unit_name), core.name_above(k.unit_code, 4, regency.unit_name),
        core.name_above(k.unit_code, 6, district.unit_name), core.name_above(k.unit_code, 10, village.unit_name),
        coalesce(k.unit_name, k.unit_code)
    ) AS path,
    core.lineage(k.unit_code) AS path_codes,
    k.is_listed
FROM known AS k
LEFT JOIN core.unit_latest AS province ON province.election = k.election AND province.unit_code = left(k.unit_code, 2)
LEFT JOIN core.unit_latest AS regency ON regency.election = k.election AND regency.unit_code = left(k.unit_code, 4)
LEFT JOIN core.unit_latest AS district ON district.election = k.election AND district.unit_code = left(k.unit_code, 6)
LEFT JOIN core.unit_latest AS village ON village.election = k.election AND village.unit_code = left(k.unit_code, 10);
COMMENT ON VIEW units IS 'Every region and station of the lists and of the count, with the names of what it lies in';
COMMENT ON COLUMN units.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN units.unit_code IS 'Region or polling station, Kemendagri''s code as text; 0 is the country';
COMMENT ON COLUMN units.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN units.unit_name IS 'Latest name as KPU wrote it; NULL if no list named it';
COMMENT ON COLUMN units.parent_code IS 'The region one level up; 0 for a province, NULL for the country';
COMMENT ON COLUMN units.path IS 'Names from the province down, joined by '' / ''; the code where no name is known';
COMMENT ON COLUMN units.path_codes IS 'The codes of the same regions';
COMMENT ON COLUMN units.is_listed IS 'false: its parent''s latest list leaves it out, or no list of it was captured';
