// Package memstore keeps the hot state of sessions in the memory of one
// process. It is a real store for a single node: it loses everything at a
// restart, and the sessions come back through the ledger like after any other
// loss. It refuses to know what is remembered elsewhere.
package memstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

const (
	sweepEvery   = 10 * time.Minute
	tombstoneAge = 24 * time.Hour
)

// Store implements [session.Store]. Times are kept to the millisecond.
type Store struct {
	now func() time.Time

	mu    sync.Mutex
	users map[uuid.UUID]*account
	swept time.Time
}

// account is what the store has of one user. An id is in at most one of both.
type account struct {
	live  map[uuid.UUID]*session.State
	ended map[uuid.UUID]tombstone
}

type tombstone struct {
	reason session.Reason
	until  time.Time // from then on the ledger answers
}

// New returns an empty store that reads the time from now.
func New(now func() time.Time) *Store {
	return &Store{now: now, users: make(map[uuid.UUID]*account)}
}

// lock enters the store unless ctx is over; it returns the time and the unlock.
func (s *Store) lock(ctx context.Context) (time.Time, func(), error) {
	s.mu.Lock()
	if err := ctx.Err(); err != nil {
		s.mu.Unlock()
		return time.Time{}, nil, err
	}
	now := millis(s.now())
	s.sweep(now)
	return now, s.mu.Unlock, nil
}

// sweep forgets what is past its time, now and then.
func (s *Store) sweep(now time.Time) {
	if now.Sub(s.swept) < sweepEvery {
		return
	}
	s.swept = now
	for userID, a := range s.users {
		a.dropExpired(now)
		for id, t := range a.ended {
			if !now.Before(t.until) {
				delete(a.ended, id)
			}
		}
		if len(a.live)+len(a.ended) == 0 {
			delete(s.users, userID)
		}
	}
}

func (a *account) dropExpired(now time.Time) {
	for id, state := range a.live {
		if !now.Before(state.ExpiresAt) {
			delete(a.live, id)
		}
	}
}

// end writes a tombstone unless there is one. One that the ledger has need not
// last.
func (a *account) end(e session.End, now time.Time) {
	delete(a.live, e.SessionID)
	t, ended := a.ended[e.SessionID]
	if !ended {
		t = tombstone{e.Reason, millis(e.ExpiresAt).Add(time.Hour)}
	}
	if e.InLedger {
		t.until = earliest(t.until, now.Add(tombstoneAge))
	}
	a.ended[e.SessionID] = t
}

func (s *Store) of(userID uuid.UUID) *account {
	a := s.users[userID]
	if a == nil {
		a = &account{live: make(map[uuid.UUID]*session.State), ended: make(map[uuid.UUID]tombstone)}
		s.users[userID] = a
	}
	return a
}

// Create implements [session.Store].
func (s *Store) Create(ctx context.Context, state session.State, limit int) ([]session.End, error) {
	now, unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	a := s.of(state.UserID)
	if _, ended := a.ended[state.ID]; ended {
		return nil, session.ErrEnded
	}
	if a.live[state.ID] != nil {
		return nil, nil
	}
	a.dropExpired(now)
	live := make([]*session.State, 0, len(a.live))
	for _, other := range a.live {
		live = append(live, other)
	}
	slices.SortFunc(live, leastRecentlyUsed)
	var evicted []session.End
	for _, other := range live[:max(0, len(live)+1-limit)] {
		end := session.End{SessionID: other.ID, ExpiresAt: other.ExpiresAt, Reason: session.ReasonEvicted}
		a.end(end, now)
		evicted = append(evicted, end)
	}
	state = trim(state)
	a.live[state.ID] = &state
	return evicted, nil
}

func leastRecentlyUsed(a, b *session.State) int {
	if c := a.LastUsedAt.Compare(b.LastUsedAt); c != 0 {
		return c
	}
	return slices.Compare(a.ID[:], b.ID[:])
}

// Restore implements [session.Store].
func (s *Store) Restore(ctx context.Context, known session.State, adopt uint64, policy session.Policy) (session.State, error) {
	now, unlock, err := s.lock(ctx)
	if err != nil {
		return session.State{}, err
	}
	defer unlock()
	a := s.of(known.UserID)
	if _, ended := a.ended[known.ID]; ended {
		return session.State{}, session.ErrEnded
	}
	known = trim(known)
	changed := false
	state := known
	switch hot := a.live[known.ID]; {
	case hot == nil || known.Generation > hot.Generation && !known.RecoveredAt.Before(hot.RecoveredAt):
		changed = true
		if hot != nil {
			state.Held = known.Held || hot.Held
			state.Grace, state.Retry = hot.Grace, hot.Retry
			now = notBefore(now, *hot)
		}
		state.IdleExpiresAt = earliest(state.LastUsedAt.Add(policy.Idle), state.ExpiresAt)
	default:
		state = *hot
		if known.Held && !state.Held {
			state.Held, changed = true, true
		}
	}
	now = notBefore(now, state)
	if adopt > state.Generation {
		changed = true
		state.Generation, state.TurnedAt, state.Attempt, state.RotatedBy = adopt, time.Time{}, "", ""
		state.Use(now)
		state.IdleExpiresAt = earliest(now.Add(policy.Idle), state.ExpiresAt)
	}
	if changed {
		for _, before := range []time.Time{known.RecoveredAt, state.RecoveredAt} {
			if !before.IsZero() && !now.After(before) {
				now = before.Add(time.Millisecond)
			}
		}
		state.RecoveredAt = now
		a.live[known.ID] = &state
	}
	return state, nil
}

// Revoke implements [session.Store].
func (s *Store) Revoke(ctx context.Context, userID uuid.UUID, ends []session.End) error {
	now, unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	a := s.of(userID)
	for _, end := range ends {
		a.end(end, now)
	}
	return nil
}

// Find implements [session.Store].
func (s *Store) Find(ctx context.Context, userID, sessionID uuid.UUID) (session.State, error) {
	_, unlock, err := s.lock(ctx)
	if err != nil {
		return session.State{}, err
	}
	defer unlock()
	state, reason := s.find(userID, sessionID)
	switch {
	case reason != "":
		return session.State{}, session.ErrEnded
	case state == nil:
		return session.State{}, session.ErrMissing
	}
	return *state, nil
}

// find is what there is of a session: its state, or the reason of its tombstone,
// or neither.
func (s *Store) find(userID, sessionID uuid.UUID) (*session.State, session.Reason) {
	a := s.users[userID]
	if a == nil {
		return nil, ""
	}
	return a.live[sessionID], a.ended[sessionID].reason
}

// List implements [session.Store].
func (s *Store) List(ctx context.Context, userID uuid.UUID) ([]session.State, error) {
	now, unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	a := s.users[userID]
	if a == nil {
		return nil, nil
	}
	var live []session.State
	for _, state := range a.live {
		if now.Before(state.ExpiresAt) {
			live = append(live, *state)
		}
	}
	return live, nil
}

// Ping implements [session.Store]: memory always answers.
func (s *Store) Ping(ctx context.Context) error { return ctx.Err() }

// trim cuts all times of a state to the millisecond and fixes what a new record may say.
func trim(state session.State) session.State {
	for _, t := range []*time.Time{
		&state.CreatedAt, &state.LastUsedAt, &state.IdleExpiresAt, &state.ExpiresAt, &state.TurnedAt, &state.RecoveredAt, &state.MovedAt,
	} {
		*t = millis(*t)
	}
	state.Grace, state.Retry = state.Grace.Truncate(time.Millisecond), state.Retry.Truncate(time.Millisecond)
	state.Current = false
	return state
}

func millis(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// notBefore keeps time from running backwards within a session.
func notBefore(now time.Time, state session.State) time.Time {
	for _, t := range []time.Time{state.LastUsedAt, state.TurnedAt, state.RecoveredAt} {
		if t.After(now) {
			now = t
		}
	}
	return now
}
