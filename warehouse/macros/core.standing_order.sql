CREATE OR REPLACE MACRO core.standing_order(is_listed, counted, votes, stations_reported, witness, fetched_at) AS {
    'is_unlisted': NOT is_listed,
    -- a witness that never had votes does not speak against one that had: its first answer may have come after a
    -- withdrawal
    'is_void': counted IS NULL AND core.is_blank(votes, stations_reported),
    'is_page': witness = 'page', -- nor a page against JSON
    'age': -epoch_us(fetched_at),
    'is_parent': witness = 'parent'
};
COMMENT ON MACRO core.standing_order IS 'Which witness speaks for a unit: the least. The document that was fetched last, and of several that came together the unit''s own';
