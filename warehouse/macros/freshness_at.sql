CREATE OR REPLACE MACRO freshness_at(moment) AS TABLE
    SELECT *, moment::TIMESTAMPTZ - newest_reported_at AS reported_age, moment::TIMESTAMPTZ - newest_observed_at AS observed_age
    FROM freshness;
COMMENT ON MACRO TABLE freshness_at IS 'freshness with ages at a moment, such as now(): reported_age of the newest figures by KPU''s clock, observed_age of our newest answer';
