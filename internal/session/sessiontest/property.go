package sessiontest

import (
	"context"
	"crypto/sha256"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/internal/session"
)

// Forget makes a store lose everything about a user, as a restart or a flush
// does, and returns the store to go on with.
type Forget func(store session.Store, now func() time.Time, user uuid.UUID) session.Store

// Property lets owners with several tabs, thieves and faults have their way
// with a store, in any order, and compares every answer with the rules of
// package model. Owners who keep to what is asked of honest clients must never
// be signed out.
func Property(t *testing.T, open func(t *testing.T, now func() time.Time) session.Store, forget Forget) {
	t.Helper()
	for name, honest := range map[string]bool{"anyone": false, "honest owners": true} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				clock := NewClock()
				m := &machine{
					T: rt, ctx: t.Context(), clock: clock, store: open(t, clock.Now), forget: forget,
					policy: drawPolicy(rt, honest), honest: honest, user: uuid.New(), ledger: map[uuid.UUID]*row{},
				}
				m.oracle = newOracle(m.policy)
				m.login(rt)
				rt.Repeat(m.actions())
			})
		})
	}
}

func drawPolicy(t *rapid.T, honest bool) session.Policy {
	p := defaults()
	p.Cap = 3
	if !honest {
		p.Grace = rapid.SampledFrom([]time.Duration{0, 2 * time.Second, 10 * time.Second}).Draw(t, "grace")
		p.Retry = rapid.SampledFrom([]time.Duration{0, 5 * time.Second, 30 * time.Minute}).Draw(t, "retry")
	}
	return p
}

// machine is a world with one user and a store of which the oracle knows what
// it must hold.
type machine struct {
	*rapid.T
	ctx    context.Context
	clock  *Clock
	store  session.Store
	forget Forget
	policy session.Policy
	honest bool
	user   uuid.UUID

	oracle   *oracle
	ledger   map[uuid.UUID]*row
	owners   []*owner
	snapshot map[uuid.UUID]record
	serial   int
}

// row is a session's row in the ledger.
type row struct {
	state   session.State
	reason  session.Reason // set when the ledger ended it
	revived bool           // an old snapshot came back after that
	newest  uint64         // generation that the store must not fall below
}

// owner is one client with a jar, several tabs, and perhaps a thief.
type owner struct {
	session  session.State
	attempts bool // sends attempt ids
	jar      uint64
	intent   session.Attempt
	requests []*request
	owed     time.Time            // the turn whose answer was lost
	over     bool                 // somebody ended the session
	stolen   *request             // what the thief has; nil without thief
	noted    []session.Checkpoint // not written yet
}

// request is one request of a tab, on its way or answered.
type request struct {
	session.Presented
	sent    time.Time
	done    bool
	granted bool
	carries uint64 // generation that the answer sets
}

func (m *machine) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"":           m.check,
		"login":      m.login,
		"send":       m.withOwner(m.send),
		"process":    m.withRequest(false, m.process),
		"resend":     m.withRequest(false, m.resend),
		"deliver":    m.withRequest(true, m.deliver),
		"lose":       m.withRequest(true, m.lose),
		"step":       m.step,
		"note":       m.withOwner(m.note),
		"checkpoint": m.withOwner(m.checkpoint),
		"wipe":       m.wipe,
		"snapshot":   m.take,
		"rollback":   m.rollback,
	}
	for _, again := range []string{" again", " and again"} { // most of what happens
		actions["send"+again] = actions["send"]
		actions["process"+again] = actions["process"]
		actions["deliver"+again] = actions["deliver"]
	}
	if !m.honest {
		actions["steal"] = m.withOwner(m.steal)
		actions["abuse"] = m.withOwner(m.abuse)
		actions["step back"] = m.stepBack
		actions["logout"] = m.withOwner(m.logout)
		actions["other token"] = m.withOwner(m.otherToken)
	}
	return actions
}

func (m *machine) withOwner(act func(*owner)) func(*rapid.T) {
	return func(t *rapid.T) {
		live := slices.DeleteFunc(slices.Clone(m.owners), func(o *owner) bool {
			return !m.clock.Now().Before(o.session.ExpiresAt)
		})
		if len(live) == 0 {
			t.Skip("no session")
		}
		act(live[rapid.IntRange(0, len(live)-1).Draw(t, "owner")])
	}
}

func (m *machine) withRequest(done bool, act func(*owner, *request)) func(*rapid.T) {
	return m.withOwner(func(o *owner) {
		var fitting []*request
		for _, r := range o.requests {
			if r.done == done {
				fitting = append(fitting, r)
			}
		}
		if len(fitting) == 0 {
			m.Skip("no request")
		}
		act(o, fitting[rapid.IntRange(0, len(fitting)-1).Draw(m.T, "request")])
	})
}

// attempt draws a mark that nobody used before.
func (m *machine) attempt(client bool) session.Attempt {
	m.serial++
	kind := "s"
	if client {
		kind = "c"
	}
	return session.Attempt(kind + strconv.Itoa(m.serial))
}

func (m *machine) login(t *rapid.T) {
	now := m.clock.Now()
	live := []session.State{}
	for _, r := range m.oracle.sessions {
		if r.reason == "" && now.Before(r.state.ExpiresAt) {
			live = append(live, r.state)
		}
	}
	m.serial++
	id := uuid.NewSHA1(uuid.Nil, []byte(strconv.Itoa(m.serial))) // the same when rapid repeats a run
	s := session.State{
		Session: session.Session{
			ID: id, UserID: m.user, Delivery: session.DeliveryCookie, CreatedAt: now, LastUsedAt: now,
			IdleExpiresAt: now.Add(m.policy.Idle), ExpiresAt: now.Add(m.policy.Absolute),
			IPAddress: "192.0.2.1", UserAgent: "login", DeviceName: "device",
		},
		Role: "USER", SecretHash: sha256.Sum256(id[:]), Generation: 1, Grace: m.policy.Grace, Retry: m.policy.Retry,
	}
	if rapid.Bool().Draw(t, "bound") {
		s.Binding = "192.0.2.1"
	}
	ends, err := m.store.Create(m.ctx, s, m.policy.Cap)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if got, want := len(ends), max(0, len(live)+1-m.policy.Cap); got != want {
		t.Fatalf("Create: got %d evicted, want %d", got, want)
	}
	m.oracle.sessions[id] = record{state: s}
	m.ledger[id] = &row{state: s, newest: 1}
	m.owners = append(m.owners, &owner{session: s, jar: 1, attempts: rapid.Bool().Draw(t, "attempts")})
	for _, end := range ends {
		for _, other := range live {
			if evicted := m.oracle.sessions[end.SessionID].state; other.ID != end.SessionID &&
				m.oracle.sessions[other.ID].reason == "" && other.LastUsedAt.Before(evicted.LastUsedAt) && !evictedToo(ends, other.ID) {
				t.Fatalf("Create: got %s evicted, want %s, which was used less recently", end.SessionID, other.ID)
			}
		}
		m.oracle.revoke(end.SessionID, session.ReasonEvicted)
		m.end(end.SessionID, session.ReasonEvicted)
	}
}

func evictedToo(ends []session.End, id uuid.UUID) bool {
	return slices.ContainsFunc(ends, func(e session.End) bool { return e.SessionID == id })
}

// end is the ledger's note that a session is over.
func (m *machine) end(id uuid.UUID, reason session.Reason) {
	if r := m.ledger[id]; r != nil && r.reason == "" {
		r.reason = reason
	}
	for _, o := range m.owners {
		if o.session.ID == id {
			o.over = true
		}
	}
}

func (m *machine) logout(o *owner) {
	id := o.session.ID
	m.end(id, session.ReasonLogout)
	m.revoke(id, session.ReasonLogout)
}

func (m *machine) revoke(id uuid.UUID, reason session.Reason) {
	end := session.End{SessionID: id, ExpiresAt: m.ledger[id].state.ExpiresAt, Reason: reason}
	if err := m.store.Revoke(m.ctx, m.user, []session.End{end}); err != nil {
		m.Fatalf("Revoke: %v", err)
	}
	m.oracle.revoke(id, reason)
}
