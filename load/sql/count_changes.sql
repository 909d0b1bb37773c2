SELECT (SELECT count(*) FROM core.unit) + (SELECT count(*) FROM core.candidate) + (SELECT count(*) FROM core.tally)
