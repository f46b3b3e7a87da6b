package auth_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/session"
)

// silence stops the feed's news and lets it become stale.
func (w *world) silence() {
	at := w.clock.now()
	w.feed.stopped.Store(&at)
	w.clock.step(w.svc.StaleAfter + time.Millisecond)
}

// endElsewhere ends a session as another node does whose news do not arrive.
func (w *world) endElsewhere(c *client) {
	w.Helper()
	_, ends, err := w.ledger.RevokeByID(w.Context(), c.id, session.ReasonRevoked)
	w.must(err)
	w.must(w.hot.Revoke(w.Context(), w.user.ID, ends))
}

func TestStaleFeedAsksTheStores(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.endElsewhere(c)
		c.authenticates(nil) // the news are on their way
		at := w.clock.now()
		w.feed.stopped.Store(&at)
		w.clock.step(w.svc.StaleAfter)
		c.authenticates(nil) // not stale yet
		w.clock.step(time.Millisecond)
		c.authenticates(auth.ErrSessionRevoked)
	})
}

func TestStaleFeedServesTheLiving(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.silence()
		c.authenticates(nil)
		w.dbDown.Store(true)
		w.clock.step(2 * time.Second)
		c.authenticates(nil) // the hot state knows
		w.dbDown.Store(false)
		w.hot.flush()
		w.clock.step(2 * time.Second)
		c.authenticates(nil) // the ledger knows
		w.hot.down.Store(true)
		w.clock.step(2 * time.Second)
		c.authenticates(nil)
	})
}

func TestStaleFeedWithoutStores(t *testing.T) {
	for _, open := range []bool{false, true} {
		w := newWorld(t)
		w.open = open
		w.restart()
		c := w.login(phone)
		w.silence()
		w.hot.down.Store(true)
		w.dbDown.Store(true)
		want := auth.ErrUnavailable
		if open {
			want = nil
		}
		c.authenticates(want)
		w.clock.step(time.Hour)
		c.authenticates(auth.ErrTokenExpired)
	}
}

func TestStaleFeedKnowsTheLedgersEnds(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		_, _, err := w.ledger.RevokeByID(w.Context(), c.id, session.ReasonRevoked)
		w.must(err)
		w.hot.flush() // and the store forgot
		w.silence()
		c.authenticates(auth.ErrSessionRevoked)
	})
}

// One question a second for a session, however many ask.
func TestStaleFeedAsksOnce(t *testing.T) {
	w := newWorld(t)
	c := w.login(phone)
	w.silence()
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() { c.authenticates(nil) })
	}
	all.Wait()
	c.authenticates(nil)
	// A caller that looked before the answer was there asks again at most once.
	if got := w.hot.finds.Load(); got > 3 {
		t.Errorf("got %d questions, want one", got)
	}
	before := w.hot.finds.Load()
	w.clock.step(time.Second)
	c.authenticates(nil)
	if got := w.hot.finds.Load(); got != before+1 {
		t.Errorf("a second later: got %d questions, want %d", got, before+1)
	}
}

func TestFreshFeedAsksNobody(t *testing.T) {
	w := newWorld(t)
	c := w.login(phone)
	w.hot.down.Store(true)
	w.dbDown.Store(true)
	for range 5 {
		c.authenticates(nil)
		w.clock.step(time.Minute)
	}
	if got := w.hot.finds.Load(); got != 0 {
		t.Errorf("got %d questions, want none", got)
	}
}

// gateStore is a store that answers about one session when it is told to.
type gateStore struct {
	session.Store
	id    uuid.UUID
	asked chan struct{} // closed when that session is asked about
	open  chan struct{}
}

func (g gateStore) Find(ctx context.Context, userID, sessionID uuid.UUID) (session.State, error) {
	if sessionID == g.id {
		close(g.asked)
		<-g.open
	}
	return g.Store.Find(ctx, userID, sessionID)
}

// An answer is about one session, and none of its user's others: neither while
// the stores are asked nor afterwards.
func TestStaleFeedTellsSessionsApart(t *testing.T) {
	each(t, func(w *world) {
		living, ended := w.login(phone), w.login(phone)
		w.endElsewhere(ended)
		w.silence()
		gate := gateStore{w.hot.Store, living.id, make(chan struct{}), make(chan struct{})}
		w.hot.Store = gate
		var both sync.WaitGroup
		both.Go(func() { living.accepted(nil) })
		<-gate.asked
		release := time.AfterFunc(10*time.Second, func() { close(gate.open) }) // of a question that waits for the other
		ended.accepted(auth.ErrSessionRevoked)
		if release.Stop() {
			close(gate.open)
		}
		both.Wait()
		living.accepted(nil)
		ended.accepted(auth.ErrSessionRevoked)
	})
}

// accepted is like authenticates, and may run beside the test.
func (c *client) accepted(want error) {
	caller := c.caller
	caller.AccessToken = c.access
	if _, err := c.w.svc.Authenticate(c.w.Context(), caller); !errors.Is(err, want) {
		c.w.Errorf("access token: got %v, want %v", err, want)
	}
}
