package model

import "github.com/pawlauth/pawl/internal/session"

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
}

// Use is a presented token and its circumstances.
type Use struct {
	Generation   uint64
	Attempt      Mark
	WrongSecret  bool
	WrongNetwork bool
}

// Rules are the settings of the rules in milliseconds, and what the search
// switches on and off to see what it is for.
type Rules struct {
	Idle, Grace, Retry int64

	TurnsInRecovery   bool // without "nothing turns within one grace of a recovery"
	ManyTurnsPerGrace bool // without "a session turns at most once per grace"
	NothingHeld       bool // without "a session is held to attempt ids"
	NoEpochs          bool // without "a later recovery counts more than a newer generation"
}

// passed reports how far now is past the moment then; a time that never was is
// infinitely long ago.
func passed(then, now int64) int64 {
	if then == 0 {
		return 1<<62 - 1
	}
	return now - then
}

func inGrace(r Rules, then, now int64) bool { return r.Grace != 0 && passed(then, now) <= r.Grace }

// Time is the session's own time when the clock shows now: it never runs
// backwards.
func (h Hot) Time(now int64) int64 {
	return max(now, h.LastUsedAt, h.TurnedAt, h.RecoveredAt)
}

// Judge applies the rules to a live session (rules 3 to 11 of the contract) and
// returns the outcome and the session after it. After an outcome that ends the
// session the state is returned as it was.
func (r Rules) Judge(h Hot, u Use, now int64) (session.Outcome, Hot) {
	now = h.Time(now)
	outcome := r.outcome(h, u, now)
	switch outcome {
	case session.Rotated, session.Unchanged, session.Replayed, session.Retried:
	default:
		return outcome, h
	}
	if now >= h.IdleExpiresAt { // rule 11
		return session.Expired, h
	}
	if outcome == session.Rotated {
		h.Generation, h.TurnedAt, h.Attempt = h.Generation+1, now, u.Attempt
		h.IdleExpiresAt = min(now+r.Idle, h.ExpiresAt)
	}
	h.LastUsedAt = now
	if u.Attempt.FromClient() && !r.NothingHeld {
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
	behind := h.Generation - u.Generation
	if behind >= 2 { // rule 6
		if inGrace(r, h.RecoveredAt, now) {
			return session.Recovering
		}
		return session.Reuse
	}
	if u.WrongNetwork { // rule 7
		return session.BindingMiss
	}
	if h.Held && !u.Attempt.FromClient() { // rule 8
		return session.AttemptRequired
	}
	if behind == 1 {
		return r.previous(h, u, now)
	}
	// rule 10
	settling := inGrace(r, h.TurnedAt, now) && !r.ManyTurnsPerGrace ||
		inGrace(r, h.RecoveredAt, now) && !r.TurnsInRecovery
	if h.Generation != 1 && settling {
		return session.Unchanged
	}
	return session.Rotated
}

// previous is rule 9.
func (r Rules) previous(h Hot, u Use, now int64) session.Outcome {
	same := u.Attempt != 0 && u.Attempt == h.Attempt
	if same && !u.Attempt.FromClient() {
		return session.Retried
	}
	if window := max(r.Retry, r.Grace); same && window != 0 && passed(h.TurnedAt, now) <= window {
		return session.Retried
	}
	if inGrace(r, h.TurnedAt, now) {
		if h.Attempt.FromClient() {
			return session.Contended
		}
		return session.Replayed
	}
	if inGrace(r, h.RecoveredAt, now) {
		return session.Recovering
	}
	return session.Reuse
}

// Newer is session.Checkpoint.Newer.
func (r Rules) Newer(c, other Hot) bool {
	if c.RecoveredAt != other.RecoveredAt && !r.NoEpochs {
		return c.RecoveredAt > other.RecoveredAt
	}
	if c.Generation != other.Generation {
		return c.Generation > other.Generation
	}
	return c.TurnedAt > other.TurnedAt
}

// Lifts reports whether what the ledger knows is newer than the hot state.
func (r Rules) Lifts(hot, known Hot) bool {
	return known.Generation > hot.Generation && (known.RecoveredAt >= hot.RecoveredAt || r.NoEpochs)
}

// Restore is the contract's Restore for a session without tombstone: hot is
// what the store has (found says whether it has anything), known what the
// ledger knows.
func (r Rules) Restore(hot Hot, found bool, known Hot, adopt uint64, now int64) Hot {
	before := hot
	if !found {
		before, hot = Hot{}, known
		hot.IdleExpiresAt = min(known.LastUsedAt+r.Idle, known.ExpiresAt)
	} else if r.Lifts(hot, known) {
		hot.Generation, hot.TurnedAt, hot.Attempt = known.Generation, known.TurnedAt, known.Attempt
		hot.RecoveredAt, hot.LastUsedAt = known.RecoveredAt, known.LastUsedAt
		hot.IdleExpiresAt = min(known.LastUsedAt+r.Idle, hot.ExpiresAt)
	}
	hot.Held = hot.Held || known.Held
	now = max(before.Time(now), hot.Time(now))
	if adopt > hot.Generation {
		hot.Generation, hot.TurnedAt, hot.Attempt = adopt, 0, 0
		hot.LastUsedAt = now
		hot.IdleExpiresAt = min(now+r.Idle, hot.ExpiresAt)
	}
	if hot != before {
		hot.RecoveredAt = max(now, known.RecoveredAt+1, hot.RecoveredAt+1)
	}
	return hot
}
