CREATE OR REPLACE MACRO core.share_pct(part, whole) AS 100.0 * part / nullif(whole, 0);
COMMENT ON MACRO core.share_pct IS 'Part of a whole in per cent; NULL of nothing';
