package auth

import (
	"errors"
	"time"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/session"
)

// Observer is told what the verbs come to, as it happens. Its functions are
// called on the way of every request, by many goroutines at once: they must be
// quick and must not block. A function that is nil is not called.
type Observer struct {
	// Refresh hears of every refresh and how long it took: one of
	// [session.Outcomes].
	Refresh func(outcome session.Outcome, took time.Duration)
	// Login hears of every login and how long it took, without the time it was
	// held for Config.LoginMinDuration: one of [LoginOutcomes].
	Login func(outcome LoginOutcome, took time.Duration)
	// Ended hears once of every session that this node ended: one of
	// [session.Reasons].
	Ended func(reason session.Reason)
}

// complete fills in functions that do nothing.
func (o Observer) complete() Observer {
	if o.Refresh == nil {
		o.Refresh = func(session.Outcome, time.Duration) {}
	}
	if o.Login == nil {
		o.Login = func(LoginOutcome, time.Duration) {}
	}
	if o.Ended == nil {
		o.Ended = func(session.Reason) {}
	}
	return o
}

// LoginOutcome is the word for what a login came to.
type LoginOutcome string

// The outcomes.
const (
	LoginSucceeded   LoginOutcome = "succeeded"   // a session began
	LoginInvalid     LoginOutcome = "invalid"     // no active user with this email and password
	LoginThrottled   LoginOutcome = "throttled"   // too many attempts from this network or at this account
	LoginRejected    LoginOutcome = "rejected"    // an argument or the channel could not be accepted
	LoginOverloaded  LoginOutcome = "overloaded"  // too many passwords wait to be checked
	LoginUnavailable LoginOutcome = "unavailable" // a store did not answer
	LoginFailed      LoginOutcome = "failed"      // a fault of the server's own
)

// LoginOutcomes lists every word that a login can come to.
func LoginOutcomes() []LoginOutcome {
	return []LoginOutcome{LoginSucceeded, LoginInvalid, LoginThrottled, LoginRejected, LoginOverloaded, LoginUnavailable, LoginFailed}
}

// loginOutcome is the word for the error of a login that was admitted.
func loginOutcome(err error) LoginOutcome {
	closed := (*throttled)(nil)
	switch {
	case err == nil:
		return LoginSucceeded
	case errors.As(err, &closed):
		return LoginThrottled
	case errors.Is(err, errCredentials):
		return LoginInvalid
	case errors.Is(err, password.ErrOverloaded):
		return LoginOverloaded
	case errors.Is(err, ErrUnavailable):
		return LoginUnavailable
	}
	return LoginFailed
}

// Stats is what goes on behind the requests. What is not waiting only rises.
type Stats struct {
	CheckpointsWaiting int    // sessions whose progress the ledger has yet to take
	CheckpointsDropped uint64 // for want of room
	RepairsWaiting     int    // ends that a store has yet to take
	RepairsPaid        uint64 // ends that a store took later
	RepairsDropped     uint64 // for want of room
	AuditWaiting       int    // events that the database has yet to take
	AuditDropped       uint64 // for want of room
	StaleLookups       uint64 // questions to the stores while the revocation feed was stale
}

// Stats is the state of the work behind the requests at this moment.
func (s *Service) Stats() Stats {
	stats := Stats{StaleLookups: s.lookups.asked.Load(), AuditWaiting: s.Audit.Waiting(), AuditDropped: s.Audit.Dropped()}
	s.checkpoints.mu.Lock()
	stats.CheckpointsWaiting, stats.CheckpointsDropped = len(s.checkpoints.waiting), s.checkpoints.dropped
	s.checkpoints.mu.Unlock()
	d := &s.endings.debts
	d.mu.Lock()
	defer d.mu.Unlock()
	stats.RepairsWaiting, stats.RepairsPaid, stats.RepairsDropped = len(d.owed), d.paid, d.dropped
	return stats
}
