-- What a set of files was made from. No clock: the same captures give the same answer.
SELECT
    (SELECT max(observed_at) FROM core.capture) AS observed_at,
    (SELECT max(sequence) FROM core.run) AS sequence,
    (SELECT arg_max(manifest_digest, sequence) FROM core.run) AS manifest_digest,
    (SELECT coalesce(list(DISTINCT election ORDER BY election), []) FROM core.capture WHERE election IS NOT NULL) AS elections,
    (SELECT coalesce(bool_or(starts_with(source, 'simulated')), false) FROM core.capture) AS is_simulated
