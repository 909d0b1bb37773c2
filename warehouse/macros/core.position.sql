CREATE OR REPLACE MACRO core.position(reported_at, observed_at, capture_id) AS
    {'position_at': coalesce(reported_at, observed_at), 'observed_at': observed_at, 'capture_id': capture_id};
COMMENT ON MACRO core.position IS 'Place of a capture in its series: KPU''s own time (else when it was seen), then when it was seen, then its id';
