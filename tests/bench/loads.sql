-- A night as large as a number of provinces, to be played cycle by cycle: every station's votes add up through all levels,
-- as in KPU's files. 38 provinces are 514 regencies, 7,304 districts, 82,759 villages and 434,724 stations.

CREATE TABLE place AS
WITH
    province AS (
        SELECT unit_code AS code, row_number() OVER (ORDER BY unit_code) AS number
        FROM core.province WHERE unit_code <> '0'
        QUALIFY number <= getvariable('provinces')
    ),
    regency AS (SELECT code || lpad(n::VARCHAR, 2, '0') AS code FROM province, range(1, 15) AS t(n) WHERE n <= 13 OR number <= 20),
    district AS (SELECT code || lpad(n::VARCHAR, 2, '0') AS code FROM regency, range(1, 16) AS t(n) WHERE n <= 14 OR hash(code) % 5 = 0),
    village AS (SELECT code || (2000 + n)::VARCHAR AS code FROM district, range(1, 13) AS t(n) WHERE n <= 11 OR hash(code) % 3 = 0),
    station AS (SELECT code || lpad(n::VARCHAR, 3, '0') AS code FROM village, range(1, 7) AS t(n) WHERE n <= 5 OR hash(code) % 4 = 0),
    every AS (SELECT code FROM province UNION ALL FROM regency UNION ALL FROM district UNION ALL FROM village UNION ALL FROM station)
SELECT contest_type, code, core.parent_of(code) AS parent_code, core.contest_of(contest_type, code) AS contest_code
FROM every, (VALUES ('pkwkp'), ('pkwkk')) AS t(contest_type);

-- What a station adds to itself and to all regions around it: its report, and for one in twenty a correction later.
CREATE TABLE gain AS
WITH
    told AS (
        SELECT *, hash(contest_type || code) AS luck,
            1 + (getvariable('cycles') * (luck % 1000 + luck // 1000 % 1000) // 2000)::INTEGER AS cycle
        FROM place WHERE length(code) = 13
    ),
    event AS (
        SELECT contest_type, code, cycle, 1 AS stations,
            [100 + luck % 97, 120 + luck // 100 % 89, 30 + luck // 10000 % 17]::BIGINT[] AS votes
        FROM told
        UNION ALL
        SELECT contest_type, code, cycle + 1 + (luck // 7 % 6)::INTEGER, 0, [1 - luck % 3::BIGINT, luck % 5, 0]::BIGINT[]
        FROM told WHERE luck // 11 % 20 = 0
    )
SELECT
    contest_type, unit_code, least(cycle, getvariable('cycles')) AS cycle,
    sum(stations)::INTEGER AS stations, sum(votes[1])::BIGINT AS first, sum(votes[2])::BIGINT AS second, sum(votes[3])::BIGINT AS third
FROM (SELECT *, unnest(core.lineage(code)) AS unit_code FROM event)
GROUP BY ALL
ORDER BY cycle;

-- Where the night stands, unit by unit.
CREATE TABLE state AS
SELECT
    contest_type, code, parent_code, contest_code, coalesce(s.stations, 1) AS stations_total, 0 AS stations,
    0::BIGINT AS first, 0::BIGINT AS second, 0::BIGINT AS third, TIMESTAMPTZ '2024-11-26 12:00:00+07' AS reported_at
FROM place AS p
LEFT JOIN (
    SELECT contest_type, code, count(*)::INTEGER AS stations
    FROM (SELECT contest_type, unnest(core.lineage(parent_code)) AS code FROM place WHERE length(code) = 13)
    GROUP BY ALL
) AS s USING (contest_type, code);
