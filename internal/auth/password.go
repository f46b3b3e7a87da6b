package auth

import (
	"context"
	"errors"

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
	begun, ends, err := s.replacePassword(ctx, c, u, hash, entry.State)
	if errors.Is(err, user.ErrChanged) {
		return invalidCredentials(), nil
	}
	if err != nil {
		return nil, err
	}
	u.CredentialVersion++
	s.tell(c, audit.Event{Name: audit.PasswordChanged, UserID: u.ID, SessionID: claims.SessionID})
	s.endings.end(ctx, u.ID, ends, toOperators|toStore)
	// The password has changed and the session has begun, whatever hot state says:
	// the first refresh brings the session back from the ledger.
	if err := s.warm(ctx, begun.state); err != nil {
		s.Log.Warn("the session of a changed password is not in hot state", "session", begun.state.ID.String(), "error", err)
	}
	s.tell(c, audit.Event{
		Name: audit.SessionCreated, UserID: u.ID, SessionID: begun.state.ID, Details: map[string]string{"delivery": delivery.String()},
	})
	return &ChangePasswordPayload{
		Credential: begun.credential, AccessToken: begun.access, Session: begun.session(), RevokedSessionIDs: sessionIDs(ends),
		// All proofs of before are void, copies too: the device gets a new name.
		DeviceProof: DeviceProof{proof: s.prove(&attempt{}, u), delivery: delivery},
	}, nil
}

// replacePassword sets a password, ends all sessions of the user and begins a new
// one like old, all of it or nothing. It is user.ErrChanged when the account
// changed since it was read. Where the database's answer is lost, the row of the
// new session shows whether the transaction was carried out; ErrUnavailable
// leaves that open.
func (s *Service) replacePassword(ctx context.Context, c Caller, u user.User, hash secret.Text, old session.State) (*begun, []session.End, error) {
	begun, err := s.draft(c, u, old.Delivery, old.DeviceName)
	if err != nil {
		return nil, nil, err
	}
	var ends []session.End
	patient, cancel := context.WithTimeout(ctx, ledgerShare)
	err = s.Users.SetPassword(patient, u.ID, u.CredentialVersion, hash,
		s.Ledger.Replace(patient, begun.state, begun.keyID, session.ReasonPassword, &ends))
	cancel()
	if err == nil || errors.Is(err, user.ErrChanged) {
		return begun, ends, err
	}
	if _, unseen := s.Ledger.Find(ctx, u.ID, begun.state.ID); unseen == nil {
		return begun, ends, nil
	}
	s.abort(begun)
	return nil, nil, s.unavailable("replacing a password", err)
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
