CREATE OR REPLACE MACRO core.ladder(votes) AS list_reverse_sort(map_values(votes));
COMMENT ON MACRO core.ladder IS 'The votes of all pairs, most first';
