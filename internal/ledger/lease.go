package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"
	"modernc.org/sqlite"

	"github.com/pawlauth/pawl/internal/database"
)

const sqliteBusy = 5 // SQLITE_BUSY, primary result code

// Lease is the exclusive right of one server to keep the sessions of a database
// in its own memory. It ends with [Lease.Release], or some time after the process
// ended, however that was.
type Lease struct {
	valid func() bool
	lost  chan struct{}
	end   func() error
}

// Valid reports whether no other server can have the lease now, nor will have it
// for as long as a request takes. Requests must not be answered while it is
// false: this server could not renew the lease in time. It is true again when
// it could, and nobody else had the lease in between.
func (l *Lease) Valid() bool { return l.valid() }

// Lost is closed when another server has, or had, the lease. The program must
// stop then: two memories would disagree.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Release gives the lease back. Only the first call does something.
func (l *Lease) Release() error { return l.end() }

// AcquireLease takes the lease on the database of db, or is ErrLeased where a
// server that runs has it. ctx bounds the taking only.
//
// In PostgreSQL the lease is a row of the table leases that is renewed every two
// seconds and expires 15 s after the last time, by the database's clock. It needs
// no connection of its own, and holds behind a pooler that shares connections by
// transaction. A row of a server that died without giving it back is waited for;
// waiting, unless nil, is called once then. Beside a SQLite file the lease is the
// lock of the file PATH.lease, which ends with its process.
func AcquireLease(ctx context.Context, db *gorm.DB, now func() time.Time, waiting func()) (*Lease, error) {
	var lease *Lease
	var err error
	if database.Dialect(db) == database.PostgreSQL {
		lease, err = leasePostgres(ctx, db, usual, now, waiting)
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
	return &Lease{valid: func() bool { return true }, lost: make(chan struct{}), end: sync.OnceValue(end)}, nil
}

// leaseTimes say how long a lease in PostgreSQL lasts.
type leaseTimes struct {
	life  time.Duration // of the row, after it was last renewed
	serve time.Duration // for which requests are answered after the last renewal was sent
	renew time.Duration // between two renewals, and for the answer to each
	look  time.Duration // between two looks at a row of another server
}

// usual: between serve and life there is more time than the three seconds that a
// request may take.
var usual = leaseTimes{life: 15 * time.Second, serve: 10 * time.Second, renew: 2 * time.Second, look: 250 * time.Millisecond} //nolint:gochecknoglobals // never written
