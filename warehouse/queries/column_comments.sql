SELECT view_name, column_name, comment FROM core.column_comment
