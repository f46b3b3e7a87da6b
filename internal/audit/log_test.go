package audit_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/database/databasetest"
)

// run runs the log beside the test; the returned function ends it.
func run(t *testing.T, l *audit.Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// TestBatches: what many goroutines record is written once each, by itself, in
// few statements.
func TestBatches(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		var inserts atomic.Int64
		err := database.Observe(db, time.Now, func(statement string, _ time.Duration, _ error) {
			if statement == "insert" {
				inserts.Add(1)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		log, _, out := open(t, db, 0)
		const writers, each = 12, 100
		var work sync.WaitGroup
		for w := range writers {
			work.Go(func() {
				for i := range each {
					log.Record(audit.Event{Name: audit.SessionCreated, Details: map[string]string{"n": strconv.Itoa(w*each + i)}})
				}
			})
		}
		work.Wait()
		if got := log.Waiting(); got != writers*each {
			t.Errorf("got %d waiting, want %d", got, writers*each)
		}
		run(t, log)
		eventually(t, "empty queue", func() bool { return log.Waiting() == 0 })
		seen := map[string]bool{}
		for _, e := range list(t, db, audit.Filter{Limit: 2 * writers * each}) {
			if n := e.Details["n"]; seen[n] {
				t.Errorf("event %s: got it twice", n)
			}
			seen[e.Details["n"]] = true
		}
		if n := inserts.Load(); len(seen) != writers*each || n < 3 || n > 8 { // some may be sent again on a busy machine
			t.Errorf("got %d events in %d statements, want %d in 3 or hardly more", len(seen), n, writers*each)
		}
		if got := len(out.named(t, "session.created")); got != writers*each {
			t.Errorf("got %d lines of the log, want %d", got, writers*each)
		}
		log.Record(audit.Event{Name: audit.ServerReady}) // one is written too
		eventually(t, "single event", func() bool { return log.Waiting() == 0 })
	})
}

// TestStop: what waits is written when the log ends.
func TestStop(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		log, _, _ := open(t, db, 0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 700 {
			log.Record(audit.Event{Name: audit.SessionCreated})
		}
		log.Record(audit.Event{Name: audit.ServerStopped})
		log.Run(ctx)
		if got := list(t, db, audit.Filter{Limit: 1000}); len(got) != 701 || log.Waiting() != 0 || log.Dropped() != 0 {
			t.Errorf("got %d events, %d waiting, %d dropped, want 701, 0, 0", len(got), log.Waiting(), log.Dropped())
		}
	})
}

// TestOutage: while the database does not answer events wait, and each is there
// once when it does again.
func TestOutage(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		log, _, out := open(t, db, 0)
		back := hide(t, db)
		run(t, log)
		for range 600 { // more than wakes the writer
			log.Record(audit.Event{Name: audit.SessionCreated})
		}
		eventually(t, "complaint", func() bool { return len(out.named(t, "store unavailable")) >= 2 })
		if got := log.Waiting(); got != 600 {
			t.Errorf("got %d waiting, want 600", got)
		}
		before, began := len(out.named(t, "store unavailable")), time.Now()
		for range 200 {
			log.Record(audit.Event{Name: audit.SessionCreated})
			time.Sleep(time.Millisecond) // for a writer that would be woken by each
		}
		tries, seconds := len(out.named(t, "store unavailable"))-before, int(time.Since(began).Seconds())
		if tries > seconds+2 {
			t.Errorf("got %d tries in %d s while 200 events came, want one a second", tries, seconds)
		}
		back()
		eventually(t, "empty queue", func() bool { return log.Waiting() == 0 })
		if got := len(list(t, db, audit.Filter{Limit: 2000})); got != 800 || log.Dropped() != 0 {
			t.Errorf("got %d events and %d dropped, want 800 and 0", got, log.Dropped())
		}
	})
}

// TestLostAnswer: a batch whose answer got lost is sent again and makes nothing twice.
func TestLostAnswer(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		log, _, _ := open(t, db, 0)
		var lost atomic.Bool
		err := db.Callback().Raw().After("gorm:raw").Register("lose", func(db *gorm.DB) {
			if lost.CompareAndSwap(false, true) {
				_ = db.AddError(errors.New("connection reset"))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		log.Record(audit.Event{Name: audit.SessionCreated})
		log.Record(audit.Event{Name: audit.SessionRevoked})
		if err := log.Flush(t.Context()); err == nil || log.Waiting() != 2 {
			t.Fatalf("lost answer: got %v and %d waiting, want an error and 2", err, log.Waiting())
		}
		if got := len(list(t, db, audit.Filter{})); got != 2 {
			t.Fatalf("got %d events behind the lost answer, want 2", got)
		}
		flush(t, log)
		if got := len(list(t, db, audit.Filter{})); got != 2 || log.Waiting() != 0 {
			t.Errorf("got %d events and %d waiting, want 2 and 0", got, log.Waiting())
		}
	})
}

// TestFullQueue: what has no room is in the log alone, and counted; noise never
// takes the room of the rest.
func TestFullQueue(t *testing.T) {
	db := databasetest.SQLite(t)
	log, c, out := open(t, db, 100)
	for range 8 {
		for range 20 {
			log.Record(audit.Event{Name: audit.LoginFailed})
		}
		c.add(time.Minute)
	}
	if log.Waiting() != 50 || log.Dropped() != 110 {
		t.Errorf("noise: got %d waiting and %d dropped, want 50 and 110", log.Waiting(), log.Dropped())
	}
	for range 60 {
		log.Record(audit.Event{Name: audit.SessionReuseDetected})
	}
	if log.Waiting() != 100 || log.Dropped() != 120 {
		t.Errorf("got %d waiting and %d dropped, want 100 and 120", log.Waiting(), log.Dropped())
	}
	if got := len(out.named(t, "session.reuse_detected")); got != 60 {
		t.Errorf("got %d lines of the log, want all 60", got)
	}
	flush(t, log)
	flush(t, log)
	told := out.named(t, "too many audit events wait for the database; the log alone has some")
	if len(told) != 1 || told[0]["dropped"] != 120.0 {
		t.Errorf("got %v, want the 120 told once", told)
	}
	if got := len(list(t, db, audit.Filter{Name: audit.SessionReuseDetected})); got != 50 {
		t.Errorf("got %d reuses in the table, want 50", got)
	}
}

// TestLostAtTheEnd: a log that ends while the database does not answer gives
// up, and says so.
func TestLostAtTheEnd(t *testing.T) {
	db := databasetest.SQLite(t)
	log, _, out := open(t, db, 0)
	back := hide(t, db)
	defer back()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		log.Record(audit.Event{Name: audit.ServerStopped})
	}
	log.Run(ctx)
	if log.Waiting() != 0 || log.Dropped() != 3 {
		t.Errorf("got %d waiting and %d dropped, want 0 and 3", log.Waiting(), log.Dropped())
	}
	told := out.named(t, "the database did not take the last audit events; the log alone has them")
	if len(told) != 1 || told[0]["dropped"] != 3.0 {
		t.Errorf("got %v, want the 3 told", told)
	}
}

// TestNeverWaits: a database that hangs holds nobody up.
func TestNeverWaits(t *testing.T) {
	db := databasetest.SQLite(t)
	log, _, _ := open(t, db, 0)
	held := db.Begin() // SQLite's one connection
	defer held.Rollback()
	run(t, log)
	log.Record(audit.Event{Name: audit.SessionCreated})
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "write that hangs", func() bool { return pool.Stats().WaitCount > 0 })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5000 {
			log.Record(audit.Event{Name: audit.SessionCreated})
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Record waits for a database that hangs")
	}
	if got := log.Waiting(); got != 5001 {
		t.Errorf("got %d waiting, want 5001", got)
	}
	held.Rollback()
	eventually(t, "empty queue", func() bool { return log.Waiting() == 0 })
}

// TestNoise: of a flood the table takes a few and the count of the others, name
// by name; what nobody can cause at will is never left out.
func TestNoise(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		log, c, out := open(t, db, 0)
		for range 1000 {
			log.Record(audit.Event{Name: audit.LoginFailed})
			log.Record(audit.Event{Name: audit.SessionReuseDetected})
		}
		log.Record(audit.Event{Name: audit.RequestOperationLimit})
		c.add(10 * time.Second)
		log.Record(audit.Event{Name: audit.LoginFailed}) // a new window
		for range 60 {
			log.Record(audit.Event{Name: audit.StoreUnavailable})
		}
		flush(t, log)
		counts, suppressed := map[audit.Name]int{}, map[audit.Name]string{}
		for _, e := range list(t, db, audit.Filter{Limit: 3000}) {
			if n := e.Details["suppressed"]; n != "" {
				suppressed[e.Name] += n + " since " + e.Details["since"]
			} else {
				counts[e.Name]++
			}
		}
		for name, want := range map[audit.Name]int{
			audit.LoginFailed: 51, audit.SessionReuseDetected: 1000, audit.RequestOperationLimit: 1, audit.StoreUnavailable: 50,
		} {
			if counts[name] != want {
				t.Errorf("%s: got %d in the table, want %d", name, counts[name], want)
			}
		}
		for name, want := range map[audit.Name]string{
			audit.LoginFailed: "950 since 2026-03-01T12:00:00Z", audit.SessionReuseDetected: "",
			audit.StoreUnavailable: "10 since 2026-03-01T12:00:10Z",
		} {
			if suppressed[name] != want {
				t.Errorf("%s: got %q suppressed, want %q", name, suppressed[name], want)
			}
		}
		if got := len(out.named(t, "login.failed")); got != 1001 || log.Dropped() != 0 {
			t.Errorf("got %d lines of the log and %d dropped, want 1001 and 0", got, log.Dropped())
		}
	})
}

// TestDeadTokensAreNoise: whoever keeps the token of a session that is over can
// repeat what it comes to with every request.
func TestDeadTokensAreNoise(t *testing.T) {
	for _, name := range []audit.Name{audit.SessionExpired, audit.SessionBindingMismatch} {
		db := databasetest.SQLite(t)
		log, c, _ := open(t, db, 0)
		for range 1000 {
			log.Record(audit.Event{Name: name})
			c.add(10 * time.Millisecond)
		}
		flush(t, log)
		if got := len(list(t, db, audit.Filter{Name: name, Limit: 3000})); got > 110 {
			t.Errorf("%s, 1000 times in ten seconds: got %d lines, want 50 for each window, and a count", name, got)
		}
	}
}

// TestNoiseIsCountedLater: the count is written without another event.
func TestNoiseIsCountedLater(t *testing.T) {
	db := databasetest.SQLite(t)
	log, c, _ := open(t, db, 0)
	for range 51 {
		log.Record(audit.Event{Name: audit.LoginFailed})
	}
	run(t, log)
	eventually(t, "empty queue", func() bool { return log.Waiting() == 0 })
	if got := len(list(t, db, audit.Filter{})); got != 50 {
		t.Errorf("while the window is open: got %d lines, want 50", got)
	}
	c.add(time.Minute)
	eventually(t, "count", func() bool { return len(list(t, db, audit.Filter{})) == 51 })
}
