-- +goose Up
CREATE TABLE audit_events (
    id                 uuid        NOT NULL PRIMARY KEY, -- version 7: in the order of time
    at                 timestamptz NOT NULL,
    name               text        NOT NULL,
    severity           text        NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    -- Whose and which, NULL for none. No references: an event is kept whatever became of them.
    user_id            uuid        NULL,
    session_id         uuid        NULL,
    -- From where, NULL for unknown or scrubbed; earlier: who came before, where two are told of.
    address            text        NULL,
    user_agent         text        NULL,
    earlier_at         timestamptz NULL,
    earlier_address    text        NULL,
    earlier_user_agent text        NULL,
    details            jsonb       NOT NULL -- an object of texts; nothing personal
);
CREATE INDEX audit_events_name ON audit_events (name, id);
CREATE INDEX audit_events_user_id ON audit_events (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_session_id ON audit_events (session_id, id) WHERE session_id IS NOT NULL;

-- +goose Down
DROP TABLE audit_events;
