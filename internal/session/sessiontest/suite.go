package sessiontest

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

// Open returns a store that reads the time from now. The store may keep what
// other tests wrote: every test uses users of its own.
type Open func(t *testing.T, now func() time.Time) session.Store

// Run holds the store to every sentence of the contract of [session.Store].
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) session.Store) {
	t.Helper()
	for _, group := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Create", testCreate},
		{"Cap", testCap},
		{"Rotate", testRotate},
		{"Order", testOrder},
		{"Chain", testChain},
		{"Shared", testShared},
		{"Recovery", testRecovery},
		{"Restore", testRestore},
		{"Revoke", testRevoke},
		{"List", testList},
		{"Clock", testClock},
		{"Context", testContext},
		{"Values", testValues},
		{"Races", testRaces},
	} {
		t.Run(group.name, func(t *testing.T) { group.run(t, open) })
	}
}

// Clock is a clock that only moves when it is told to, forwards or backwards,
// in whole milliseconds. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts a clock at the present.
func NewClock() *Clock { return &Clock{now: time.Now().UTC().Truncate(time.Millisecond)} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Step moves the clock by d, which may be negative.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Attempts of the suite.
const (
	serverA session.Attempt = "sAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	serverB session.Attempt = "sBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
	clientA session.Attempt = "cAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	clientB session.Attempt = "cBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
)

const ms = time.Millisecond

// defaults is the policy of the suite where a case does not change it.
func defaults() session.Policy {
	return session.Policy{
		Idle: time.Hour, Absolute: 24 * time.Hour,
		Grace: 10 * time.Second, Retry: 30 * time.Minute, Cap: 20,
	}
}

// fixture is a store with a clock and one user.
type fixture struct {
	t      *testing.T
	ctx    context.Context
	store  session.Store
	clock  *Clock
	policy session.Policy
	user   uuid.UUID
}

func newFixture(t *testing.T, open Open) *fixture {
	t.Helper()
	clock := NewClock()
	return &fixture{
		t: t, ctx: t.Context(), store: open(t, clock.Now), clock: clock,
		policy: defaults(), user: uuid.New(),
	}
}

// state is a session that began now, at generation 1.
func (f *fixture) state() session.State {
	id, now := uuid.New(), f.clock.Now()
	return session.State{
		Session: session.Session{
			ID: id, UserID: f.user, Delivery: session.DeliveryCookie,
			CreatedAt: now, LastUsedAt: now,
			IdleExpiresAt: now.Add(f.policy.Idle), ExpiresAt: now.Add(f.policy.Absolute),
			DeviceName: "Ada's phone", UserAgent: "agent/1", IPAddress: here,
		},
		Role: "USER", SecretHash: sha256.Sum256(id[:]), Generation: 1,
		Grace: f.policy.Grace, Retry: f.policy.Retry,
	}
}

// turned is a session at generation 5 that turned now, by serverA.
func (f *fixture) turned() session.State {
	s := f.state()
	s.CreatedAt = s.CreatedAt.Add(-time.Hour)
	s.Generation, s.TurnedAt, s.Attempt = 5, f.clock.Now(), serverA
	s.RotatedBy = present(s, 4, serverA).Mark()
	return s
}

// here is the network of logins and, where a case does not say otherwise, of refreshes.
const here = "192.0.2.1"

// present is generation g of s, from the network and by the agent of its login;
// the address differs, so that it can be told what was recorded.
func present(s session.State, g uint64, attempt session.Attempt) session.Presented {
	return session.Presented{
		UserID: s.UserID, SessionID: s.ID, SecretHash: s.SecretHash, Generation: g,
		Attempt: attempt, Network: here, IPAddress: "198.51.100.7", UserAgent: "agent/1",
	}
}

func (f *fixture) create(s session.State) {
	f.t.Helper()
	evicted, err := f.store.Create(f.ctx, s, f.policy.Cap)
	if err != nil || len(evicted) != 0 {
		f.t.Fatalf("Create: got evicted %v and error %v, want neither", evicted, err)
	}
}

func (f *fixture) rotate(p session.Presented) session.Verdict {
	f.t.Helper()
	v, err := f.store.Rotate(f.ctx, p, f.policy)
	if err != nil {
		f.t.Fatalf("Rotate: %v", err)
	}
	return v
}

// expect rotates and fails the test unless the outcome is want.
func (f *fixture) expect(p session.Presented, want session.Outcome) session.Verdict {
	f.t.Helper()
	v := f.rotate(p)
	if v.Outcome != want {
		f.t.Fatalf("Rotate of generation %d by %.1s: got %q (reason %q), want %q", p.Generation, p.Attempt, v.Outcome, v.Reason, want)
	}
	return v
}

func (f *fixture) restore(s session.State, adopt uint64) session.State {
	f.t.Helper()
	after, err := f.store.Restore(f.ctx, s, adopt, f.policy)
	if err != nil {
		f.t.Fatalf("Restore: %v", err)
	}
	return after
}

func (f *fixture) revoke(s session.State, reason session.Reason) {
	f.t.Helper()
	err := f.store.Revoke(f.ctx, s.UserID, []session.End{{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: reason}})
	if err != nil {
		f.t.Fatalf("Revoke: %v", err)
	}
}

func (f *fixture) list() []session.State {
	f.t.Helper()
	states, err := f.store.List(f.ctx, f.user)
	if err != nil {
		f.t.Fatalf("List: %v", err)
	}
	return states
}

// stored is the live session with the id, as the store lists it.
func (f *fixture) stored(id uuid.UUID) session.State {
	f.t.Helper()
	states := f.list()
	at := slices.IndexFunc(states, func(s session.State) bool { return s.ID == id })
	if at < 0 {
		f.t.Fatalf("List: got %d sessions without %s, want it among them", len(states), id)
	}
	return states[at]
}

// wantStored fails the test unless the store lists exactly want for its session.
func (f *fixture) wantStored(want session.State) {
	f.t.Helper()
	wantState(f.t, "stored state", f.stored(want.ID), want)
}

// wantEnded fails the test unless the session has a tombstone with the reason.
func (f *fixture) wantEnded(s session.State, reason session.Reason) {
	f.t.Helper()
	v := f.expect(present(s, s.Generation, clientA), session.Tombstone)
	if v.Reason != reason {
		f.t.Errorf("reason of the tombstone: got %q, want %q", v.Reason, reason)
	}
	if v.State != (session.State{}) {
		f.t.Errorf("state with a tombstone: got %+v, want the zero state", v.State)
	}
	for _, live := range f.list() {
		if live.ID == s.ID {
			f.t.Errorf("List: got the ended session %s, want it left out", s.ID)
		}
	}
}
