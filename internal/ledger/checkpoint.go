package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/session"
)

// Checkpoint repeats hot state into the ledger and asks what the ledger knows of
// each session, in one statement for the whole batch. A checkpoint only rises,
// as [session.Checkpoint.Newer] counts: an older recovery, generation, turn or
// last use changes nothing, held stays, and a
// deleted user's address and user agent stay removed. There is one answer for
// each session that the ledger has, ended and expired ones too, in no order.
func (l *Ledger) Checkpoint(ctx context.Context, batch []session.Checkpoint) ([]Entry, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	postgres := database.Dialect(l.db) == database.PostgreSQL
	statement := liteCheckpoint
	if postgres {
		statement = postCheckpoint
	}
	// One JSON text keeps the statement the same for every size of batch.
	input, err := json.Marshal(lines(batch, postgres))
	if err != nil {
		return nil, fmt.Errorf("ledger: checkpoint: %w", err)
	}
	var rows []row
	if err := l.db.WithContext(ctx).Raw(statement, string(input)).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("ledger: checkpoint: %w", err)
	}
	return entries(rows)
}

// newer is session.Checkpoint.Newer of a line c and its row. A turn belongs to
// its generation: it is taken with a newer one, or where it is the later turn to
// the same one (the earlier was lost by the hot state, and made again).
const newer = `(COALESCE(c.recovered_at, sessions.created_at), c.generation, COALESCE(c.turned_at, sessions.created_at)) >
	(COALESCE(sessions.recovered_at, sessions.created_at), sessions.generation, COALESCE(sessions.turned_at, sessions.created_at))`

// rise is the UPDATE of both dialects, of a row by a line c.
const rise = `UPDATE sessions SET
	generation = CASE WHEN ` + newer + ` THEN c.generation ELSE sessions.generation END,
	turned_at = CASE WHEN ` + newer + ` THEN c.turned_at ELSE sessions.turned_at END,
	attempt = CASE WHEN ` + newer + ` THEN c.attempt ELSE sessions.attempt END,
	recovered_at = CASE WHEN ` + newer + ` THEN c.recovered_at ELSE sessions.recovered_at END,
	held = sessions.held OR c.held,
	last_used_at = CASE WHEN c.last_used_at > sessions.last_used_at THEN c.last_used_at ELSE sessions.last_used_at END,
	ip_address = CASE WHEN sessions.ip_address IS NOT NULL AND c.last_used_at > sessions.last_used_at
		THEN c.ip_address ELSE sessions.ip_address END,
	user_agent = CASE WHEN sessions.user_agent IS NOT NULL AND c.last_used_at > sessions.last_used_at
		THEN c.user_agent ELSE sessions.user_agent END
`

// answer is what both return.
const answer = ` RETURNING ` + columns + `,
	(SELECT u.status FROM users u WHERE u.id = sessions.user_id) AS user_status,
	(SELECT u.credential_version FROM users u WHERE u.id = sessions.user_id) AS user_version`

// postCheckpoint locks the rows by id before it changes them, so that two
// batches that share sessions never wait for each other.
const postCheckpoint = `WITH input AS (
		SELECT * FROM jsonb_to_recordset(CAST(? AS jsonb)) AS j (id uuid, user_id uuid, generation bigint,
			turned_at timestamptz, attempt text, held boolean, recovered_at timestamptz, last_used_at timestamptz, ip_address text, user_agent text)
	), c AS MATERIALIZED (
		SELECT input.* FROM input JOIN sessions o ON o.id = input.id AND o.user_id = input.user_id
		ORDER BY o.id FOR UPDATE OF o
	) ` + rise + `FROM c WHERE sessions.id = c.id` + answer

const liteCheckpoint = `WITH c AS (
		SELECT value ->> 'id' AS id, value ->> 'user_id' AS user_id, value ->> 'generation' AS generation,
			value ->> 'turned_at' AS turned_at, value ->> 'attempt' AS attempt, value ->> 'held' AS held, value ->> 'recovered_at' AS recovered_at,
			value ->> 'last_used_at' AS last_used_at, value ->> 'ip_address' AS ip_address, value ->> 'user_agent' AS user_agent
		FROM json_each(?)
	) ` + rise + `FROM c WHERE sessions.id = c.id AND sessions.user_id = c.user_id` + answer

// line is a checkpoint as the statement reads it. Times are RFC 3339 for
// PostgreSQL and milliseconds since 1970 for SQLite.
type line struct {
	ID          uuid.UUID `json:"id"`
	UserID      uuid.UUID `json:"user_id"`
	Generation  uint64    `json:"generation"`
	TurnedAt    any       `json:"turned_at"`
	Attempt     string    `json:"attempt"`
	Held        bool      `json:"held"`
	RecoveredAt any       `json:"recovered_at"`
	LastUsedAt  any       `json:"last_used_at"`
	IPAddress   string    `json:"ip_address"`
	UserAgent   string    `json:"user_agent"`
}

func lines(batch []session.Checkpoint, postgres bool) []line {
	at := func(t time.Time) any {
		switch {
		case t.IsZero():
			return nil
		case postgres:
			return database.At(t).Time
		}
		return t.UnixMilli()
	}
	all := make([]line, 0, len(batch))
	for _, c := range newest(batch) {
		all = append(all, line{
			ID: c.SessionID, UserID: c.UserID,
			Generation: c.Generation, TurnedAt: at(c.TurnedAt), Attempt: string(c.Attempt), Held: c.Held,
			RecoveredAt: at(c.RecoveredAt), LastUsedAt: at(c.LastUsedAt), IPAddress: clean(c.IPAddress), UserAgent: clean(c.UserAgent),
		})
	}
	return all
}

// newest keeps one checkpoint per session, since an UPDATE takes one line per
// row: the newest.
func newest(batch []session.Checkpoint) map[uuid.UUID]session.Checkpoint {
	kept := make(map[uuid.UUID]session.Checkpoint, len(batch))
	for _, c := range batch {
		k, dup := kept[c.SessionID]
		if !dup || c.Newer(k) || !k.Newer(c) && c.LastUsedAt.After(k.LastUsedAt) {
			c.Held = c.Held || k.Held
			kept[c.SessionID] = c
		} else if c.Held {
			k.Held = true
			kept[c.SessionID] = k
		}
	}
	return kept
}
