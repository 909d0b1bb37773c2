-- A region is the sum of its children only if all of them are captured. A single station's file in a village whose
-- other stations nobody fetched must not stand for the village: then the village itself is the finest there is.
CREATE OR REPLACE VIEW core.part AS
WITH
    unit AS NOT MATERIALIZED (
        SELECT
            election, contest_type, contest_code, stage, unit_code,
            CASE WHEN length(unit_code) = 13 THEN 1 ELSE stations_total END AS stations
        FROM core.standing
    ),
    family AS NOT MATERIALIZED (
        SELECT
            election, contest_type, contest_code, stage, core.parent_of(unit_code) AS unit_code,
            CASE WHEN count(*) = count(stations) THEN sum(stations) END AS stations
        FROM unit
        GROUP BY ALL
    ),
    finest AS NOT MATERIALIZED (
        FROM unit ANTI JOIN family USING (election, contest_type, contest_code, stage, unit_code, stations)
    ),
    -- One branch a level, not a list of ancestors: so a region that is asked for is looked up, not searched for.
    above AS NOT MATERIALIZED (
        SELECT * EXCLUDE (unit_code, stations), '0' AS unit_code, unit_code AS part_code FROM finest WHERE length(unit_code) > 1
        UNION ALL
        SELECT * EXCLUDE (unit_code, stations), left(unit_code, 2), unit_code FROM finest WHERE length(unit_code) > 2
        UNION ALL
        SELECT * EXCLUDE (unit_code, stations), left(unit_code, 4), unit_code FROM finest WHERE length(unit_code) > 4
        UNION ALL
        SELECT * EXCLUDE (unit_code, stations), left(unit_code, 6), unit_code FROM finest WHERE length(unit_code) > 6
        UNION ALL
        SELECT * EXCLUDE (unit_code, stations), left(unit_code, 10), unit_code FROM finest WHERE length(unit_code) > 10
    ),
    torn AS ( -- finest, although something is captured below: what is below counts for nothing above
        SELECT * EXCLUDE (stations)
        FROM finest SEMI JOIN family USING (election, contest_type, contest_code, stage, unit_code)
    )
SELECT a.election, a.contest_type, a.contest_code, a.stage, a.unit_code, a.part_code
FROM above AS a
ANTI JOIN torn AS t
    ON t.election = a.election AND t.contest_code = a.contest_code AND t.stage = a.stage
    AND starts_with(a.part_code, t.unit_code) AND length(t.unit_code) BETWEEN length(a.unit_code) AND length(a.part_code) - 1
WHERE length(a.unit_code) >= core.area_length(a.contest_type); -- further up, other pairs stand in other contests
COMMENT ON VIEW core.part IS 'What a region''s figures add up from: the finest units captured below it, where their stations are complete';
