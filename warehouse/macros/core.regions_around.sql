CREATE OR REPLACE MACRO core.regions_around(code) AS
    CASE code WHEN '0' THEN ['0'] ELSE list_prepend('0', core.lineage(code)) END;
COMMENT ON MACRO core.regions_around IS 'The country, all regions that a region lies in, and itself';
