package database_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/faultproxy"
)

func open(t *testing.T, url string) *gorm.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close(db) })
	return db
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	for _, url := range []string{
		"", "hunter2", "mysql://u:hunter2@localhost/db", "hunter2://x", "sqlite:", "sqlite::memory:",
		"sqlite:" + folder, "sqlite:" + filepath.Join(folder, "absent", "pawl.db"),
		"postgres://u:hunter2@localhost:port/db", "postgres://u:hunter2@[::1/db", "postgres://u:hun%zter2@localhost/db",
		"postgres://u:hunter2@localhost/db?sslmode=sometimes", "postgres://u:hunter2 @local host/db",
	} {
		db, err := database.Open(t.Context(), url)
		if err == nil {
			t.Errorf("%q: got %v, want an error", url, database.Dialect(db))
			continue
		}
		if strings.Contains(err.Error(), "hun") || !strings.HasPrefix(err.Error(), "database: ") {
			t.Errorf("%q: got %q, want an error of this package without the password", url, err)
		}
	}
}

func TestSQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?mode=ro#c%41&ü.db")
	db := open(t, "sqlite:"+path)
	if err := db.Exec("CREATE TABLE t (n INTEGER)").Error; err != nil {
		t.Fatal(err)
	}
	if got := database.Dialect(db); got != database.SQLite {
		t.Errorf("Dialect: got %q, want %q", got, database.SQLite)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s: got mode %v, want 0600", filepath.Base(name), got)
		}
	}
	for pragma, want := range map[string]string{"foreign_keys": "1", "journal_mode": "wal", "synchronous": "2"} {
		var got string
		if err := db.Raw("PRAGMA " + pragma).Scan(&got).Error; err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", pragma, got, err, want)
		}
	}
	if err := db.Exec(`SELECT "no such column" FROM t`).Error; err == nil {
		t.Error("a mis-spelled column: got no error")
	}
}

// TestTwoProcesses: writers of two pools on one SQLite file, as of two
// programs, wait for each other, also in transactions that read first.
func TestTwoProcesses(t *testing.T) {
	url := databasetest.SQLiteURL(t)
	pools := []*gorm.DB{open(t, url), open(t, url)}
	if err := pools[0].Exec("CREATE TABLE t (n INTEGER)").Error; err != nil {
		t.Fatal(err)
	}
	if err := pools[0].Exec("INSERT INTO t VALUES (0)").Error; err != nil {
		t.Fatal(err)
	}
	const writers, writes = 4, 10
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range writes {
				err := pools[i%2].WithContext(t.Context()).Transaction(func(tx *gorm.DB) error {
					var n int
					if err := tx.Raw("SELECT n FROM t").Scan(&n).Error; err != nil {
						return err
					}
					return tx.Exec("UPDATE t SET n = ?", n+1).Error
				})
				if err != nil {
					t.Errorf("beside another writer: got %v, want none", err)
				}
			}
		})
	}
	wg.Wait()
	var got int
	if err := pools[1].Raw("SELECT n FROM t").Scan(&got).Error; err != nil || got != writers*writes {
		t.Errorf("got %d, %v, want %d", got, err, writers*writes)
	}
}

func TestTime(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		kind := map[string]string{database.SQLite: "INTEGER", database.PostgreSQL: "timestamptz"}[database.Dialect(db)]
		if err := db.Exec("CREATE TABLE times (n INTEGER, at " + kind + ")").Error; err != nil {
			t.Fatal(err)
		}
		zone := time.FixedZone("", 5400)
		for n, at := range []time.Time{
			{}, time.Date(2026, 3, 29, 2, 30, 0, 123_999_999, zone), time.Date(2040, 12, 31, 23, 59, 59, 999_000_000, time.UTC),
			time.UnixMilli(1_700_000_000_001),
		} {
			var got struct{ At database.Time }
			err := db.Raw("INSERT INTO times VALUES (?, ?) RETURNING at", n, database.Time{Time: at}).Scan(&got).Error
			want := database.At(at).Time
			if err != nil || !got.At.Equal(want) || !at.IsZero() && got.At.UnixMilli() != at.UnixMilli() || got.At.Location() != time.UTC {
				t.Errorf("%v: got %v, %v, want %v", at, got.At, err, want)
			}
		}
		var nulls int
		if err := db.Raw("SELECT count(*) FROM times WHERE at IS NULL").Scan(&nulls).Error; err != nil || nulls != 1 {
			t.Errorf("got %d zero times that are NULL, %v, want 1", nulls, err)
		}
	})
}

// TestPoolKeepsConnections: after a burst all connections stay open.
func TestPoolKeepsConnections(t *testing.T) {
	db := databasetest.Postgres(t)
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	limit := pool.Stats().MaxOpenConnections
	if limit < 2 {
		t.Fatalf("got a limit of %d connections, want some", limit)
	}
	var wg sync.WaitGroup
	for range limit * 2 {
		wg.Go(func() {
			if err := db.WithContext(t.Context()).Exec("SELECT pg_sleep(0.1)").Error; err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := pool.Stats().Idle; got != limit {
		t.Errorf("got %d idle connections after a burst, want all %d", got, limit)
	}
}

// TestSilent: gorm logs nowhere, and no error carries a bound value.
func TestSilent(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		if db.Logger != logger.Discard {
			t.Errorf("got the logger %T, want the one that discards", db.Logger)
		}
		for _, err := range []error{
			db.Exec("INSERT INTO nowhere VALUES (?)", "hunter2").Error,
			db.Exec("INSERT INTO users (email) VALUES (?)", "hunter2").Error,
			db.Table("users").Where("nothing = ?", "hunter2").Take(&struct{ ID string }{}).Error,
		} {
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an error without the bound value", err)
			}
		}
	})
}

// TestNobodyThere: a server that is not there is an error without the password.
func TestNobodyThere(t *testing.T) {
	listener := listen(t)
	_ = listener.Close()
	db := open(t, fmt.Sprintf("postgres://u:hunter2@%s/db?sslmode=disable", listener.Addr()))
	if err := database.Ping(t.Context(), db); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

// TestHangingServer: a server that takes connections and never speaks is left
// when the context ends, for every caller, and also those beyond the pool.
func TestHangingServer(t *testing.T) {
	listener := listen(t)
	db := open(t, fmt.Sprintf("postgres://u@%s/db?sslmode=disable", listener.Addr()))
	within(t, 40, db, "SELECT 1")
}

// TestHangingLater: the same when the server stops in the middle of its work;
// and when it goes on, so does the pool, whatever it began to open meanwhile.
func TestHangingLater(t *testing.T) {
	server := databasetest.PostgresURL(t)
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := faultproxy.New(t, parsed.Host)
	db := open(t, proxy.Through(server))
	if err := database.Ping(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	proxy.Set(faultproxy.Weather{Lossy: true})
	for range 3 {
		within(t, 40, db, "SELECT 1")
	}
	proxy.Set(faultproxy.Weather{}) // connections stay as they are
	deadline := time.Now().Add(10 * time.Second)
	for err := errors.New("not asked"); err != nil; {
		if time.Now().After(deadline) {
			t.Fatalf("after the server went on: got %v for 10s", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err = database.Ping(ctx, db)
		cancel()
	}
}

func TestBusySQLite(t *testing.T) {
	url := databasetest.SQLiteURL(t)
	holder, db := open(t, url), open(t, url)
	if err := holder.Exec("CREATE TABLE t (n INTEGER)").Error; err != nil {
		t.Fatal(err)
	}
	tx := holder.Begin()
	defer tx.Rollback()
	if err := tx.Error; err != nil {
		t.Fatal(err)
	}
	within(t, 4, db, "INSERT INTO t VALUES (1)")
}

// within runs the statement n times at once; each must fail within 3 s.
func within(t *testing.T, n int, db *gorm.DB, statement string) {
	t.Helper()
	began := time.Now()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if err := db.WithContext(ctx).Exec(statement).Error; err == nil {
				t.Error("got an answer of a database that hangs")
			}
		})
	}
	wg.Wait()
	if got := time.Since(began); got > 3*time.Second {
		t.Errorf("got an error after %v, want one within 3s", got)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// TestPassed: of two clocks the earlier counts.
func TestPassed(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		before := time.Now()
		got, err := database.Passed(t.Context(), db, before.Add(24*time.Hour))
		if err != nil || got.Sub(before).Abs() > time.Minute {
			t.Errorf("own clock ahead: got %v, %v, want the database's time, about %v", got, err, before)
		}
		own := before.Add(-24 * time.Hour)
		if got, err := database.Passed(t.Context(), db, own); err != nil || !got.Equal(own) {
			t.Errorf("own clock behind: got %v, %v, want %v", got, err, own)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := database.Passed(ctx, db, own); !errors.Is(err, context.Canceled) {
			t.Errorf("without an answer: got %v, %v, want %v", got, err, context.Canceled)
		}
	})
}
