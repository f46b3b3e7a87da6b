package auth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/user"
)

const (
	loginGate   = "login"
	refreshGate = "refresh"
	// giveBackTimeout is how long a login that a store failed tries to give back
	// what it took: the store may be that of the gates.
	giveBackTimeout = 300 * time.Millisecond
	// maxProofs is how many device cookies of one login are looked at.
	maxProofs = 4
)

// throttled: a gate is closed for so long.
type throttled struct{ wait time.Duration }

func (e *throttled) Error() string { return fmt.Sprintf("auth: closed for %s", e.wait) }

// tooManyAttempts is what a closed gate says to a person.
func (e *throttled) tooManyAttempts() TooManyAttemptsError {
	return TooManyAttemptsError{Message: "Too many attempts. Wait, and try again.", Wait: e.wait}
}

// attempt is one try at a password: what it was charged at the gates.
type attempt struct {
	buckets []throttle.Bucket
	lane    throttle.Lane
	proof   device.Proof // where the lane is that of a known device
	proven  bool
}

// loginLane is where a login counts when it fails: in the lane of a device that
// proves that its user signed in on it before, or in that of all others.
func (s *Service) loginLane(c Caller, in LoginInput) *attempt {
	a := &attempt{lane: throttle.Lane{Account: s.account(in.Email)}}
	for _, text := range s.proofs(c, in) {
		if proof, ok := s.Keys.Load().Devices.Parse(text); ok {
			a.proof, a.proven = proof, true
			a.lane.Device = proof.DeviceID.String()
			break
		}
	}
	return a
}

// proofs are the device proofs that came on the channel of the login.
func (s *Service) proofs(c Caller, in LoginInput) []secret.Text {
	switch {
	case in.RefreshTokenDelivery == session.DeliveryCookie:
		return c.DeviceCookies[:min(len(c.DeviceCookies), maxProofs)]
	case in.DeviceToken != nil:
		return []secret.Text{*in.DeviceToken}
	}
	return nil
}

// deviceOf is the device that a browser proves to be, to have its proof renewed.
func (s *Service) deviceOf(c Caller, u user.User) *attempt {
	for _, text := range c.DeviceCookies[:min(len(c.DeviceCookies), maxProofs)] {
		if proof, ok := s.Keys.Load().Devices.Parse(text); ok && proof.UserID == u.ID {
			return &attempt{proof: proof, proven: true}
		}
	}
	return &attempt{}
}

// account names the account that an email means, whether there is one or not.
func (s *Service) account(email secret.Text) string {
	name, err := user.Normalize(email.Reveal())
	if err != nil {
		name = strings.ToLower(strings.TrimSpace(email.Reveal()))
	}
	return s.Keys.Load().Devices.Account(name)
}

// passwordLane is where a wrong current password counts. Whoever holds a live
// session has a lane of their own, so that nobody else can close it.
func passwordLane(account string, sessionID uuid.UUID) *attempt {
	return &attempt{lane: throttle.Lane{Account: account, Device: "session:" + sessionID.String()}}
}

// enter charges an attempt before any work: at the gate of its network, then at
// that of the account. Where one of them is closed it is *throttled, and what
// was taken is given back; where they cannot be asked, ErrUnavailable.
func (s *Service) enter(ctx context.Context, c Caller, a *attempt) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	a.buckets = throttle.Networks(loginGate, c.Address, s.LoginRate)
	verdict, err := s.Throttle.Spend(ctx, a.buckets)
	switch {
	case err != nil:
		return s.unavailable("network gate", err)
	case !verdict.Allowed():
		return &throttled{verdict.RetryAfter}
	}
	verdict, err = s.Throttle.Charge(ctx, a.lane, s.LoginSchedule)
	if err == nil && verdict.Allowed() {
		return nil
	}
	s.giveBack(ctx, a)
	if err != nil {
		return s.unavailable("account gate", err)
	}
	return &throttled{verdict.RetryAfter}
}

// recognise looks at the row of the user whose password is about to be checked.
// A proof of somebody else's, or of before the last password change, is void:
// the attempt moves to the lane of unknown devices.
func (s *Service) recognise(ctx context.Context, a *attempt, u user.User) error {
	if !a.proven || a.proof.UserID == u.ID && a.proof.CredentialVersion == u.CredentialVersion {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	unknown := throttle.Lane{Account: a.lane.Account}
	verdict, err := s.Throttle.Charge(ctx, unknown, s.LoginSchedule)
	switch {
	case err != nil:
		return s.unavailable("account gate", err)
	case !verdict.Allowed():
		return &throttled{verdict.RetryAfter}
	}
	s.uncharge(ctx, a)
	a.lane, a.proof, a.proven = unknown, device.Proof{}, false
	return nil
}

// leave settles an attempt by what came of it. A wrong password stays charged; a
// right one forgets the lane's failures; whatever else happened, nothing was
// learnt about the password, and all is given back. After a store that did not
// answer the caller has waited enough.
func (s *Service) leave(ctx context.Context, a *attempt, err error) {
	patience := storeTimeout
	if loginOutcome(err) == LoginUnavailable {
		patience = giveBackTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	switch loginOutcome(err) {
	case LoginInvalid:
		return
	case LoginSucceeded:
		if err := s.reset(ctx, a); err != nil {
			s.Log.Warn("store unavailable", "operation", "forgetting failed logins", "error", err)
		}
	default:
		s.uncharge(ctx, a)
	}
	s.giveBack(ctx, a)
}

func (s *Service) reset(ctx context.Context, a *attempt) error {
	if s.LoginSchedule.Off() {
		return nil
	}
	return s.Throttle.Reset(ctx, a.lane)
}

func (s *Service) uncharge(ctx context.Context, a *attempt) {
	if err := s.Throttle.Uncharge(ctx, a.lane, s.LoginSchedule); err != nil {
		s.Log.Warn("store unavailable", "operation", "giving back an attempt", "error", err)
	}
}

func (s *Service) giveBack(ctx context.Context, a *attempt) {
	if err := s.Throttle.Return(ctx, a.buckets); err != nil {
		s.Log.Warn("store unavailable", "operation", "giving back an attempt", "error", err)
	}
}

// prove is the proof that the user of a new session signed in on this device:
// the one that it has is renewed, and a new device gets a name.
func (s *Service) prove(a *attempt, u user.User) secret.Text {
	id := a.proof.DeviceID
	if !a.proven {
		id = uuid.New()
	}
	return s.Keys.Load().Devices.Mint(device.Proof{UserID: u.ID, DeviceID: id, CredentialVersion: u.CredentialVersion})
}

// refreshAllowed is *RateLimitedError where too many refreshes of the caller's
// network failed. This node alone counts them, so that a refresh asks nobody but
// the store of sessions.
func (s *Service) refreshAllowed(ctx context.Context, c Caller) error {
	verdict, err := s.Refreshes.Peek(ctx, throttle.Networks(refreshGate, c.Address, s.RefreshRate))
	switch {
	case err != nil:
		return s.unavailable("refresh gate", err)
	case !verdict.Allowed():
		return &RateLimitedError{Wait: verdict.RetryAfter}
	}
	return nil
}

// refreshFailed charges the caller's network for a refresh whose token is no good.
// One that brings none, or is refused by its arguments, costs no more than any
// request: pages send it for each visitor who is not signed in, and they must not
// close the gate of those who are.
func (s *Service) refreshFailed(ctx context.Context, c Caller, outcome session.Outcome) {
	switch outcome {
	case session.Malformed, session.UnknownKey, session.RetiredKey, session.Forged, session.Expired, session.Tombstone,
		session.Unknown, session.Reuse, session.BindingMiss:
		// A memory without room for one more network lets this one's failures go uncounted.
		_, _ = s.Refreshes.Spend(ctx, throttle.Networks(refreshGate, c.Address, s.RefreshRate))
	}
}
