CREATE OR REPLACE MACRO core.is_blank(votes, stations_reported) AS
    coalesce(core.votes_total(votes) = 0 AND stations_reported > 0, cardinality(votes) = 0);
COMMENT ON MACRO core.is_blank IS 'No votes to show: none given, or all 0 although stations have reported. After votes were there this is a withdrawal';
