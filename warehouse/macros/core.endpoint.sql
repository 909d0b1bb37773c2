CREATE OR REPLACE MACRO core.endpoint(election, document, contest_type, region_code) AS
    {'election': election, 'document': document, 'contest_type': contest_type, 'region_code': region_code};
COMMENT ON MACRO core.endpoint IS 'One question KPU can answer: the document that a series comes from';
