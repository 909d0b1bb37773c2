CREATE OR REPLACE MACRO core.bare_name(unit_name) AS
    regexp_replace(
        regexp_replace(upper(strip_accents(unit_name)), '^\s*((PROV(INSI)?|KAB(UPATEN)?|KOTA|KEC(AMATAN)?|KEL(URAHAN)?|DESA|ADM|DKI|DAERAH (KHUSUS|ISTIMEWA)( IBUKOTA)?)\b[.\s]*)+', ''),
        '[^A-Z0-9]+', '', 'g'
    );
COMMENT ON MACRO core.bare_name IS 'A region''s name without kind, case, accents, dots, quotes and spaces: for finding it, never for joining';
