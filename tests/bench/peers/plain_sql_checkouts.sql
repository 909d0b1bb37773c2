-- The documents from a folder for each commit, named like its time, as they lie in the repository.
CREATE TEMP VIEW counted AS
SELECT
    regexp_extract(filename, '((pkwkp|pkwkk)/[0-9]+/[0-9]+)\.json$', 1) AS document,
    regexp_extract(filename, '/([^/]*)/(script/)?pkwk', 1)::TIMESTAMPTZ AS observed_at,
    ts AS reported_at, tungsura AS said
FROM read_json(
    [getvariable('source') || '/*/pkwk*/*/*.json', getvariable('source') || '/*/script/pkwk*/*/*.json'],
    filename = true,
    columns = {
        ts: 'TIMESTAMP', tungsura: 'STRUCT(chart MAP(VARCHAR, JSON), "table" MAP(VARCHAR, MAP(VARCHAR, JSON)))'
    }
);
