package auth

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/session"
)

const (
	reconcileOverlap = 10 * time.Second // for clocks that differ and transactions that were slow
	cleanEvery       = time.Hour
	cleanBatch       = 1000
)

// reconcile takes over revocations from the ledger: those of the last hour at
// the start, then those since the last look, with an overlap. It repeats them
// into the hot state, so that an end that only the ledger took reaches it.
func (s *Service) reconcile(ctx context.Context) {
	since := s.Now().Add(-revocation.Window)
	cleaned := time.Time{}
	tick := time.NewTicker(s.ReconcileEvery)
	defer tick.Stop()
	for {
		now := s.Now()
		if err := s.takeOver(ctx, since); err != nil {
			s.Log.Warn("store unavailable", "operation", "reading revocations from the ledger", "error", err)
		} else {
			since = now.Add(-reconcileOverlap)
			s.caughtUp.Store(true)
		}
		s.Revoked.Sweep()
		if now.Sub(cleaned) >= cleanEvery {
			cleaned = now
			s.forgetExpired(ctx, now)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// takeOver reads the ledger's revocations since a time.
func (s *Service) takeOver(ctx context.Context, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 10*storeTimeout)
	defer cancel()
	list, err := s.Ledger.RevokedSince(ctx, since)
	if err != nil {
		return err
	}
	byUser := make(map[uuid.UUID][]session.End)
	for _, r := range list {
		s.Revoked.Add(r.RevokedAt, r.SessionID)
		byUser[r.UserID] = append(byUser[r.UserID], r.End)
	}
	for userID, ends := range byUser {
		if err == nil {
			err = s.Store.Revoke(ctx, userID, ends)
		}
		if err != nil {
			// The ledger and this node know; the store takes it when it answers.
			s.endings.owe(toStore, userID, ends)
		}
	}
	if err != nil {
		s.Log.Warn("store unavailable", "operation", "repeating revocations", "error", err)
	}
	return nil
}

// forgetExpired drops ledger rows whose sessions are past their absolute expiry,
// and events that are past their retention.
func (s *Service) forgetExpired(ctx context.Context, now time.Time) {
	s.forget(ctx, "forgetting expired sessions", func() (int64, error) { return s.Ledger.DeleteExpired(ctx, now, cleanBatch) })
	s.forget(ctx, "forgetting old events", func() (int64, error) {
		return s.Audit.DeleteBefore(ctx, now.Add(-audit.Retention), cleanBatch)
	})
}

func (s *Service) forget(ctx context.Context, what string, batch func() (int64, error)) {
	for ctx.Err() == nil {
		n, err := batch()
		if err != nil {
			s.Log.Warn("store unavailable", "operation", what, "error", err)
			return
		}
		if n < cleanBatch {
			return
		}
	}
}
