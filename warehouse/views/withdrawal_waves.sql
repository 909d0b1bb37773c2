CREATE OR REPLACE VIEW withdrawal_waves AS
SELECT
    election, contest_type, stage, level, withdrawn_at,
    count(*) AS units, count(restored_at) AS units_restored,
    min(observed_at) AS observed_at, max(restored_at) AS restored_at,
    sum(votes_before)::BIGINT AS votes_before, sum(stations_after)::BIGINT AS stations_after
FROM withdrawals
GROUP BY ALL;
COMMENT ON VIEW withdrawal_waves IS 'withdrawals by moment and level: how much was taken away at once';
COMMENT ON COLUMN withdrawal_waves.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN withdrawal_waves.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN withdrawal_waves.stage IS 'hhcw (the stations'' forms) or hr (recapitulation); never add or mix the two';
COMMENT ON COLUMN withdrawal_waves.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN withdrawal_waves.withdrawn_at IS 'Since when the votes are gone, by KPU''s clock';
COMMENT ON COLUMN withdrawal_waves.units IS 'Units that lost their votes at that moment';
COMMENT ON COLUMN withdrawal_waves.units_restored IS 'Units among these that have votes again';
COMMENT ON COLUMN withdrawal_waves.observed_at IS 'When we saw the first of it';
COMMENT ON COLUMN withdrawal_waves.restored_at IS 'When the last of them had votes again; NULL if none has';
COMMENT ON COLUMN withdrawal_waves.votes_before IS 'Votes that were there before, of all pairs and units of the level';
COMMENT ON COLUMN withdrawal_waves.stations_after IS 'Stations counted although their votes are gone';
