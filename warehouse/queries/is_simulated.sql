-- Whether any capture was made by the simulator: one is enough to make the whole a rehearsal.
SELECT EXISTS (FROM core.capture WHERE starts_with(source, 'simulated')) AS is_simulated
