package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

// An end is taken over although the clock of whoever wrote it is a minute behind.
func TestReconcileWithClocksThatDiffer(t *testing.T) {
	w := newWorld(t)
	c := w.login(phone)
	operator := ledger.New(w.db, func() time.Time { return w.clock.now().Add(-time.Minute) })
	w.clock.step(5 * time.Minute)
	defer w.running()()
	w.clock.step(10 * time.Second)
	_, err := operator.RevokeAll(t.Context(), w.user.ID, uuid.Nil, session.ReasonRevoked)
	w.must(err)
	w.eventually("revocation", func() bool { return w.svc.Revoked.Contains(c.id) })
	c.authenticates(auth.ErrSessionRevoked)
}

// A clock that was ahead makes a server forget what ended lately; when it is set
// back, the server knows again, and knows what ended meanwhile.
func TestReconcileAfterTheClockWasSetBack(t *testing.T) {
	w := newWorld(t)
	c, d := w.login(phone), w.login(phone)
	honest := w.clock.now()
	operator := ledger.New(w.db, func() time.Time { return honest })
	w.logout(c)
	defer w.running()()
	w.clock.step(1000 * time.Hour) // longer than sessions live
	w.eventually("list without what is past its window", func() bool { return !w.svc.Revoked.Contains(c.id) })
	_, err := operator.RevokeAll(t.Context(), w.user.ID, uuid.Nil, session.ReasonRevoked)
	w.must(err)
	w.clock.step(-1000*time.Hour + 10*time.Minute)
	w.eventually("list with both", func() bool { return w.svc.Revoked.Contains(c.id) && w.svc.Revoked.Contains(d.id) })
	c.authenticates(auth.ErrSessionRevoked)
	d.authenticates(auth.ErrSessionRevoked)
}

// looks counts the server's looks at what ended in the ledger; the returned
// function waits for some more.
func (w *world) looks() (more func(int64)) {
	var n atomic.Int64
	w.must(w.db.Callback().Row().After("gorm:row").Register("looks", func(db *gorm.DB) {
		if strings.Contains(db.Statement.SQL.String(), "SELECT id, revoked_at FROM") {
			n.Add(1)
		}
	}))
	return func(count int64) {
		w.Helper()
		from := n.Load()
		w.eventually("more looks at the ledger", func() bool { return n.Load() >= from+count })
	}
}

// told counts how often a store is told of ends.
type told struct {
	session.Store
	times atomic.Int64
}

func (s *told) Revoke(ctx context.Context, userID uuid.UUID, ends []session.End) error {
	s.times.Add(1)
	return s.Store.Revoke(ctx, userID, ends)
}

// Looks at the ledger overlap; the store is told of each end once all the same.
func TestReconcileTellsTheStoreOnce(t *testing.T) {
	w := newWorld(t)
	c := w.login(phone)
	store := &told{Store: w.hot.Store}
	w.hot.Store = store
	more := w.looks()
	defer w.running()()
	_, err := w.ledger.RevokeAll(t.Context(), w.user.ID, uuid.Nil, session.ReasonRevoked)
	w.must(err)
	w.eventually("revocation", func() bool { return w.svc.Revoked.Contains(c.id) })
	more(5)
	if got := store.times.Load(); got != 1 {
		t.Errorf("the store was told %d times, want once", got)
	}
}

// endedElsewhere are sessions that other servers ended a moment ago, each of a
// user of its own.
func (w *world) endedElsewhere(n int) []session.State {
	w.Helper()
	var all []session.State
	now := w.clock.now()
	for i := range n {
		u, err := w.users.Add(w.Context(), fmt.Sprintf("user%d@example.com", i), secret.New("hash"), user.RoleUser)
		w.must(err)
		state := session.State{
			Session: session.Session{
				ID: uuid.New(), UserID: u.ID, Delivery: session.DeliveryBody,
				CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(time.Hour),
			},
			Role: "USER", SecretHash: session.NewSecret().Hash(), Generation: 1, TurnedAt: now,
		}
		w.must(w.ledger.Begin(w.Context(), state, session.KeyID{1}, u.CredentialVersion))
		_, err = w.ledger.RevokeAll(w.Context(), u.ID, uuid.Nil, session.ReasonRevoked)
		w.must(err)
		all = append(all, state)
	}
	return all
}

// buried counts the sessions that have a tombstone.
func (w *world) buried(sessions []session.State) (n int) {
	for _, s := range sessions {
		if _, err := w.hot.Store.Find(w.Context(), s.UserID, s.ID); errors.Is(err, session.ErrEnded) {
			n++
		}
	}
	return n
}

// A look that fails goes on where it stopped: what it has read counts.
func TestReconcileGoesOnWhereItStopped(t *testing.T) {
	w := newWorld(t)
	ended := w.endedElsewhere(9)
	w.svc.PageEnds(2)
	var reads, fails atomic.Int64
	w.must(w.db.Callback().Row().Before("gorm:row").Register("stumble", func(db *gorm.DB) {
		if !strings.Contains(db.Statement.SQL.String(), "SELECT id, revoked_at FROM") || w.svc.Ready() {
			return
		}
		if reads.Add(1)%2 == 0 {
			fails.Add(1)
			_ = db.AddError(errDown)
		}
	}))
	defer w.running()()
	w.eventually("readiness", w.svc.Ready)
	for _, s := range ended {
		if !w.svc.Revoked.Contains(s.ID) {
			t.Errorf("ready without knowing that %s ended", s.ID)
		}
	}
	if got := reads.Load() - fails.Load(); got != 5 || fails.Load() < 3 {
		t.Errorf("got %d pages read although %d tries failed between them, want 5: each once", got, fails.Load())
	}
}

// A server is ready although the store takes no tombstones, owes none of those
// that the ledger has, and writes all of them when the store is back.
func TestReadyBeforeTombstones(t *testing.T) {
	each(t, func(w *world) {
		ended := w.endedElsewhere(40)
		w.svc.PageEnds(15)
		w.hot.down.Store(true)
		defer w.running()()
		w.eventually("readiness", w.svc.Ready)
		if n := w.buried(ended); n != 0 {
			w.Errorf("got %d tombstones in a store that is down", n)
		}
		if got := w.svc.Stats(); got.RepairsWaiting != 0 || got.RepairsDropped != 0 {
			w.Errorf("repairs: got %+v, want none: the ledger has these ends", got)
		}
		w.hot.down.Store(false)
		w.eventually("tombstones", func() bool { return w.buried(ended) == len(ended) })
	})
}

// The store refuses the tombstones of one user, whatever the reason: the others
// have theirs, and this one is owed.
type picky struct {
	session.Store
	refuses uuid.UUID
}

func (s picky) Revoke(ctx context.Context, userID uuid.UUID, ends []session.End) error {
	if userID == s.refuses {
		return errDown
	}
	return s.Store.Revoke(ctx, userID, ends)
}

func TestOneUserHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	ended := w.endedElsewhere(30)
	w.svc.PageEnds(4)
	good := w.hot.Store
	w.hot.Store = picky{good, ended[3].UserID}
	w.must(w.svc.TakeOver(t.Context()))
	if got, want := w.buried(ended), len(ended)-1; got != want {
		t.Errorf("got %d tombstones, want %d", got, want)
	}
	if got := w.svc.Stats().RepairsWaiting; got != 1 {
		t.Errorf("got %d ends that are owed, want 1", got)
	}
	w.hot.Store = good
	w.svc.Settle(t.Context())
	if got := w.buried(ended); got != len(ended) {
		t.Errorf("got %d tombstones after the repair, want %d", got, len(ended))
	}
}

// A store that is down is not asked for each of many users, who would wait for
// one timeout after the other.
func TestStoreThatIsDownIsNotAskedForAll(t *testing.T) {
	w := newWorld(t)
	w.endedElsewhere(200)
	asked := &told{Store: w.hot.Store}
	w.hot.Store = failing{asked}
	if err := w.svc.TakeOver(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("got %v, want the store's error", err)
	}
	if got := asked.times.Load(); got < 11 || got > 40 {
		t.Errorf("the store was asked %d times, want a few more than ten", got)
	}
	if got := w.svc.Stats().RepairsWaiting; got != 0 {
		t.Errorf("got %d ends that are owed, want none", got)
	}
}

// failing counts what it is asked, and takes nothing.
type failing struct{ *told }

func (s failing) Revoke(context.Context, uuid.UUID, []session.End) error {
	s.times.Add(1)
	return errDown
}
