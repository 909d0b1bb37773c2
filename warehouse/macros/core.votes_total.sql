CREATE OR REPLACE MACRO core.votes_total(votes) AS list_sum(map_values(votes))::BIGINT;
COMMENT ON MACRO core.votes_total IS 'Votes of all candidates together; NULL if none were given';
