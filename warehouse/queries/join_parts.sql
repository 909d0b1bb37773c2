-- Parquet files one after another as one; returns the rows.
COPY (FROM read_parquet($parts)) TO $file (FORMAT parquet, COMPRESSION snappy)
