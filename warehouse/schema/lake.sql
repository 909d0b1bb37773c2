-- What only a lake has.

CREATE TABLE core.gate (loads BIGINT NOT NULL);
COMMENT ON TABLE core.gate IS 'One row, which every load changes: of two loads at the same time DuckLake then commits one, and the other begins anew and sees what the first took in';
COMMENT ON COLUMN core.gate.loads IS 'How many transactions have gone through';
INSERT INTO core.gate VALUES (0);

CREATE TABLE core.column_comment (view_name VARCHAR NOT NULL, column_name VARCHAR NOT NULL, comment VARCHAR NOT NULL);
COMMENT ON TABLE core.column_comment IS 'What the columns of the views mean: DuckLake keeps no comments on them';
COMMENT ON COLUMN core.column_comment.view_name IS 'The view';
COMMENT ON COLUMN core.column_comment.column_name IS 'Its column';
COMMENT ON COLUMN core.column_comment.comment IS 'What it means';
