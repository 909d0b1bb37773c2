CREATE OR REPLACE VIEW core.tally_packed AS
SELECT
    election, core.document_of(stage, witness) AS document, contest_type, region_code,
    core.endpoint(election, core.document_of(stage, witness), contest_type, region_code) AS endpoint,
    {'contest_code': contest_code, 'unit_code': unit_code, 'witness': witness} AS series,
    core.position(reported_at, observed_at, capture_id) AS position,
    CASE WHEN is_listed THEN {
        'stations_reported': stations_reported, 'stations_total': stations_total, 'reported_pct': reported_pct,
        'is_reported': is_reported, 'votes': votes, 'valid_votes': valid_votes, 'invalid_votes': invalid_votes,
        'ballots': ballots, 'registered_voters': registered_voters, 'revote_status': revote_status, 'form': form
    } END AS value,
    superseded, counted, kept, withdrawn_at
FROM core.tally;
COMMENT ON VIEW core.tally_packed IS 'core.tally as the loader compares it: document (in columns, and packed), series, position, value (NULL: not listed)';
