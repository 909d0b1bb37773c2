-- What was found takes the place of what had been found of the same units, documents and lists.

INSERT INTO finding_told BY NAME
WITH
    opened AS ( -- a version that is not the next of a broken one begins a finding
        SELECT
            *,
            count(*) FILTER (previous_place IS DISTINCT FROM place) OVER (
                PARTITION BY election, contest_code, stage, unit_code, rule, aspect, candidate_id
                ORDER BY position_at, observed_at, place ROWS UNBOUNDED PRECEDING
            ) AS episode
        FROM (
            SELECT *, lag(next_place) OVER (
                PARTITION BY election, contest_code, stage, unit_code, rule, aspect, candidate_id
                ORDER BY position_at, observed_at, place
            ) AS previous_place
            FROM broken
        )
    ),
    episode AS (
        SELECT
            election, contest_type, contest_code, stage, unit_code, rule, aspect, candidate_id, is_version, episode,
            first({
                'position_at': position_at, 'observed_at': observed_at, 'capture_id': capture_id,
                'expected': expected, 'found': found, 'difference': difference
            } ORDER BY position_at, observed_at, place) AS opening,
            last({'position_at': position_at, 'next_at': next_at, 'next_place': next_place}
                ORDER BY position_at, observed_at, place) AS closing
        FROM opened
        GROUP BY ALL
    )
SELECT
    e.election, e.contest_type, e.contest_code, e.stage, e.unit_code, rule, aspect, candidate_id,
    opening.expected, opening.found, opening.difference,
    opening.position_at AS first_seen_at, closing.position_at AS last_seen_at,
    coalesce(closing.next_at, v.position_at) AS resolved_at,
    opening.observed_at, opening.capture_id
FROM episode AS e
LEFT JOIN core.version AS v
    ON e.is_version AND v.election = e.election AND v.contest_code = e.contest_code AND v.stage = e.stage
    AND v.unit_code = e.unit_code AND v.version = e.closing.next_place;

DELETE FROM core.finding AS f USING written_unit AS w
WHERE w.election = f.election AND w.contest_type = f.contest_type AND w.unit_code = f.unit_code
    AND f.rule NOT IN ('E8', 'E11', 'E13');

DELETE FROM core.finding AS f USING touched_unit AS t
WHERE t.election = f.election AND t.contest_type = f.contest_type AND t.unit_code = f.unit_code
    AND f.rule = 'E8' AND f.aspect = 'row';

DELETE FROM core.finding AS f USING touched_document AS d
WHERE d.election = f.election AND d.contest_type = f.contest_type AND d.stage = f.stage AND d.region_code = f.unit_code
    AND (f.rule IN ('E11', 'E13') OR f.rule = 'E8' AND f.aspect = 'chart');

DELETE FROM core.finding AS f USING contest_listed AS c
WHERE f.rule = 'E18' AND c.election = f.election AND c.contest_code = f.contest_code;

DELETE FROM core.finding AS f USING area_listed AS a
WHERE f.rule = 'E19' AND a.election = f.election AND a.region_code = core.parent_of(f.unit_code);

INSERT INTO core.finding BY NAME
FROM finding_told
ORDER BY election, contest_code, stage, unit_code, rule, aspect, candidate_id, first_seen_at;
