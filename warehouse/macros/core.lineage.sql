CREATE OR REPLACE MACRO core.lineage(code) AS
    CASE WHEN code = '0' THEN ['0'] ELSE [left(code, n::BIGINT) FOR n IN [2, 4, 6, 10, 13] IF n <= length(code)] END;
COMMENT ON MACRO core.lineage IS 'A region''s code and those of all regions it lies in, from the province down';
