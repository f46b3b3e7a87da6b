-- +goose Up
-- How long a spent token of the session is answered, and the attempt that spent it, as of its
-- login. The defaults are for sessions from before, and for an older program that begins some
-- while servers are replaced.
ALTER TABLE sessions ADD COLUMN grace_ms INTEGER NOT NULL DEFAULT 10000;
ALTER TABLE sessions ADD COLUMN retry_ms INTEGER NOT NULL DEFAULT 86400000;
-- What a user has, however many of their sessions have ended.
DROP INDEX sessions_user_id;
CREATE INDEX sessions_live ON sessions (user_id) WHERE revoked_at IS NULL;

-- +goose Down
DROP INDEX sessions_live;
CREATE INDEX sessions_user_id ON sessions (user_id);
ALTER TABLE sessions DROP COLUMN retry_ms;
ALTER TABLE sessions DROP COLUMN grace_ms;
