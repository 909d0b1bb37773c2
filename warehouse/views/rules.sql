CREATE OR REPLACE VIEW rules AS FROM core.rule;
COMMENT ON VIEW rules IS 'What the figures are held against: the rules E1 to E20, what usually causes a finding, and when it is resolved';
COMMENT ON COLUMN rules.rule IS 'E1 to E20';
COMMENT ON COLUMN rules.severity IS 'error (figures contradict each other or are gone), warning (a figure is beyond a limit or moved oddly) or notice';
COMMENT ON COLUMN rules.title IS 'What was found, in a line';
COMMENT ON COLUMN rules.title_id IS 'The same in Indonesian';
COMMENT ON COLUMN rules.explanation IS 'What is compared, what usually causes it, and when it counts as resolved';
