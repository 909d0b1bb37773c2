ALTER TABLE core.capture ADD COLUMN unknown_keys VARCHAR[];
COMMENT ON COLUMN core.capture.unknown_keys IS 'Keys of the body that this version does not read, as JSON paths with * for any code; NULL if there are none';
