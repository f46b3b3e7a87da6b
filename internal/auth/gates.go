package auth

import (
	"context"
	"encoding/hex"
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
	loginGate = "login"
	// successGate and changeGate count right passwords of an account: logins apart
	// from changes, so that whoever else knows the password cannot keep the owner
	// from changing it.
	successGate = "login-success"
	changeGate  = "password-success"
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
	account string // its keyed name
	buckets []throttle.Bucket
	lane    throttle.Lane
	proof   device.Proof // where the lane is that of a known device
	proven  bool
}

// loginLane is where a login counts when it fails: in the lane of a device that
// proves that its user signed in to this very account on it before, or in that of
// all others. Proofs of other accounts name no lane.
func (s *Service) loginLane(c Caller, in LoginInput) *attempt {
	email, devices := accountEmail(in.Email), s.Keys.Load().Devices
	a := &attempt{account: devices.Account(email)}
	a.lane.Account = a.account
	for _, text := range proofs(c, in) {
		if proof, ok := devices.Parse(text, email); ok {
			a.proof, a.proven = proof, true
			a.lane.Device = proof.DeviceID.String()
			break
		}
	}
	return a
}

// proofs are the device proofs that came on the channel of the login.
func proofs(c Caller, in LoginInput) []secret.Text {
	switch {
	case in.RefreshTokenDelivery == session.DeliveryCookie:
		return c.DeviceCookies[:min(len(c.DeviceCookies), maxProofs)]
	case in.DeviceToken != nil:
		return []secret.Text{*in.DeviceToken}
	}
	return nil
}

// accountEmail is the email by which an account is named, whether there is one or not.
func accountEmail(email secret.Text) string {
	name, err := user.Normalize(email.Reveal())
	if err != nil {
		name = strings.ToLower(strings.TrimSpace(email.Reveal()))
	}
	return name
}

// passwordLane is where a wrong current password of a user counts. Each session
// has a lane of its own, under its own id: no stranger can close it, and neither
// logins nor other sessions can have it forgotten. It stays when keys change.
func (s *Service) passwordLane(u user.User, sessionID uuid.UUID) *attempt {
	return &attempt{
		account: s.Keys.Load().Devices.Account(accountEmail(secret.New(u.Email))),
		lane:    throttle.Lane{Account: hex.EncodeToString(sessionID[:])},
	}
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
		if verdict.Unknown {
			a.forgetDevice()
		}
		return nil
	}
	s.giveBack(ctx, a)
	if err != nil {
		return s.unavailable("account gate", err)
	}
	return &throttled{verdict.RetryAfter}
}

// recognise looks at the row of the user whose password is about to be checked.
// A proof of before the last password change, or of a user who had the email
// before, is void: the attempt moves to the lane of unknown devices.
func (s *Service) recognise(ctx context.Context, a *attempt, u user.User) error {
	if !a.proven || a.proof.UserID == u.ID && a.proof.CredentialVersion == u.CredentialVersion {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	verdict, err := s.Throttle.Charge(ctx, throttle.Lane{Account: a.lane.Account}, s.LoginSchedule)
	switch {
	case err != nil:
		return s.unavailable("account gate", err)
	case !verdict.Allowed():
		return &throttled{verdict.RetryAfter}
	}
	s.uncharge(ctx, a)
	a.forgetDevice()
	return nil
}

// forgetDevice makes it an attempt from an unknown device.
func (a *attempt) forgetDevice() {
	a.lane.Device, a.proof, a.proven = "", device.Proof{}, false
}

// beginAllowed charges an account for the session that its right password is about
// to begin; *throttled where too many began. Nobody without the password comes this
// far, so that strangers cannot close it. What it took is not given back: a session
// that could not be begun may have left a row.
func (s *Service) beginAllowed(ctx context.Context, gate string, a *attempt) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	verdict, err := s.Throttle.Spend(ctx, []throttle.Bucket{{Key: gate + ":{" + a.account + "}", Rate: s.LoginSuccessRate}})
	switch {
	case err != nil:
		return s.unavailable("account gate", err)
	case !verdict.Allowed():
		return &throttled{verdict.RetryAfter}
	}
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
	return s.Keys.Load().Devices.Mint(accountEmail(secret.New(u.Email)), device.Proof{
		UserID: u.ID, DeviceID: id, CredentialVersion: u.CredentialVersion,
	})
}
