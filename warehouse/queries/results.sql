SELECT
    election, contest_type, contest_code, stage, unit_code, level, unit_name,
    candidate_id, ballot_number, candidate_name, votes, share_pct, rank, margin,
    stations_reported, stations_total, reported_at, observed_at, withdrawn_at
FROM core.results_at(
    coalesce($reported_until::TIMESTAMPTZ, TIMESTAMPTZ 'infinity'), coalesce($observed_until::TIMESTAMPTZ, TIMESTAMPTZ 'infinity')
)
WHERE ($contest_type::VARCHAR IS NULL OR contest_type = $contest_type)
    AND ($stage::VARCHAR IS NULL OR stage = $stage)
    AND CASE
        WHEN $region::VARCHAR IS NULL THEN contest_code = contest_type || ':' || unit_code -- each contest in its own area
        WHEN $children THEN unit_code = $region OR core.parent_of(unit_code) = $region
        ELSE unit_code = $region
    END
ORDER BY election, contest_type, stage, length(unit_code), unit_code, rank NULLS LAST, ballot_number
