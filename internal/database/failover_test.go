package database_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/faultproxy"
)

// TestReadOnlyServerIsLeft: one write that a read-only server refuses ends the
// use of all connections to it.
func TestReadOnlyServerIsLeft(t *testing.T) {
	db := databasetest.Postgres(t)
	if err := db.Exec("CREATE TABLE t (n INTEGER)").Error; err != nil {
		t.Fatal(err)
	}
	const conns = 8
	hold(t, db, conns, "SET default_transaction_read_only = on")
	if err := db.Exec("SELECT n FROM t").Error; err != nil {
		t.Fatalf("reading: got %v, want none", err)
	}
	if err := db.Exec("INSERT INTO t VALUES (0)").Error; err == nil || !strings.Contains(err.Error(), "25006") {
		t.Fatalf("writing: got %v, want SQLSTATE 25006", err)
	}
	for i := range 2 * conns {
		if err := db.Exec("INSERT INTO t VALUES (?)", i).Error; err != nil {
			t.Fatalf("write %d after the refused one: got %v, want none", i, err)
		}
	}
}

// verb is how long the program gives the database for one verb.
const verb = 2700 * time.Millisecond

// TestHostThatVanishes: the first host of a list falls silent, as a machine does
// that lost its power. Many connections to it are open; the first statement
// already is answered by the second host, and so is one on a pool that has no
// connection yet.
func TestHostThatVanishes(t *testing.T) {
	server, err := url.Parse(databasetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	first, second := faultproxy.New(t, server.Host), faultproxy.New(t, server.Host)
	server.Host = first.Addr() + "," + second.Addr()
	list := server.String() + "&target_session_attrs=read-write"
	warm, cold := open(t, list), open(t, list)
	hold(t, warm, 8, "SELECT 1")
	time.Sleep(1100 * time.Millisecond) // they are idle now
	first.Set(faultproxy.Weather{Hang: true})
	for name, db := range map[string]*gorm.DB{"warm": warm, "cold": cold} {
		for i := range 3 {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), verb)
			err := db.WithContext(ctx).Exec("SELECT 1").Error
			cancel()
			if err != nil {
				t.Errorf("%s pool, statement %d: got %v after %s, want an answer of the second host", name, i, err, time.Since(began))
			}
		}
	}
}

// hold runs a statement on n connections that are open at the same time.
func hold(t *testing.T, db *gorm.DB, n int, statement string) {
	t.Helper()
	var open, all sync.WaitGroup
	open.Add(n)
	for range n {
		all.Go(func() {
			err := db.WithContext(t.Context()).Connection(func(one *gorm.DB) error {
				open.Done()
				open.Wait()
				return one.Exec(statement).Error
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
