package memstore

import (
	"context"
	"time"

	"github.com/pawlauth/pawl/internal/session"
)

// followedTooOften is for how many generations in a row somebody else replays
// the previous token until the session counts as shared.
const followedTooOften = 3

// Rotate implements [session.Store]. The rules are those of the contract, in its order.
func (s *Store) Rotate(ctx context.Context, p session.Presented, policy session.Policy) (session.Verdict, error) {
	now, unlock, err := s.lock(ctx)
	if err != nil {
		return session.Verdict{}, err
	}
	defer unlock()
	state, reason := s.find(p.UserID, p.SessionID)
	switch {
	case reason != "":
		return session.Verdict{Outcome: session.Tombstone, Reason: reason}, nil
	case state == nil:
		return session.Verdict{Outcome: session.Missing}, nil
	}
	now = notBefore(now, *state)
	verdict := session.Verdict{Outcome: judge(*state, p, policy, now)}
	if verdict.Outcome == session.Replayed && follow(state, p.Mark()) {
		verdict.Shared = true
		if policy.EndShared {
			verdict.Outcome = session.Shared
		}
	}
	if reason, ends := verdict.Outcome.Ends(); ends {
		s.of(p.UserID).end(session.End{SessionID: p.SessionID, ExpiresAt: state.ExpiresAt, Reason: reason}, now)
	} else if grants(verdict.Outcome) && !p.AccessOnly {
		use(state, p, policy, now, verdict.Outcome == session.Rotated)
	}
	verdict.State = *state
	return verdict, nil
}

// judge says what a presented token is worth; it changes nothing.
func judge(state session.State, p session.Presented, policy session.Policy, now time.Time) session.Outcome {
	recovering := within(now, state.RecoveredAt, state.Grace)
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
	case state.Binding != "" && p.Network != state.Binding:
		return session.BindingMiss
	}
	outcome := judgeCurrent(state, p, now, recovering)
	if p.Generation < state.Generation {
		outcome = judgePrevious(state, p, now, recovering)
	}
	required := (state.Held || policy.RequireAttempt) && !p.Attempt.FromClient() && !p.AccessOnly
	if required && outcome != session.Reuse {
		return session.AttemptRequired
	}
	if grants(outcome) && !now.Before(state.IdleExpiresAt) {
		return session.Expired
	}
	return outcome
}

func judgeCurrent(state session.State, p session.Presented, now time.Time, recovering bool) session.Outcome {
	switch {
	case p.AccessOnly:
		return session.AccessOnly
	case state.Generation > 1 && (recovering || within(now, state.TurnedAt, state.Grace)):
		return session.Unchanged
	case p.Attempt.FromClient() && p.Attempt == state.Attempt:
		return session.AttemptUsed
	}
	return session.Rotated
}

func judgePrevious(state session.State, p session.Presented, now time.Time, recovering bool) session.Outcome {
	grace := within(now, state.TurnedAt, state.Grace)
	retry := grace || within(now, state.TurnedAt, state.Retry)
	same := p.Attempt == state.Attempt && (!p.Attempt.FromClient() || retry)
	switch {
	case p.AccessOnly && (same || grace):
		return session.AccessOnly
	case same:
		return session.Retried
	case state.Attempt.FromClient() && (grace || p.AccessOnly && retry):
		return session.Contended
	case grace:
		return session.Replayed
	case recovering:
		return session.Recovering
	}
	return session.Reuse
}

// follow counts generations in a row whose predecessor somebody else replayed; it
// reports whether they are too many.
func follow(state *session.State, mark string) bool {
	if state.RotatedBy == "" || state.RotatedBy == mark || state.Followed == state.Generation {
		return false
	}
	if state.Followed+1 != state.Generation {
		state.Follows = 0
	}
	state.Followed, state.Follows = state.Generation, state.Follows+1
	return state.Follows >= followedTooOften
}

// within reports whether now is at most window after then; a window of 0 is
// off, and a zero time was never.
func within(now, then time.Time, window time.Duration) bool {
	return window > 0 && !then.IsZero() && now.Sub(then) <= window
}

func grants(outcome session.Outcome) bool {
	switch outcome {
	case session.Rotated, session.Unchanged, session.Replayed, session.Retried, session.AccessOnly:
		return true
	}
	return false
}

// use records that the session was used now, and turns it where it rotates.
func use(state *session.State, p session.Presented, policy session.Policy, now time.Time, rotates bool) {
	if rotates {
		state.Generation++
		state.TurnedAt, state.Attempt = now, p.Attempt
		state.IdleExpiresAt = earliest(now.Add(policy.Idle), state.ExpiresAt)
		state.Turn(now, p.IPAddress, p.UserAgent)
		state.RotatedBy = ""
		if !p.Attempt.FromClient() {
			state.RotatedBy = p.Mark()
		}
		state.Held = state.Held || p.Attempt.FromClient()
	}
	state.Use(now)
}
