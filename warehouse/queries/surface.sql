-- The public objects with their columns, in order: what is published and exported, and how it is described.
WITH object AS (
    SELECT schema_name, view_name AS name, comment FROM duckdb_views() WHERE database_name = current_database() AND NOT internal
    UNION ALL
    SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE database_name = current_database()
)
SELECT name, o.comment, column_name, data_type, c.comment AS column_comment
FROM object AS o
JOIN duckdb_columns() AS c ON c.schema_name = o.schema_name AND c.table_name = o.name
WHERE o.schema_name = 'main' AND c.database_name = current_database()
ORDER BY name, column_index
