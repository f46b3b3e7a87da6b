package auth_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

// eachDatabase runs a test on both databases, at the time of the databases: now.
func eachDatabase(t *testing.T, test func(w *world)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		w := newWorld(t)
		w.clock.step(time.Since(w.clock.now()))
		w.on(db)
		test(w)
	})
}

// on lets the world begin anew on another database.
func (w *world) on(db *gorm.DB) {
	w.Helper()
	w.db, w.users, w.ledger = db, user.New(db, w.clock.now), ledger.New(db, w.clock.now)
	w.breakable()
	w.restart()
	hash, err := w.svc.Hasher.Hash(w.Context(), "", secret.New(goodPassword))
	w.must(err)
	w.user, err = w.users.Add(w.Context(), "ada@example.com", hash, user.RoleUser)
	w.must(err)
}

// running runs the server and returns when it is ready; the returned function
// stops it, and fails where that does not end.
func (w *world) running() (stop func()) {
	w.Helper()
	w.svc.ReconcileEvery = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done, svc := make(chan error, 1), w.svc
	go func() { done <- svc.Run(ctx) }()
	w.eventually("server that is ready", svc.Ready)
	return func() {
		w.Helper()
		cancel()
		select {
		case err := <-done:
			w.must(err)
		case <-time.After(patience):
			w.Fatalf("the server did not stop within %s", patience)
		}
	}
}

// patience is how long a test waits for what happens at once on an idle machine.
const patience = 60 * time.Second

// eventually polls until holds does.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("got no %s within %s", what, patience)
		}
	}
}

// exec runs one statement as somebody else.
func (w *world) exec(statement string, args ...any) {
	w.Helper()
	w.must(w.db.Exec(statement, args...).Error)
}

// count is the number that a query returns.
func (w *world) count(query string, args ...any) (n int) {
	w.Helper()
	w.must(w.db.Raw(query, args...).Scan(&n).Error)
	return n
}

// A server whose clock is years ahead deletes what is over, and nothing else.
func TestCleaningByAClockAhead(t *testing.T) {
	eachDatabase(t, func(w *world) {
		unbounded := 0
		w.must(w.db.Callback().Raw().Before("gorm:raw").Register("deadline", func(db *gorm.DB) {
			if _, ok := db.Statement.Context.Deadline(); !ok && strings.Contains(db.Statement.SQL.String(), "DELETE FROM") {
				unbounded++
			}
		}))
		c, expired, ended := w.login(phone), w.login(phone), w.login(phone)
		old := w.clock.now().Add(-25 * time.Hour)
		w.exec("UPDATE sessions SET expires_at = ? WHERE id = ?", old, expired.id)
		w.exec("UPDATE sessions SET revoked_at = ?, reason = 'evicted' WHERE id = ?", old, ended.id)
		w.audit.Record(audit.Event{Name: audit.UserEnabled, At: w.clock.now().Add(-audit.Retention - time.Hour)})
		w.must(w.audit.Flush(w.Context()))

		honest := w.svc
		w.clock.step(5 * 365 * 24 * time.Hour)
		w.restart()
		w.svc.CleanEvery(10 * time.Millisecond)
		stop := w.running()
		w.eventually("cleaning", func() bool {
			return w.count("SELECT count(*) FROM sessions") < 2 && w.count("SELECT count(*) FROM audit_events WHERE name = 'user.enabled'") == 0
		})
		stop()
		w.svc = honest
		w.clock.step(-5*365*24*time.Hour + time.Minute)

		if got := w.count("SELECT count(*) FROM sessions WHERE id = ?", c.id); got != 1 {
			t.Errorf("rows of the session that lives: got %d, want 1", got)
		}
		if got := w.count("SELECT count(*) FROM audit_events WHERE name = 'session.created'"); got != 3 {
			t.Errorf("events of today: got %d, want 3", got)
		}
		if unbounded > 0 {
			t.Errorf("statements without a deadline: got %d, want 0", unbounded)
		}
		c.refresh()
		w.svc.Flush(w.Context())
		c.refresh()
	})
}

// Whoever waits for a lock on a table of old things keeps no end from the server.
func TestCleaningHoldsNothingUp(t *testing.T) {
	w := newWorld(t)
	w.on(databasetest.Postgres(t))
	c := w.login(phone)
	tx := w.db.Begin()
	defer tx.Rollback()
	w.must(tx.Exec("LOCK TABLE audit_events IN SHARE MODE").Error) // as CREATE INDEX takes it
	w.svc.CleanEvery(time.Millisecond)
	stop := w.running()
	w.eventually("cleaning that waits", func() bool {
		return w.count("SELECT count(*) FROM pg_locks WHERE relation = 'audit_events'::regclass AND NOT granted") > 0
	})
	_, err := w.ledger.RevokeAll(t.Context(), w.user.ID, uuid.Nil, session.ReasonRevoked)
	w.must(err)
	begun := time.Now()
	w.eventually("revocation", func() bool { return w.svc.Revoked.Contains(c.id) })
	if took := time.Since(begun); took > 15*time.Second { // before the batch gives up
		t.Errorf("a revocation in the ledger was taken over after %s, want at once", took)
	}
	stop()
}

// A session whose row was forgotten because it ended is as dead as one whose row says so.
func TestForgottenEndsStayEnded(t *testing.T) {
	for name, lose := range map[string]func(w *world, before session.State) error{
		"kept":        func(*world, session.State) error { return auth.ErrRefreshRevoked },
		"flushed":     func(w *world, _ session.State) error { w.hot.flush(); return auth.ErrRefreshUnknown },
		"rolled back": func(w *world, before session.State) error { w.rollBack(before); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				c := w.login(phone)
				c.refresh()
				before := w.snapshot(c)
				w.logout(c)
				want := lose(w, before)
				w.exec("DELETE FROM sessions WHERE revoked_at IS NOT NULL")
				w.restart()
				if want == nil { // the store believes it, until the ledger was asked
					w.clock.step(w.policy.Grace + time.Second)
					c.refresh()
					w.svc.FlushDue(w.Context())
					c.authenticates(auth.ErrSessionRevoked)
					want = auth.ErrRefreshRevoked
				}
				c.wants(c.token, want)
				w.svc.Flush(w.Context())
				w.svc.Settle(w.Context())
				c.wants(c.token, want)
				if got := w.count("SELECT count(*) FROM sessions"); got != 0 {
					t.Errorf("rows: got %d, want 0", got)
				}
			})
		})
	}
}
