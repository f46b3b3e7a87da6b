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
	checkpointPause = time.Minute // at most one row per session in this time, and one per recovery
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
	batch   int // sessions of one statement

	mu      sync.Mutex
	waiting map[uuid.UUID]progress
	written map[uuid.UUID]writing
	dropped uint64
	told    uint64 // how many of these the log has
}

// progress is the newest checkpoint of a session that waits for its row to be
// written. hot is the generation that was seen last, which is older where the
// store was rolled back; asked tells that the ledger has been asked about it.
type progress struct {
	session.Checkpoint
	hot      uint64
	asked    bool
	question bool // nothing was used: the ledger is asked, and told nothing
}

// writing is when a session's row was last written, and of which recovery.
type writing struct{ at, recovered time.Time }

func newCheckpoints(l *ledger.Ledger, store session.Store, e *endings, policy session.Policy, log *slog.Logger, now func() time.Time) *checkpoints {
	return &checkpoints{
		ledger: l, store: store, endings: e, policy: policy, log: log, now: now, batch: checkpointBatch,
		waiting: make(map[uuid.UUID]progress),
		written: make(map[uuid.UUID]writing),
	}
}

// note takes a session's progress. It never blocks on a store.
func (c *checkpoints) note(cp session.Checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(progress{Checkpoint: cp, hot: cp.Generation})
}

// question has the ledger asked whether it knows more of a session that was
// looked at and not used. It never blocks on a store.
func (c *checkpoints) question(cp session.Checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(progress{Checkpoint: cp, hot: cp.Generation, question: true})
}

func (c *checkpoints) put(p progress) {
	old, known := c.waiting[p.SessionID]
	switch {
	case !known && len(c.waiting) >= maxCheckpoints:
		c.dropped++
		return
	case known && (old.Newer(p.Checkpoint) || !p.Newer(old.Checkpoint) && old.LastUsedAt.After(p.LastUsedAt)):
		p.Checkpoint = old.Checkpoint
	}
	p.Held = p.Held || old.Held
	p.question = p.question && (old.question || !known)
	p.asked = false
	c.waiting[p.SessionID] = p
}

// run writes and asks every second, and writes everything when ctx ends, for
// stopTimeout at most.
func (c *checkpoints) run(ctx context.Context) {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.flush(ctx, false)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			c.flush(last, true)
			return
		}
	}
}

// flush writes the checkpoints that are due, or all, and asks about the others.
// What the ledger did not answer waits for the next time.
func (c *checkpoints) flush(ctx context.Context, all bool) {
	write, ask := c.due(all)
	c.putBack(c.inBatches(ctx, write, c.write), true)
	c.putBack(c.inBatches(ctx, ask, c.ask), false)
}

// inBatches sends what is due, and returns what the ledger did not take.
func (c *checkpoints) inBatches(ctx context.Context, due []progress, send func(context.Context, []progress) ([]ledger.Entry, error)) []progress {
	for len(due) > 0 {
		batch := due[:min(len(due), c.batch)]
		limited, cancel := context.WithTimeout(ctx, storeTimeout)
		entries, err := send(limited, batch)
		cancel()
		if err != nil {
			c.log.Warn("store unavailable", "operation", "writing checkpoints", "waiting", len(due), "error", err)
			return due
		}
		c.conclude(ctx, batch, entries)
		due = due[len(batch):]
	}
	return nil
}

// due takes what may be written now out of the waiting set, and lists what has
// to wait but was not asked about yet.
func (c *checkpoints) due(all bool) (write, ask []progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if fresh := c.dropped - c.told; fresh > 0 {
		c.log.Error("too many checkpoints wait; some were dropped", "dropped", fresh)
		c.told = c.dropped
	}
	for id, w := range c.written {
		if now.Sub(w.at) >= checkpointPause {
			delete(c.written, id)
		}
	}
	for id, p := range c.waiting {
		switch last, early := c.written[id]; {
		case p.question:
			ask = append(ask, p)
			delete(c.waiting, id)
		case all || !early || p.RecoveredAt.After(last.recovered):
			write = append(write, p)
			delete(c.waiting, id)
			c.written[id] = writing{at: now, recovered: p.RecoveredAt}
		case !p.asked:
			ask = append(ask, p)
			p.asked = true
			c.waiting[id] = p
		}
	}
	return write, ask
}

// putBack lets wait again what the ledger did not take. What should have been
// written is due at once.
func (c *checkpoints) putBack(refused []progress, write bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range refused {
		if write {
			delete(c.written, p.SessionID)
		}
		c.put(p)
	}
}

// write is one statement that raises the rows and returns them.
func (c *checkpoints) write(ctx context.Context, batch []progress) ([]ledger.Entry, error) {
	rows := make([]session.Checkpoint, len(batch))
	for i, p := range batch {
		rows[i] = p.Checkpoint
	}
	return c.ledger.Checkpoint(ctx, rows)
}

// ask is one statement that returns the rows as they are.
func (c *checkpoints) ask(ctx context.Context, batch []progress) ([]ledger.Entry, error) {
	ids := make([]uuid.UUID, len(batch))
	for i, p := range batch {
		ids[i] = p.SessionID
	}
	return c.ledger.FindAll(ctx, ids)
}

// conclude ends the sessions that the ledger knows to be over, and lifts hot
// state that is behind it. After a store was rolled back that may be all of them.
func (c *checkpoints) conclude(ctx context.Context, batch []progress, entries []ledger.Entry) {
	known := make(map[uuid.UUID]ledger.Entry, len(entries))
	for _, entry := range entries {
		known[entry.State.ID] = entry
	}
	over := make(endsByUser)
	var behind []session.State
	for _, p := range batch {
		entry, ok := known[p.SessionID]
		switch {
		case !ok || entry.State.UserID != p.UserID:
			end := session.End{SessionID: p.SessionID, ExpiresAt: c.now().Add(c.policy.Absolute), Reason: session.ReasonUnknown, InLedger: true}
			c.endings.tell(CallerFrom(ctx).event(), p.UserID, []session.End{end})
			over[p.UserID] = append(over[p.UserID], end)
		case entry.Ended():
			over[p.UserID] = append(over[p.UserID], session.End{SessionID: p.SessionID, ExpiresAt: entry.State.ExpiresAt, Reason: entry.Reason, InLedger: true})
		case entry.State.Generation > p.hot:
			behind = append(behind, entry.State)
		}
	}
	for _, userID := range c.endings.endAll(ctx, over) {
		c.endings.owe(toStore, userID, over[userID])
	}
	failed, err := bulk(ctx, behind, func(ctx context.Context, known session.State) error {
		_, err := c.store.Restore(ctx, known, 0, c.policy)
		if errors.Is(err, session.ErrEnded) {
			return nil
		}
		return err
	})
	if err != nil { // the next use of these sessions asks again
		c.log.Warn("store unavailable", "operation", "lifting hot state", "sessions", len(failed), "error", err)
	}
}
