-- What readers ask for most, worked out once per load and only for the units that the load touched: they are pure
-- functions of the tables of 0001. An older database takes its archive in anew, by the load that follows.

DELETE FROM core.run;
DELETE FROM core.capture;
DELETE FROM core.unit;
DELETE FROM core.candidate;
DELETE FROM core.tally;
DROP VIEW IF EXISTS core.version;
DROP VIEW IF EXISTS core.unit_latest;
DROP VIEW IF EXISTS core.candidate_latest;

ALTER TABLE core.capture ADD COLUMN superseded_at TIMESTAMPTZ;
COMMENT ON COLUMN core.capture.superseded_at IS 'Place of the document''s next understood capture on KPU''s clock; NULL for its newest';

ALTER TABLE core.tally ADD COLUMN kept STRUCT(
    votes MAP(VARCHAR, BIGINT), votes_total BIGINT,
    reported_at TIMESTAMPTZ, observed_at TIMESTAMPTZ, capture_id BIGINT
);
COMMENT ON COLUMN core.tally.kept IS 'Where this row has no votes: the last ones of the series before it, and where they came from';

CREATE TABLE core.unit_latest (
    election VARCHAR NOT NULL,
    unit_code VARCHAR NOT NULL,
    unit_name VARCHAR,
    is_listed BOOLEAN NOT NULL
);
COMMENT ON TABLE core.unit_latest IS 'Every region and station of the lists with its latest name; provinces have one even without lists';
COMMENT ON COLUMN core.unit_latest.election IS 'Election';
COMMENT ON COLUMN core.unit_latest.unit_code IS 'Region or station';
COMMENT ON COLUMN core.unit_latest.unit_name IS 'Latest name, as KPU wrote it';
COMMENT ON COLUMN core.unit_latest.is_listed IS 'false: its parent''s latest list leaves it out';

CREATE TABLE core.candidate_latest (
    election VARCHAR NOT NULL,
    contest_code VARCHAR NOT NULL,
    candidate_id VARCHAR NOT NULL,
    ballot_number INTEGER,
    candidate_name VARCHAR,
    color VARCHAR
);
COMMENT ON TABLE core.candidate_latest IS 'Every pair with its latest ballot number and names';
COMMENT ON COLUMN core.candidate_latest.election IS 'Election';
COMMENT ON COLUMN core.candidate_latest.contest_code IS 'Contest';
COMMENT ON COLUMN core.candidate_latest.candidate_id IS 'KPU''s id; ballot-N where only a rendered page told of the pair';
COMMENT ON COLUMN core.candidate_latest.ballot_number IS 'Number on the ballot';
COMMENT ON COLUMN core.candidate_latest.candidate_name IS 'Names, as KPU wrote them';
COMMENT ON COLUMN core.candidate_latest.color IS 'KPU''s colour';

CREATE TABLE core.standing (
    election VARCHAR NOT NULL,
    contest_type VARCHAR NOT NULL,
    contest_code VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    unit_code VARCHAR NOT NULL,
    witness VARCHAR NOT NULL,
    stations_reported INTEGER,
    stations_total INTEGER,
    reported_pct DOUBLE,
    progress_reported_at TIMESTAMPTZ,
    progress_observed_at TIMESTAMPTZ NOT NULL,
    votes MAP(VARCHAR, BIGINT),
    votes_total BIGINT,
    reported_at TIMESTAMPTZ,
    observed_at TIMESTAMPTZ NOT NULL,
    capture_id BIGINT NOT NULL,
    withdrawn_at TIMESTAMPTZ
);
COMMENT ON TABLE core.standing IS 'One row per contest, stage and unit: the latest progress, and the votes of the latest version that had any';
COMMENT ON COLUMN core.standing.election IS 'Election';
COMMENT ON COLUMN core.standing.contest_type IS 'pkwkp, pkwkk or ppwp';
COMMENT ON COLUMN core.standing.contest_code IS 'Contest, such as pkwkp:31';
COMMENT ON COLUMN core.standing.stage IS 'hhcw or hr';
COMMENT ON COLUMN core.standing.unit_code IS 'Region or station';
COMMENT ON COLUMN core.standing.witness IS 'The document that speaks for the unit: the one fetched last, of several together the unit''s own';
COMMENT ON COLUMN core.standing.stations_reported IS 'Stations counted so far';
COMMENT ON COLUMN core.standing.stations_total IS 'Stations in all';
COMMENT ON COLUMN core.standing.reported_pct IS 'KPU''s own percentage of stations';
COMMENT ON COLUMN core.standing.progress_reported_at IS 'KPU''s time of the progress';
COMMENT ON COLUMN core.standing.progress_observed_at IS 'When the progress was fetched first';
COMMENT ON COLUMN core.standing.votes IS 'Votes by candidate id; after a withdrawal the last ones';
COMMENT ON COLUMN core.standing.votes_total IS 'Votes of all candidates together';
COMMENT ON COLUMN core.standing.reported_at IS 'KPU''s time of the votes';
COMMENT ON COLUMN core.standing.observed_at IS 'When the votes were fetched first';
COMMENT ON COLUMN core.standing.capture_id IS 'The capture the votes came from first';
COMMENT ON COLUMN core.standing.withdrawn_at IS 'Since when KPU no longer shows these votes';

CREATE TABLE core.version (
    election VARCHAR NOT NULL,
    contest_type VARCHAR NOT NULL,
    contest_code VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    unit_code VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    position_at TIMESTAMPTZ NOT NULL,
    reported_at TIMESTAMPTZ,
    observed_at TIMESTAMPTZ NOT NULL,
    capture_id BIGINT NOT NULL,
    witness VARCHAR NOT NULL,
    stations_reported INTEGER,
    stations_total INTEGER,
    votes MAP(VARCHAR, BIGINT),
    votes_total BIGINT,
    withdrawn_at TIMESTAMPTZ,
    previous_votes MAP(VARCHAR, BIGINT),
    has_moved BOOLEAN NOT NULL,
    previous_stations_reported INTEGER,
    previous_withdrawn_at TIMESTAMPTZ
);
COMMENT ON TABLE core.version IS 'Every version of every unit''s tally, both witnesses merged in the order of KPU''s clock, with the version before it';
COMMENT ON COLUMN core.version.election IS 'Election';
COMMENT ON COLUMN core.version.contest_type IS 'pkwkp, pkwkk or ppwp';
COMMENT ON COLUMN core.version.contest_code IS 'Contest, such as pkwkp:31';
COMMENT ON COLUMN core.version.stage IS 'hhcw or hr';
COMMENT ON COLUMN core.version.unit_code IS 'Region or station';
COMMENT ON COLUMN core.version.version IS 'Number within contest, stage and unit, from 1';
COMMENT ON COLUMN core.version.position_at IS 'KPU''s time, or the time of observation for documents that carry none';
COMMENT ON COLUMN core.version.reported_at IS 'KPU''s time';
COMMENT ON COLUMN core.version.observed_at IS 'When it was fetched first';
COMMENT ON COLUMN core.version.capture_id IS 'The capture that said so first';
COMMENT ON COLUMN core.version.witness IS 'self, parent or page';
COMMENT ON COLUMN core.version.stations_reported IS 'Stations counted so far';
COMMENT ON COLUMN core.version.stations_total IS 'Stations in all';
COMMENT ON COLUMN core.version.votes IS 'Votes by candidate id; a candidate that was not given is not in it, which is not 0';
COMMENT ON COLUMN core.version.votes_total IS 'Votes of all candidates together; NULL if none were given';
COMMENT ON COLUMN core.version.withdrawn_at IS 'Since when the votes that were there are gone';
COMMENT ON COLUMN core.version.previous_votes IS 'Votes of the version before; NULL for the first';
COMMENT ON COLUMN core.version.has_moved IS 'Whether votes and previous_votes differ: kept because comparing maps is slow';
COMMENT ON COLUMN core.version.previous_stations_reported IS 'Stations of the version before';
COMMENT ON COLUMN core.version.previous_withdrawn_at IS 'withdrawn_at of the version before';
