-- +goose Up
-- What ended lately is read by pages, in this order: a thousand ends may have one time.
DROP INDEX sessions_revoked_at;
CREATE INDEX sessions_revoked_at ON sessions (revoked_at, id) WHERE revoked_at IS NOT NULL;
DROP INDEX users_updated_at;
CREATE INDEX users_updated_at ON users (updated_at, id);

-- +goose Down
DROP INDEX users_updated_at;
CREATE INDEX users_updated_at ON users (updated_at);
DROP INDEX sessions_revoked_at;
CREATE INDEX sessions_revoked_at ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
