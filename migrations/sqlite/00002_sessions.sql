-- Times are milliseconds since 1970-01-01 UTC.
-- +goose Up
CREATE TABLE sessions (
    id                 TEXT    NOT NULL PRIMARY KEY,
    user_id            TEXT    NOT NULL REFERENCES users (id),
    -- What the login decided.
    delivery           TEXT    NOT NULL CHECK (delivery IN ('COOKIE', 'BODY')),
    key_id             TEXT    NOT NULL,
    secret_hash        BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    role               TEXT    NOT NULL,
    binding            TEXT    NOT NULL,
    device_name        TEXT    NULL, -- NULL: scrubbed, never filled again
    credential_version INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL,
    -- The end.
    revoked_at         INTEGER NULL,
    reason             TEXT    NULL,
    -- The checkpoint of the hot state.
    generation         INTEGER NOT NULL CHECK (generation >= 1),
    turned_at          INTEGER NULL, -- NULL: unknown
    attempt            TEXT    NOT NULL,
    held               INTEGER NOT NULL CHECK (held IN (0, 1)),
    recovered_at       INTEGER NULL, -- NULL: never
    last_used_at       INTEGER NOT NULL,
    ip_address         TEXT    NULL, -- NULL: scrubbed, never filled again
    user_agent         TEXT    NULL, -- NULL: scrubbed, never filled again
    CHECK ((revoked_at IS NULL) = (reason IS NULL))
) STRICT;
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
CREATE INDEX sessions_revoked_at ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- +goose Down
DROP TABLE sessions;
