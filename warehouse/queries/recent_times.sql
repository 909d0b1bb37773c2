-- KPU's newest times of the count, and when each was first seen.
SELECT reported_at, min(observed_at) AS observed_at
FROM core.capture
WHERE document = 'hhcw' AND quarantine_reason IS NULL AND reported_at > (SELECT max(reported_at) - INTERVAL 6 HOUR FROM core.capture)
GROUP BY reported_at
ORDER BY reported_at
