-- Findings: where KPU's figures do not agree with each other, with its own lists or with what was there before.
-- A finding is an inconsistency and no accusation; the rules are those that people have run on this data.

CREATE TABLE core.rule (
    rule VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    title_id VARCHAR NOT NULL,
    explanation VARCHAR NOT NULL
);
COMMENT ON TABLE core.rule IS 'The rules that the figures are held against, E1 to E20';
COMMENT ON COLUMN core.rule.rule IS 'E1 to E20';
COMMENT ON COLUMN core.rule.severity IS 'error (figures contradict each other or are gone), warning (a figure is beyond a limit or moved oddly) or notice';
COMMENT ON COLUMN core.rule.title IS 'What was found, in a line';
COMMENT ON COLUMN core.rule.title_id IS 'The same in Indonesian';
COMMENT ON COLUMN core.rule.explanation IS 'What is compared, what usually causes it, and when it counts as resolved';
INSERT INTO core.rule VALUES
    ('E1', 'error', 'Candidates'' votes do not add up to the valid votes', 'Jumlah suara calon tidak sama dengan suara sah',
        'The votes of all candidates, if any has some, against the valid votes of the station''s form. Usually a misread or missing figure; KPU showed it at one station in twelve in February 2024.'),
    ('E2', 'error', 'Valid and invalid votes do not add up', 'Suara sah dan tidak sah tidak sama dengan totalnya',
        'Valid plus invalid votes against the form''s own total. Usually a misread figure or a slip in adding up by hand.'),
    ('E3', 'error', 'More votes than voters who came', 'Suara lebih banyak dari pengguna hak pilih',
        'The form''s total of votes against the voters it counts. Usually a list of voters that was not filled in, or a misread figure.'),
    ('E4', 'error', 'Voters by list do not add up', 'Pengguna hak pilih per daftar tidak sama dengan totalnya',
        'Voters from the station''s list, those who moved in and those with an identity card against all voters of the form. Usually an empty or misread cell.'),
    ('E5', 'warning', 'More votes than ballot papers for the registered voters', 'Suara melebihi DPT dan surat suara cadangan',
        'Votes against the registered voters and the reserve of ballot papers (2.5 % in November 2024, 2 % in February). Usually voters who moved in, as in prisons and hospitals, or a misread figure.'),
    ('E6', 'warning', 'More votes or voters than a station may have', 'Suara atau pengguna melebihi batas TPS',
        'Votes, ballots or voters against the most voters a station may have (600 in November 2024, 300 in February). Usually a misread digit, or the reserve of ballot papers in a full station.'),
    ('E7', 'error', 'Men and women do not add up', 'Laki-laki dan perempuan tidak sama dengan jumlahnya',
        'Men plus women against the total of each list of the form. Usually an empty or misread cell.'),
    ('E8', 'error', 'A region differs from the sum of its parts', 'Angka wilayah berbeda dari jumlah bagiannya',
        'A region''s chart against its own table, and a row of the table against the document of the region it is about, as of KPU''s clock. Files are published minutes apart: a row counts only against a document of the same publication, or one seen unchanged long after.'),
    ('E9', 'error', 'Progress contradicts itself', 'Progres tidak konsisten',
        'Stations reported against all stations, and against KPU''s flag and votes: more than all, votes from no station, reported without votes. Usually a row caught while it was being filled.'),
    ('E10', 'warning', 'A figure went down', 'Angka berkurang',
        'Votes or stations against the most that was shown before. Usually a correction of a wrong figure. Resolved when the figure is back where it was.'),
    ('E11', 'notice', 'KPU''s time went back', 'Waktu versi mundur',
        'A document that was fetched later with an earlier time. Usually an old copy, kept by a cache or put back by an archive. Resolved by the next document that is as new as the newest.'),
    ('E12', 'error', 'Votes were withdrawn', 'Perolehan suara ditarik',
        'All votes turned to 0, or were no longer given, although stations have reported; KPU did so for the whole country on 28 November 2024 at 10:45:04 WIB. Resolved when there are votes again.'),
    ('E13', 'warning', 'Content changed under the same time', 'Isi berubah tanpa perubahan waktu versi',
        'Two documents of one region with the same time say different things. Usually a correction within one publication. Resolved by the next document with a newer time.'),
    ('E14', 'warning', 'Two candidates'' votes were exchanged', 'Suara dua calon tertukar',
        'A step that changed nothing but exchanged two figures. Usually the correction of two lines that were mixed up, which side was right only the form tells. Resolved when it is exchanged back.'),
    ('E15', 'warning', 'A single digit changed', 'Satu digit berubah',
        'One candidate''s votes changed by one digit and nothing else did: by hundreds or more, or by tens while the form''s valid votes stayed. Usually the correction of a misread digit. Resolved when it is changed back.'),
    ('E16', 'error', 'New stations took votes away', 'TPS baru mengurangi suara',
        'A step with new stations in which a candidate''s votes fell, so that its share of the batch lies outside 0 to 1. Usually a correction published together with new stations. Resolved when the figure is back where it was.'),
    ('E17', 'warning', 'New stations with far more votes than those before', 'Suara per TPS baru jauh di atas rata-rata',
        'Votes per newly reported station against the mean of the stations before. Usually a candidate''s home village, or a correction published together with new stations. Resolved when the figure is taken back.'),
    ('E18', 'error', 'The candidates are not those of the contest', 'Daftar calon berbeda dari acuan',
        'The candidates of a chart or row against KPU''s list of pairs, where that was captured. Usually a list that was updated later than the count.'),
    ('E19', 'warning', 'A region that KPU''s lists do not have', 'Wilayah tidak ada dalam daftar',
        'A region or station of the count against the list of its parent''s regions, where that was captured. Usually a station added late, or a list kept from before.'),
    ('E20', 'notice', 'A scan without figures, or figures without a scan', 'Foto formulir atau angkanya tidak ada',
        'A station with votes but no image of its form, or an image but no votes. Usually an upload that is not finished.');

CREATE TABLE core.rule_parameter (
    election VARCHAR NOT NULL,
    station_voters INTEGER NOT NULL,
    reserve_pct DOUBLE NOT NULL,
    publication INTERVAL NOT NULL,
    grace INTERVAL NOT NULL,
    digit_place BIGINT NOT NULL,
    batch_ratio DOUBLE NOT NULL,
    batch_excess INTEGER NOT NULL,
    batch_base INTEGER NOT NULL
);
COMMENT ON TABLE core.rule_parameter IS 'The limits of the rules, one row per election; findings are computed with them when documents are loaded';
COMMENT ON COLUMN core.rule_parameter.election IS 'Election: pilkada-2024 or pemilu-2024';
COMMENT ON COLUMN core.rule_parameter.station_voters IS 'E6: most voters a station may have, by law';
COMMENT ON COLUMN core.rule_parameter.reserve_pct IS 'E5: reserve of ballot papers, per cent of the registered voters';
COMMENT ON COLUMN core.rule_parameter.publication IS 'E8: documents whose times differ by no more are of one publication; KPU''s are 15 minutes apart and take seconds';
COMMENT ON COLUMN core.rule_parameter.grace IS 'E8: a document seen unchanged so long after another''s time really was that old then; a crawl can straddle a publication';
COMMENT ON COLUMN core.rule_parameter.digit_place IS 'E15: from this place on a changed digit counts by itself; tens only if the form''s valid votes stayed, since corrections by 10 are common';
COMMENT ON COLUMN core.rule_parameter.batch_ratio IS 'E17: how many times the mean a batch must have per station; the best-known case had 102.8 against 4.0, in November 3 of 19,000 steps reach 10';
COMMENT ON COLUMN core.rule_parameter.batch_excess IS 'E17: and how many votes per station more, so that small candidates'' home villages stay out';
COMMENT ON COLUMN core.rule_parameter.batch_base IS 'E17: and from how many stations the mean must come; of fewer it says nothing';
INSERT INTO core.rule_parameter VALUES
    ('pilkada-2024', 600, 2.5, INTERVAL 1 MINUTE, INTERVAL 1 HOUR, 100, 10, 50, 20),
    ('pemilu-2024', 300, 2.0, INTERVAL 1 MINUTE, INTERVAL 1 HOUR, 100, 10, 50, 20);

CREATE TABLE core.finding (
    election VARCHAR NOT NULL,
    contest_type VARCHAR NOT NULL,
    contest_code VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    unit_code VARCHAR NOT NULL,
    rule VARCHAR NOT NULL,
    aspect VARCHAR NOT NULL,
    candidate_id VARCHAR,
    expected VARCHAR NOT NULL,
    found VARCHAR NOT NULL,
    difference BIGINT,
    first_seen_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    resolved_at TIMESTAMPTZ,
    observed_at TIMESTAMPTZ NOT NULL,
    capture_id BIGINT NOT NULL
);
COMMENT ON TABLE core.finding IS 'Rules broken by units over time, a function of the other tables; each load computes again those of the units it told of';
COMMENT ON COLUMN core.finding.election IS 'Election';
COMMENT ON COLUMN core.finding.contest_type IS 'pkwkp, pkwkk or ppwp';
COMMENT ON COLUMN core.finding.contest_code IS 'Contest, such as pkwkp:31';
COMMENT ON COLUMN core.finding.stage IS 'hhcw or hr';
COMMENT ON COLUMN core.finding.unit_code IS 'Region or station it is about';
COMMENT ON COLUMN core.finding.rule IS 'E1 to E20';
COMMENT ON COLUMN core.finding.aspect IS 'Which of the rule''s comparisons: E7 has one for every list, E8 chart (with its own table) and row (with the unit''s document)';
COMMENT ON COLUMN core.finding.candidate_id IS 'Candidate it is about; NULL if it is about none or all';
COMMENT ON COLUMN core.finding.expected IS 'What the rule expects, when it was first seen';
COMMENT ON COLUMN core.finding.found IS 'What was found instead, when it was first seen';
COMMENT ON COLUMN core.finding.difference IS 'Found minus expected; NULL where that is no number';
COMMENT ON COLUMN core.finding.first_seen_at IS 'KPU''s time of the version in which it is seen first';
COMMENT ON COLUMN core.finding.last_seen_at IS 'KPU''s time of the last version in which it is seen';
COMMENT ON COLUMN core.finding.resolved_at IS 'KPU''s time of the version in which it is gone; NULL while it is open';
COMMENT ON COLUMN core.finding.observed_at IS 'When the capture was fetched in which it is seen first';
COMMENT ON COLUMN core.finding.capture_id IS 'The capture in which it is seen first';
