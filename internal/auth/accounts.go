package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

// Accounts is the operator's seat: changes of users and the ends of sessions
// that follow from them. It needs no keys and no running server.
type Accounts struct {
	Users  *user.Users
	Ledger *ledger.Ledger
	// Store and Feed reach running servers at once; both nil where none is
	// known. Servers follow the ledger then.
	Store session.Store
	Feed  revocation.Feed
	// Audit is told of every change. Optional.
	Audit *audit.Log
}

// ErrSessionsLive says that the account was changed and its sessions could not
// be ended in the ledger. Running servers end them when they reconcile, because
// the change counts; doing it again ends them at once.
var ErrSessionsLive = errors.New("the account is changed, but its sessions have not ended yet: do it again")

// Effect is what a change did to sessions.
type Effect struct {
	Ended []uuid.UUID
	// AtOnce is false when the ends are in the ledger alone: running servers
	// take them over when they reconcile. Delay says why, nil where there is no
	// store to tell.
	AtOnce bool
	Delay  error
}

// SetPassword replaces a user's password; hash is what password.Hasher made of it.
func (a *Accounts) SetPassword(ctx context.Context, id uuid.UUID, hash secret.Text) (Effect, error) {
	if err := a.Users.ResetPassword(ctx, id, hash); err != nil {
		return Effect{}, fmt.Errorf("setting the password: %w", err)
	}
	a.tell(audit.Event{Name: audit.PasswordChanged, UserID: id})
	return a.endAll(ctx, id, session.ReasonPassword)
}

// SetRole changes a user's role. Their sessions end, because access tokens carry it.
func (a *Accounts) SetRole(ctx context.Context, id uuid.UUID, role user.Role) (Effect, error) {
	if err := a.Users.SetRole(ctx, id, role); err != nil {
		return Effect{}, fmt.Errorf("setting the role: %w", err)
	}
	a.tell(audit.Event{Name: audit.UserRoleChanged, UserID: id})
	return a.endAll(ctx, id, session.ReasonRole)
}

// Disable keeps a user from logging in and ends their sessions.
func (a *Accounts) Disable(ctx context.Context, id uuid.UUID) (Effect, error) {
	if err := a.Users.SetStatus(ctx, id, user.StatusDisabled); err != nil {
		return Effect{}, fmt.Errorf("disabling the user: %w", err)
	}
	a.tell(audit.Event{Name: audit.UserDisabled, UserID: id})
	return a.endAll(ctx, id, session.ReasonDisabled)
}

// Enable lets a disabled user log in again. Ended sessions stay ended.
func (a *Accounts) Enable(ctx context.Context, id uuid.UUID) error {
	if err := a.Users.SetStatus(ctx, id, user.StatusActive); err != nil {
		return fmt.Errorf("enabling the user: %w", err)
	}
	a.tell(audit.Event{Name: audit.UserEnabled, UserID: id})
	return nil
}

// Delete removes a user's personal data for good and ends their sessions. It may
// be called again with the same id, until all of it is done.
func (a *Accounts) Delete(ctx context.Context, id uuid.UUID) (Effect, error) {
	if err := a.Users.Delete(ctx, id); err != nil {
		return Effect{}, fmt.Errorf("deleting the user: %w", err)
	}
	a.tell(audit.Event{Name: audit.UserDeleted, UserID: id})
	return a.endAll(ctx, id, session.ReasonDeleted)
}

// RevokeAll ends all sessions of a user.
func (a *Accounts) RevokeAll(ctx context.Context, id uuid.UUID) (Effect, error) {
	return a.endAll(ctx, id, session.ReasonRevoked)
}

// RevokeSession ends one session, whoever it belongs to.
func (a *Accounts) RevokeSession(ctx context.Context, sessionID uuid.UUID) (Effect, error) {
	userID, ends, err := a.Ledger.RevokeByID(ctx, sessionID, session.ReasonRevoked)
	if err != nil {
		return Effect{}, fmt.Errorf("revoking the session: %w", err)
	}
	return a.spread(ctx, userID, ends), nil
}

func (a *Accounts) endAll(ctx context.Context, userID uuid.UUID, reason session.Reason) (Effect, error) {
	ends, err := a.Ledger.RevokeAll(ctx, userID, uuid.Nil, reason)
	if err != nil {
		return Effect{}, fmt.Errorf("%w: %w", ErrSessionsLive, err)
	}
	return a.spread(ctx, userID, ends), nil
}

func (a *Accounts) spread(ctx context.Context, userID uuid.UUID, ends []session.End) Effect {
	return a.spreadAll(ctx, endsByUser{userID: ends})
}

// spreadAll records what ended and tells the running servers.
func (a *Accounts) spreadAll(ctx context.Context, ends endsByUser) (effect Effect) {
	for userID, list := range ends {
		for _, end := range list {
			a.tell(audit.Event{
				Name: audit.SessionRevoked, UserID: userID, SessionID: end.SessionID,
				Details: map[string]string{"reason": string(end.Reason), "by": "operator"},
			})
		}
		effect.Ended = append(effect.Ended, sessionIDs(list)...)
	}
	if a.Store == nil || a.Feed == nil {
		return effect
	}
	if _, effect.Delay = bulkRevoke(ctx, a.Store, ends); effect.Delay != nil {
		return effect
	}
	effect.Delay = a.Feed.Publish(ctx, effect.Ended...)
	effect.AtOnce = effect.Delay == nil
	return effect
}

func (a *Accounts) tell(e audit.Event) {
	if a.Audit != nil {
		a.Audit.Record(e)
	}
}
