CREATE OR REPLACE MACRO core.area_length(contest_type) AS CASE contest_type WHEN 'pkwkp' THEN 2 WHEN 'pkwkk' THEN 4 ELSE 1 END;
COMMENT ON MACRO core.area_length IS 'Length of the codes of the regions that elect: provinces governors, regencies and cities regents and mayors, the country a president';
