-- Where a page's figures come from: what the archive holds, and its last run, if there is one.
SELECT
    run, kind, outcome, epoch(ended_at)::BIGINT AS ended, manifest_digest, versions,
    (SELECT count(*) FROM core.run) AS runs,
    held.*
FROM (
    SELECT
        count(*) AS captures,
        count(quarantine_reason) AS quarantined,
        epoch(max(reported_at) FILTER (quarantine_reason IS NULL))::BIGINT AS newest_reported,
        list_sort(list(DISTINCT split_part(source, ':', 1))) AS sources,
        coalesce(bool_or(starts_with(source, 'simulated')), false) AS is_simulated
    FROM core.capture
) AS held
LEFT JOIN (FROM core.run ORDER BY ended_at DESC, sequence DESC LIMIT 1) AS last_run ON true
