package auth_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/session"
)

// What is owed keeps its reason, however often a token of the session comes.
func TestOwedReasonIsKept(t *testing.T) {
	each(t, func(w *world) {
		c, first := w.spent()
		w.dbDown.Store(true)
		c.wants(first, auth.ErrRefreshReused)
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.dbDown.Store(false)
		w.svc.Settle(w.Context())
		c.inLedger(true, session.ReasonReuse)
	})
}

// What this node only guessed gives way to what it comes to know.
func TestOwedReasonIsBettered(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.svc.Revoked.Add(w.clock.now(), c.id) // heard of by the feed, without a reason
		w.dbDown.Store(true)
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.logout(c)
		w.dbDown.Store(false)
		w.svc.Settle(w.Context())
		c.inLedger(true, session.ReasonLogout)
	})
}

// Repeating an end to a ledger that knows it is no repair.
func TestRepetitionsAreNoRepairs(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.logout(c)
		for range 3 {
			c.wants(c.token, auth.ErrRefreshRevoked)
			w.svc.Settle(w.Context())
		}
		w.restart() // by the tombstone, without knowing
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.svc.Settle(w.Context())
		if got := w.svc.Stats(); got.RepairsPaid != 0 || got.RepairsWaiting != 0 {
			t.Errorf("repairs: got %+v, want none: the ledger knew", got)
		}
	})
}

// Tokens of sessions that ended long ago leave room for ends that somebody was
// told of.
func TestRepetitionsLeaveRoom(t *testing.T) {
	each(t, func(w *world) {
		const room = 6
		live := []*client{w.login(phone), w.login(phone), w.login(phone)}
		var dead []*client
		for range room {
			c := w.login(phone)
			w.logout(c)
			dead = append(dead, c)
		}
		w.restart()
		w.svc.LimitDebts(room)
		w.dbDown.Store(true)
		for _, c := range dead { // by their tombstones
			c.wants(c.token, auth.ErrRefreshRevoked)
		}
		for _, c := range live {
			w.logout(c)
		}
		if got := w.svc.Stats(); got.RepairsWaiting != room || got.RepairsDropped != 0 {
			t.Errorf("repairs: got %+v, want %d waiting and none dropped", got, room)
		}
		w.dbDown.Store(false)
		w.svc.Settle(w.Context())
		for _, c := range live {
			c.inLedger(true, session.ReasonLogout)
		}
		if got := w.svc.Stats(); got.RepairsPaid != 3 || got.RepairsWaiting != 0 {
			t.Errorf("repairs: got %+v, want 3 paid", got)
		}
		w.dbDown.Store(true)
		for _, c := range dead { // by what this node remembers
			c.wants(c.token, auth.ErrRefreshRevoked)
		}
		if got := w.svc.Stats().RepairsWaiting; got != room/2 {
			t.Errorf("repetitions that wait: got %d, want %d", got, room/2)
		}
	})
}

// slowStore takes its time for each tombstone, whatever its caller's deadline.
type slowStore struct {
	session.Store
	takes time.Duration
}

func (s slowStore) Revoke(ctx context.Context, userID uuid.UUID, ends []session.End) error {
	time.Sleep(s.takes)
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Store.Revoke(ctx, userID, ends)
}

// Stopping waits for what is owed, and not for ever.
func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.login(phone)
		for range 19 {
			w.login(phone)
		}
		w.hot.down.Store(true)
		_, err := w.svc.RevokeAllSessions(w.Context(), phone, w.claims(c), &auth.RevokeAllSessionsInput{IncludeCurrent: true})
		w.must(err)
		w.hot.Store = slowStore{w.hot.Store, time.Second}
		w.hot.down.Store(false)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		began := time.Now()
		w.must(w.svc.Run(ctx))
		if took := time.Since(began); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("stopping with 20 s of work: took %s, want five seconds", took)
		}
		if got := w.svc.Stats().RepairsWaiting; got < 14 || got > 16 {
			t.Errorf("left undone: got %d ends, want the 15 or so that had no time", got)
		}
	})
}

// A store that is slow to take what it is owed does not hold up the ledger.
func TestNoCreditorWaitsForTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.login(phone)
		for range 19 {
			w.login(phone)
		}
		w.hot.down.Store(true)
		_, err := w.svc.RevokeAllSessions(w.Context(), phone, w.claims(c), &auth.RevokeAllSessionsInput{IncludeCurrent: true})
		w.must(err)
		w.hot.down.Store(false)
		last := w.login(phone)
		w.hot.Store = slowStore{w.hot.Store, time.Second}
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- w.svc.Run(ctx) }()
		time.Sleep(time.Second) // the store is being paid, for 20 s
		w.dbDown.Store(true)
		w.logout(last)
		w.dbDown.Store(false)
		time.Sleep(time.Second)
		last.inLedger(true, session.ReasonLogout)
		stop()
		w.must(<-ran)
	})
}
