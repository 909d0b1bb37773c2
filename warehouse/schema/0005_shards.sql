ALTER TABLE core.run ADD COLUMN shard VARCHAR;
COMMENT ON COLUMN core.run.shard IS 'Shard of the archive that the run belongs to, such as pkwkp-31; NULL for the archive itself';
