INSERT INTO core.capture BY NAME
SELECT * EXCLUDE (document_number, endpoint, position) FROM staged_capture
ORDER BY election, document, contest_type, region_code, position;
