CREATE OR REPLACE MACRO core.level_of(code) AS
    CASE length(code) -- the level with the most codes first: questions filter millions of rows by this
        WHEN 13 THEN 'tps' WHEN 10 THEN 'village' WHEN 6 THEN 'district' WHEN 4 THEN 'regency' WHEN 2 THEN 'province'
        ELSE CASE WHEN code = '0' THEN 'national' END
    END;
COMMENT ON MACRO core.level_of IS 'Level of a region code, by its length: national, province, regency, district, village or tps';
