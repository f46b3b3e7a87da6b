package model

import "github.com/pawlauth/pawl/internal/session"

// FollowLimit is how many generations in a row two presenters may follow each
// other before that is reported.
const FollowLimit = 3

// Mark stands for the attempt of a request: 0 when none is known, positive for
// one that the client chose, negative for one that the server drew.
type Mark int32

// FromClient reports whether the client chose the attempt.
func (m Mark) FromClient() bool { return m > 0 }

// Hot is the part of a live session that the rules look at. Times are
// milliseconds, 0 for never.
type Hot struct {
	Generation    uint64
	TurnedAt      int64
	Attempt       Mark
	Held          bool
	LastUsedAt    int64
	RecoveredAt   int64
	IdleExpiresAt int64
	ExpiresAt     int64

	Grace     int64  // the session's own, as of its login; 0 is off
	Retry     int64  // likewise
	RotatedBy string // presenter of the last turn or the login; empty when unknown
	Followed  uint64 // newest generation whose predecessor another presenter replayed
	Follows   uint64 // how many generations in a row up to Followed
}

// Use is a presented token and its circumstances.
type Use struct {
	Generation   uint64
	Attempt      Mark
	AccessOnly   bool   // asks for an access token and nothing else
	By           string // tells presenters apart: network and agent
	WrongSecret  bool
	WrongNetwork bool // the session is bound, and to another network
	Unbinding    bool // the server that is asked binds no new sessions
}

// Rules are the settings of the rules in milliseconds, and what the search
// switches on and off to see what it is for.
type Rules struct {
	Idle, Grace, Retry int64 // grace and retry window are the server's own: those of new sessions
	RequireAttempt     bool  // every session is held to attempt ids
	EndShared          bool  // a session that two presenters share ends

	TurnsInRecovery   bool // without "nothing turns within one grace of a recovery"
	ManyTurnsPerGrace bool // without "a session turns at most once per grace"
	NothingHeld       bool // without "a session is held to attempt ids"
	NoEpochs          bool // without "a later recovery counts more than a newer generation"
	HeldByAnyUse      bool // without "only a turn holds a session to attempt ids"
	HeldForgives      bool // without "a spent token without attempt is reuse on a held session too"
	StaleAccessEnds   bool // without "access only waits while the turn's attempt may be repeated"
	AttemptsReused    bool // without "an attempt id makes one turn"
	NothingFollowed   bool // without "replays by others are counted"
	ServersGrace      bool // without "the grace is the session's own"
	ServersRetry      bool // without "the retry window is the session's own"
	ServersBinding    bool // without "a bound session is checked by every server"
}

// passed reports how far now is past the moment then; a time that never was is
// infinitely long ago.
func passed(then, now int64) int64 {
	if then == 0 {
		return 1<<62 - 1
	}
	return now - then
}

// within reports whether now is in a window that begins then; 0 is off.
func within(window, then, now int64) bool { return window != 0 && passed(then, now) <= window }

// inGrace reports whether now is within one grace of then.
func (r Rules) inGrace(h Hot, then, now int64) bool {
	if r.ServersGrace {
		return within(r.Grace, then, now)
	}
	return within(h.Grace, then, now)
}

// repeatable reports whether the attempt that made the current generation still
// gets it again.
func (r Rules) repeatable(h Hot, now int64) bool {
	retry := h.Retry
	if r.ServersRetry {
		retry = r.Retry
	}
	return r.inGrace(h, h.TurnedAt, now) || within(retry, h.TurnedAt, now)
}

// Time is the session's own time when the clock shows now: it never runs
// backwards.
func (h Hot) Time(now int64) int64 {
	return max(now, h.LastUsedAt, h.TurnedAt, h.RecoveredAt)
}

// Granted reports whether an outcome hands out tokens.
func Granted(o session.Outcome) bool {
	switch o {
	case session.Rotated, session.Unchanged, session.Replayed, session.Retried, session.AccessOnly:
		return true
	}
	return false
}

// Judge applies the rules to a live session (rules 3 to 12 of the contract) and
// returns the outcome and the session after it. After an outcome that ends the
// session the state is returned as it was.
func (r Rules) Judge(h Hot, u Use, now int64) (session.Outcome, Hot) {
	now = h.Time(now)
	outcome := r.outcome(h, u, now)
	switch {
	case !Granted(outcome):
		return outcome, h
	case now >= h.IdleExpiresAt: // rule 11
		return session.Expired, h
	case outcome == session.AccessOnly:
		return outcome, h
	}
	before := h
	switch outcome {
	case session.Rotated:
		h.Generation, h.TurnedAt, h.Attempt, h.RotatedBy = h.Generation+1, now, u.Attempt, ""
		if !u.Attempt.FromClient() { // nobody else gets such a turn again
			h.RotatedBy = u.By
		}
		h.IdleExpiresAt = min(now+r.Idle, h.ExpiresAt)
	case session.Replayed:
		h = r.follow(h, u)
		if r.EndShared && ReportsShared(before, h) {
			return session.Shared, before
		}
	}
	h.LastUsedAt = now
	if u.Attempt.FromClient() && !r.NothingHeld && (outcome == session.Rotated || r.HeldByAnyUse) {
		h.Held = true
	}
	return outcome, h
}

func (r Rules) outcome(h Hot, u Use, now int64) session.Outcome {
	if h.ExpiresAt <= now { // rule 3
		return session.Expired
	}
	if u.WrongSecret { // rule 4
		return session.Forged
	}
	if u.Generation > h.Generation { // rule 5
		return session.Ahead
	}
	if h.Generation-u.Generation >= 2 { // rule 6
		return r.stale(h, now)
	}
	if u.WrongNetwork && !(r.ServersBinding && u.Unbinding) { // rule 7
		return session.BindingMiss
	}
	outcome := r.current(h, u, now)
	if u.Generation < h.Generation {
		outcome = r.previous(h, u, now)
	}
	required := (h.Held || r.RequireAttempt) && !u.Attempt.FromClient() && !u.AccessOnly // rule 8
	if required && (outcome != session.Reuse || r.HeldForgives) {
		return session.AttemptRequired
	}
	return outcome
}

// stale is the outcome of a token that is good for nothing any more.
func (r Rules) stale(h Hot, now int64) session.Outcome {
	if r.inGrace(h, h.RecoveredAt, now) {
		return session.Recovering
	}
	return session.Reuse
}

// previous is rule 9.
func (r Rules) previous(h Hot, u Use, now int64) session.Outcome {
	grace := r.inGrace(h, h.TurnedAt, now)
	same := u.Attempt != 0 && u.Attempt == h.Attempt
	if same && !u.Attempt.FromClient() || same && r.repeatable(h, now) {
		if u.AccessOnly {
			return session.AccessOnly
		}
		return session.Retried
	}
	switch {
	case u.AccessOnly && grace:
		return session.AccessOnly
	case u.AccessOnly && h.Attempt.FromClient() && r.repeatable(h, now) && !r.StaleAccessEnds:
		return session.Contended
	case grace && h.Attempt.FromClient():
		return session.Contended
	case grace:
		return session.Replayed
	}
	return r.stale(h, now)
}

// current is rule 10.
func (r Rules) current(h Hot, u Use, now int64) session.Outcome {
	settling := r.inGrace(h, h.TurnedAt, now) && !r.ManyTurnsPerGrace ||
		r.inGrace(h, h.RecoveredAt, now) && !r.TurnsInRecovery
	switch {
	case u.AccessOnly:
		return session.AccessOnly
	case h.Generation != 1 && settling:
		return session.Unchanged
	case u.Attempt.FromClient() && u.Attempt == h.Attempt && !r.AttemptsReused:
		return session.AttemptUsed
	}
	return session.Rotated
}

// follow is rule 12: it counts the generations in a row whose predecessor was
// replayed by another presenter than the one that turned.
func (r Rules) follow(h Hot, u Use) Hot {
	if h.RotatedBy == "" || h.RotatedBy == u.By || h.Followed == h.Generation || r.NothingFollowed {
		return h
	}
	if h.Followed+1 != h.Generation {
		h.Follows = 0
	}
	h.Follows, h.Followed = h.Follows+1, h.Generation
	return h
}

// ReportsShared reports whether a replay between the two states is to be
// reported as that of a shared session.
func ReportsShared(before, after Hot) bool {
	return after.Followed != before.Followed && after.Follows >= FollowLimit
}
