CREATE OR REPLACE MACRO results_as_known(observed_until) AS TABLE
    FROM core.results_at(TIMESTAMPTZ 'infinity', observed_until::TIMESTAMPTZ);
COMMENT ON MACRO TABLE results_as_known IS 'results at a moment of our clock: what we had fetched by then';
