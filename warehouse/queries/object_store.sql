-- The secret by which a connection reaches the object store; its values come by variables, since SQL that fails is shown.
CREATE OR REPLACE SECRET store (
    TYPE s3,
    KEY_ID getvariable('aws_access_key_id'), SECRET getvariable('aws_secret_access_key'),
    SESSION_TOKEN getvariable('aws_session_token'), REGION getvariable('aws_region'),
    ENDPOINT getvariable('endpoint'), URL_STYLE getvariable('url_style'), USE_SSL getvariable('use_ssl')
)
