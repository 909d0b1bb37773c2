-- Take in the new captures and what their bodies state. A body is staged once, however often it was captured.

CREATE OR REPLACE TEMP TABLE staged_document AS
FROM read_json(
    getvariable('staged_documents'),
    format = 'newline_delimited',
    maximum_object_size = 268435456, -- the pairs of 508 contests are one line; a hostile body may be 100 MB
    columns = {
        document_number: 'INTEGER',
        units: 'STRUCT(unit_code VARCHAR, unit_name VARCHAR, kpu_id BIGINT)[]',
        candidates: 'STRUCT(
            contest_code VARCHAR, candidate_id VARCHAR, ballot_number INTEGER,
            candidate_name VARCHAR, color VARCHAR, updated_at TIMESTAMPTZ
        )[]',
        tallies: 'STRUCT(
            contest_code VARCHAR, unit_code VARCHAR, witness VARCHAR, votes MAP(VARCHAR, BIGINT),
            stations_reported INTEGER, stations_total INTEGER, reported_pct DOUBLE, is_reported BOOLEAN,
            valid_votes BIGINT, invalid_votes BIGINT, ballots BIGINT, registered_voters BIGINT,
            revote_status VARCHAR,
            form STRUCT(
                registered_male BIGINT, registered_female BIGINT,
                voters BIGINT, voters_male BIGINT, voters_female BIGINT,
                voters_dpt BIGINT, voters_dpt_male BIGINT, voters_dpt_female BIGINT,
                voters_dptb BIGINT, voters_dptb_male BIGINT, voters_dptb_female BIGINT,
                voters_non_dpt BIGINT, voters_non_dpt_male BIGINT, voters_non_dpt_female BIGINT,
                images VARCHAR[], is_votes_complete BOOLEAN, is_form_complete BOOLEAN
            )
        )[]'
    }
);

CREATE OR REPLACE TEMP TABLE staged_capture AS
SELECT
    *,
    core.endpoint(election, document, contest_type, region_code) AS endpoint,
    core.position(reported_at, observed_at, capture_id) AS position
FROM read_json(
    getvariable('staged_captures'),
    format = 'newline_delimited',
    columns = {
        capture_id: 'BIGINT', run: 'VARCHAR', document_number: 'INTEGER', url: 'VARCHAR',
        election: 'VARCHAR', document: 'VARCHAR', contest_type: 'VARCHAR', region_code: 'VARCHAR',
        reported_at: 'TIMESTAMPTZ', observed_at: 'TIMESTAMPTZ',
        status: 'INTEGER', mimetype: 'VARCHAR', digest: 'VARCHAR', length: 'BIGINT', source: 'VARCHAR',
        etag: 'VARCHAR', last_modified: 'VARCHAR', unknown_keys: 'VARCHAR[]',
        quarantine_reason: 'VARCHAR', quarantine_place: 'VARCHAR', quarantine_detail: 'VARCHAR'
    }
)
ANTI JOIN core.capture USING (capture_id)
QUALIFY row_number() OVER (PARTITION BY capture_id ORDER BY run) = 1;
