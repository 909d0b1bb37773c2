-- What the archive says, once: captures, and the change rows of regions, pairs and tallies.
-- Order within a series is always (position_at, observed_at, capture_id), where position_at is KPU's own
-- time, or the time of observation for documents that carry none. No table has a primary key: an index makes
-- large tables five times bigger (DuckDB 2.0), and the loader keeps them free of duplicates.

CREATE TABLE core.run (
    run VARCHAR NOT NULL,
    sequence INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    asked JSON NOT NULL,
    outcome VARCHAR NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ NOT NULL,
    captures BIGINT NOT NULL,
    bodies BIGINT NOT NULL,
    answered JSON NOT NULL,
    versions JSON NOT NULL,
    manifest_digest VARCHAR NOT NULL
);
COMMENT ON TABLE core.run IS 'Runs of the archive that are loaded, one row per manifest';
COMMENT ON COLUMN core.run.run IS 'Name of the run; its segment file is named after it';
COMMENT ON COLUMN core.run.sequence IS 'Place in the chain of manifests, from 1';
COMMENT ON COLUMN core.run.kind IS 'What the run did: replay git, replay folder, replay simulated';
COMMENT ON COLUMN core.run.asked IS 'What the run was asked to do, as its manifest says';
COMMENT ON COLUMN core.run.outcome IS 'complete, failed or interrupted (killed; recorded by the run after it)';
COMMENT ON COLUMN core.run.started_at IS 'When the run began';
COMMENT ON COLUMN core.run.ended_at IS 'When the run was sealed';
COMMENT ON COLUMN core.run.captures IS 'Captures the run archived';
COMMENT ON COLUMN core.run.bodies IS 'Captures among them whose bytes were new to the archive';
COMMENT ON COLUMN core.run.answered IS 'Captures by HTTP status';
COMMENT ON COLUMN core.run.versions IS 'Versions of the software that ran';
COMMENT ON COLUMN core.run.manifest_digest IS 'sha256 of the manifest, its link in the chain';

CREATE TABLE core.capture (
    capture_id BIGINT NOT NULL,
    run VARCHAR NOT NULL,
    url VARCHAR NOT NULL,
    election VARCHAR,
    document VARCHAR,
    contest_type VARCHAR,
    region_code VARCHAR,
    reported_at TIMESTAMPTZ,
    observed_at TIMESTAMPTZ NOT NULL,
    status INTEGER NOT NULL,
    mimetype VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    length BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    etag VARCHAR,
    last_modified VARCHAR,
    quarantine_reason VARCHAR,
    quarantine_place VARCHAR,
    quarantine_detail VARCHAR
);
COMMENT ON TABLE core.capture IS 'Every capture of the archive, one row per address, moment and content';
COMMENT ON COLUMN core.capture.capture_id IS 'First 63 bits of the sha256 of url, observed_at and digest: the same in every rebuild';
COMMENT ON COLUMN core.capture.run IS 'The run that archived it first';
COMMENT ON COLUMN core.capture.url IS 'Where it came from';
COMMENT ON COLUMN core.capture.election IS 'Election of the document: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN core.capture.document IS 'Kind of document: wilayah, paslon, hhcw, hr or page';
COMMENT ON COLUMN core.capture.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN core.capture.region_code IS 'Region the document is about; 0 is the country';
COMMENT ON COLUMN core.capture.reported_at IS 'KPU''s own time in the document (ts, WIB made explicit); NULL where it has none';
COMMENT ON COLUMN core.capture.observed_at IS 'When the bytes were fetched';
COMMENT ON COLUMN core.capture.status IS 'HTTP status of the answer';
COMMENT ON COLUMN core.capture.mimetype IS 'Media type of the answer';
COMMENT ON COLUMN core.capture.digest IS 'sha256 of the body; realcount archive show prints the bytes';
COMMENT ON COLUMN core.capture.length IS 'Length of the body in bytes';
COMMENT ON COLUMN core.capture.source IS 'Who observed it: git:<commit>, folder, simulated:<seed>';
COMMENT ON COLUMN core.capture.etag IS 'Validator the source gave, to ask again only for what is newer';
COMMENT ON COLUMN core.capture.last_modified IS 'The other validator, an HTTP date as it was sent';
COMMENT ON COLUMN core.capture.quarantine_reason IS 'Why the body states nothing; NULL if it was understood';
COMMENT ON COLUMN core.capture.quarantine_place IS 'Where in the body, as a JSON path';
COMMENT ON COLUMN core.capture.quarantine_detail IS 'What was found there';

CREATE TABLE core.unit (
    election VARCHAR NOT NULL,
    contest_type VARCHAR NOT NULL,
    region_code VARCHAR NOT NULL,
    unit_code VARCHAR NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL,
    capture_id BIGINT NOT NULL,
    is_listed BOOLEAN NOT NULL,
    unit_name VARCHAR,
    kpu_id BIGINT
);
COMMENT ON TABLE core.unit IS 'Change rows of region lists: a row where a region appears, is renamed or disappears from its parent''s list';
COMMENT ON COLUMN core.unit.election IS 'Election whose list it is';
COMMENT ON COLUMN core.unit.contest_type IS 'Contest type whose list it is';
COMMENT ON COLUMN core.unit.region_code IS 'The parent whose list it is';
COMMENT ON COLUMN core.unit.unit_code IS 'The region or station listed';
COMMENT ON COLUMN core.unit.observed_at IS 'When the list was fetched; lists carry no time of their own';
COMMENT ON COLUMN core.unit.capture_id IS 'The capture that said so first';
COMMENT ON COLUMN core.unit.is_listed IS 'false: a later list left the region out';
COMMENT ON COLUMN core.unit.unit_name IS 'Name exactly as KPU wrote it; names drift, codes do not';
COMMENT ON COLUMN core.unit.kpu_id IS 'KPU''s internal number';

CREATE TABLE core.candidate (
    election VARCHAR NOT NULL,
    document VARCHAR NOT NULL,
    contest_type VARCHAR NOT NULL,
    region_code VARCHAR NOT NULL,
    contest_code VARCHAR NOT NULL,
    candidate_id VARCHAR NOT NULL,
    reported_at TIMESTAMPTZ,
    observed_at TIMESTAMPTZ NOT NULL,
    capture_id BIGINT NOT NULL,
    is_listed BOOLEAN NOT NULL,
    ballot_number INTEGER,
    candidate_name VARCHAR,
    color VARCHAR,
    updated_at TIMESTAMPTZ
);
COMMENT ON TABLE core.candidate IS 'Change rows of the pairs of candidates, from the pairs files and from rendered pages';
COMMENT ON COLUMN core.candidate.election IS 'Election';
COMMENT ON COLUMN core.candidate.document IS 'paslon, or page for what a rendered page shows';
COMMENT ON COLUMN core.candidate.contest_type IS 'pkwkp, pkwkk or ppwp';
COMMENT ON COLUMN core.candidate.region_code IS 'Region of the document: 0 for the pairs file';
COMMENT ON COLUMN core.candidate.contest_code IS 'Contest, such as pkwkp:31';
COMMENT ON COLUMN core.candidate.candidate_id IS 'KPU''s id; ballot-N on pages, which show no ids';
COMMENT ON COLUMN core.candidate.reported_at IS 'KPU''s time of the page; NULL for the pairs file';
COMMENT ON COLUMN core.candidate.observed_at IS 'When it was fetched';
COMMENT ON COLUMN core.candidate.capture_id IS 'The capture that said so first';
COMMENT ON COLUMN core.candidate.is_listed IS 'false: a later file left the pair out';
COMMENT ON COLUMN core.candidate.ballot_number IS 'Number on the ballot; never inferred from ids or order';
COMMENT ON COLUMN core.candidate.candidate_name IS 'Names of the pair exactly as KPU wrote them';
COMMENT ON COLUMN core.candidate.color IS 'KPU''s colour for the pair, #RRGGBB';
COMMENT ON COLUMN core.candidate.updated_at IS 'KPU''s own time of the entry';

CREATE TABLE core.tally (
    election VARCHAR NOT NULL,
    contest_type VARCHAR NOT NULL,
    contest_code VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    region_code VARCHAR NOT NULL,
    unit_code VARCHAR NOT NULL,
    witness VARCHAR NOT NULL,
    reported_at TIMESTAMPTZ,
    observed_at TIMESTAMPTZ NOT NULL,
    capture_id BIGINT NOT NULL,
    is_listed BOOLEAN NOT NULL,
    stations_reported INTEGER,
    stations_total INTEGER,
    reported_pct DOUBLE,
    is_reported BOOLEAN,
    votes MAP(VARCHAR, BIGINT),
    valid_votes BIGINT,
    invalid_votes BIGINT,
    ballots BIGINT,
    registered_voters BIGINT,
    revote_status VARCHAR,
    form STRUCT(
        registered_male BIGINT, registered_female BIGINT,
        voters BIGINT, voters_male BIGINT, voters_female BIGINT,
        voters_dpt BIGINT, voters_dpt_male BIGINT, voters_dpt_female BIGINT,
        voters_dptb BIGINT, voters_dptb_male BIGINT, voters_dptb_female BIGINT,
        voters_non_dpt BIGINT, voters_non_dpt_male BIGINT, voters_non_dpt_female BIGINT,
        images VARCHAR[], is_votes_complete BOOLEAN, is_form_complete BOOLEAN
    ),
    votes_total BIGINT,
    superseded STRUCT(position_at TIMESTAMPTZ, observed_at TIMESTAMPTZ, capture_id BIGINT),
    counted STRUCT(position_at TIMESTAMPTZ, observed_at TIMESTAMPTZ, capture_id BIGINT),
    withdrawn_at TIMESTAMPTZ
);
COMMENT ON TABLE core.tally IS 'Change rows of the count: a row where what one witness says about a unit differs from what it said before';
COMMENT ON COLUMN core.tally.election IS 'Election';
COMMENT ON COLUMN core.tally.contest_type IS 'pkwkp, pkwkk or ppwp';
COMMENT ON COLUMN core.tally.contest_code IS 'Contest, such as pkwkp:31; above a contest''s area the contests there taken together';
COMMENT ON COLUMN core.tally.stage IS 'hhcw (the stations'' forms) or hr (recapitulation): two series, never added or mixed';
COMMENT ON COLUMN core.tally.region_code IS 'Region whose document says so: the unit itself or its parent';
COMMENT ON COLUMN core.tally.unit_code IS 'Region or station counted';
COMMENT ON COLUMN core.tally.witness IS 'self (the unit''s own document), parent (a row in its parent''s table) or page (a rendered page)';
COMMENT ON COLUMN core.tally.reported_at IS 'KPU''s time of the document';
COMMENT ON COLUMN core.tally.observed_at IS 'When it was fetched';
COMMENT ON COLUMN core.tally.capture_id IS 'The capture that said so first';
COMMENT ON COLUMN core.tally.is_listed IS 'false: a later table of the parent left the unit out';
COMMENT ON COLUMN core.tally.stations_reported IS 'Stations counted so far';
COMMENT ON COLUMN core.tally.stations_total IS 'Stations in all';
COMMENT ON COLUMN core.tally.reported_pct IS 'KPU''s own percentage of stations, rounded half up to two places';
COMMENT ON COLUMN core.tally.is_reported IS 'KPU''s flag status_progress';
COMMENT ON COLUMN core.tally.votes IS 'Votes by candidate id; a candidate that was not given is not in it, which is not 0';
COMMENT ON COLUMN core.tally.valid_votes IS 'Valid votes of the station''s form (suara_sah)';
COMMENT ON COLUMN core.tally.invalid_votes IS 'Invalid votes of the form (suara_tidak_sah)';
COMMENT ON COLUMN core.tally.ballots IS 'Valid and invalid votes as the form adds them up (suara_total)';
COMMENT ON COLUMN core.tally.registered_voters IS 'Registered voters (DPT) of the form';
COMMENT ON COLUMN core.tally.revote_status IS 'KPU''s psu: Reguler, or the kind of repeated, delayed or continued voting';
COMMENT ON COLUMN core.tally.form IS 'The rest of a station''s form: voters by list and sex, addresses of the scans, KPU''s status flags';
COMMENT ON COLUMN core.tally.votes_total IS 'Votes of all candidates together; NULL if none were given';
COMMENT ON COLUMN core.tally.superseded IS 'Position of the next row of the series; NULL while this one is in force';
COMMENT ON COLUMN core.tally.counted IS 'Position of the last row of the series, this one included, that had votes';
COMMENT ON COLUMN core.tally.withdrawn_at IS 'Since when the votes that were there are gone: all 0 although stations have reported, or no longer given';

CREATE TABLE core.province (unit_code VARCHAR NOT NULL, unit_name VARCHAR NOT NULL);
COMMENT ON TABLE core.province IS 'Names of the country and its 38 provinces, for archives without the national region list';
COMMENT ON COLUMN core.province.unit_code IS 'Kemendagri code';
COMMENT ON COLUMN core.province.unit_name IS 'Name as KPU wrote it in 2024';
INSERT INTO core.province VALUES
    ('0', 'INDONESIA'),
    ('11', 'ACEH'),
    ('12', 'SUMATERA UTARA'),
    ('13', 'SUMATERA BARAT'),
    ('14', 'RIAU'),
    ('15', 'JAMBI'),
    ('16', 'SUMATERA SELATAN'),
    ('17', 'BENGKULU'),
    ('18', 'LAMPUNG'),
    ('19', 'KEPULAUAN BANGKA BELITUNG'),
    ('21', 'KEPULAUAN RIAU'),
    ('31', 'DKI JAKARTA'),
    ('32', 'JAWA BARAT'),
    ('33', 'JAWA TENGAH'),
    ('34', 'DAERAH ISTIMEWA YOGYAKARTA'),
    ('35', 'JAWA TIMUR'),
    ('36', 'BANTEN'),
    ('51', 'BALI'),
    ('52', 'NUSA TENGGARA BARAT'),
    ('53', 'NUSA TENGGARA TIMUR'),
    ('61', 'KALIMANTAN BARAT'),
    ('62', 'KALIMANTAN TENGAH'),
    ('63', 'KALIMANTAN SELATAN'),
    ('64', 'KALIMANTAN TIMUR'),
    ('65', 'KALIMANTAN UTARA'),
    ('71', 'SULAWESI UTARA'),
    ('72', 'SULAWESI TENGAH'),
    ('73', 'SULAWESI SELATAN'),
    ('74', 'SULAWESI TENGGARA'),
    ('75', 'GORONTALO'),
    ('76', 'SULAWESI BARAT'),
    ('81', 'MALUKU'),
    ('82', 'MALUKU UTARA'),
    ('91', 'PAPUA'),
    ('92', 'PAPUA BARAT'),
    ('93', 'PAPUA SELATAN'),
    ('94', 'PAPUA TENGAH'),
    ('95', 'PAPUA PEGUNUNGAN'),
    ('96', 'PAPUA BARAT DAYA');
