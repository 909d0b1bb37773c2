-- Forget what was loaded, before all of it is loaded again in the same transaction.
DELETE FROM core.run;
DELETE FROM core.capture;
DELETE FROM core.unit;
DELETE FROM core.candidate;
DELETE FROM core.tally;
DELETE FROM core.standing;
DELETE FROM core.version;
DELETE FROM core.unit_latest;
DELETE FROM core.candidate_latest;
DELETE FROM core.finding;
