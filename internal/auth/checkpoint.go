package auth

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
)

const (
	checkpointEvery = time.Second
	checkpointPause = time.Minute // at most one row per session in this time
	checkpointBatch = 500
	maxCheckpoints  = 100_000 // sessions that may wait
)

// checkpoints writes the hot state's progress into the ledger, in batches and
// behind the requests. Each batch is a question too: what the ledger answers
// ends sessions that it knows to be over and lifts hot state that is behind it,
// so that whatever a rolled-back store forgot is put right soon after its first
// use.
type checkpoints struct {
	ledger  *ledger.Ledger
	store   session.Store
	endings *endings
	policy  session.Policy
	log     *slog.Logger
	now     func() time.Time

	mu      sync.Mutex
	waiting map[uuid.UUID]session.Checkpoint
	written map[uuid.UUID]writtenRow
	dropped uint64
}

// writtenRow is what was last written of a session, and when.
type writtenRow struct {
	at         time.Time
	generation uint64
	turnedAt   time.Time
}

// contradicts reports whether hot state that has come to cp cannot have passed
// through what was written: it was rolled back in between.
func (w writtenRow) contradicts(cp session.Checkpoint) bool {
	return cp.Generation < w.generation || cp.Generation == w.generation && !cp.TurnedAt.Equal(w.turnedAt)
}

func newCheckpoints(l *ledger.Ledger, store session.Store, e *endings, policy session.Policy, log *slog.Logger, now func() time.Time) *checkpoints {
	return &checkpoints{
		ledger: l, store: store, endings: e, policy: policy, log: log, now: now,
		waiting: make(map[uuid.UUID]session.Checkpoint),
		written: make(map[uuid.UUID]writtenRow),
	}
}

// note takes a session's progress. It never blocks on a store.
func (c *checkpoints) note(cp session.Checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, known := c.waiting[cp.SessionID]
	switch {
	case !known && len(c.waiting) >= maxCheckpoints:
		c.dropped++
		return
	case known && (old.Generation > cp.Generation || old.Generation == cp.Generation && old.LastUsedAt.After(cp.LastUsedAt)):
		return
	}
	c.waiting[cp.SessionID] = cp
}

// run writes what is due every second, and everything when ctx ends.
func (c *checkpoints) run(ctx context.Context) {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.flush(ctx, false)
		case <-ctx.Done():
			c.flush(context.WithoutCancel(ctx), true)
			return
		}
	}
}

// flush writes the checkpoints that are due, or all. What the ledger did not
// take waits for the next time.
func (c *checkpoints) flush(ctx context.Context, all bool) {
	due := c.due(all)
	for len(due) > 0 {
		batch := due[:min(len(due), checkpointBatch)]
		due = due[len(batch):]
		if err := c.write(ctx, batch); err != nil {
			c.log.Warn("store unavailable", "operation", "writing checkpoints", "waiting", len(batch)+len(due), "error", err)
			c.putBack(batch)
			c.putBack(due)
			return
		}
	}
}

// due takes what may be written now out of the waiting set.
func (c *checkpoints) due(all bool) []session.Checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.dropped > 0 {
		c.log.Error("too many checkpoints wait; some were dropped", "dropped", c.dropped)
		c.dropped = 0
	}
	for id, row := range c.written {
		if now.Sub(row.at) >= checkpointPause {
			delete(c.written, id)
		}
	}
	var due []session.Checkpoint
	for id, cp := range c.waiting {
		if row, early := c.written[id]; early && !all && !row.contradicts(cp) {
			continue
		}
		due = append(due, cp)
		delete(c.waiting, id)
		c.written[id] = writtenRow{at: now, generation: cp.Generation, turnedAt: cp.TurnedAt}
	}
	return due
}

func (c *checkpoints) putBack(batch []session.Checkpoint) {
	for _, cp := range batch {
		c.mu.Lock()
		delete(c.written, cp.SessionID)
		c.mu.Unlock()
		c.note(cp)
	}
}

// write is one statement and what follows from its answers.
func (c *checkpoints) write(ctx context.Context, batch []session.Checkpoint) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	answers, err := c.ledger.Checkpoint(ctx, batch)
	if err != nil {
		return err
	}
	known := make(map[uuid.UUID]ledger.Entry, len(answers))
	for _, a := range answers {
		known[a.State.ID] = a.Entry
	}
	for _, cp := range batch {
		entry, ok := known[cp.SessionID]
		switch {
		case !ok:
			c.endings.spread(ctx, cp.UserID, []session.End{{
				SessionID: cp.SessionID, ExpiresAt: c.now().Add(c.policy.Absolute), Reason: session.ReasonUnknown,
			}})
		case entry.Ended():
			c.endings.spread(ctx, cp.UserID, []session.End{{
				SessionID: cp.SessionID, ExpiresAt: entry.State.ExpiresAt, Reason: entry.Reason,
			}})
		case entry.State.Generation > cp.Generation:
			_, err := c.store.Restore(ctx, entry.State, 0, c.policy)
			if err != nil && !errors.Is(err, session.ErrEnded) {
				// The next use of the session asks again.
				c.log.Warn("store unavailable", "operation", "lifting hot state", "error", err)
			}
		}
	}
	return nil
}
