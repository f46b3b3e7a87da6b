package ledger

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database"
)

const (
	// keepExpired is how long the row of a session that lives stays past its
	// absolute expiry: its hot state goes by another clock, and the row is what
	// brings it back.
	keepExpired = 24 * time.Hour
	// keepEnded is how long the row of a session that ended stays. Other servers
	// look for ends of the last hour. Later the row tells no more than its
	// absence does, since a session without row is over too; so what one
	// account can fill the table with is what it begins in this time.
	keepEnded = 2 * time.Hour
)

// DeleteExpired forgets at most limit sessions that reached their absolute
// expiry a day ago or earlier, and returns how many. The day has passed by the
// database's clock and by this ledger's: a clock that is ahead deletes nothing.
func (l *Ledger) DeleteExpired(ctx context.Context, limit int) (int64, error) {
	return l.delete(ctx, "expires_at", keepExpired, limit)
}

// DeleteEnded forgets at most limit sessions that ended two hours ago or
// earlier, and returns how many. The time has passed by both clocks, as for
// [Ledger.DeleteExpired]. For whoever asks, such a session does not exist.
func (l *Ledger) DeleteEnded(ctx context.Context, limit int) (int64, error) {
	return l.delete(ctx, "revoked_at", keepEnded, limit)
}

// delete forgets sessions whose time in the column is older than keep.
func (l *Ledger) delete(ctx context.Context, column string, keep time.Duration, limit int) (int64, error) {
	passed, err := database.Passed(ctx, l.db, l.now())
	if err != nil {
		return 0, fmt.Errorf("ledger: deleting sessions: %w", err)
	}
	// What is materialized is chosen once: PostgreSQL may repeat a subquery, and
	// the limit would count anew.
	var n int64
	err = l.byIndex(ctx, func(db *gorm.DB) error {
		result := db.Exec(`
			DELETE FROM sessions WHERE id IN (WITH chosen AS MATERIALIZED (
				SELECT id FROM sessions WHERE `+column+` < ?
				ORDER BY `+column+` LIMIT ? `+database.RowLock(db, "FOR UPDATE SKIP LOCKED")+`) SELECT id FROM chosen)`,
			database.At(passed.Add(-keep)), limit)
		n = result.RowsAffected
		return result.Error
	})
	if err != nil {
		return 0, fmt.Errorf("ledger: deleting sessions: %w", err)
	}
	return n, nil
}
