package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
)

// Retention is how long events are kept.
const Retention = 400 * 24 * time.Hour

// line is an event as the INSERT reads it. Times are milliseconds since 1970,
// empty texts become NULL.
type line struct {
	ID               uuid.UUID         `json:"id"`
	At               int64             `json:"at"`
	Name             Name              `json:"name"`
	Severity         Severity          `json:"severity"`
	UserID           uuid.NullUUID     `json:"user_id"`
	SessionID        uuid.NullUUID     `json:"session_id"`
	Address          string            `json:"address"`
	UserAgent        string            `json:"user_agent"`
	EarlierAt        *int64            `json:"earlier_at"`
	EarlierAddress   string            `json:"earlier_address"`
	EarlierUserAgent string            `json:"earlier_user_agent"`
	Details          map[string]string `json:"details"`
}

// newLine is the line of an event that is bounded.
func newLine(id uuid.UUID, e Event) line {
	l := line{
		ID: id, At: e.At.UnixMilli(), Name: e.Name, Severity: e.Name.Severity(),
		UserID:    uuid.NullUUID{UUID: e.UserID, Valid: e.UserID != uuid.Nil},
		SessionID: uuid.NullUUID{UUID: e.SessionID, Valid: e.SessionID != uuid.Nil},
		Address:   e.Address, UserAgent: e.UserAgent,
		EarlierAddress: e.Earlier.Address, EarlierUserAgent: e.Earlier.UserAgent,
		Details: e.Details,
	}
	if !e.Earlier.At.IsZero() {
		ms := e.Earlier.At.UnixMilli()
		l.EarlierAt = &ms
	}
	return l
}

const columns = `id, at, name, severity, user_id, session_id, address, user_agent,
	earlier_at, earlier_address, earlier_user_agent, details`

// postInsert and liteInsert keep addresses and user agents of deleted users out, also
// of events that were queued before the deletion.
const postInsert = `INSERT INTO audit_events (` + columns + `)
	SELECT j.id, TIMESTAMPTZ 'epoch' + j.at * INTERVAL '1 millisecond', j.name, j.severity, j.user_id, j.session_id,
		CASE WHEN u.id IS NULL THEN NULLIF(j.address, '') END,
		CASE WHEN u.id IS NULL THEN NULLIF(j.user_agent, '') END,
		TIMESTAMPTZ 'epoch' + j.earlier_at * INTERVAL '1 millisecond',
		CASE WHEN u.id IS NULL THEN NULLIF(j.earlier_address, '') END,
		CASE WHEN u.id IS NULL THEN NULLIF(j.earlier_user_agent, '') END,
		j.details
	FROM jsonb_to_recordset(CAST(? AS jsonb)) AS j (id uuid, at bigint, name text, severity text, user_id uuid, session_id uuid,
		address text, user_agent text, earlier_at bigint, earlier_address text, earlier_user_agent text, details jsonb)
	LEFT JOIN users u ON u.id = j.user_id AND u.status = 'deleted'
	ON CONFLICT (id) DO NOTHING`

const liteInsert = `INSERT INTO audit_events (` + columns + `)
	SELECT j.id, j.at, j.name, j.severity, j.user_id, j.session_id,
		CASE WHEN u.id IS NULL THEN NULLIF(j.address, '') END,
		CASE WHEN u.id IS NULL THEN NULLIF(j.user_agent, '') END,
		j.earlier_at,
		CASE WHEN u.id IS NULL THEN NULLIF(j.earlier_address, '') END,
		CASE WHEN u.id IS NULL THEN NULLIF(j.earlier_user_agent, '') END,
		j.details
	FROM (SELECT value ->> 'id' AS id, value ->> 'at' AS at, value ->> 'name' AS name, value ->> 'severity' AS severity,
			value ->> 'user_id' AS user_id, value ->> 'session_id' AS session_id,
			value ->> 'address' AS address, value ->> 'user_agent' AS user_agent, value ->> 'earlier_at' AS earlier_at,
			value ->> 'earlier_address' AS earlier_address, value ->> 'earlier_user_agent' AS earlier_user_agent,
			value -> 'details' AS details
		FROM json_each(?)) j
	LEFT JOIN users u ON u.id = j.user_id AND u.status = 'deleted'
	WHERE true
	ON CONFLICT (id) DO NOTHING`

// insert is one statement for the whole batch. Lines that are there already are
// left alone: after an answer that got lost the batch is sent again.
func insert(ctx context.Context, db *gorm.DB, batch []line) error {
	statement := liteInsert
	if database.Dialect(db) == database.PostgreSQL {
		statement = postInsert
	}
	// One JSON text keeps the statement the same for every size of batch.
	input, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("audit: writing events: %w", err)
	}
	if err := db.WithContext(ctx).Exec(statement, string(input)).Error; err != nil {
		return fmt.Errorf("audit: writing events: %w", err)
	}
	return nil
}

// Scrub removes the addresses and user agents from all of a user's events; the
// events stay. Call it after the deletion of the user is committed: events that
// are written from then on come without.
func Scrub(ctx context.Context, db *gorm.DB, userID uuid.UUID) error {
	err := db.WithContext(ctx).Exec(`
		UPDATE audit_events SET address = NULL, user_agent = NULL, earlier_address = NULL, earlier_user_agent = NULL
		WHERE user_id = ?`, userID).Error
	if err != nil {
		return fmt.Errorf("audit: scrubbing a user's events: %w", err)
	}
	return nil
}

// DeleteOld forgets at most limit events that are older than [Retention], the
// oldest first, and returns how many. They are older by the database's clock and
// by this log's: a clock that is ahead deletes nothing.
func (l *Log) DeleteOld(ctx context.Context, limit int) (int64, error) {
	if l.db == nil {
		return 0, nil
	}
	passed, err := database.Passed(ctx, l.db, l.now())
	if err != nil {
		return 0, fmt.Errorf("audit: deleting old events: %w", err)
	}
	// What is materialized is chosen once: PostgreSQL may repeat a subquery, and
	// the limit would count anew.
	result := l.db.WithContext(ctx).Exec(`
		DELETE FROM audit_events WHERE id IN (WITH chosen AS MATERIALIZED (
			SELECT id FROM audit_events WHERE id < ?
			ORDER BY id LIMIT ? `+database.RowLock(l.db, "FOR UPDATE SKIP LOCKED")+`) SELECT id FROM chosen)`,
		firstID(passed.Add(-Retention)), limit)
	if result.Error != nil {
		return 0, fmt.Errorf("audit: deleting old events: %w", result.Error)
	}
	return result.RowsAffected, nil
}
