package auth

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/session"
)

// reconcileOverlap is for clocks that differ, by the longest leeway that can be
// set and some more, and for transactions that were slow.
const reconcileOverlap = 90 * time.Second

// look is one look at the ledger: when it was, and the ends that it found.
type look struct {
	at    time.Time // of the wall clock; zero: none yet
	found map[uuid.UUID]bool
}

// reconcile takes over revocations from the ledger: those of the last hour at
// the start, then those since the last look, with an overlap. It repeats them
// into the hot state, so that an end that only the ledger took reaches it.
func (s *Service) reconcile(ctx context.Context) {
	var last look
	tick := time.NewTicker(s.ReconcileEvery)
	defer tick.Stop()
	for {
		now := s.Now().Round(0) // without the monotonic clock, which hides that time was set back
		if found, err := s.takeOver(ctx, last.since(now), last.found); err != nil {
			s.Log.Warn("store unavailable", "operation", "reading revocations from the ledger", "error", err)
		} else {
			last = look{now, found}
			s.caughtUp.Store(true)
		}
		s.Revoked.Sweep()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// since is the time from which on the next look must read. While this node's
// clock was ahead, it forgot ends as old and took others for past: when it was
// set back, everything is read anew.
func (l look) since(now time.Time) time.Time {
	if now.Before(l.at) || l.at.IsZero() {
		return now.Add(-revocation.Window)
	}
	return l.at.Add(-reconcileOverlap)
}

// takeOver reads the ledger's revocations since a time, and returns which
// sessions they are of. The store is told of those that are not known: that
// the last look found.
func (s *Service) takeOver(ctx context.Context, since time.Time, known map[uuid.UUID]bool) (map[uuid.UUID]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*storeTimeout)
	defer cancel()
	list, err := s.Ledger.RevokedSince(ctx, since)
	if err != nil {
		return nil, err
	}
	found := make(map[uuid.UUID]bool, len(list))
	byUser := make(map[uuid.UUID][]session.End)
	for _, r := range list {
		s.Revoked.Add(r.RevokedAt, r.SessionID)
		found[r.SessionID] = true
		if !known[r.SessionID] {
			byUser[r.UserID] = append(byUser[r.UserID], r.End)
		}
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
	return found, nil
}
