-- Contest types that were ever heard of, in the order of ORDER BY ALL.
SELECT DISTINCT election, contest_type FROM core.capture WHERE contest_type IS NOT NULL ORDER BY ALL
