package audit

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"
)

const (
	writeEvery   = time.Second
	writeTimeout = 2700 * time.Millisecond
	stopTimeout  = 5 * time.Second // for what waits when the log ends
	batchSize    = 500

	defaultCapacity = 10_000
)

// Config is what a [Log] is made of.
type Config struct {
	DB  *gorm.DB // nil: events go to Log alone
	Log *slog.Logger
	Now func() time.Time
	// Capacity is how many events may wait for the database, 10,000 where it is
	// 0. Noise gets half of it, so that it never crowds out the rest.
	Capacity int
}

// Log takes events. It is safe for concurrent use.
type Log struct {
	db       *gorm.DB
	log      *slog.Logger
	now      func() time.Time
	capacity int

	full     chan struct{} // a whole batch waits
	flushing sync.Mutex    // held by whoever takes lines from waiting

	mu      sync.Mutex
	waiting []line
	noise   map[Name]*window
	ids     ids
	dropped uint64
	told    uint64 // how many of these the log has
}

// New returns a log. Where it has a database, [Log.Run] must run beside it, or
// [Log.Flush] be called.
func New(c Config) *Log {
	if c.Capacity <= 0 {
		c.Capacity = defaultCapacity
	}
	return &Log{
		db: c.DB, log: c.Log, now: c.Now, capacity: c.Capacity,
		full:  make(chan struct{}, 1),
		noise: make(map[Name]*window),
	}
}

// Record writes the event to the log and queues it for the table. It never
// waits for the database: where the queue is full, the event is in the log
// alone, and counted. The table takes at most 50 of one noisy event (failed
// logins, dead refresh tokens, refused requests, stores that do not answer) in
// ten seconds, and then one line whose detail "suppressed" counts the others;
// the log has them all.
func (l *Log) Record(e Event) {
	now := l.now()
	e = e.bounded(now)
	ctx, handler := context.Background(), l.log.Handler()
	if r := e.record(); handler.Enabled(ctx, r.Level) {
		_ = handler.Handle(ctx, r) // as slog itself does
	}
	if l.db == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.admit(e.Name, now) {
		l.put(e)
	}
}

// put queues an event that is bounded.
func (l *Log) put(e Event) {
	room := l.capacity
	if e.Name.noisy() {
		room = (l.capacity + 1) / 2
	}
	if len(l.waiting) >= room {
		l.dropped++
		return
	}
	l.waiting = append(l.waiting, newLine(l.ids.next(e.At), e))
	if len(l.waiting) >= batchSize {
		select {
		case l.full <- struct{}{}:
		default:
		}
	}
}

// Dropped is how many events were not queued for want of room, or lost at the
// end. It only rises.
func (l *Log) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Waiting is how many events the database has yet to take.
func (l *Log) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

// Run writes what waits at least once a second until ctx ends, and everything
// then, for at most five seconds. What the database did not take is written
// when it answers again.
func (l *Log) Run(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	full := l.full
	for {
		select {
		case <-tick.C:
		case <-full:
		case <-ctx.Done():
			l.stop(context.WithoutCancel(ctx))
			return
		}
		full = l.full
		if l.flush(ctx, false) != nil {
			full = nil // the next tick is soon enough for a database that does not answer
		}
	}
}

// stop writes what waits, and gives up what the database does not take.
func (l *Log) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if l.Flush(ctx) == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log.Error("the database did not take the last audit events; the log alone has them", "dropped", len(l.waiting))
	l.dropped += uint64(len(l.waiting))
	l.told, l.waiting = l.dropped, nil
}

// Flush writes everything that waits, in statements of at most 500 events. The
// error means that the database did not answer; what it did not take waits on.
func (l *Log) Flush(ctx context.Context) error { return l.flush(ctx, true) }

// flush writes what waits now, and the counts of noise whose window is over, or
// all counts.
func (l *Log) flush(ctx context.Context, all bool) error {
	if l.db == nil {
		return nil
	}
	l.flushing.Lock()
	defer l.flushing.Unlock()
	for due := l.due(all); due > 0; {
		batch := l.next(min(due, batchSize))
		limited, cancel := context.WithTimeout(ctx, writeTimeout)
		err := insert(limited, l.db, batch)
		cancel()
		if err != nil {
			l.log.Warn("store unavailable", "operation", "writing audit events", "waiting", l.Waiting(), "error", err)
			return err
		}
		l.written(len(batch))
		due -= len(batch)
	}
	return nil
}

// due is how many lines wait, and tells operators of those that were dropped.
func (l *Log) due(all bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sumUp(l.now(), all)
	if fresh := l.dropped - l.told; fresh > 0 {
		l.log.Error("too many audit events wait for the database; the log alone has some", "dropped", fresh)
		l.told = l.dropped
	}
	return len(l.waiting)
}

// next is a copy of the first n lines. They stay in the queue until they are written.
func (l *Log) next(n int) []line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.waiting[:n])
}

// written takes the first n lines out of the queue.
func (l *Log) written(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.Delete(l.waiting, 0, n)
}
