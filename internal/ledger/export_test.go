package ledger

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// AcquireShortLease is AcquireLease in PostgreSQL with a row that lives for life.
func AcquireShortLease(ctx context.Context, db *gorm.DB, life time.Duration, waiting func()) (*Lease, error) {
	return leasePostgres(ctx, db, leaseTimes{life: life, serve: life * 2 / 3, renew: life / 8, look: life / 50}, time.Now, waiting)
}
