CREATE OR REPLACE MACRO core.contest_of(contest_type, unit_code) AS
    contest_type || ':' || CASE WHEN contest_type = 'ppwp' THEN '0' ELSE left(unit_code, core.area_length(contest_type)) END;
COMMENT ON MACRO core.contest_of IS 'The contest that a region''s votes belong to, such as pkwkp:31; above a contest''s area the contests there taken together';
