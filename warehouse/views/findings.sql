CREATE OR REPLACE VIEW findings AS
SELECT
    f.election, f.contest_type, f.contest_code, f.stage, f.rule, r.severity, r.title,
    f.unit_code, core.level_of(f.unit_code) AS level, u.unit_name, f.candidate_id,
    f.expected, f.found, f.difference, f.first_seen_at, f.last_seen_at, f.resolved_at, f.observed_at, f.capture_id,
    f.aspect
FROM core.finding AS f
JOIN core.rule AS r USING (rule)
LEFT JOIN core.unit_latest AS u ON u.election = f.election AND u.unit_code = f.unit_code;
COMMENT ON VIEW findings IS 'What is odd: figures that do not agree with each other, with KPU''s lists or with what was there before. An inconsistency and no accusation: most are slips of the pen or of a reader; over 40 % of the tallies of a Mexican election had one, without any partisan pattern';
COMMENT ON COLUMN findings.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN findings.contest_type IS 'pkwkp (governor), pkwkk (regent or mayor) or ppwp (president)';
COMMENT ON COLUMN findings.contest_code IS 'Contest, such as pkwkp:31';
COMMENT ON COLUMN findings.stage IS 'hhcw (the stations'' forms) or hr (recapitulation)';
COMMENT ON COLUMN findings.rule IS 'E1 to E20; see rules';
COMMENT ON COLUMN findings.severity IS 'error (figures contradict each other or are gone), warning (a figure is beyond a limit or moved oddly) or notice';
COMMENT ON COLUMN findings.title IS 'What was found, in a line';
COMMENT ON COLUMN findings.unit_code IS 'Region or station it is about';
COMMENT ON COLUMN findings.level IS 'national, province, regency, district, village or tps';
COMMENT ON COLUMN findings.unit_name IS 'Its name';
COMMENT ON COLUMN findings.candidate_id IS 'Candidate it is about; NULL if it is about none or all';
COMMENT ON COLUMN findings.expected IS 'What the rule expects, when it was first seen';
COMMENT ON COLUMN findings.found IS 'What was found instead, when it was first seen';
COMMENT ON COLUMN findings.difference IS 'Found minus expected; NULL where that is no number';
COMMENT ON COLUMN findings.first_seen_at IS 'KPU''s time of the version in which it is seen first';
COMMENT ON COLUMN findings.last_seen_at IS 'KPU''s time of the last version in which it is seen';
COMMENT ON COLUMN findings.resolved_at IS 'KPU''s time of the version in which it is gone; NULL while it is open';
COMMENT ON COLUMN findings.observed_at IS 'When the capture was fetched in which it is seen first';
COMMENT ON COLUMN findings.capture_id IS 'The capture in which it is seen first';
COMMENT ON COLUMN findings.aspect IS 'Which of the rule''s comparisons: E7 has one for every list, E8 chart (with its own table) and row (with the unit''s document)';
