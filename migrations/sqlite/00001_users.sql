-- Times are milliseconds since 1970-01-01 UTC.
-- +goose Up
CREATE TABLE users (
    id                 TEXT    NOT NULL PRIMARY KEY,
    email              TEXT    NULL,
    normalized_email   TEXT    NULL,
    password_hash      TEXT    NULL,
    role               TEXT    NOT NULL CHECK (role IN ('USER', 'ADMIN')),
    status             TEXT    NOT NULL CHECK (status IN ('active', 'disabled', 'deleted')),
    credential_version INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    -- A deleted user keeps nothing personal, and everybody else has an address.
    CHECK (CASE WHEN status = 'deleted'
        THEN email IS NULL AND normalized_email IS NULL AND password_hash IS NULL
        ELSE email IS NOT NULL AND normalized_email IS NOT NULL END)
) STRICT;
CREATE UNIQUE INDEX users_normalized_email ON users (normalized_email);
-- Whose sessions ended a moment ago.
CREATE INDEX users_updated_at ON users (updated_at);

-- +goose Down
DROP TABLE users;
