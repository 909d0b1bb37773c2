-- Findings are computed again for what this load told of, as a function of the other tables: the rules' scripts
-- put what they find into two tables, and the last script replaces the findings of that scope.

-- Documents that got new captures. The units whose rows these changed are in written_unit, all their rows in
-- written_tally; the units that they tell of at all are in touched_unit.
CREATE OR REPLACE TEMP TABLE touched_document AS
SELECT endpoint.election, endpoint.contest_type, endpoint.document AS stage, endpoint.region_code
FROM touched
WHERE endpoint.document IN ('hhcw', 'hr');

-- Rules that hold or do not, version by version: the versions in which they are broken. Consecutive ones, each the
-- next of the one before, become one finding.
CREATE OR REPLACE TEMP TABLE broken (
    election VARCHAR, contest_type VARCHAR, contest_code VARCHAR, stage VARCHAR, unit_code VARCHAR,
    rule VARCHAR, aspect VARCHAR, candidate_id VARCHAR,
    place BIGINT, next_place BIGINT, -- the capture of a change row, or the number of a unit's version
    is_version BOOLEAN, -- which of the two
    position_at TIMESTAMPTZ, next_at TIMESTAMPTZ, observed_at TIMESTAMPTZ, capture_id BIGINT,
    expected VARCHAR, found VARCHAR, difference BIGINT
);

-- Rules about steps and documents tell by themselves when what they found is over.
CREATE OR REPLACE TEMP TABLE finding_told AS FROM core.finding LIMIT 0;

-- A number for votes that adds up as they do: where sums of it agree, the votes of every candidate do.
CREATE OR REPLACE TEMP MACRO weighed(votes) AS
    list_sum([e.value * (hash(e.key) % 1000003)::BIGINT FOR e IN map_entries(votes)])::BIGINT;
CREATE OR REPLACE TEMP MACRO counted(what, n) AS format('{}: {:,}', what, n);
