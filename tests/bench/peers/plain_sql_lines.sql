-- The documents from one file of JSON lines: each distinct body once.
CREATE TEMP VIEW counted AS
SELECT document, observed_at, body.ts AS reported_at, body.tungsura AS said
FROM read_json(
    getvariable('source'),
    format = 'newline_delimited',
    columns = {
        document: 'VARCHAR', observed_at: 'TIMESTAMPTZ',
        body: 'STRUCT(ts TIMESTAMP, tungsura STRUCT(chart MAP(VARCHAR, JSON), "table" MAP(VARCHAR, MAP(VARCHAR, JSON))))'
    }
);
