CREATE OR REPLACE VIEW core.expected AS
WITH
    listed AS (
        SELECT election, contest_type, 'hhcw' AS stage, unit_code -- recapitulations have no documents below the contest
        FROM core.unit
        GROUP BY ALL
        HAVING arg_max(is_listed, (observed_at, capture_id))
    ),
    pairs AS (SELECT DISTINCT election, split_part(contest_code, ':', 1) AS contest_type, contest_code FROM core.candidate_latest),
    due AS ( -- Yogyakarta is on the governors' lists, but elects none: no pairs stand there
        SELECT l.*
        FROM listed AS l
        LEFT JOIN pairs AS p ON p.election = l.election AND p.contest_code = core.contest_of(l.contest_type, l.unit_code)
        LEFT JOIN (SELECT DISTINCT election, contest_type FROM pairs) AS any_pairs
            ON any_pairs.election = l.election AND any_pairs.contest_type = l.contest_type
        WHERE p.contest_code IS NOT NULL OR any_pairs.contest_type IS NULL OR length(unit_code) < core.area_length(l.contest_type)
    ),
    own AS (
        SELECT DISTINCT ON (election, contest_type, stage, unit_code)
            election, contest_type, stage, unit_code, votes, stations_reported, reported_at
        FROM core.tally
        WHERE superseded IS NULL AND is_listed AND witness <> 'parent'
        ORDER BY witness = 'page'
    ),
    told AS (
        SELECT election, contest_type, stage, unit_code, votes, stations_reported, reported_at
        FROM core.tally
        WHERE superseded IS NULL AND is_listed AND witness = 'parent'
    )
SELECT
    election, contest_type, stage, unit_code,
    CASE
        WHEN own.unit_code IS NULL AND told.unit_code IS NULL THEN 'missing'
        WHEN own.unit_code IS NULL THEN 'told'
        WHEN told.reported_at > own.reported_at AND (told.votes, told.stations_reported) IS DISTINCT FROM (own.votes, own.stations_reported)
        THEN 'overdue'
        ELSE 'captured'
    END AS state
FROM due
FULL JOIN told USING (election, contest_type, stage, unit_code)
FULL JOIN own USING (election, contest_type, stage, unit_code);
COMMENT ON VIEW core.expected IS 'Every unit that a region list or a count document names, and what we have of it: captured (a document of its own), overdue (its parent''s row is newer and differs), told (only a row of its parent''s) or missing';
