SELECT
    (SELECT count(*) FROM core.run) AS runs,
    (SELECT count(*) FROM core.capture) AS captures,
    (SELECT count(DISTINCT digest) FROM core.capture) AS bodies,
    (SELECT count(*) FROM core.capture WHERE quarantine_reason IS NOT NULL) AS quarantined,
    (SELECT count(*) FROM core.capture WHERE unknown_keys IS NOT NULL) AS with_unknown_keys,
    (SELECT count(*) FROM core.tally) AS tally_rows,
    (SELECT count(DISTINCT unit_code) FROM core.tally) AS units,
    (SELECT count(DISTINCT contest_code) FROM core.tally WHERE votes_total IS NOT NULL) AS contests,
    (SELECT max(reported_at) FROM core.capture) AS newest_reported_at,
    (SELECT max(observed_at) FROM core.capture) AS newest_observed_at,
    (SELECT min(withdrawn_at) FROM core.tally WHERE superseded IS NULL) AS withdrawn_at,
    (SELECT count(DISTINCT (contest_code, unit_code)) FROM core.tally WHERE superseded IS NULL AND withdrawn_at IS NOT NULL) AS tallies_withdrawn,
    (SELECT coalesce(bool_or(starts_with(source, 'simulated')), false) FROM core.capture) AS is_simulated
