CREATE OR REPLACE VIEW core.candidate_latest AS
SELECT election, contest_code, candidate_id, latest.* EXCLUDE (is_listed)
FROM (
    SELECT
        election, contest_code, candidate_id,
        arg_max(
            {
                'ballot_number': ballot_number, 'candidate_name': candidate_name,
                'color': color, 'is_listed': is_listed
            },
            core.position(reported_at, observed_at, capture_id)
        ) AS latest
    FROM core.candidate
    GROUP BY election, contest_code, candidate_id
)
WHERE latest.is_listed;
COMMENT ON VIEW core.candidate_latest IS 'Every pair with its latest ballot number and names';
COMMENT ON COLUMN core.candidate_latest.election IS 'Election';
COMMENT ON COLUMN core.candidate_latest.contest_code IS 'Contest';
COMMENT ON COLUMN core.candidate_latest.candidate_id IS 'KPU''s id; ballot-N where only a rendered page told of the pair';
COMMENT ON COLUMN core.candidate_latest.ballot_number IS 'Number on the ballot';
COMMENT ON COLUMN core.candidate_latest.candidate_name IS 'Names, as KPU wrote them';
COMMENT ON COLUMN core.candidate_latest.color IS 'KPU''s colour';
