package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/session"
)

// Begin writes the row of a new session, with its checkpoint, if the user is
// active and has the credential version that the login was checked against;
// otherwise it is ErrUserChanged and nothing is written. A change of the user
// that is under way is waited for, and one that comes later finds the row: there
// is no moment in which both succeed and the session lives on.
func (l *Ledger) Begin(ctx context.Context, state session.State, keyID session.KeyID, credentialVersion int64) error {
	result := l.db.WithContext(ctx).Exec(`
		INSERT INTO sessions (id, user_id, delivery, key_id, secret_hash, role, binding, grace_ms, retry_ms,
			device_name, credential_version, created_at, expires_at,
			generation, turned_at, attempt, held, recovered_at, last_used_at, ip_address, user_agent)
		SELECT ?, u.id, ?, ?, ?, ?, ?, ?, ?, ?, u.credential_version, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
		FROM users u
		WHERE u.id = ? AND u.status = ? AND u.credential_version = ? `+database.RowLock(l.db, "FOR SHARE"),
		state.ID, state.Delivery.String(), keyID.String(), state.SecretHash[:], state.Role, state.Binding, state.Grace.Milliseconds(), state.Retry.Milliseconds(),
		clean(state.DeviceName), database.At(state.CreatedAt), database.At(state.ExpiresAt),
		int64(state.Generation), database.At(state.TurnedAt), string(state.Attempt), state.Held,
		database.At(state.RecoveredAt), database.At(state.LastUsedAt), clean(state.IPAddress), clean(state.UserAgent),
		state.UserID, userActive, credentialVersion)
	switch {
	case result.Error != nil:
		return fmt.Errorf("ledger: beginning a session: %w", result.Error)
	case result.RowsAffected == 0:
		return ErrUserChanged
	}
	return nil
}

// Replace ends all sessions of the new session's user for reason and begins that
// one, as part of a transaction that changes the user's credentials: the function
// it returns takes the transaction and the user's new credential version. What
// ended is in ends once that function returned.
func (l *Ledger) Replace(ctx context.Context, state session.State, keyID session.KeyID, reason session.Reason, ends *[]session.End) func(tx *gorm.DB, version int64) error {
	return func(tx *gorm.DB, version int64) error {
		inside := &Ledger{db: tx, now: l.now}
		var err error
		if *ends, err = inside.RevokeAll(ctx, state.UserID, uuid.Nil, reason); err != nil {
			return err
		}
		return inside.Begin(ctx, state, keyID, version)
	}
}

// Find is the user's session with the id, expired or ended ones too;
// ErrNotFound where there is none or it is another user's.
func (l *Ledger) Find(ctx context.Context, userID, sessionID uuid.UUID) (Entry, error) {
	found, err := l.read(ctx, "sessions.id = ? AND sessions.user_id = ?", sessionID, userID)
	if err != nil {
		return Entry{}, fmt.Errorf("ledger: finding a session: %w", err)
	}
	if len(found) == 0 {
		return Entry{}, ErrNotFound
	}
	return found[0], nil
}

// FindAll returns those of the sessions that there are, expired and ended ones
// too, in no order.
func (l *Ledger) FindAll(ctx context.Context, sessionIDs []uuid.UUID) ([]Entry, error) {
	among, list := database.Among(l.db, sessionIDs)
	found, err := l.read(ctx, "sessions.id "+among, list)
	if err != nil {
		return nil, fmt.Errorf("ledger: finding sessions: %w", err)
	}
	return found, nil
}

// ListByUser returns the user's sessions that neither ended nor reached their
// absolute expiry, the most recently used first. Idle expiry is the caller's to
// judge.
func (l *Ledger) ListByUser(ctx context.Context, userID uuid.UUID) ([]Entry, error) {
	found, err := l.read(ctx, `sessions.user_id = ? AND sessions.revoked_at IS NULL AND sessions.expires_at > ?
		AND u.status = ? AND u.credential_version = sessions.credential_version
		ORDER BY sessions.last_used_at DESC, sessions.id`, userID, database.At(l.now()), userActive)
	if err != nil {
		return nil, fmt.Errorf("ledger: listing sessions: %w", err)
	}
	return found, nil
}

func (l *Ledger) read(ctx context.Context, where string, args ...any) ([]Entry, error) {
	var rows []row
	err := l.db.WithContext(ctx).Raw(`SELECT `+columns+`,
			u.status AS user_status, u.credential_version AS user_version
		FROM sessions LEFT JOIN users u ON u.id = sessions.user_id WHERE `+where, args...).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	return entries(rows)
}
