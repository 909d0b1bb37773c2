-- The tables of a DuckLake's catalog, and whether their rows say from when to when they hold
SELECT table_name, bool_or(column_name = 'end_snapshot') AS is_dated
FROM duckdb_columns()
WHERE database_name = 'catalog' AND starts_with(table_name, 'ducklake_')
GROUP BY table_name
ORDER BY table_name
