package postgrestest_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/internal/postgrestest"
)

// rows is how many rows a server's table has, as the role pawl sees it.
func rows(t *testing.T, server *postgrestest.Server) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func insert(server *postgrestest.Server) error {
	return server.With("pawl", func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "INSERT INTO t VALUES (1)")
		return err
	})
}

// TestFailover: a server is stopped and started, cloned and killed, its standby
// is promoted, and it comes back as the standby of that one.
func TestFailover(t *testing.T) {
	t.Parallel()
	first := postgrestest.Start(t, "wal_level=replica", "hot_standby=on")
	conn, err := pgx.Connect(t.Context(), first.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE t (n INTEGER)"); err != nil {
		t.Fatalf("as the role pawl: got %v, want to make a table", err)
	}
	if _, err := conn.Exec(t.Context(), "ALTER SYSTEM SET work_mem = '1MB'"); err == nil {
		t.Error("as the role pawl: got no error of ALTER SYSTEM, want one")
	}
	addr := first.Addr()
	first.End(syscall.SIGINT)
	if err := insert(first); err == nil {
		t.Error("INSERT without a server: got no error, want one")
	}
	first.Up()
	if err := insert(first); err != nil || first.Addr() != addr {
		t.Errorf("after a restart: got %v at %s, want none at %s", err, first.Addr(), addr)
	}

	second := first.Clone(nil)
	if err := insert(second); err == nil {
		t.Error("INSERT into a standby: got no error, want one")
	}
	first.CaughtUp()
	first.End(syscall.SIGKILL)
	second.Promote()
	if err := insert(second); err != nil || rows(t, second) != 2 {
		t.Errorf("after the promotion: got %d rows (%v), want 2", rows(t, second), err)
	}
	third := second.Clone(first)
	second.CaughtUp()
	third.Until("the row arrives", "SELECT count(*) = $1 FROM t", 2)
	if third.Addr() != addr {
		t.Errorf("the clone: got %s, want the dead server's %s", third.Addr(), addr)
	}
}
