package ledger_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/ledger"
)

// pooler stands for one that shares connections by transaction: all clients have
// one connection to the server, each for one statement at a time. What a
// session of the server keeps is everybody's.
type pooler struct {
	mu     sync.Mutex
	server driver.Conn
}

// client is a connection to a pooler. It lets statements through and nothing
// else: none of them may count on the next one's being in the same session.
type client struct{ p *pooler }

func (p *pooler) Connect(context.Context) (driver.Conn, error) { return client{p}, nil }
func (p *pooler) Driver() driver.Driver                        { return nil }

func (client) Prepare(string) (driver.Stmt, error) { return nil, errors.New("no prepared statements") }
func (client) Begin() (driver.Tx, error)           { return nil, errors.New("no transactions") }
func (client) Close() error                        { return nil }

func (c client) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.p.server.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c client) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	rows, err := c.p.server.(driver.QueryerContext).QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := &read{columns: rows.Columns()}
	for {
		row := make([]driver.Value, len(all.columns))
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		all.rows = append(all.rows, row)
	}
}

// read are rows that the server is done with.
type read struct {
	columns []string
	rows    [][]driver.Value
}

func (r *read) Columns() []string { return r.columns }
func (r *read) Close() error      { return nil }
func (r *read) Next(into []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	copy(into, r.rows[0])
	r.rows = r.rows[1:]
	return nil
}

// behindPooler are handles of two servers behind one pooler.
func behindPooler(t *testing.T) (first, second *gorm.DB) {
	t.Helper()
	direct := databasetest.PostgresURL(t)
	migrate(t, open(t, direct))
	config, err := pgx.ParseConfig(direct)
	if err != nil {
		t.Fatal(err)
	}
	server, err := stdlib.GetConnector(*config).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	p := &pooler{server: server}
	handle := func() *gorm.DB {
		pool := sql.OpenDB(p)
		t.Cleanup(func() { _ = pool.Close() })
		db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	return handle(), handle()
}

// TestLeaseThroughAPooler: two servers that share connections, and so sessions of
// the database, share no lease.
func TestLeaseThroughAPooler(t *testing.T) {
	t.Parallel()
	one, other := behindPooler(t)
	lease, err := ledger.AcquireShortLease(t.Context(), one, shortLife, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.AcquireShortLease(t.Context(), other, shortLife, nil); !errors.Is(err, ledger.ErrLeased) {
		t.Fatalf("a second server: got %v, want ErrLeased", err)
	}
	for began := time.Now(); time.Since(began) < shortLife; time.Sleep(shortLife / 8) {
		if !lease.Valid() || lost(lease) {
			t.Fatal("the lease was not renewed through the pooler")
		}
	}
	if err := lease.Release(); err != nil {
		t.Fatal(err)
	}
	next, err := ledger.AcquireShortLease(t.Context(), other, shortLife, nil)
	if err != nil {
		t.Fatalf("after the release: got %v", err)
	}
	_ = next.Release()
}
