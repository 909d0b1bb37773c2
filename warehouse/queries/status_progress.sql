SELECT
    election, contest_type, stage, level,
    count(*) AS units, sum(stations_reported) AS stations_reported, sum(stations_total) AS stations_total,
    max(reported_at) AS newest_reported_at, count(withdrawn_at) AS units_withdrawn
FROM progress
GROUP BY ALL
ORDER BY ALL
