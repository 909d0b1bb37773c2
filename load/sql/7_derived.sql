-- What readers ask for most, worked out again for what the new captures tell of; only rows that differ are written.
-- The findings (8_…) start from the same units.

-- Units whose change rows are new, and units that a touched document tells of, if only as before.
CREATE OR REPLACE TEMP TABLE written_unit AS
SELECT DISTINCT endpoint.election, endpoint.contest_type, series.unit_code FROM tally_written;

CREATE OR REPLACE TEMP TABLE touched_unit AS
SELECT DISTINCT endpoint.election, endpoint.contest_type, series.unit_code FROM tally_near
UNION
FROM written_unit;

CREATE OR REPLACE TEMP TABLE written_tally AS
SELECT * EXCLUDE (form) -- the widest column by far, and of no concern here
FROM core.tally SEMI JOIN written_unit USING (election, contest_type, unit_code);

-- A document that says the same again may be the one that was fetched last: the standing is then by it.
CREATE OR REPLACE TEMP TABLE tally_in_force AS
SELECT * EXCLUDE (form)
FROM core.tally SEMI JOIN touched_unit USING (election, contest_type, unit_code)
WHERE superseded IS NULL;

CREATE OR REPLACE TEMP TABLE standing_told AS
FROM core.standings_of('tally_in_force', TIMESTAMPTZ 'infinity');

CREATE OR REPLACE TEMP TABLE standing_known AS
SELECT election, contest_code, stage, unit_code, s AS said, rowid AS place
FROM core.standing AS s SEMI JOIN touched_unit USING (election, contest_type, unit_code);

CREATE OR REPLACE TEMP TABLE standing_new AS
SELECT t.*
FROM standing_told AS t
ANTI JOIN standing_known AS k
    ON k.election = t.election AND k.contest_code = t.contest_code AND k.stage = t.stage AND k.unit_code = t.unit_code
    AND k.said = t;

DELETE FROM core.standing WHERE rowid IN (
    SELECT place FROM standing_known
    ANTI JOIN (FROM standing_told ANTI JOIN standing_new USING (election, contest_code, stage, unit_code)) AS same
        USING (election, contest_code, stage, unit_code)
);

INSERT INTO core.standing BY NAME
FROM standing_new
ORDER BY election, contest_code, unit_code, stage;

CREATE OR REPLACE TEMP TABLE version_told AS
FROM core.versions_of('written_tally');

CREATE OR REPLACE TEMP TABLE version_known AS
SELECT election, contest_code, stage, unit_code, version, v AS said, rowid AS place
FROM core.version AS v SEMI JOIN written_unit USING (election, contest_type, unit_code);

CREATE OR REPLACE TEMP TABLE version_new AS
SELECT t.*
FROM version_told AS t
ANTI JOIN version_known AS k
    ON k.election = t.election AND k.contest_code = t.contest_code AND k.stage = t.stage AND k.unit_code = t.unit_code
    AND k.version = t.version AND k.said = t;

DELETE FROM core.version WHERE rowid IN (
    SELECT place FROM version_known
    ANTI JOIN (FROM version_told ANTI JOIN version_new USING (election, contest_code, stage, unit_code, version)) AS same
        USING (election, contest_code, stage, unit_code, version)
);

INSERT INTO core.version BY NAME
FROM version_new
-- by the hour, for who asks what changed lately; within it by contest, for who asks about one
ORDER BY election, date_trunc('hour', position_at), contest_code, unit_code, stage, version;

-- Names change with the lists that were new or said something else.
CREATE OR REPLACE TEMP TABLE touched_name AS
SELECT endpoint.election, series.unit_code FROM unit_changed
UNION
SELECT endpoint.election, series.unit_code FROM unit_near SEMI JOIN revised USING (endpoint)
UNION
(
    SELECT election, unit_code FROM core.province, (SELECT DISTINCT election FROM staged_capture WHERE election IS NOT NULL)
    EXCEPT
    SELECT election, unit_code FROM core.unit_latest
);

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
