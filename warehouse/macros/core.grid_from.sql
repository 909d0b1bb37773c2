CREATE OR REPLACE MACRO core.grid_from(moment, step) AS
    time_bucket(step, moment + step - INTERVAL 1 MICROSECOND, TIMESTAMPTZ '2024-01-01 00:00:00+07');
COMMENT ON MACRO core.grid_from IS 'The first moment of an even grid that is not before another, counted from a midnight in Jakarta';
