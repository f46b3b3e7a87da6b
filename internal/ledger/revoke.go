package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/session"
)

// Revoke ends those of the user's sessions that are named and returns the ones
// that it ended. Ids that are unknown, another user's, expired or ended before
// are just absent.
func (l *Ledger) Revoke(ctx context.Context, userID uuid.UUID, ids []uuid.UUID, reason session.Reason) ([]session.End, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	among, list := database.Among(l.db, ids)
	_, ends, err := l.revoke(ctx, reason, "user_id = ? AND id "+among, userID, list)
	return ends, err
}

// RevokeWithSecret ends the user's session with the id if its secret has the
// hash, and returns it; otherwise nothing, as for [Ledger.Revoke].
func (l *Ledger) RevokeWithSecret(ctx context.Context, userID, id uuid.UUID, secretHash [32]byte, reason session.Reason) ([]session.End, error) {
	_, ends, err := l.revoke(ctx, reason, "user_id = ? AND id = ? AND secret_hash = ?", userID, id, secretHash[:])
	return ends, err
}

// RevokeAll ends all sessions of the user but the excepted one ([uuid.Nil] for
// no exception) and returns the ones that it ended.
func (l *Ledger) RevokeAll(ctx context.Context, userID, except uuid.UUID, reason session.Reason) ([]session.End, error) {
	_, ends, err := l.revoke(ctx, reason, "user_id = ? AND id <> ?", userID, except)
	return ends, err
}

// RevokeByID ends the session with the id, whoever's it is. It returns its user
// and the session, or no session where it ended or expired before; ErrNotFound
// where there is none.
func (l *Ledger) RevokeByID(ctx context.Context, id uuid.UUID, reason session.Reason) (uuid.UUID, []session.End, error) {
	users, ends, err := l.revoke(ctx, reason, "id = ?", id)
	if err != nil {
		return uuid.Nil, nil, err
	}
	if len(users) == 0 {
		err := l.db.WithContext(ctx).Raw("SELECT user_id FROM sessions WHERE id = ?", id).Scan(&users).Error
		if err != nil {
			return uuid.Nil, nil, fmt.Errorf("ledger: finding a session: %w", err)
		}
	}
	if len(users) == 0 {
		return uuid.Nil, nil, ErrNotFound
	}
	return users[0], ends, nil
}

// RevokeByKey ends at most limit sessions of a refresh key whose ids are above
// after, in the order of their ids, and returns their users and the sessions,
// pair by pair in no order. A full batch means that there may be more: ask again
// for what is above its largest id. It reads the sessions one by one, which may
// take minutes.
func (l *Ledger) RevokeByKey(ctx context.Context, key session.KeyID, after uuid.UUID, limit int, reason session.Reason) ([]uuid.UUID, []session.End, error) {
	// PostgreSQL may repeat a subquery, and a limit counts anew then: what is
	// materialized is chosen once.
	var users []uuid.UUID
	var ends []session.End
	err := l.byIndex(ctx, func(db *gorm.DB) (err error) {
		users, ends, err = New(db, l.now).end(ctx, reason, `WITH chosen AS MATERIALIZED (
				SELECT id FROM sessions WHERE key_id = ? AND id > ? AND revoked_at IS NULL AND expires_at > ?
				ORDER BY id LIMIT ? `+database.RowLock(db, "FOR UPDATE")+`) SELECT id FROM chosen`,
			key.String(), after, database.At(l.now()), limit)
		return err
	})
	return users, ends, err
}

// ended is what an UPDATE … RETURNING says of a session that it ended.
type ended struct {
	ID        uuid.UUID
	UserID    uuid.UUID
	ExpiresAt database.Time
}

// revoke ends the live sessions that where finds.
func (l *Ledger) revoke(ctx context.Context, reason session.Reason, where string, args ...any) ([]uuid.UUID, []session.End, error) {
	return l.end(ctx, reason, `SELECT id FROM sessions WHERE `+where+` AND revoked_at IS NULL AND expires_at > ?
			ORDER BY id `+database.RowLock(l.db, "FOR UPDATE"), append(args, database.At(l.now()))...)
}

// end ends the live sessions whose ids chosen selects, in one statement that
// locks rows by id, so that two that meet never wait for each other.
func (l *Ledger) end(ctx context.Context, reason session.Reason, chosen string, args ...any) ([]uuid.UUID, []session.End, error) {
	args = append([]any{database.At(l.now()), string(reason)}, args...)
	// An array is looked up by key, where PostgreSQL would join a subquery with all
	// live sessions once it expects many rows of it.
	among := "id IN (" + chosen + ")"
	if database.Dialect(l.db) == database.PostgreSQL {
		among = "id = ANY (ARRAY(" + chosen + "))"
	}
	var rows []ended
	err := l.db.WithContext(ctx).Raw(`
		UPDATE sessions SET revoked_at = ?, reason = ?
		WHERE revoked_at IS NULL AND `+among+`
		RETURNING id, user_id, expires_at`, args...).Scan(&rows).Error
	if err != nil {
		return nil, nil, fmt.Errorf("ledger: ending sessions: %w", err)
	}
	users := make([]uuid.UUID, 0, len(rows))
	ends := make([]session.End, 0, len(rows))
	for _, r := range rows {
		users = append(users, r.UserID)
		ends = append(ends, session.End{SessionID: r.ID, ExpiresAt: r.ExpiresAt.Time, Reason: reason, InLedger: true})
	}
	return users, ends, nil
}
