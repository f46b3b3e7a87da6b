-- Times are milliseconds since 1970-01-01 UTC.
-- +goose Up
CREATE TABLE audit_events (
    id                 TEXT    NOT NULL PRIMARY KEY, -- version 7: in the order of time
    at                 INTEGER NOT NULL,
    name               TEXT    NOT NULL,
    severity           TEXT    NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    -- Whose and which, NULL for none. No references: an event is kept whatever became of them.
    user_id            TEXT    NULL,
    session_id         TEXT    NULL,
    -- From where, NULL for unknown or scrubbed; earlier: who came before, where two are told of.
    address            TEXT    NULL,
    user_agent         TEXT    NULL,
    earlier_at         INTEGER NULL,
    earlier_address    TEXT    NULL,
    earlier_user_agent TEXT    NULL,
    details            TEXT    NOT NULL CHECK (json_valid(details)) -- an object of texts; nothing personal
) STRICT;
CREATE INDEX audit_events_name ON audit_events (name, id);
CREATE INDEX audit_events_user_id ON audit_events (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_events_session_id ON audit_events (session_id, id) WHERE session_id IS NOT NULL;

-- +goose Down
DROP TABLE audit_events;
