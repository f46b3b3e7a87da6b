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
)

// eachURL runs test with the URL of an empty database in each dialect.
func eachURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run(database.SQLite, func(t *testing.T) { test(t, databasetest.SQLiteURL(t)) })
	t.Run(database.PostgreSQL, func(t *testing.T) { test(t, databasetest.PostgresURL(t)) })
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
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("%s: got nothing within 15s", what)
		case <-tick.C:
		}
	}
}

func TestLease(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		first, second := open(t, url), open(t, url)
		lease, err := ledger.AcquireLease(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		for _, db := range []*gorm.DB{first, second} {
			began := time.Now()
			_, err := ledger.AcquireLease(t.Context(), db)
			wantErr(t, "a second lease", err, ledger.ErrLeased)
			if got := time.Since(began); got > time.Second {
				t.Errorf("got an answer after %v, want one at once", got)
			}
		}
		if err := database.Ping(t.Context(), first); err != nil {
			t.Errorf("the leased database: got %v", err)
		}
		other := open(t, databaseBeside(t, url))
		beside, err := ledger.AcquireLease(t.Context(), other)
		if err != nil {
			t.Fatalf("the lease of another database: got %v", err)
		}
		if err := errors.Join(beside.Release(), lease.Release(), lease.Release()); err != nil {
			t.Errorf("Release: got %v", err)
		}
		again, err := ledger.AcquireLease(t.Context(), second)
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

// TestLeaseOfTheDead: a process that is killed leaves no lease behind.
func TestLeaseOfTheDead(t *testing.T) {
	if url := os.Getenv("LEASE_OF"); url != "" {
		db, err := database.Open(t.Context(), url)
		if err == nil {
			_, err = ledger.AcquireLease(t.Context(), db)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("leased\n")
		select {} // until it is killed
	}
	eachURL(t, func(t *testing.T, url string) {
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
		_, err = ledger.AcquireLease(t.Context(), db)
		wantErr(t, "beside another process", err, ledger.ErrLeased)
		_ = child.Process.Kill()
		_ = child.Wait()
		soon(t, "the lease of a dead process", func() bool {
			lease, err := ledger.AcquireLease(t.Context(), db)
			if err == nil {
				t.Cleanup(func() { _ = lease.Release() })
			}
			return err == nil
		})
	})
}

// TestLeaseSurvivesItsConnection: a connection that PostgreSQL ends is replaced;
// a lease that another took in the meantime is reported.
func TestLeaseSurvivesItsConnection(t *testing.T) {
	url := databasetest.PostgresURL(t)
	db, other := open(t, url), open(t, url)
	lease, err := ledger.AcquireLease(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lease.Release() }()
	holder := func() (pid int) {
		if err := other.Raw("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").Scan(&pid).Error; err != nil {
			t.Fatal(err)
		}
		return pid
	}
	terminate := func(pid int) {
		if err := other.Exec("SELECT pg_terminate_backend(?)", pid).Error; err != nil {
			t.Fatal(err)
		}
		soon(t, "the end of the connection", func() bool { return holder() != pid })
	}
	first := holder()
	terminate(first)
	soon(t, "a new connection with the lease", func() bool { pid := holder(); return pid != 0 && pid != first })
	terminate(holder())
	thief, err := ledger.AcquireLease(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = thief.Release() }()
	soon(t, "the loss", func() bool {
		select {
		case <-lease.Lost():
			return true
		default:
			return false
		}
	})
	if err := lease.Release(); err != nil {
		t.Error(err)
	}
	select {
	case <-thief.Lost():
		t.Error("the lease of the other server is lost too")
	default:
	}
}
