package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/session"
)

// Revocation is a session that ended before its expiry.
type Revocation struct {
	session.End
	UserID    uuid.UUID
	RevokedAt time.Time
}

// Cursor is a place in the order in which the ledger lists what ended: sessions
// that were revoked, by time and id, and then those whose user was disabled,
// deleted or changed credentials, although nobody got to revoke them.
type Cursor struct {
	users bool // the revoked ones are behind it
	since time.Time
	at    time.Time // of the revocation, or of the user's change
	id    uuid.UUID // of the session, or of the user
}

// EndedSince is the cursor before everything that ended at a time or later.
func EndedSince(at time.Time) Cursor { return Cursor{since: at, at: at} }

// Ended returns a page of what ended behind the cursor and has not reached its
// absolute expiry, and the cursor behind that page; more tells whether there may
// be another one. It reads limit rows of sessions, or of users, by a key: what a
// page costs does not depend on how much ended. A page may be empty although
// there are more. Times are of the clocks of those who ended the sessions, and
// rows appear when their transaction ends: begin again at a time that overlaps.
func (l *Ledger) Ended(ctx context.Context, after Cursor, limit int) (page []Revocation, next Cursor, more bool, err error) {
	return l.ended(ctx, after, limit, l.revoked)
}

// EndedIDs is like [Ledger.Ended], but a revocation may have no more than a
// session id and a time, and the session may have expired: what an index knows.
func (l *Ledger) EndedIDs(ctx context.Context, after Cursor, limit int) (page []Revocation, next Cursor, more bool, err error) {
	return l.ended(ctx, after, limit, l.revokedIDs)
}

// pageReader reads limit rows behind a cursor, n if there are so many.
type pageReader func(db *gorm.DB, after Cursor, limit int) (page []Revocation, next Cursor, n int, err error)

func (l *Ledger) ended(ctx context.Context, after Cursor, limit int, revoked pageReader) ([]Revocation, Cursor, bool, error) {
	read := revoked
	if after.users {
		read = l.withoutUser
	}
	var page []Revocation
	next, n := after, 0
	err := l.byIndex(ctx, func(db *gorm.DB) (err error) {
		page, next, n, err = read(db, after, limit)
		return err
	})
	if err != nil {
		return nil, after, false, fmt.Errorf("ledger: reading what ended: %w", err)
	}
	switch {
	case n == limit:
		return page, next, true, nil
	case !after.users:
		return page, Cursor{users: true, since: after.since, at: after.since}, true, nil
	}
	return page, next, false, nil
}

// behind is the order in which sessions that were revoked are read.
const behind = ` FROM sessions WHERE revoked_at IS NOT NULL AND (revoked_at, id) > (?, ?) ORDER BY revoked_at, id LIMIT ?`

func (l *Ledger) revoked(db *gorm.DB, after Cursor, limit int) (page []Revocation, next Cursor, n int, err error) {
	rows, err := db.Raw(`SELECT id, user_id, revoked_at, reason, expires_at`+behind,
		after.at, after.id, limit).Rows()
	if err != nil {
		return nil, after, 0, err
	}
	defer func() { _ = rows.Close() }()
	page, next, now := make([]Revocation, 0, limit), after, l.now()
	for ; rows.Next(); n++ {
		r := Revocation{End: session.End{InLedger: true}}
		var at, expires database.Time
		if err := rows.Scan(&r.SessionID, &r.UserID, &at, &r.Reason, &expires); err != nil {
			return nil, after, 0, err
		}
		next.at, next.id = at.Time, r.SessionID
		if r.RevokedAt, r.ExpiresAt = at.Time, expires.Time; now.Before(r.ExpiresAt) {
			page = append(page, r)
		}
	}
	return page, next, n, rows.Err()
}

func (*Ledger) revokedIDs(db *gorm.DB, after Cursor, limit int) (page []Revocation, next Cursor, n int, err error) {
	rows, err := db.Raw(`SELECT id, revoked_at`+behind, after.at, after.id, limit).Rows()
	if err != nil {
		return nil, after, 0, err
	}
	defer func() { _ = rows.Close() }()
	page, next = make([]Revocation, 0, limit), after
	for rows.Next() {
		var at database.Time
		if err := rows.Scan(&next.id, &at); err != nil {
			return nil, after, 0, err
		}
		next.at = at.Time
		page = append(page, Revocation{End: session.End{SessionID: next.id, InLedger: true}, RevokedAt: next.at})
	}
	return page, next, len(page), rows.Err()
}

// withoutUser reads limit users that changed, and their sessions that are over
// for that.
func (l *Ledger) withoutUser(db *gorm.DB, after Cursor, limit int) (page []Revocation, next Cursor, n int, err error) {
	rows, err := db.Raw(`
		WITH changed AS MATERIALIZED (
			SELECT id, status, credential_version, updated_at FROM users
			WHERE (updated_at, id) > (?, ?)
			ORDER BY updated_at, id LIMIT ?)
		SELECT u.id, u.status, u.credential_version, u.updated_at, s.id, s.credential_version, s.expires_at
		FROM changed u LEFT JOIN sessions s ON s.user_id = u.id AND s.revoked_at IS NULL
			AND (u.status <> ? OR s.credential_version <> u.credential_version)
		ORDER BY u.updated_at, u.id`, after.at, after.id, limit, userActive).Rows()
	if err != nil {
		return nil, after, 0, err
	}
	defer func() { _ = rows.Close() }()
	next, now := after, l.now()
	for rows.Next() {
		var u row
		var at, expires database.Time
		var id uuid.NullUUID
		var version sql.NullInt64
		if err := rows.Scan(&u.UserID, &u.UserStatus, &u.UserVersion, &at, &id, &version, &expires); err != nil {
			return nil, after, 0, err
		}
		if n == 0 || next.id != u.UserID {
			n++
		}
		next.at, next.id = at.Time, u.UserID
		if id.Valid && now.Before(expires.Time) {
			u.CredentialVersion = version.Int64
			end := session.End{SessionID: id.UUID, ExpiresAt: expires.Time, Reason: u.gone(), InLedger: true}
			page = append(page, Revocation{End: end, UserID: u.UserID, RevokedAt: at.Time})
		}
	}
	return page, next, n, rows.Err()
}
