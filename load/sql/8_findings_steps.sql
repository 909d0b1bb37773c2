-- E10 and E14 to E17: what a step from one version of a unit to the next did.

-- Steps between figures; one that takes votes away altogether is a withdrawal.
CREATE OR REPLACE TEMP TABLE step AS
SELECT
    election, contest_type, contest_code, stage, unit_code, version, position_at, observed_at, capture_id,
    previous_stations_reported AS stations_before, stations_reported - previous_stations_reported AS new_stations,
    votes_total - core.votes_total(previous_votes) AS new_votes,
    [
        {'id': id, 'before': previous_votes[id], 'after': votes[id], 'delta': votes[id] - previous_votes[id]}
        FOR id IN map_keys(votes) IF votes[id] <> previous_votes[id]
    ] AS moved
FROM core.version SEMI JOIN written_unit USING (election, contest_type, unit_code)
WHERE votes <> previous_votes AND previous_votes <> MAP {} AND withdrawn_at IS NULL AND previous_withdrawn_at IS NULL;

CREATE OR REPLACE TEMP TABLE step_odd AS
WITH
    digit AS (
        SELECT *, abs(moved[1].delta) AS size, (10 ** floor(log10(abs(moved[1].delta))))::BIGINT AS place
        FROM step
        WHERE len(moved) = 1 AND new_stations = 0
    ),
    of_form AS ( -- a form's valid votes stayed when its candidates' votes changed
        SELECT now.capture_id, now.unit_code
        FROM core.tally AS now
        JOIN core.tally AS before USING (election, contest_type, region_code, unit_code, stage, witness)
        WHERE now.capture_id IN (SELECT capture_id FROM digit WHERE place >= 10) AND now.witness = 'self'
            AND before.superseded.capture_id = now.capture_id AND before.valid_votes = now.valid_votes
    )
SELECT *, 'E14' AS rule, 'votes' AS aspect, moved[1] AS entry -- nothing else but two figures exchanged
FROM step
WHERE len(moved) = 2 AND moved[1].before = moved[2].after AND moved[1].after = moved[2].before AND new_stations = 0
UNION ALL BY NAME
SELECT d.* EXCLUDE (size, place), 'E15' AS rule, 'votes' AS aspect, moved[1] AS entry -- one digit without carry, as 5 read for 6
FROM digit AS d
JOIN core.rule_parameter USING (election)
LEFT JOIN of_form AS f USING (capture_id, unit_code)
WHERE size % place = 0 AND moved[1].before // (10 * place) = moved[1].after // (10 * place)
    AND (place >= digit_place OR place >= 10 AND f.capture_id IS NOT NULL)
UNION ALL BY NAME
SELECT *, 'E16' AS rule, 'votes' AS aspect, unnest([m FOR m IN moved IF m.delta < 0]) AS entry
FROM step
WHERE new_stations > 0
UNION ALL BY NAME
SELECT s.*, 'E17' AS rule, 'mean' AS aspect, unnest([
    m FOR m IN moved IF m.delta >= batch_ratio * m.before / stations_before * new_stations
        AND m.delta >= (m.before / stations_before + batch_excess) * new_stations
]) AS entry
FROM step AS s JOIN core.rule_parameter USING (election)
WHERE new_stations > 0 AND stations_before >= batch_base;

-- All versions of the units in question, with figures to compare.
CREATE OR REPLACE TEMP TABLE walked AS
FROM core.version SEMI JOIN (
    SELECT election, contest_code, stage, unit_code FROM step_odd
    UNION
    SELECT election, contest_code, stage, unit_code FROM step WHERE len([m FOR m IN moved IF m.delta < 0]) > 0
    UNION
    SELECT election, contest_code, stage, unit_code
    FROM core.version SEMI JOIN written_unit USING (election, contest_type, unit_code)
    WHERE stations_reported < previous_stations_reported
) USING (election, contest_code, stage, unit_code)
WHERE withdrawn_at IS NULL;

INSERT INTO broken BY NAME -- E10: less than was shown before
WITH
    line AS (
        SELECT * EXCLUDE (entry), 'votes' AS aspect, entry.key AS candidate_id, entry.value AS figure
        FROM (SELECT *, unnest(map_entries(votes)) AS entry FROM walked)
        UNION ALL BY NAME
        SELECT *, 'stations' AS aspect, stations_reported AS figure FROM walked WHERE stations_reported IS NOT NULL
    )
SELECT
    election, contest_type, contest_code, stage, unit_code, 'E10' AS rule, aspect, candidate_id,
    place, place + 1 AS next_place, position_at, next_at, observed_at, capture_id,
    counted(aspect || ', as before', highest) AS expected, counted(aspect, figure) AS found, figure - highest AS difference
FROM (
    SELECT
        *,
        max(figure) OVER (series ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest,
        row_number() OVER series AS place,
        lead(position_at) OVER series AS next_at
    FROM line
    WINDOW series AS (PARTITION BY election, contest_code, stage, unit_code, aspect, candidate_id ORDER BY version)
)
WHERE figure < highest;

INSERT INTO finding_told BY NAME
WITH
    -- a step that takes an earlier one back is no finding of its own
    opening AS (
        FROM step_odd
        QUALIFY rule NOT IN ('E14', 'E15') OR (entry.delta > 0) = first_value(entry.delta > 0) OVER (
            PARTITION BY
                election, contest_code, stage, unit_code, rule, entry.id, len(moved), moved[2].id,
                least(entry.before, entry.after), greatest(entry.before, entry.after)
            ORDER BY version
        )
    ),
    later AS (
        SELECT
            o.*, w.version AS later_version, w.position_at AS later_at,
            CASE o.rule
                WHEN 'E14' THEN w.votes[o.entry.id] = o.entry.before AND w.votes[o.moved[2].id] = o.moved[2].before
                WHEN 'E15' THEN w.votes[o.entry.id] = o.entry.before
                WHEN 'E16' THEN w.votes[o.entry.id] >= o.entry.before
                WHEN 'E17' THEN -- taken back, and what came since the batch is usual again
                    w.votes[o.entry.id] < w.previous_votes[o.entry.id]
                    AND w.votes[o.entry.id] - o.entry.before < (w.stations_reported - stations_before)
                        * greatest(batch_ratio * o.entry.before / stations_before, o.entry.before / stations_before + batch_excess)
            END AS is_over
        FROM opening AS o
        JOIN core.rule_parameter USING (election)
        JOIN walked AS w
            ON w.election = o.election AND w.contest_code = o.contest_code AND w.stage = o.stage AND w.unit_code = o.unit_code
            AND w.version >= o.version
    ),
    ended AS (
        SELECT *, min(later_version) FILTER (is_over AND later_version > version)
            OVER (PARTITION BY election, contest_code, stage, unit_code, rule, aspect, entry.id, version) AS over_version
        FROM later
    )
SELECT
    election, contest_type, contest_code, stage, unit_code, rule, aspect,
    CASE WHEN rule <> 'E14' THEN entry.id END AS candidate_id,
    any_value(CASE rule
        WHEN 'E14' THEN format('{}: {:,}, {}: {:,}, as before', entry.id, entry.before, moved[2].id, moved[2].before)
        WHEN 'E15' THEN counted('votes, as before', entry.before)
        WHEN 'E16' THEN counted('votes at least', entry.before)
        ELSE format('votes per station so far: {:.1f}', entry.before / stations_before)
    END) AS expected,
    any_value(CASE rule
        WHEN 'E14' THEN format('{}: {:,}, {}: {:,}', entry.id, entry.after, moved[2].id, moved[2].after)
        WHEN 'E15' THEN counted('no new station, votes', entry.after)
        WHEN 'E16' THEN format('new stations: {:,}, votes: {:,}', new_stations, entry.after)
        ELSE format('new stations: {:,}, votes per new station: {:.1f}', new_stations, entry.delta / new_stations)
    END) AS found,
    any_value(CASE WHEN rule IN ('E15', 'E16') THEN entry.delta END) AS difference,
    any_value(position_at) AS first_seen_at,
    max(later_at) FILTER (over_version IS NULL OR later_version < over_version) AS last_seen_at,
    min(later_at) FILTER (later_version = over_version) AS resolved_at,
    any_value(observed_at) AS observed_at, any_value(capture_id) AS capture_id
FROM ended
GROUP BY election, contest_type, contest_code, stage, unit_code, rule, aspect, entry.id, version;
