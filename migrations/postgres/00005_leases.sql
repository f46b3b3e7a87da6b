-- +goose Up
-- The exclusive right of one server to keep all sessions in its memory. A row and
-- the database's clock hold it, not a connection: a pooler shares those.
CREATE TABLE leases (
    name       text        NOT NULL PRIMARY KEY,
    owner      uuid        NOT NULL, -- of one start of a server
    expires_at timestamptz NOT NULL
);

-- +goose Down
DROP TABLE leases;
