CREATE OR REPLACE MACRO results_as_of(reported_until) AS TABLE
    FROM core.results_at(reported_until::TIMESTAMPTZ, TIMESTAMPTZ 'infinity');
COMMENT ON MACRO TABLE results_as_of IS 'results at a moment of KPU''s clock: what KPU reported by then, from all we know today';
