SELECT num_rows AS rows FROM parquet_file_metadata($file)
