package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

const (
	repairEvery = 500 * time.Millisecond
	maxDebts    = 10_000
	maxFailures = 3 // in a row, before a creditor is left alone for this time
)

// debt is an end that the ledger, or else the store, has not taken yet.
type debt struct {
	userID   uuid.UUID
	end      session.End
	toLedger bool
}

type debtKey struct {
	sessionID uuid.UUID
	toLedger  bool
}

// debts is a bounded set of what is owed.
type debts struct {
	mu      sync.Mutex
	owed    map[debtKey]debt
	paid    uint64
	dropped uint64
}

func (d *debts) add(log *slog.Logger, owed debt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := debtKey{owed.end.SessionID, owed.toLedger}
	if _, known := d.owed[key]; !known && len(d.owed) >= maxDebts {
		d.dropped++
		log.Error("too many ends wait to be repeated; one is dropped", "session", owed.end.SessionID.String(), "dropped", d.dropped)
		return
	}
	d.owed[key] = owed
}

// pending lists what is owed to the ledger, or to the store.
func (d *debts) pending(toLedger bool) []debt {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []debt
	for key, owed := range d.owed {
		if key.toLedger == toLedger {
			list = append(list, owed)
		}
	}
	return list
}

func (d *debts) settled(owed debt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paid++
	delete(d.owed, debtKey{owed.end.SessionID, owed.toLedger})
}

// repair pays what is owed, again and again until ctx ends, and once more then.
func (e *endings) repair(ctx context.Context) {
	tick := time.NewTicker(repairEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.settle(ctx)
		case <-ctx.Done():
			e.settle(context.WithoutCancel(ctx))
			return
		}
	}
}

// settle tries each creditor until it has failed a few times in a row: it is
// down then, and not just at odds with a single debt.
func (e *endings) settle(ctx context.Context) {
	for _, toLedger := range []bool{true, false} {
		failures := 0
		for _, owed := range e.debts.pending(toLedger) {
			if err := e.pay(ctx, owed); err != nil {
				e.log.Warn("an end is still owed", "ledger", toLedger, "session", owed.end.SessionID.String(), "error", err)
				if failures++; failures == maxFailures {
					break
				}
				continue
			}
			failures = 0
			e.debts.settled(owed)
		}
	}
}

func (e *endings) pay(ctx context.Context, owed debt) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if owed.toLedger {
		_, err := e.ledger.Revoke(ctx, owed.userID, []uuid.UUID{owed.end.SessionID}, owed.end.Reason)
		return err
	}
	return e.store.Revoke(ctx, owed.userID, []session.End{owed.end})
}
