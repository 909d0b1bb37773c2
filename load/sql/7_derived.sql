-- What readers ask for most, for the units that the new captures tell of and for no other. The findings (8_…) start
-- from the same units.

CREATE OR REPLACE TEMP TABLE touched_unit AS
SELECT DISTINCT t.election, t.contest_type, t.unit_code
FROM core.tally AS t
JOIN touched ON touched.endpoint = core.endpoint(t.election, core.document_of(t.stage, t.witness), t.contest_type, t.region_code);

CREATE OR REPLACE TEMP TABLE touched_tally AS
SELECT * EXCLUDE (form) -- the widest column by far, and of no concern here
FROM core.tally SEMI JOIN touched_unit USING (election, contest_type, unit_code);

DELETE FROM core.standing AS s USING touched_unit AS u
WHERE s.unit_code = u.unit_code AND s.contest_type = u.contest_type AND s.election = u.election;

INSERT INTO core.standing BY NAME
FROM core.standings_of('touched_tally', TIMESTAMPTZ 'infinity')
ORDER BY election, contest_code, unit_code, stage;

DELETE FROM core.version AS v USING touched_unit AS u
WHERE v.unit_code = u.unit_code AND v.contest_type = u.contest_type AND v.election = u.election;

INSERT INTO core.version BY NAME
FROM core.versions_of('touched_tally')
-- by the hour, for who asks what changed lately; within it by contest, for who asks about one
ORDER BY election, date_trunc('hour', position_at), contest_code, unit_code, stage, version;

CREATE OR REPLACE TEMP TABLE touched_name AS
SELECT DISTINCT u.election, u.unit_code
FROM core.unit AS u
JOIN touched ON touched.endpoint = core.endpoint(u.election, 'wilayah', u.contest_type, u.region_code)
UNION
SELECT election, unit_code FROM core.province, (SELECT DISTINCT election FROM staged_capture WHERE election IS NOT NULL);

DELETE FROM core.unit_latest AS l USING touched_name AS n WHERE l.unit_code = n.unit_code AND l.election = n.election;

INSERT INTO core.unit_latest BY NAME
SELECT
    n.election, n.unit_code,
    coalesce(arg_max(u.unit_name, (u.observed_at, u.capture_id)), any_value(p.unit_name)) AS unit_name,
    coalesce(arg_max(u.is_listed, (u.observed_at, u.capture_id)), true) AS is_listed
FROM touched_name AS n
LEFT JOIN core.unit AS u ON u.unit_code = n.unit_code AND u.election = n.election
LEFT JOIN core.province AS p ON p.unit_code = n.unit_code
GROUP BY n.election, n.unit_code
ORDER BY n.election, n.unit_code;

DELETE FROM core.candidate_latest; -- a few hundred contests: as quick to write anew as to compare

INSERT INTO core.candidate_latest BY NAME
SELECT election, contest_code, candidate_id, latest.* EXCLUDE (is_listed)
FROM (
    SELECT
        election, contest_code, candidate_id,
        arg_max(
            {
                'ballot_number': ballot_number, 'candidate_name': candidate_name,
                'color': color, 'is_listed': is_listed
            },
            core.position(reported_at, observed_at, capture_id)
        ) AS latest
    FROM core.candidate
    GROUP BY election, contest_code, candidate_id
)
WHERE latest.is_listed
ORDER BY ALL;
