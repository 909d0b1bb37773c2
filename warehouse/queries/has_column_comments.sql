SELECT count(*) > 0 AS has
FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = 'core' AND table_name = 'column_comment'
