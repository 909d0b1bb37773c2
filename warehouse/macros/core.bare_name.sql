CREATE OR REPLACE MACRO core.bare_name(unit_name) AS
    replace(
        regexp_replace(
            core.spelled(unit_name),
            '^((PROV(INSI)?|KAB(UPATEN)?|KOTA|KEC(AMATAN)?|KEL(URAHAN)?|DESA|ADM|DKI|DAERAH (KHUSUS|ISTIMEWA)( IBUKOTA)?) )+', ''
        ),
        ' ', ''
    );
COMMENT ON MACRO core.bare_name IS 'A region''s name as it is spelled, without its kind and spaces: for finding it, never for joining';
