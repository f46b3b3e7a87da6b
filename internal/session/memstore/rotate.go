package memstore

import (
	"context"
	"time"

	"github.com/pawlauth/pawl/internal/session"
)

// Rotate implements [session.Store]. The rules are those of the contract, in its order.
func (s *Store) Rotate(ctx context.Context, p session.Presented, policy session.Policy) (session.Verdict, error) {
	now, unlock, err := s.lock(ctx)
	if err != nil {
		return session.Verdict{}, err
	}
	defer unlock()
	r := s.users[p.UserID][p.SessionID]
	switch {
	case r == nil:
		return session.Verdict{Outcome: session.Missing}, nil
	case r.reason != "":
		return session.Verdict{Outcome: session.Tombstone, Reason: r.reason}, nil
	}
	now = notBefore(now, r.state)
	outcome := judge(r.state, p, policy, now)
	switch outcome {
	case session.Reuse:
		r.end(session.ReasonReuse, now)
	case session.BindingMiss:
		r.end(session.ReasonBinding, now)
	case session.Rotated:
		r.state.Generation++
		r.state.TurnedAt, r.state.Attempt = now, p.Attempt
		r.state.IdleExpiresAt = earliest(now.Add(policy.Idle), r.state.ExpiresAt)
		use(&r.state, p, now)
	case session.Unchanged, session.Replayed, session.Retried:
		use(&r.state, p, now)
	}
	return session.Verdict{Outcome: outcome, State: r.state}, nil
}

// judge says what a presented token is worth; it changes nothing.
func judge(state session.State, p session.Presented, policy session.Policy, now time.Time) session.Outcome {
	recovering := within(now, state.RecoveredAt, policy.Grace)
	switch {
	case !now.Before(state.ExpiresAt):
		return session.Expired
	case p.SecretHash != state.SecretHash:
		return session.Forged
	case p.Generation > state.Generation:
		return session.Ahead
	case p.Generation+1 < state.Generation && recovering:
		return session.Recovering
	case p.Generation+1 < state.Generation:
		return session.Reuse
	case p.Binding != "" && state.Binding != "" && p.Binding != state.Binding:
		return session.BindingMiss
	case state.Held && !p.Attempt.FromClient():
		return session.AttemptRequired
	}
	outcome := judgeCurrent(state, policy, now, recovering)
	if p.Generation < state.Generation {
		outcome = judgePrevious(state, p, policy, now, recovering)
	}
	if grants(outcome) && !now.Before(state.IdleExpiresAt) {
		return session.Expired
	}
	return outcome
}

func judgeCurrent(state session.State, policy session.Policy, now time.Time, recovering bool) session.Outcome {
	if state.Generation > 1 && (recovering || within(now, state.TurnedAt, policy.Grace)) {
		return session.Unchanged
	}
	return session.Rotated
}

func judgePrevious(state session.State, p session.Presented, policy session.Policy, now time.Time, recovering bool) session.Outcome {
	grace := within(now, state.TurnedAt, policy.Grace)
	switch {
	case p.Attempt == state.Attempt && (!p.Attempt.FromClient() || grace || within(now, state.TurnedAt, policy.Retry)):
		return session.Retried
	case grace && state.Attempt.FromClient():
		return session.Contended
	case grace:
		return session.Replayed
	case recovering:
		return session.Recovering
	}
	return session.Reuse
}

// within reports whether now is at most window after then; a window of 0 is
// off, and a zero time was never.
func within(now, then time.Time, window time.Duration) bool {
	return window > 0 && !then.IsZero() && now.Sub(then) <= window
}

func grants(outcome session.Outcome) bool {
	switch outcome {
	case session.Rotated, session.Unchanged, session.Replayed, session.Retried:
		return true
	}
	return false
}

func use(state *session.State, p session.Presented, now time.Time) {
	state.LastUsedAt, state.IPAddress, state.UserAgent = now, p.IPAddress, p.UserAgent
	state.Held = state.Held || p.Attempt.FromClient()
}
