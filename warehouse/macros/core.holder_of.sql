CREATE OR REPLACE MACRO core.holder_of(votes, figure) AS
    CASE WHEN len([given FOR given IN map_values(votes) IF given = figure]) = 1
        THEN ([e.key FOR e IN map_entries(votes) IF e.value = figure])[1]
    END;
COMMENT ON MACRO core.holder_of IS 'The pair that has exactly so many votes; NULL if several have, or none';
