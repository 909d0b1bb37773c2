CREATE OR REPLACE MACRO core.spelled(unit_name) AS
    trim(regexp_replace(upper(strip_accents(unit_name)), '[^A-Z0-9]+', ' ', 'g'));
COMMENT ON MACRO core.spelled IS 'A region''s name as words in capitals: without accents, dots and quotes, every kind of space one space';
