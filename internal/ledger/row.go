package ledger

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/session"
)

// Statuses of a user, as the users table spells them.
const (
	userActive   = "active"
	userDisabled = "disabled"
)

// columns are those of [row], but for what became of its user.
const columns = `sessions.id, sessions.user_id, sessions.delivery, sessions.key_id, sessions.secret_hash, sessions.role, sessions.binding, sessions.grace_ms, sessions.retry_ms,
	sessions.device_name, sessions.credential_version, sessions.created_at, sessions.expires_at, sessions.revoked_at, sessions.reason,
	sessions.generation, sessions.turned_at, sessions.attempt, sessions.held, sessions.recovered_at,
	sessions.last_used_at, sessions.ip_address, sessions.user_agent`

// row is a line of the sessions table and what became of its user.
type row struct {
	ID, UserID        uuid.UUID
	Delivery          string
	KeyID             string
	SecretHash        []byte
	Role              string
	Binding           string
	GraceMs           int64
	RetryMs           int64
	DeviceName        *string
	CredentialVersion int64
	CreatedAt         database.Time
	ExpiresAt         database.Time
	RevokedAt         database.Time
	Reason            *string
	Generation        int64
	TurnedAt          database.Time
	Attempt           string
	Held              bool
	RecoveredAt       database.Time
	LastUsedAt        database.Time
	IPAddress         *string
	UserAgent         *string

	UserStatus  *string // nil: no such user
	UserVersion *int64
}

func (r row) entry() (Entry, error) {
	delivery, err := session.ParseDelivery(r.Delivery)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{
		State: session.State{
			Session: session.Session{
				ID: r.ID, UserID: r.UserID, Delivery: delivery,
				CreatedAt: r.CreatedAt.Time, LastUsedAt: r.LastUsedAt.Time, ExpiresAt: r.ExpiresAt.Time,
				DeviceName: text(r.DeviceName), UserAgent: text(r.UserAgent), IPAddress: text(r.IPAddress),
			},
			Role: r.Role, Binding: r.Binding, Grace: time.Duration(r.GraceMs) * time.Millisecond, Retry: time.Duration(r.RetryMs) * time.Millisecond,
			Generation: uint64(r.Generation), TurnedAt: r.TurnedAt.Time,
			Attempt: session.Attempt(r.Attempt), Held: r.Held, RecoveredAt: r.RecoveredAt.Time,
		},
		CredentialVersion: r.CredentialVersion,
		RevokedAt:         r.RevokedAt.Time,
		Reason:            session.Reason(text(r.Reason)),
	}
	key, err := hex.DecodeString(r.KeyID)
	if err != nil || copy(e.KeyID[:], key) != len(e.KeyID) || copy(e.State.SecretHash[:], r.SecretHash) != len(e.State.SecretHash) {
		return Entry{}, errors.New("ledger: a row has a key id or secret hash of the wrong size")
	}
	gone := r.gone()
	e.UserGone = gone != ""
	if e.RevokedAt.IsZero() {
		e.Reason = gone
	}
	return e, nil
}

// gone is why the session's user no longer stands behind it, or empty.
func (r row) gone() session.Reason {
	switch {
	case r.UserStatus == nil || r.UserVersion == nil:
		return session.ReasonDeleted
	case *r.UserStatus == userDisabled:
		return session.ReasonDisabled
	case *r.UserStatus != userActive:
		return session.ReasonDeleted
	case *r.UserVersion != r.CredentialVersion:
		return session.ReasonRevoked
	}
	return ""
}

func entries(rows []row) ([]Entry, error) {
	all := make([]Entry, 0, len(rows))
	for _, r := range rows {
		e, err := r.entry()
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// maxText bounds, in bytes, what a client says about itself.
const maxText = 512

// clean makes text that every database stores: valid UTF-8 without NUL, of
// bounded size. A header that is not must cost neither a login nor the
// checkpoints that travel in one statement with it.
func clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
