package ledger

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
)

// leaseName is the row of the one lease that there is.
const leaseName = "sessions"

// leaseRow is the lease of one server on a PostgreSQL database.
type leaseRow struct {
	db      *gorm.DB
	owner   uuid.UUID
	times   leaseTimes
	now     func() time.Time
	renewed atomic.Pointer[time.Time] // when the last renewal that succeeded was sent
}

// holder is who has the row, and until when.
type holder struct {
	Owner     uuid.UUID
	ExpiresAt database.Time
}

func leasePostgres(ctx context.Context, db *gorm.DB, times leaseTimes, now func() time.Time, waiting func()) (*Lease, error) {
	row := &leaseRow{db: db, owner: uuid.New(), times: times, now: now}
	if err := row.acquire(ctx, waiting); err != nil {
		return nil, err
	}
	watch, stop := context.WithCancel(context.Background())
	lease, done := &Lease{valid: row.valid, lost: make(chan struct{})}, make(chan struct{})
	go func() {
		defer close(done)
		if !row.keep(watch) {
			close(lease.lost)
		}
	}()
	lease.end = sync.OnceValue(func() error {
		stop()
		<-done
		return row.release()
	})
	return lease, nil
}

// acquire takes the row where it is free or has expired. A row that is renewed
// meanwhile belongs to a server that runs: that is ErrLeased. One that is not is
// waited for.
func (r *leaseRow) acquire(ctx context.Context, waiting func()) error {
	looks := time.NewTicker(r.times.look)
	defer looks.Stop()
	var first holder
	for {
		now, err := r.take(ctx)
		switch {
		case err != nil || now.Owner == r.owner:
			return err
		case now == holder{}: // given back since; the next look takes it
		case first == holder{}:
			if first = now; waiting != nil {
				waiting()
			}
		case now != first:
			return ErrLeased
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-looks.C:
		}
	}
}

// take makes the row this server's unless another one's has not expired, and
// returns who has it then; nobody where it was given back in between.
func (r *leaseRow) take(ctx context.Context) (holder, error) {
	ctx, cancel := context.WithTimeout(ctx, r.times.renew)
	defer cancel()
	sent := r.now()
	result := r.db.WithContext(ctx).Exec(`
		INSERT INTO leases (name, owner, expires_at) VALUES (?, ?, `+expiry+`)
		ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
		WHERE leases.expires_at <= now()`, leaseName, r.owner, r.times.life.Milliseconds())
	if result.Error != nil {
		return holder{}, result.Error
	}
	if result.RowsAffected == 1 {
		r.renewed.Store(&sent)
		return holder{Owner: r.owner}, nil
	}
	var now holder
	err := r.db.WithContext(ctx).Raw("SELECT owner, expires_at FROM leases WHERE name = ?", leaseName).Scan(&now).Error
	return now, err
}

// expiry is a lease's length from now, by the database's clock. A statement
// begins after it was sent: the row lives longer than its owner counts on.
const expiry = "now() + ? * interval '1 millisecond'"

// keep renews the row until ctx ends. It is false when the row is another
// server's, or was: nobody takes it twice.
func (r *leaseRow) keep(ctx context.Context) bool {
	ticks := time.NewTicker(r.times.renew)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-ticks.C:
		}
		if mine, err := r.renew(ctx); err == nil && !mine {
			return false
		}
	}
}

// renew reports whether the row is still this server's. One that expired is, as
// long as nobody took it.
func (r *leaseRow) renew(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.times.renew)
	defer cancel()
	sent := r.now()
	result := r.db.WithContext(ctx).Exec("UPDATE leases SET expires_at = "+expiry+" WHERE name = ? AND owner = ?",
		r.times.life.Milliseconds(), leaseName, r.owner)
	if result.Error != nil {
		return false, result.Error
	}
	if result.RowsAffected == 1 {
		r.renewed.Store(&sent)
	}
	return result.RowsAffected == 1, nil
}

// valid reports whether the last renewal is young enough. Both clocks of this
// machine are asked: one stands still while it sleeps, the other can be set back.
func (r *leaseRow) valid() bool {
	sent, now := *r.renewed.Load(), r.now()
	return now.Sub(sent) < r.times.serve && now.Round(0).Sub(sent.Round(0)) < r.times.serve
}

// release gives the row back, so that the next server need not wait for it.
func (r *leaseRow) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), r.times.renew)
	defer cancel()
	if err := r.db.WithContext(ctx).Exec("DELETE FROM leases WHERE name = ? AND owner = ?", leaseName, r.owner).Error; err != nil {
		return fmt.Errorf("ledger: giving the lease back: %w", err)
	}
	return nil
}
