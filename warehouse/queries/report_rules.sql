SELECT rule, severity, title AS en, title_id AS id FROM rules ORDER BY rule
