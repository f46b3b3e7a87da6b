package auth

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/session"
)

const (
	repairEvery = 500 * time.Millisecond
	maxDebts    = 10_000
	maxFailures = 3 // in a row, before a creditor is left alone for this time
)

// certainty is how well an end that is owed is known. The better known takes
// the place of the other, and is paid first.
type certainty uint8

const (
	guessed    certainty = iota // this node knows that the session ended, and not why
	repeated                    // a tombstone says why; the ledger knows it most likely
	undertaken                  // somebody was told that the session ended
)

// debt is an end that the ledger, or else the store, has not taken yet.
type debt struct {
	userID uuid.UUID
	end    session.End
	to     target // toLedger or toStore
	known  certainty
	by     audit.Event // who brought a repeated end up
}

type debtKey struct {
	sessionID uuid.UUID
	to        target
}

// debts is a bounded set of what is owed. What was not undertaken takes half of
// it at most: it comes up again with the next use of its token.
type debts struct {
	limit int

	mu      sync.Mutex
	owed    map[debtKey]debt
	repeats int // of them, those that were not undertaken
	paid    uint64
	dropped uint64
	told    uint64 // how many of these the log has
}

// owe notes ends that a store has yet to take.
func (e *endings) owe(to target, userID uuid.UUID, ends []session.End) {
	for _, end := range ends {
		e.debts.add(debt{userID: userID, end: end, to: to, known: undertaken})
	}
}

// add notes what is owed. An end that is owed already keeps its reason unless
// the new one is better known.
func (d *debts) add(owed debt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := debtKey{owed.end.SessionID, owed.to}
	if old, waits := d.owed[key]; waits {
		if old.known >= owed.known {
			return
		}
		d.remove(old)
	}
	switch {
	case owed.known != undertaken && d.repeats >= d.limit/2:
		return
	case len(d.owed) >= d.limit:
		d.dropped++
		return
	}
	d.owed[key] = owed
	if owed.known != undertaken {
		d.repeats++
	}
}

// tellDropped tells operators of those that were dropped since the last time.
func (d *debts) tellDropped(log *slog.Logger) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fresh := d.dropped - d.told; fresh > 0 {
		log.Error("too many ends wait to be repeated; some were dropped", "dropped", fresh)
		d.told = d.dropped
	}
}

func (d *debts) remove(owed debt) {
	delete(d.owed, debtKey{owed.end.SessionID, owed.to})
	if owed.known != undertaken {
		d.repeats--
	}
}

// pending lists what is owed to one creditor, the best known first.
func (d *debts) pending(to target) []debt {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []debt
	for key, owed := range d.owed {
		if key.to == to {
			list = append(list, owed)
		}
	}
	slices.SortFunc(list, func(a, b debt) int { return cmp.Compare(b.known, a.known) })
	return list
}

// settled forgets a debt; news says that the creditor had not known of the end.
func (d *debts) settled(owed debt, news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now, waits := d.owed[debtKey{owed.end.SessionID, owed.to}]; waits {
		d.remove(now)
	}
	if news {
		d.paid++
	}
}

func (d *debts) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.owed)
}

// repair pays what is owed, again and again until ctx ends, and once more then,
// for stopTimeout at most. No creditor waits for the other.
func (e *endings) repair(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { e.repairWith(ctx, toLedger) })
	both.Go(func() { e.repairWith(ctx, toStore) })
	both.Wait()
	if n := e.debts.waiting(); n > 0 {
		e.log.Error("ends are still owed at the stop: those that the ledger has reach the store through other servers, the others when their tokens are used", "waiting", n)
	}
}

func (e *endings) repairWith(ctx context.Context, creditor target) {
	tick := time.NewTicker(repairEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.debts.tellDropped(e.log)
			e.settleWith(ctx, creditor)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			e.settleWith(last, creditor)
			return
		}
	}
}

// settleWith tries a creditor until it has failed a few times in a row: it is
// down then, and not just at odds with a single debt.
func (e *endings) settleWith(ctx context.Context, creditor target) {
	failures := 0
	for _, owed := range e.debts.pending(creditor) {
		if failures == maxFailures || ctx.Err() != nil {
			return
		}
		news, err := e.pay(ctx, owed)
		if err != nil {
			e.log.Warn("an end is still owed", "ledger", creditor == toLedger, "session", owed.end.SessionID.String(), "error", err)
			failures++
			continue
		}
		failures = 0
		e.debts.settled(owed, news)
		if news && owed.known == repeated {
			e.tell(owed.by, owed.userID, []session.End{owed.end})
		}
	}
}

// pay reports whether the creditor had not known of the end, as far as it says:
// a store does not.
func (e *endings) pay(ctx context.Context, owed debt) (news bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if owed.to == toStore {
		return true, e.store.Revoke(ctx, owed.userID, []session.End{owed.end})
	}
	ended, err := e.ledger.Revoke(ctx, owed.userID, []uuid.UUID{owed.end.SessionID}, owed.end.Reason)
	return len(ended) > 0, err
}
