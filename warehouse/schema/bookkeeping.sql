CREATE SCHEMA IF NOT EXISTS core;

CREATE TABLE core.migration (version INTEGER NOT NULL, name VARCHAR NOT NULL, surface_digest VARCHAR);
COMMENT ON TABLE core.migration IS 'Schema migrations that ran on this database';
COMMENT ON COLUMN core.migration.version IS 'Number of the migration, from 1';
COMMENT ON COLUMN core.migration.name IS 'Its file name';
COMMENT ON COLUMN core.migration.surface_digest IS 'sha256 of the macros and views the database was given last';
