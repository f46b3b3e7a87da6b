package auth

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/token"
	"github.com/pawlauth/pawl/internal/user"
)

// ChangePassword replaces the caller's password, ends all their sessions and
// starts a new one for the caller on the same channel, so that whoever shared
// the old session is out.
func (s *Service) ChangePassword(ctx context.Context, c Caller, claims *token.Claims, in ChangePasswordInput) (ChangePasswordResult, error) {
	entry, u, err := s.passwordOwner(ctx, claims)
	if err != nil {
		return nil, err
	}
	delivery := entry.State.Delivery
	if err := c.mayUse(delivery); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // hanging up gives nothing back
	if err := s.checkCurrent(ctx, c, claims, u, in.CurrentPassword); err != nil {
		if closed, ok := errors.AsType[*throttled](err); ok {
			return closed.tooManyAttempts(), nil
		}
		if errors.Is(err, errCredentials) {
			return invalidCredentials(), nil
		}
		return nil, err
	}
	if problems := s.changeProblems(u, in); len(problems) > 0 {
		return WeakPasswordError{Message: "Choose another password.", Problems: problems}, nil
	}
	hash, err := s.hashNew(ctx, c, in.NewPassword)
	if err != nil {
		return nil, err
	}

	ctx, cancel := detach(ctx)
	defer cancel()
	version, err := s.Users.SetPassword(ctx, u.ID, u.CredentialVersion, hash)
	if errors.Is(err, user.ErrChanged) {
		return invalidCredentials(), nil
	}
	if err != nil {
		return nil, s.unavailable("setting a password", err)
	}
	u.CredentialVersion = version
	s.tell(c, audit.Event{Name: audit.PasswordChanged, UserID: u.ID, SessionID: claims.SessionID})
	revoked := s.endAll(ctx, u.ID, session.ReasonPassword, claims.SessionID)
	begun, err := s.begin(ctx, c, u, delivery, entry.State.DeviceName)
	if err == nil {
		err = s.warm(ctx, begun.state)
	}
	switch {
	case errors.Is(err, errCredentials):
		return invalidCredentials(), nil
	case err != nil && begun == nil:
		return nil, err
	}
	s.tell(c, audit.Event{
		Name: audit.SessionCreated, UserID: u.ID, SessionID: begun.state.ID, Details: map[string]string{"delivery": delivery.String()},
	})
	// The password has changed, so the caller gets the new session even when the
	// store did not take it: the first refresh brings it back from the ledger.
	return &ChangePasswordPayload{
		Credential: begun.credential, AccessToken: begun.access, Session: begun.session(), RevokedSessionIDs: revoked,
		// All proofs of before are void, copies too: the device gets a new name.
		DeviceProof: DeviceProof{proof: s.prove(&attempt{}, u), delivery: delivery},
	}, nil
}

// checkCurrent checks the current password of the caller, as a login does and at
// the same gates, in the lane of the caller's own session.
func (s *Service) checkCurrent(ctx context.Context, c Caller, claims *token.Claims, u user.User, given secret.Text) error {
	a := s.passwordLane(u, claims.SessionID)
	if err := s.enter(ctx, c, a); err != nil {
		return s.refusedAttempt(c, a, err)
	}
	turn, err := s.Hasher.Enter(throttle.Network(c.Address))
	if err != nil {
		err = s.overloaded(err)
	} else {
		defer turn.Leave()
		err = s.verifyPassword(ctx, turn, u, given)
		turn.Leave() // the slot is not for those that wait for the gates
		if err == nil {
			err = s.beginAllowed(ctx, changeGate, a)
		}
	}
	s.leave(ctx, a, err)
	if err != nil {
		s.witnessLogin(c, a, nil, err)
	}
	return err
}

// hashNew is the hash of a password that is to be set.
func (s *Service) hashNew(ctx context.Context, c Caller, fresh secret.Text) (secret.Text, error) {
	hash, err := s.Hasher.Hash(ctx, throttle.Network(c.Address), fresh)
	switch {
	case errors.Is(err, password.ErrUnusable):
		return hash, &InputError{Field: "newPassword", Message: "must be text without the character NUL"}
	case err != nil:
		return hash, s.overloaded(err)
	}
	return hash, nil
}

// passwordOwner is the ledger's entry of the caller's session and its user.
func (s *Service) passwordOwner(ctx context.Context, claims *token.Claims) (ledger.Entry, user.User, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	entry, err := s.Ledger.Find(ctx, claims.UserID, claims.SessionID)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && entry.Ended() {
		return entry, user.User{}, ErrSessionRevoked
	}
	if err != nil {
		return entry, user.User{}, s.unavailable("session row", err)
	}
	u, err := s.Users.ByID(ctx, claims.UserID)
	if errors.Is(err, user.ErrNotFound) {
		return entry, u, ErrSessionRevoked
	}
	if err != nil {
		return entry, u, s.unavailable("user row", err)
	}
	return entry, u, nil
}

func (s *Service) changeProblems(u user.User, in ChangePasswordInput) []password.Problem {
	problems := s.newPasswordProblems(u, in.NewPassword)
	if in.NewPassword.Reveal() == in.CurrentPassword.Reveal() {
		problems = append(problems, password.Unchanged)
	}
	return problems
}

// endAll ends all sessions of a user whose credentials have changed, which the
// ledger regards as over from that moment. Where it does not answer, the ends
// of the sessions that are known here are made known all the same, and it is
// owed them.
func (s *Service) endAll(ctx context.Context, userID uuid.UUID, reason session.Reason, current uuid.UUID) []uuid.UUID {
	patient, cancel := context.WithTimeout(ctx, ledgerShare)
	ends, err := s.Ledger.RevokeAll(patient, userID, uuid.Nil, reason)
	cancel()
	if err != nil {
		s.Log.Warn("store unavailable", "operation", "ending a user's sessions", "error", err)
		ends = s.knownSessions(ctx, userID, reason, current)
		s.endings.owe(toLedger, userID, ends)
	}
	s.endings.end(ctx, userID, ends, toOperators|toStore)
	return sessionIDs(ends)
}

// knownSessions are the ends of the current session and of the user's others
// that the hot state tells of, each once.
func (s *Service) knownSessions(ctx context.Context, userID uuid.UUID, reason session.Reason, current uuid.UUID) []session.End {
	ends := []session.End{{SessionID: current, ExpiresAt: s.Now().Add(s.Policy.Absolute), Reason: reason}}
	hot, err := s.Store.List(ctx, userID)
	if err != nil {
		s.Log.Warn("store unavailable", "operation", "listing sessions", "error", err)
	}
	for _, state := range hot {
		if state.ID != current && !s.Revoked.Contains(state.ID) {
			ends = append(ends, session.End{SessionID: state.ID, ExpiresAt: state.ExpiresAt, Reason: reason})
		}
	}
	return ends
}
