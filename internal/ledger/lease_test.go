package ledger_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/migrations"
)

// eachURL runs test with the URL of an empty database in each dialect.
func eachURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run(database.SQLite, func(t *testing.T) { test(t, databasetest.SQLiteURL(t)) })
	t.Run(database.PostgreSQL, func(t *testing.T) { test(t, databasetest.PostgresURL(t)) })
}

// eachDatabase runs test with the URL of an empty, migrated database in each dialect.
func eachDatabase(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	eachURL(t, func(t *testing.T, url string) {
		migrate(t, open(t, url))
		test(t, url)
	})
}

func migrate(t *testing.T, db *gorm.DB) {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.Up(t.Context(), pool, database.Dialect(db)); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, url string) *gorm.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close(db) })
	return db
}

// soon waits for what must come within seconds.
func soon(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("%s: got nothing within a minute", what)
		case <-tick.C:
		}
	}
}

func TestLease(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		first, second := open(t, url), open(t, url)
		lease, err := ledger.AcquireLease(t.Context(), first, time.Now, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, db := range []*gorm.DB{first, second} {
			began := time.Now()
			_, err := ledger.AcquireLease(t.Context(), db, time.Now, nil)
			wantErr(t, "a second lease", err, ledger.ErrLeased)
			if got := time.Since(began); got > 10*time.Second {
				t.Errorf("got an answer after %v, want one before the first lease could have expired", got)
			}
		}
		if err := database.Ping(t.Context(), first); err != nil {
			t.Errorf("the leased database: got %v", err)
		}
		other := open(t, databaseBeside(t, url))
		migrate(t, other)
		beside, err := ledger.AcquireLease(t.Context(), other, time.Now, nil)
		if err != nil {
			t.Fatalf("the lease of another database: got %v", err)
		}
		if !lease.Valid() || !beside.Valid() {
			t.Error("a lease that was just taken is not valid")
		}
		if err := errors.Join(beside.Release(), lease.Release(), lease.Release()); err != nil {
			t.Errorf("Release: got %v", err)
		}
		again, err := ledger.AcquireLease(t.Context(), second, time.Now, nil)
		if err != nil {
			t.Fatalf("after a release: got %v", err)
		}
		if err := again.Release(); err != nil {
			t.Error(err)
		}
		select {
		case <-lease.Lost():
			t.Error("a released lease: got it lost")
		default:
		}
	})
}

func databaseBeside(t *testing.T, url string) string {
	if strings.HasPrefix(url, "sqlite:") {
		return databasetest.SQLiteURL(t)
	}
	return databasetest.PostgresURL(t)
}

// TestLeaseOfTheDead: a process that is killed holds nobody up for longer than its
// lease lives.
func TestLeaseOfTheDead(t *testing.T) {
	if url := os.Getenv("LEASE_OF"); url != "" {
		db, err := database.Open(t.Context(), url)
		if err == nil {
			_, err = ledger.AcquireLease(t.Context(), db, time.Now, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("leased\n")
		select {} // until it is killed
	}
	t.Parallel()
	eachDatabase(t, func(t *testing.T, url string) {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLeaseOfTheDead$")
		child.Env = append(os.Environ(), "LEASE_OF="+url)
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 7)
		if _, err := out.Read(line); err != nil || string(line) != "leased\n" {
			t.Fatalf("the child: got %q, %v", line, err)
		}
		db := open(t, url)
		_, err = ledger.AcquireLease(t.Context(), db, time.Now, nil)
		wantErr(t, "beside another process", err, ledger.ErrLeased)
		_ = child.Process.Kill()
		_ = child.Wait()
		began, waited := time.Now(), 0
		var lease *ledger.Lease
		soon(t, "the lease of a dead process", func() bool {
			lease, err = ledger.AcquireLease(t.Context(), db, time.Now, func() { waited++ })
			return err == nil
		})
		defer func() { _ = lease.Release() }()
		if held := time.Since(began); held > 20*time.Second || waited > 1 {
			t.Errorf("got the lease after %s, and was told %d times of the wait, want at most 15 s and once", held, waited)
		}
	})
}
