-- A view into a Parquet file, in an order that depends on nothing but its rows; returns how many there were.
COPY (FROM query_table($view) ORDER BY ALL) TO $file (FORMAT parquet, COMPRESSION zstd)
