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
	sweepEvery     = 10 * time.Minute
	keepTombstones = 100 // per user; more may be dropped when they are old
	tombstoneAge   = 10 * time.Minute
)

// Store implements [session.Store]. Times are kept to the millisecond.
type Store struct {
	now func() time.Time

	mu    sync.Mutex
	users map[uuid.UUID]map[uuid.UUID]*record
	swept time.Time
}

// record is a live session, or a tombstone when reason is set.
type record struct {
	state  session.State
	reason session.Reason
	ended  time.Time
	until  time.Time // absolute expiry
}

// New returns an empty store that reads the time from now.
func New(now func() time.Time) *Store {
	return &Store{now: now, users: make(map[uuid.UUID]map[uuid.UUID]*record)}
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

// sweep forgets what is past its absolute expiry, now and then.
func (s *Store) sweep(now time.Time) {
	if now.Sub(s.swept) < sweepEvery {
		return
	}
	s.swept = now
	for userID, sessions := range s.users {
		dropExpired(sessions, now)
		if len(sessions) == 0 {
			delete(s.users, userID)
		}
	}
}

func dropExpired(sessions map[uuid.UUID]*record, now time.Time) {
	for id, r := range sessions {
		if !now.Before(r.until) {
			delete(sessions, id)
		}
	}
}

func (s *Store) of(userID uuid.UUID) map[uuid.UUID]*record {
	sessions := s.users[userID]
	if sessions == nil {
		sessions = make(map[uuid.UUID]*record)
		s.users[userID] = sessions
	}
	return sessions
}

// Create implements [session.Store].
func (s *Store) Create(ctx context.Context, state session.State, limit int) ([]session.End, error) {
	now, unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	sessions := s.of(state.UserID)
	if r := sessions[state.ID]; r != nil {
		if r.reason != "" {
			return nil, session.ErrEnded
		}
		return recentlyEvicted(sessions, now), nil
	}
	dropExpired(sessions, now)
	dropTombstones(sessions, now)
	live := make([]*record, 0, len(sessions))
	for _, r := range sessions {
		if r.reason == "" {
			live = append(live, r)
		}
	}
	slices.SortFunc(live, leastRecentlyUsed)
	var evicted []session.End
	for _, r := range live[:max(0, len(live)+1-limit)] {
		r.end(session.ReasonEvicted, now)
		evicted = append(evicted, session.End{SessionID: r.state.ID, ExpiresAt: r.until, Reason: r.reason})
	}
	sessions[state.ID] = &record{state: trim(state), until: millis(state.ExpiresAt)}
	return evicted, nil
}

func leastRecentlyUsed(a, b *record) int {
	if c := a.state.LastUsedAt.Compare(b.state.LastUsedAt); c != 0 {
		return c
	}
	return slices.Compare(a.state.ID[:], b.state.ID[:])
}

// recentlyEvicted answers a repeated Create with what the first one ended.
func recentlyEvicted(sessions map[uuid.UUID]*record, now time.Time) []session.End {
	var ends []session.End
	for id, r := range sessions {
		if r.reason == session.ReasonEvicted && now.Sub(r.ended) <= tombstoneAge {
			ends = append(ends, session.End{SessionID: id, ExpiresAt: r.until, Reason: r.reason})
		}
	}
	return ends
}

// dropTombstones drops old tombstones of a user who has many. The ledger still
// knows that those sessions ended.
func dropTombstones(sessions map[uuid.UUID]*record, now time.Time) {
	count := 0
	for _, r := range sessions {
		if r.reason != "" {
			count++
		}
	}
	if count <= keepTombstones {
		return
	}
	for id, r := range sessions {
		if r.reason != "" && now.Sub(r.ended) > tombstoneAge {
			delete(sessions, id)
		}
	}
}

func (r *record) end(reason session.Reason, now time.Time) {
	r.reason, r.ended = reason, now
}

// Restore implements [session.Store].
func (s *Store) Restore(ctx context.Context, known session.State, adopt uint64, policy session.Policy) (session.State, error) {
	now, unlock, err := s.lock(ctx)
	if err != nil {
		return session.State{}, err
	}
	defer unlock()
	sessions := s.of(known.UserID)
	r := sessions[known.ID]
	if r != nil && r.reason != "" {
		return session.State{}, session.ErrEnded
	}
	known = trim(known)
	changed := false
	state := known
	switch {
	case r == nil || known.Generation > r.state.Generation && !known.RecoveredAt.Before(r.state.RecoveredAt):
		changed = true
		if r != nil {
			state.Held = known.Held || r.state.Held
			now = notBefore(now, r.state)
		}
		state.IdleExpiresAt = earliest(state.LastUsedAt.Add(policy.Idle), state.ExpiresAt)
	default:
		state = r.state
		if known.Held && !state.Held {
			state.Held, changed = true, true
		}
	}
	now = notBefore(now, state)
	if adopt > state.Generation {
		changed = true
		state.Generation, state.TurnedAt, state.Attempt = adopt, time.Time{}, ""
		state.LastUsedAt = now
		state.IdleExpiresAt = earliest(now.Add(policy.Idle), state.ExpiresAt)
	}
	if changed {
		for _, before := range []time.Time{known.RecoveredAt, state.RecoveredAt} {
			if !before.IsZero() && !now.After(before) {
				now = before.Add(time.Millisecond)
			}
		}
		state.RecoveredAt = now
		sessions[known.ID] = &record{state: state, until: state.ExpiresAt}
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
	sessions := s.of(userID)
	for _, end := range ends {
		r := sessions[end.SessionID]
		if r == nil {
			r = &record{until: millis(end.ExpiresAt)}
			sessions[end.SessionID] = r
		}
		if r.reason == "" {
			r.end(end.Reason, now)
		}
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
	switch r := s.users[userID][sessionID]; {
	case r == nil:
		return session.State{}, session.ErrMissing
	case r.reason != "":
		return session.State{}, session.ErrEnded
	default:
		return r.state, nil
	}
}

// List implements [session.Store].
func (s *Store) List(ctx context.Context, userID uuid.UUID) ([]session.State, error) {
	now, unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var live []session.State
	for _, r := range s.users[userID] {
		if r.reason == "" && now.Before(r.until) {
			live = append(live, r.state)
		}
	}
	return live, nil
}

// Ping implements [session.Store]: memory always answers.
func (s *Store) Ping(ctx context.Context) error { return ctx.Err() }

// trim cuts all times of a state to the millisecond and fixes what a new record may say.
func trim(state session.State) session.State {
	for _, t := range []*time.Time{
		&state.CreatedAt, &state.LastUsedAt, &state.IdleExpiresAt, &state.ExpiresAt, &state.TurnedAt, &state.RecoveredAt,
	} {
		*t = millis(*t)
	}
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
