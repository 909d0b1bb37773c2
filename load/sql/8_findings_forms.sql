-- E1 to E7 and E20: what a station's form says of itself. Only figures that are given are compared; votes of 0 for
-- everybody are no figures but a withdrawal, also at a station that reported after it.

CREATE OR REPLACE TEMP TABLE form_odd AS
WITH
    told AS (
        FROM core.tally SEMI JOIN written_unit USING (election, contest_type, unit_code)
        WHERE length(unit_code) = 13 AND witness <> 'parent'
    ),
    form_row AS (
        FROM told WHERE witness = 'self'
        UNION ALL BY NAME
        FROM told ANTI JOIN (FROM told WHERE witness = 'self') AS own USING (election, contest_code, stage, unit_code)
        WHERE witness = 'page'
    ),
    figured AS (
        SELECT
            f.*,
            coalesce(ballots, valid_votes + invalid_votes, votes_total) AS cast_votes,
            registered_voters + ceil(registered_voters * reserve_pct / 100)::BIGINT AS papers,
            station_voters,
            len([image FOR image IN form.images IF image IS NOT NULL]) AS scans
        FROM form_row AS f JOIN core.rule_parameter USING (election)
    )
SELECT
    *,
    list_concat(
        [
            s FOR s IN [
                {'rule': 'E1', 'aspect': 'votes', 'expected': valid_votes, 'expects': 'valid votes',
                    'found': nullif(votes_total, 0), 'finds': 'votes of all candidates'},
                {'rule': 'E2', 'aspect': 'ballots', 'expected': valid_votes + invalid_votes, 'expects': 'valid and invalid votes',
                    'found': ballots, 'finds': 'votes in all'},
                {'rule': 'E4', 'aspect': 'voters', 'expected': form.voters_dpt + form.voters_dptb + form.voters_non_dpt,
                    'expects': 'voters of the three lists', 'found': form.voters, 'finds': 'voters in all'},
                {'rule': 'E7', 'aspect': 'registered', 'expected': form.registered_male + form.registered_female,
                    'expects': 'registered men and women', 'found': registered_voters, 'finds': 'registered voters'},
                {'rule': 'E7', 'aspect': 'voters', 'expected': form.voters_male + form.voters_female,
                    'expects': 'men and women who voted', 'found': form.voters, 'finds': 'voters'},
                {'rule': 'E7', 'aspect': 'voters_dpt', 'expected': form.voters_dpt_male + form.voters_dpt_female,
                    'expects': 'men and women of the list (DPT)', 'found': form.voters_dpt, 'finds': 'voters of the list'},
                {'rule': 'E7', 'aspect': 'voters_dptb', 'expected': form.voters_dptb_male + form.voters_dptb_female,
                    'expects': 'men and women who moved in (DPTb)', 'found': form.voters_dptb, 'finds': 'voters who moved in'},
                {'rule': 'E7', 'aspect': 'voters_non_dpt', 'expected': form.voters_non_dpt_male + form.voters_non_dpt_female,
                    'expects': 'men and women on no list', 'found': form.voters_non_dpt, 'finds': 'voters on no list'}
            ]
            IF s.found <> s.expected
        ],
        [
            s FOR s IN [
                {'rule': 'E3', 'aspect': 'voters', 'expected': form.voters, 'expects': 'voters at most',
                    'found': cast_votes, 'finds': 'votes'},
                {'rule': 'E5', 'aspect': 'ballots', 'expected': papers, 'expects': 'ballot papers at most',
                    'found': cast_votes, 'finds': 'votes'},
                {'rule': 'E6', 'aspect': 'form', 'expected': station_voters::BIGINT, 'expects': 'voters at most',
                    'found': greatest(ballots, form.voters), 'finds': 'votes or voters on the form'}
            ]
            IF s.found > s.expected
        ]
    ) AS odd
FROM figured
WHERE odd <> [] OR (votes_total IS NULL) = (scans > 0);

INSERT INTO broken BY NAME
SELECT
    election, contest_type, contest_code, stage, unit_code, s.rule, s.aspect,
    capture_id AS place, superseded.capture_id AS next_place, false AS is_version,
    coalesce(reported_at, observed_at) AS position_at, superseded.position_at AS next_at, observed_at, capture_id,
    counted(s.expects, s.expected) AS expected, counted(s.finds, s.found) AS found, s.found - s.expected AS difference
FROM (SELECT *, unnest(odd) AS s FROM form_odd);

INSERT INTO broken BY NAME
SELECT
    election, contest_type, contest_code, stage, unit_code, 'E20' AS rule,
    CASE WHEN scans = 0 THEN 'image' ELSE 'votes' END AS aspect,
    capture_id AS place, superseded.capture_id AS next_place, false AS is_version,
    coalesce(reported_at, observed_at) AS position_at, superseded.position_at AS next_at, observed_at, capture_id,
    CASE WHEN scans = 0 THEN 'an image of the form' ELSE 'the votes of the form' END AS expected,
    CASE WHEN scans = 0 THEN counted('no image, votes', votes_total) ELSE counted('no votes, images', scans) END AS found
FROM form_odd
WHERE (votes_total IS NULL) = (scans > 0) AND withdrawn_at IS NULL;
