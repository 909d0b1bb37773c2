CREATE OR REPLACE MACRO core.parent_of(code) AS
    CASE length(code)
        WHEN 1 THEN NULL WHEN 2 THEN '0' WHEN 4 THEN left(code, 2) WHEN 6 THEN left(code, 4)
        WHEN 10 THEN left(code, 6) WHEN 13 THEN left(code, 10)
    END;
COMMENT ON MACRO core.parent_of IS 'The code one level up: a province''s parent is the country, 0';
