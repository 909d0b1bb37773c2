-- Captures by id: their keys in the archive, and the runs of every capture that has the same bytes, oldest first
SELECT
    c.capture_id, c.url, c.observed_at, c.digest, c.run, r.manifest_digest,
    (
        SELECT list(DISTINCT s.run ORDER BY s.run)
        FROM core.capture AS s
        WHERE s.digest = c.digest
    ) AS body_runs
FROM core.capture AS c
JOIN core.run AS r USING (run)
WHERE list_contains($capture_ids::BIGINT[], c.capture_id)
ORDER BY c.capture_id
