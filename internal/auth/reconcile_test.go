package auth_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
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
