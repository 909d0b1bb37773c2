SELECT sum(file_count)::BIGINT AS data, sum(delete_file_count)::BIGINT AS deletes FROM ducklake_table_info(current_database())
