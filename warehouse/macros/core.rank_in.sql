CREATE OR REPLACE MACRO core.rank_in(votes, ladder) AS
    CASE WHEN votes IS NOT NULL AND ladder[1] > 0 THEN 1 + len([other FOR other IN ladder IF other > votes]) END;
COMMENT ON MACRO core.rank_in IS 'Rank of these votes on a ladder: 1 for the most, equal votes share a rank; NULL while nobody has votes';
