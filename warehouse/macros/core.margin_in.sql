CREATE OR REPLACE MACRO core.margin_in(votes, ladder) AS
    CASE WHEN ladder[1] > 0 THEN votes - CASE WHEN votes = ladder[1] THEN ladder[2] ELSE ladder[1] END END;
COMMENT ON MACRO core.margin_in IS 'These votes minus the best others on the ladder: positive for the leader alone, NULL while nobody has votes';
