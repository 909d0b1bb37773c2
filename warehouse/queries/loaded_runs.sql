SELECT run FROM core.run
