CREATE OR REPLACE MACRO core.name_above(code, longest, unit_name) AS
    CASE WHEN length(code) > longest THEN coalesce(unit_name, left(code, longest)) END;
COMMENT ON MACRO core.name_above IS 'Name of the region that a code of this length means above another, else that code; NULL if it is not above';
