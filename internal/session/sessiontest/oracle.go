package sessiontest

import (
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/model"
)

// record is a session as the rules say that a store must have it.
type record struct {
	state  session.State
	reason session.Reason // of its tombstone; empty while it lives
}

// oracle foretells what a store answers, for one user.
type oracle struct {
	policy   session.Policy
	rules    model.Rules
	marks    map[session.Attempt]model.Mark
	sessions map[uuid.UUID]record
}

func newOracle(policy session.Policy) *oracle {
	return &oracle{
		policy: policy,
		rules: model.Rules{
			Idle: policy.Idle.Milliseconds(), Grace: policy.Grace.Milliseconds(), Retry: policy.Retry.Milliseconds(),
			RequireAttempt: policy.RequireAttempt, EndShared: policy.EndShared,
		},
		marks:    map[session.Attempt]model.Mark{"": 0},
		sessions: map[uuid.UUID]record{},
	}
}

func (o *oracle) rotate(p session.Presented, now time.Time) session.Verdict {
	r, found := o.sessions[p.SessionID]
	switch {
	case !found:
		return session.Verdict{Outcome: session.Missing}
	case r.reason != "":
		return session.Verdict{Outcome: session.Tombstone, Reason: r.reason}
	}
	before := o.hot(r.state)
	outcome, after := o.rules.Judge(before, model.Use{
		Generation:   p.Generation,
		Attempt:      o.mark(p.Attempt),
		AccessOnly:   p.AccessOnly,
		By:           p.Mark(),
		WrongSecret:  p.SecretHash != r.state.SecretHash,
		WrongNetwork: r.state.Binding != "" && p.Network != r.state.Binding,
	}, now.UnixMilli())
	shared := outcome == session.Shared || model.ReportsShared(before, after)
	if reason, ends := outcome.Ends(); ends {
		r.reason = reason
	}
	if model.Granted(outcome) && outcome != session.AccessOnly {
		r.state.Use(moment(after.LastUsedAt))
	}
	r.state = o.with(r.state, after)
	if outcome == session.Rotated {
		r.state.Turn(moment(after.TurnedAt), p.IPAddress, p.UserAgent)
	}
	o.sessions[p.SessionID] = r
	return session.Verdict{Outcome: outcome, State: r.state, Shared: shared}
}

// restore reports false where there is a tombstone.
func (o *oracle) restore(known session.State, adopt uint64, now time.Time) (session.State, bool) {
	r, found := o.sessions[known.ID]
	if r.reason != "" {
		return session.State{}, false
	}
	base := r.state
	if !found || o.rules.Lifts(o.hot(base), o.hot(known)) {
		base = known
	}
	after := o.rules.Restore(o.hot(r.state), found, o.hot(known), adopt, now.UnixMilli())
	if after.Generation > base.Generation { // adopted
		base.Use(moment(after.LastUsedAt))
	}
	r.state = o.with(base, after)
	o.sessions[known.ID] = r
	return r.state, true
}

func (o *oracle) revoke(id uuid.UUID, reason session.Reason) {
	r := o.sessions[id]
	if r.reason == "" {
		r.reason = reason
		o.sessions[id] = r
	}
}

// hot is the part of a state that the rules look at.
func (o *oracle) hot(s session.State) model.Hot {
	return model.Hot{
		Generation: s.Generation, TurnedAt: milli(s.TurnedAt), Attempt: o.mark(s.Attempt), Held: s.Held,
		LastUsedAt: milli(s.LastUsedAt), RecoveredAt: milli(s.RecoveredAt),
		IdleExpiresAt: milli(s.IdleExpiresAt), ExpiresAt: milli(s.ExpiresAt),
		Grace: s.Grace.Milliseconds(), Retry: s.Retry.Milliseconds(), RotatedBy: s.RotatedBy, Followed: s.Followed, Follows: s.Follows,
	}
}

// with is the state after the rules had their say.
func (o *oracle) with(s session.State, h model.Hot) session.State {
	s.Generation, s.TurnedAt, s.Held = h.Generation, moment(h.TurnedAt), h.Held
	s.LastUsedAt, s.RecoveredAt, s.IdleExpiresAt = moment(h.LastUsedAt), moment(h.RecoveredAt), moment(h.IdleExpiresAt)
	s.RotatedBy, s.Followed, s.Follows = h.RotatedBy, h.Followed, h.Follows
	for attempt, mark := range o.marks {
		if mark == h.Attempt {
			s.Attempt = attempt
		}
	}
	return s
}

// mark names an attempt by a number.
func (o *oracle) mark(a session.Attempt) model.Mark {
	m, known := o.marks[a]
	if !known {
		m = model.Mark(len(o.marks))
		if !a.FromClient() {
			m = -m
		}
		o.marks[a] = m
	}
	return m
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
