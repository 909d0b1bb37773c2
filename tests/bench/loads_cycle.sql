-- One cycle: the state moves on, and what a crawler captures of it is written as the loader stages it.

CREATE OR REPLACE TEMP TABLE moved AS FROM gain WHERE cycle = getvariable('cycle');

UPDATE state SET
    stations = state.stations + m.stations, first = state.first + m.first, second = state.second + m.second, third = state.third + m.third,
    reported_at = getvariable('moment')
FROM moved AS m WHERE m.contest_type = state.contest_type AND m.unit_code = state.code;

-- Every document that changed, and one in fifty of the others; in the first cycle everything.
CREATE OR REPLACE TEMP TABLE document AS
SELECT
    row_number() OVER () AS document_number, contest_type, code, reported_at,
    (hash(contest_type, code, getvariable('moment')) >> 1)::BIGINT AS capture_id
FROM state
WHERE length(code) < 13 AND (
    getvariable('cycle') = 0 OR hash(code, contest_type, getvariable('cycle')) % 50 = 0
    OR (contest_type, code) IN (SELECT (contest_type, unit_code) FROM moved)
);

COPY (
    SELECT
        capture_id, getvariable('run') AS run, document_number,
        'https://simulated.invalid/pilkada/hhcw/' || contest_type || '/' || code || '.json' AS url,
        'pilkada-2024' AS election, 'hhcw' AS document, contest_type, code AS region_code, reported_at,
        getvariable('moment') + INTERVAL 8 SECOND AS observed_at, 200 AS status, 'application/json' AS mimetype,
        'sha256:' || sha256(contest_type || code || reported_at) AS digest, 1000 AS length, 'simulated:country' AS source
    FROM document
    UNION ALL BY NAME
    SELECT
        (hash('list', contest_type, code) >> 1)::BIGINT AS capture_id, getvariable('run') AS run, 1000000000 + document_number AS document_number,
        'https://simulated.invalid/wilayah/pilkada/' || contest_type || '/' || code || '.json' AS url,
        'pilkada-2024' AS election, 'wilayah' AS document, contest_type, code AS region_code,
        getvariable('moment') AS observed_at, 200 AS status, 'application/json' AS mimetype,
        'sha256:' || sha256('list' || contest_type || code) AS digest, 1000 AS length, 'simulated:country' AS source
    FROM document WHERE getvariable('cycle') = 0
    UNION ALL BY NAME
    SELECT
        (hash('pairs', contest_type) >> 1)::BIGINT AS capture_id, getvariable('run') AS run, 2000000000 + (contest_type = 'pkwkp')::INTEGER AS document_number,
        'https://simulated.invalid/pilkada/paslon/' || contest_type || '.json' AS url,
        'pilkada-2024' AS election, 'paslon' AS document, contest_type, '0' AS region_code,
        getvariable('moment') AS observed_at, 200 AS status, 'application/json' AS mimetype,
        'sha256:' || sha256('pairs' || contest_type) AS digest, 1000 AS length, 'simulated:country' AS source
    FROM (VALUES ('pkwkp'), ('pkwkk')) AS t(contest_type) WHERE getvariable('cycle') = 0
) TO (getvariable('staged_captures')) (FORMAT json);

COPY (
    WITH
        told AS (
            SELECT d.document_number, s.*, 'self' AS witness
            FROM document AS d JOIN state AS s ON s.contest_type = d.contest_type AND s.code = d.code
            UNION ALL
            SELECT d.document_number, s.*, 'parent' AS witness
            FROM document AS d JOIN state AS s ON s.contest_type = d.contest_type AND s.parent_code = d.code
        )
    SELECT
        document_number,
        list({
            'contest_code': contest_code, 'unit_code': code, 'witness': witness,
            'votes': CASE
                WHEN stations = 0 OR length(code) < core.area_length(contest_type) THEN MAP {}
                ELSE MAP {contest_code[7:] || '1': first, contest_code[7:] || '2': second, contest_code[7:] || '3': third}
            END,
            'stations_reported': stations, 'stations_total': stations_total,
            'is_reported': CASE WHEN witness = 'parent' THEN stations > 0 END, 'revote_status': 'Reguler'
        } ORDER BY witness DESC, code) AS tallies
    FROM told GROUP BY ALL
    UNION ALL BY NAME
    SELECT
        1000000000 + document_number AS document_number,
        list({'unit_code': p.code, 'unit_name': core.level_of(p.code) || ' ' || p.code, 'kpu_id': 1} ORDER BY p.code) AS units
    FROM document AS d JOIN place AS p ON p.contest_type = d.contest_type AND p.parent_code = d.code
    WHERE getvariable('cycle') = 0
    GROUP BY ALL
    UNION ALL BY NAME
    SELECT
        2000000000 + (contest_type = 'pkwkp')::INTEGER AS document_number,
        list({
            'contest_code': contest_code, 'candidate_id': contest_code[7:] || n, 'ballot_number': n,
            'candidate_name': 'PAIR ' || contest_code[7:] || n, 'color': '#336699'
        } ORDER BY contest_code, n) AS candidates
    FROM place, range(1, 4) AS t(n)
    WHERE length(code) = core.area_length(contest_type) AND getvariable('cycle') = 0
    GROUP BY contest_type
) TO (getvariable('staged_documents')) (FORMAT json);
