-- +goose Up
CREATE TABLE users (
    id                 uuid        NOT NULL PRIMARY KEY,
    email              text        NULL,
    normalized_email   text        NULL,
    password_hash      text        NULL,
    role               text        NOT NULL CHECK (role IN ('USER', 'ADMIN')),
    status             text        NOT NULL CHECK (status IN ('active', 'disabled', 'deleted')),
    credential_version bigint      NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    -- A deleted user keeps nothing personal, and everybody else has an address.
    CHECK (CASE WHEN status = 'deleted'
        THEN email IS NULL AND normalized_email IS NULL AND password_hash IS NULL
        ELSE email IS NOT NULL AND normalized_email IS NOT NULL END)
);
CREATE UNIQUE INDEX users_normalized_email ON users (normalized_email);
-- Whose sessions ended a moment ago.
CREATE INDEX users_updated_at ON users (updated_at);

-- +goose Down
DROP TABLE users;
