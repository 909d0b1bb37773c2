CREATE OR REPLACE MACRO core.results_at(reported_until, observed_until) AS TABLE
WITH
    pair AS MATERIALIZED (FROM core.candidate_latest),
    contest AS (
        SELECT
            election, contest_code,
            list(candidate_id ORDER BY candidate_id) AS candidate_ids,
            map_from_entries(list(('ballot-' || ballot_number, candidate_id)) FILTER (is_sole)) AS by_ballot
        FROM (
            SELECT
                *, -- a number that two pairs share tells neither
                ballot_number IS NOT NULL AND count(*) OVER (PARTITION BY election, contest_code, ballot_number) = 1 AS is_sole
            FROM pair
            WHERE candidate_id NOT LIKE 'ballot-%'
        )
        GROUP BY ALL
    ),
    standing AS (
        SELECT
            s.* EXCLUDE (votes),
            core.ladder(s.votes) AS ladder,
            CASE
                WHEN s.witness = 'page' -- pages know pairs by ballot number; the pairs file tells the ids
                THEN [{'key': coalesce(by_ballot[e.key], e.key), 'value': e.value} FOR e IN map_entries(s.votes)]
                ELSE map_entries(s.votes)
            END AS given,
            candidate_ids
        FROM ( -- one of three: the moments are constants, and the other two cost nothing
            FROM core.standing
            WHERE reported_until = TIMESTAMPTZ 'infinity' AND observed_until = TIMESTAMPTZ 'infinity'
            UNION ALL BY NAME
            FROM core.standings_of('core.tally', reported_until)
            WHERE reported_until < TIMESTAMPTZ 'infinity' AND observed_until = TIMESTAMPTZ 'infinity'
            UNION ALL BY NAME
            FROM core.standings_as_known(reported_until, observed_until)
            WHERE observed_until < TIMESTAMPTZ 'infinity'
        ) AS s
        LEFT JOIN contest USING (election, contest_code)
    ),
    line AS (
        SELECT
            * EXCLUDE (given, candidate_ids),
            unnest(
                CASE
                    WHEN candidate_ids IS NULL OR list_has_all([e.key FOR e IN given], candidate_ids) THEN given
                    ELSE list_concat(given, [
                        {'key': id, 'value': NULL::BIGINT} FOR id IN candidate_ids IF NOT list_contains([e.key FOR e IN given], id)
                    ])
                END
            ) AS entry
        FROM standing
    )
SELECT
    line.election, contest_type, line.contest_code, stage,
    line.unit_code, core.level_of(line.unit_code) AS level, unit_name,
    entry.key AS candidate_id, ballot_number, candidate_name,
    entry.value AS votes,
    core.share_pct(votes, votes_total) AS share_pct,
    core.rank_in(votes, ladder) AS rank,
    core.margin_in(votes, ladder) AS margin,
    stations_reported, stations_total, reported_at, observed_at, withdrawn_at,
    witness, capture_id
FROM line
LEFT JOIN core.unit_latest AS u ON u.election = line.election AND u.unit_code = line.unit_code
LEFT JOIN pair AS c
    ON c.election = line.election AND c.contest_code = line.contest_code AND c.candidate_id = entry.key;
COMMENT ON MACRO TABLE core.results_at IS 'results as of both clocks: KPU''s, and ours';
