-- What KPU's documents have that nobody reads yet: a schema drifts in the night it is used
SELECT
    unknown_key, document, count(*) AS captures, min(observed_at) AS first_seen_at, arg_max(url, observed_at) AS example_url
FROM (SELECT unnest(unknown_keys) AS unknown_key, document, observed_at, url FROM core.capture)
GROUP BY unknown_key, document
ORDER BY captures DESC, unknown_key, document
LIMIT 50
