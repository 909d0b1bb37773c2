-- E18 and E19: the count against KPU's own lists, where these were captured.

CREATE OR REPLACE TEMP TABLE contest_listed AS -- contests whose pairs this load told of
SELECT DISTINCT endpoint.election, series.contest_code FROM candidate_changed WHERE endpoint.document = 'paslon';

CREATE OR REPLACE TEMP TABLE area_listed AS -- regions whose children's list is new, or says something else
SELECT DISTINCT election, region_code FROM touched
WHERE document = 'wilayah' AND (
    endpoint NOT IN (SELECT endpoint FROM known_capture) OR endpoint IN (SELECT endpoint FROM unit_changed UNION SELECT endpoint FROM revised)
);

INSERT INTO broken BY NAME -- E18
WITH
    reference AS (
        SELECT
            election, contest_code,
            list_sort(list(DISTINCT candidate_id)) AS ever_listed,
            list_sort(list(candidate_id) FILTER (is_latest AND is_listed)) AS listed
        FROM (
            SELECT *, row_number() OVER (
                PARTITION BY election, contest_code, candidate_id ORDER BY observed_at DESC, capture_id DESC
            ) = 1 AS is_latest
            FROM core.candidate
            WHERE document = 'paslon'
        )
        GROUP BY ALL
    ),
    told AS (
        SELECT t.*, ever_listed, listed
        FROM (
            FROM written_tally
            UNION ALL
            SELECT * EXCLUDE (form) FROM core.tally SEMI JOIN contest_listed USING (election, contest_code)
            ANTI JOIN written_unit USING (election, contest_type, unit_code)
        ) AS t
        JOIN reference USING (election, contest_code)
        WHERE witness <> 'page' AND is_listed AND votes <> MAP {} AND map_keys(votes) <> listed -- both in order of ids
    ),
    odd AS ( -- by its own document, or by its row where there is none
        SELECT *, unnest(list_concat(
            [id FOR id IN map_keys(votes) IF NOT list_contains(ever_listed, id)],
            [id FOR id IN listed IF NOT list_contains(map_keys(votes), id)]
        )) AS candidate_id
        FROM (
            FROM told WHERE witness = 'self'
            UNION ALL
            FROM told ANTI JOIN (FROM core.tally WHERE witness = 'self') AS own USING (election, contest_code, stage, unit_code)
            WHERE witness = 'parent'
        )
    )
SELECT
    election, contest_type, contest_code, stage, unit_code, 'E18' AS rule,
    CASE WHEN list_contains(ever_listed, candidate_id) THEN 'missing' ELSE 'unknown' END AS aspect, candidate_id,
    capture_id AS place, superseded.capture_id AS next_place, false AS is_version,
    coalesce(reported_at, observed_at) AS position_at, superseded.position_at AS next_at, observed_at, capture_id,
    CASE aspect WHEN 'missing' THEN 'votes, as the list of pairs has the candidate' ELSE 'a candidate of the list of pairs' END AS expected,
    CASE aspect WHEN 'missing' THEN 'no votes given' ELSE counted('votes', votes[candidate_id]) END AS found
FROM odd;

INSERT INTO broken BY NAME -- E19
WITH
    scope AS (
        SELECT DISTINCT election, unit_code FROM written_unit
        UNION
        SELECT election, unit_code FROM core.tally SEMI JOIN area_listed ON
            area_listed.election = core.tally.election AND area_listed.region_code = core.parent_of(core.tally.unit_code)
    ),
    unlisted AS (
        SELECT election, unit_code
        FROM (SELECT *, core.parent_of(unit_code) AS region_code FROM scope)
        SEMI JOIN (
            SELECT election, region_code FROM core.capture WHERE document = 'wilayah' AND quarantine_reason IS NULL
        ) USING (election, region_code)
        ANTI JOIN (FROM core.unit WHERE is_listed) USING (election, unit_code)
    ),
    told AS (
        FROM core.tally SEMI JOIN unlisted USING (election, unit_code)
        WHERE witness <> 'page' AND is_listed
        QUALIFY witness = min(witness) OVER (PARTITION BY election, contest_code, stage, unit_code) -- the parent's row, else its own
    )
SELECT
    election, contest_type, contest_code, stage, unit_code, 'E19' AS rule, 'code' AS aspect,
    capture_id AS place, superseded.capture_id AS next_place, position_at, next_at, observed_at, capture_id,
    'a code of the list of ' || core.parent_of(unit_code) AS expected, unit_code || ', which is not in it' AS found
FROM (SELECT *, coalesce(reported_at, observed_at) AS position_at, superseded.position_at AS next_at FROM told);
