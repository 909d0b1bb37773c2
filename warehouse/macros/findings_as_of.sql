CREATE OR REPLACE MACRO findings_as_of(reported_until) AS TABLE
    SELECT * REPLACE (
        least(last_seen_at, reported_until::TIMESTAMPTZ) AS last_seen_at,
        CASE WHEN resolved_at <= reported_until::TIMESTAMPTZ THEN resolved_at END AS resolved_at
    )
    FROM findings
    WHERE first_seen_at <= reported_until::TIMESTAMPTZ;
COMMENT ON MACRO TABLE findings_as_of IS 'findings at a moment of KPU''s clock: those seen by then, open if they were open then';
