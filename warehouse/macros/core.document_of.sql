-- CASE and not if(): DuckDB 1.5 cannot read if() in a view that 2.0 stored
CREATE OR REPLACE MACRO core.document_of(stage, witness) AS CASE WHEN witness = 'page' THEN 'page' ELSE stage END;
COMMENT ON MACRO core.document_of IS 'Kind of document a tally comes from: its stage, or page';
