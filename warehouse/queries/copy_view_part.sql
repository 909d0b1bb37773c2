-- The part of a view that is about one contest type, in the order that the whole has; as copy_view.
COPY (
    FROM query_table($view) WHERE election = $election AND contest_type = $contest_type ORDER BY ALL
) TO $file (FORMAT parquet, COMPRESSION snappy)
