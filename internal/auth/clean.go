package auth

import (
	"context"
	"time"
)

const (
	cleanEvery   = time.Hour
	cleanBatch   = 1000
	cleanTimeout = 10 * storeTimeout // for a batch
)

// clean forgets what is over, every hour until ctx ends. It waits an hour before
// the first time: a machine that boots with a wrong clock has set it by then.
func (s *Service) clean(ctx context.Context) {
	tick := time.NewTicker(s.cleanEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.forget(ctx, "forgetting expired sessions", s.Ledger.DeleteExpired)
			s.forget(ctx, "forgetting ended sessions", s.Ledger.DeleteEnded)
			s.forget(ctx, "forgetting old events", s.Audit.DeleteOld)
		case <-ctx.Done():
			return
		}
	}
}

// forget deletes batch after batch until there is nothing left. One that fails
// is tried again in an hour.
func (s *Service) forget(ctx context.Context, what string, batch func(context.Context, int) (int64, error)) {
	for ctx.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, cleanTimeout)
		n, err := batch(limited, cleanBatch)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("store unavailable", "operation", what, "error", err)
		}
		if err != nil || n < cleanBatch {
			return
		}
	}
}
