-- Times are milliseconds since 1970-01-01 UTC.
-- +goose Up
-- The exclusive right of one server to keep all sessions in its memory. For a
-- SQLite file the lock of the file PATH.lease holds it, and this stays empty.
CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    owner      TEXT    NOT NULL, -- of one start of a server
    expires_at INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE leases;
