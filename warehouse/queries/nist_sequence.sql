-- Which of KPU's publications that we know of this is. Every file has its own time, so they are counted as times.
SELECT
    count(DISTINCT reported_at) FILTER ($at::TIMESTAMPTZ IS NULL OR reported_at <= $at) AS number,
    count(DISTINCT reported_at) AS known,
    max(reported_at) FILTER ($at::TIMESTAMPTZ IS NULL OR reported_at <= $at) AS reported_at,
    coalesce(bool_or(starts_with(source, 'simulated')), false) AS is_simulated
FROM core.capture
WHERE document = $stage AND quarantine_reason IS NULL
