-- A night as large as the country's, made up in SQL straight into the tables of an empty database: 38 provinces,
-- 514 regencies, 7,304 districts, 82,759 villages and 434,724 stations, two contests each, to village depth. Sums
-- across levels do not match; sizes, clocks and the number of versions per level do.

CREATE TEMP TABLE place AS
WITH
    province AS (SELECT unit_code AS code, row_number() OVER (ORDER BY unit_code) AS number FROM core.province WHERE unit_code <> '0'),
    regency AS (SELECT code || lpad(n::VARCHAR, 2, '0') AS code FROM province, range(1, 15) AS t(n) WHERE n <= 13 OR number <= 20),
    district AS (SELECT code || lpad(n::VARCHAR, 2, '0') AS code FROM regency, range(1, 16) AS t(n) WHERE n <= 14 OR hash(code) % 5 = 0),
    village AS (SELECT code || (2000 + n)::VARCHAR AS code FROM district, range(1, 13) AS t(n) WHERE n <= 11 OR hash(code) % 3 = 0),
    station AS (SELECT code || lpad(n::VARCHAR, 3, '0') AS code FROM village, range(1, 7) AS t(n) WHERE n <= 5 OR hash(code) % 4 = 0)
SELECT code, length(code) AS digits
FROM (SELECT code FROM province UNION ALL FROM regency UNION ALL FROM district UNION ALL FROM village UNION ALL FROM station);

-- Every change row to be: a station changes when it reports and, one in twenty, once more; the units above it more
-- often the larger they are. Step 0 is the empty file from before.
CREATE TEMP TABLE step AS
WITH series AS (
    SELECT
        contest_type, code, digits, witness,
        TIMESTAMPTZ '2024-11-27 15:00:00+07' AS opening,
        CASE digits
            WHEN 2 THEN 81 WHEN 4 THEN 75 WHEN 6 THEN 40 WHEN 10 THEN 6 + (hash(code) % 2)::INTEGER
            ELSE 2 + (hash(code || contest_type) % 20 = 0)::INTEGER
        END AS steps,
        (60 * sqrt((hash(contest_type || code) % 1000) / 1000.0))::INTEGER AS first_cycle
    FROM place, (VALUES ('pkwkp'), ('pkwkk')) AS t(contest_type), (VALUES ('self'), ('parent')) AS w(witness)
    WHERE witness = 'parent' OR digits < 13
)
SELECT
    * EXCLUDE (opening, first_cycle),
    CASE witness WHEN 'self' THEN code ELSE core.parent_of(code) END AS document_code,
    left(code, CASE contest_type WHEN 'pkwkp' THEN 2 ELSE 4 END) AS contest,
    CASE
        WHEN number = 0 THEN opening - INTERVAL 27 HOUR
        WHEN digits <= 6 THEN opening + INTERVAL 15 MINUTE * (number * 80 // steps)
        ELSE opening + INTERVAL 15 MINUTE * (first_cycle + number * (1 + (hash(code) % 5)::INTEGER))
    END AS reported_at
FROM (SELECT *, unnest(range(steps)) AS number FROM series);

INSERT INTO core.tally BY NAME
SELECT
    'pilkada-2024' AS election, contest_type,
    contest_type || ':' || contest AS contest_code,
    'hhcw' AS stage, document_code AS region_code, code AS unit_code, witness,
    reported_at, reported_at + INTERVAL 8 SECOND AS observed_at,
    (hash(contest_type || document_code || epoch(reported_at)::BIGINT) >> 1)::BIGINT AS capture_id, -- one per file
    true AS is_listed,
    CASE digits WHEN 13 THEN least(number, 1) ELSE number END AS stations_reported,
    CASE digits WHEN 13 THEN 1 ELSE steps - 1 END AS stations_total,
    number > 0 AS is_reported,
    CASE
        WHEN number = 0 THEN MAP {}
        ELSE MAP {
            contest || '1': 100 * number + (hash(code) % 97)::BIGINT,
            contest || '2': 120 * number + (hash(code) % 89)::BIGINT,
            contest || '3': 30 * number + (hash(code) % 17)::BIGINT
        }
    END AS votes,
    'Reguler' AS revote_status,
    core.votes_total(votes) AS votes_total,
    lead(core.position(reported_at, observed_at, capture_id)) OVER series AS superseded,
    CASE WHEN number > 0 THEN core.position(reported_at, observed_at, capture_id) END AS counted
FROM step
WINDOW series AS (PARTITION BY contest_type, code, witness ORDER BY number)
ORDER BY contest_code, unit_code, witness, number;

INSERT INTO core.capture BY NAME
SELECT
    capture_id, 'large' AS run,
    'https://simulated.invalid/pilkada/hhcw/' || contest_type || '/' || region_code || '.json' AS url,
    election, stage AS document, contest_type, region_code, reported_at, observed_at,
    200 AS status, 'application/json' AS mimetype, 'sha256:' || sha256(capture_id::VARCHAR) AS digest, 1000 AS length,
    'simulated:large' AS source,
    lead(reported_at) OVER (PARTITION BY contest_type, region_code ORDER BY reported_at) AS superseded_at
FROM (SELECT DISTINCT capture_id, election, stage, contest_type, region_code, reported_at, observed_at FROM core.tally)
ORDER BY contest_type, region_code, reported_at;

INSERT INTO core.unit BY NAME
SELECT
    'pilkada-2024' AS election, contest_type, core.parent_of(code) AS region_code, code AS unit_code,
    TIMESTAMPTZ '2024-11-26 12:00:00+07' AS observed_at, 1 AS capture_id, true AS is_listed,
    core.level_of(code) || ' ' || code AS unit_name, 1 AS kpu_id
FROM place, (VALUES ('pkwkp'), ('pkwkk')) AS t(contest_type)
ORDER BY ALL;

INSERT INTO core.candidate BY NAME
SELECT
    election, 'paslon' AS document, contest_type, '0' AS region_code, contest_code, candidate_id,
    TIMESTAMPTZ '2024-11-26 12:00:00+07' AS observed_at, 1 AS capture_id, true AS is_listed,
    right(candidate_id, 1)::INTEGER AS ballot_number, 'PAIR ' || candidate_id AS candidate_name, '#336699' AS color
FROM (SELECT DISTINCT election, contest_type, contest_code, unnest(map_keys(votes)) AS candidate_id FROM core.tally WHERE length(unit_code) <= 6)
ORDER BY ALL;

-- What the loader leaves behind for the scripts that derive the rest: everything is new.
CREATE TEMP TABLE staged_capture AS FROM core.capture LIMIT 1;
CREATE TEMP TABLE tally_written AS
SELECT DISTINCT core.endpoint(election, stage, contest_type, region_code) AS endpoint, {'unit_code': unit_code} AS series
FROM core.tally;
CREATE TEMP TABLE tally_near AS FROM tally_written LIMIT 0;
CREATE TEMP TABLE unit_changed AS
SELECT core.endpoint(election, 'wilayah', contest_type, region_code) AS endpoint, {'unit_code': unit_code} AS series
FROM core.unit;
CREATE TEMP TABLE unit_near AS FROM unit_changed LIMIT 0;
CREATE TEMP TABLE revised AS SELECT endpoint FROM unit_near;
