CREATE OR REPLACE MACRO core.level_of(code) AS
    CASE
        WHEN code = '0' THEN 'national'
        ELSE CASE length(code)
            WHEN 2 THEN 'province' WHEN 4 THEN 'regency' WHEN 6 THEN 'district' WHEN 10 THEN 'village' WHEN 13 THEN 'tps'
        END
    END;
COMMENT ON MACRO core.level_of IS 'Level of a region code, by its length: national, province, regency, district, village or tps';
