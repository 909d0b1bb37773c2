-- What is known of every document of a crawl, and what its parent's table says of it: enough to tell which are stale.
-- One line of JSON each, in the shape of flows.plan.Known: typed and eight times as fast as rows with maps in them.
WITH
    asked AS (
        SELECT
            c.contest_type, c.document, c.region_code,
            max(r.sequence) AS last_run,
            max(c.observed_at) AS last_observed_at,
            max(c.reported_at) FILTER (quarantine_reason IS NULL) AS reported_at,
            arg_max( -- an answer 304 may leave out what it confirms
                {'etag': etag, 'last_modified': last_modified, 'digest': digest, 'length': length}, c.observed_at
            ) FILTER (quarantine_reason IS NULL AND status = 200) AS validators,
            list({'sequence': r.sequence, 'observed_at': c.observed_at}) AS answers
        FROM core.capture AS c
        JOIN core.run AS r USING (run)
        WHERE c.election = $election AND list_contains($contest_types, c.contest_type)
            AND c.document IN ('hhcw', 'wilayah', 'paslon') AND len(c.region_code) <= $longest_code
        GROUP BY ALL
    ),
    own AS (
        SELECT contest_type, unit_code, votes, stations_reported
        FROM core.tally
        WHERE election = $election AND stage = 'hhcw' AND witness = 'self' AND superseded IS NULL AND is_listed
    ),
    row_of AS (
        SELECT contest_type, unit_code, region_code AS parent_code, votes, stations_reported, observed_at
        FROM core.tally
        WHERE election = $election AND list_contains($contest_types, contest_type)
            AND stage = 'hhcw' AND witness = 'parent' AND superseded IS NULL AND is_listed
            AND len(unit_code) <= $longest_code
    )
SELECT to_json({
    'endpoint': {
        'election': $election,
        'document': coalesce(a.document, 'hhcw'),
        'contest_type': coalesce(a.contest_type, p.contest_type),
        'region': coalesce(a.region_code, p.unit_code)
    },
    'state': {
        'own': CASE WHEN own.unit_code IS NOT NULL THEN
            {'votes': own.votes, 'stations': own.stations_reported, 'reported_at': epoch(a.reported_at)}
        END,
        'row': CASE WHEN p.unit_code IS NOT NULL THEN
            {'votes': p.votes, 'stations': p.stations_reported, 'reported_at': epoch(parent.reported_at)}
        END,
        'last_run': a.last_run,
        'last_observed_at': epoch(a.last_observed_at),
        'validators': a.validators,
        -- in how many runs it was asked since its parent's row is what it is; without a row, since ever
        'tries': coalesce(len(list_distinct(
            [answer.sequence FOR answer IN a.answers IF p.observed_at IS NULL OR answer.observed_at >= p.observed_at]
        )), 0)
    }
}) AS known
FROM asked AS a
FULL JOIN row_of AS p ON a.document = 'hhcw' AND a.contest_type = p.contest_type AND a.region_code = p.unit_code
LEFT JOIN own ON own.contest_type = a.contest_type AND own.unit_code = a.region_code AND a.document = 'hhcw'
LEFT JOIN asked AS parent
    ON parent.document = 'hhcw' AND parent.contest_type = p.contest_type AND parent.region_code = p.parent_code
