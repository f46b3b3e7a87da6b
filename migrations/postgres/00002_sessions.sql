-- +goose Up
CREATE TABLE sessions (
    id                 uuid        NOT NULL PRIMARY KEY,
    user_id            uuid        NOT NULL REFERENCES users (id),
    -- What the login decided.
    delivery           text        NOT NULL CHECK (delivery IN ('COOKIE', 'BODY')),
    key_id             text        NOT NULL,
    secret_hash        bytea       NOT NULL CHECK (octet_length(secret_hash) = 32),
    role               text        NOT NULL,
    binding            text        NOT NULL,
    device_name        text        NULL, -- NULL: scrubbed, never filled again
    credential_version bigint      NOT NULL,
    created_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    -- The end.
    revoked_at         timestamptz NULL,
    reason             text        NULL,
    -- The checkpoint of the hot state.
    generation         bigint      NOT NULL CHECK (generation >= 1),
    turned_at          timestamptz NULL, -- NULL: unknown
    attempt            text        NOT NULL,
    held               boolean     NOT NULL,
    recovered_at       timestamptz NULL, -- NULL: never
    last_used_at       timestamptz NOT NULL,
    ip_address         text        NULL, -- NULL: scrubbed, never filled again
    user_agent         text        NULL, -- NULL: scrubbed, never filled again
    CHECK ((revoked_at IS NULL) = (reason IS NULL))
) WITH (fillfactor = 80); -- room for checkpoints beside their row
CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
CREATE INDEX sessions_revoked_at ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- +goose Down
DROP TABLE sessions;
