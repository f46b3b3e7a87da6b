package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"
	"modernc.org/sqlite"

	"github.com/pawlauth/pawl/internal/database"
)

const (
	leaseKey    = 0x7061776c      // first half of the advisory lock's key: "pawl"
	leaseCheck  = 2 * time.Second // between two looks at the connection that holds the lock
	leaseAnswer = 2 * time.Second // for each look
	sqliteBusy  = 5               // SQLITE_BUSY, primary result code
)

// Lease is the exclusive right of one server to keep the sessions of a database
// in its own memory. It ends with [Lease.Release] or with the process, however
// that ends.
type Lease struct {
	lost chan struct{}
	end  func() error
}

// Lost is closed when another server took the lease, which can happen only
// after this one's connection to PostgreSQL broke. The program must stop then:
// two memories would disagree.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Release gives the lease back. Only the first call does something.
func (l *Lease) Release() error { return l.end() }

// AcquireLease takes the lease on the database of db, or is ErrLeased at once.
// In PostgreSQL it is an advisory lock of the schema on a connection of its own
// (which a pooler between them must leave alone); beside a SQLite file it is the
// lock of the file PATH.lease. ctx bounds the taking only.
func AcquireLease(ctx context.Context, db *gorm.DB) (*Lease, error) {
	var lease *Lease
	var err error
	if database.Dialect(db) == database.PostgreSQL {
		lease, err = leasePostgres(ctx, db)
	} else {
		lease, err = leaseSQLite(ctx, db)
	}
	if err != nil && !errors.Is(err, ErrLeased) {
		return nil, fmt.Errorf("ledger: taking the lease: %w", err)
	}
	return lease, err
}

func leaseSQLite(ctx context.Context, db *gorm.DB) (*Lease, error) {
	file, err := database.OpenLeaseFile(db)
	if err != nil {
		return nil, err
	}
	conn, err := file.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE") // stays open as long as the connection
	}
	if err != nil {
		_ = file.Close()
		if busy := new(sqlite.Error); errors.As(err, &busy) && busy.Code()&0xff == sqliteBusy {
			return nil, ErrLeased
		}
		return nil, err
	}
	end := func() error {
		_, err := conn.ExecContext(context.Background(), "ROLLBACK")
		return errors.Join(err, conn.Close(), file.Close())
	}
	return &Lease{lost: make(chan struct{}), end: sync.OnceValue(end)}, nil
}

func leasePostgres(ctx context.Context, db *gorm.DB) (*Lease, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	held, err := lock(ctx, pool, 0)
	if err != nil {
		return nil, err
	}
	watch, stop := context.WithCancel(context.Background())
	lease, done := &Lease{lost: make(chan struct{})}, make(chan struct{})
	go func() {
		defer close(done)
		if !keep(watch, pool, held) {
			close(lease.lost)
		}
	}()
	lease.end = sync.OnceValue(func() error {
		stop()
		<-done
		return nil
	})
	return lease, nil
}

// keep holds the lock until ctx ends, on new connections when one breaks. It
// is false when another server has it.
func keep(ctx context.Context, pool *sql.DB, held *locked) bool {
	defer func() { held.close() }()
	ticks := time.NewTicker(leaseCheck)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-ticks.C:
		}
		look, cancel := context.WithTimeout(ctx, leaseAnswer)
		if held.conn == nil || held.conn.PingContext(look) != nil {
			held.close()
			again, err := lock(look, pool, held.backend)
			if errors.Is(err, ErrLeased) && ctx.Err() == nil {
				cancel()
				return false
			}
			if err == nil {
				held = again
			}
		}
		cancel()
	}
}

// locked is the connection that holds the lock.
type locked struct {
	conn    *sql.Conn // nil while there is none
	backend int       // its process on the server
}

// close ends the connection itself, and the lock with it; it does not go back
// into the pool.
func (l *locked) close() {
	if l.conn != nil {
		_ = l.conn.Raw(func(any) error { return driver.ErrBadConn })
		_ = l.conn.Close()
		l.conn = nil
	}
}

// lock takes the lock on a new connection. It is ErrLeased when somebody else
// has it; own is a process of this server whose connection broke and which the
// database may not have noticed yet: that one is waited for.
func lock(ctx context.Context, pool *sql.DB, own int) (*locked, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	l := &locked{conn: conn}
	var got bool
	err = conn.QueryRowContext(ctx,
		"SELECT pg_backend_pid(), pg_try_advisory_lock($1, hashtext(COALESCE(current_schema(), '')))", leaseKey).
		Scan(&l.backend, &got)
	if err == nil && got {
		return l, nil
	}
	if err == nil {
		err = ErrLeased
		if pid := holder(ctx, conn); own != 0 && (pid == own || pid == 0) {
			err = errors.New("ledger: the broken connection still holds the lease")
		}
	}
	l.close()
	return nil, err
}

// holder is the process that has the lock; 0 where there is none any more, or no
// answer.
func holder(ctx context.Context, conn *sql.Conn) int {
	var pid int
	_ = conn.QueryRowContext(ctx, `SELECT pid FROM pg_locks
		WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = $1
		AND objid::bigint = hashtext(COALESCE(current_schema(), ''))::bigint & 4294967295
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, leaseKey).Scan(&pid)
	return pid
}
