CREATE OR REPLACE MACRO core.is_blank(votes, stations_reported) AS
    votes = MAP {} OR (core.votes_total(votes) = 0 AND stations_reported IS DISTINCT FROM 0);
COMMENT ON MACRO core.is_blank IS 'No votes to show: none given, or all 0 and not because no station has reported. After votes were there this is a withdrawal';
