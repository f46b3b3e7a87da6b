package revocation

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Feed carries the ids of ended sessions to every node.
type Feed interface {
	// Publish tells all nodes that sessions ended, now. When it returns without
	// an error, every Run that goes on will deliver the ids. Publishing twice is
	// harmless.
	Publish(ctx context.Context, ids ...uuid.UUID) error

	// Run delivers what was and is published, one call at a time, until ctx ends,
	// and returns the context's error then. It may deliver more than once. After
	// Run returned, deliver is not called any more. deliver must be quick and
	// must not publish.
	Run(ctx context.Context, deliver func(at time.Time, ids ...uuid.UUID)) error

	// Current is the newest time of which a Run of this value knows that
	// everything published until then was delivered; zero before the first.
	Current() time.Time
}

var _ Feed = (*Local)(nil)

// Local is the feed of a node that is alone. Every Run has the ids before
// Publish returns; what is published while none goes is kept for the next, for
// [Window] at most.
type Local struct {
	now func() time.Time

	mu      sync.Mutex
	runs    map[*func(time.Time, ...uuid.UUID)]struct{}
	pending []news
}

type news struct {
	at  time.Time
	ids []uuid.UUID
}

// NewLocal makes a feed within the process.
func NewLocal(now func() time.Time) *Local {
	return &Local{now: now, runs: make(map[*func(time.Time, ...uuid.UUID)]struct{})}
}

// Publish implements [Feed]. It never fails.
func (l *Local) Publish(_ context.Context, ids ...uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.runs) == 0 {
		l.pending = slices.DeleteFunc(l.pending, func(n news) bool { return passed(n.at, now) })
		l.pending = append(l.pending, news{now, slices.Clone(ids)})
		return nil
	}
	for deliver := range l.runs {
		(*deliver)(now, ids...)
	}
	return nil
}

// Current implements [Feed]: within one process nothing is ever late.
func (l *Local) Current() time.Time { return l.now() }

// Run implements [Feed].
func (l *Local) Run(ctx context.Context, deliver func(at time.Time, ids ...uuid.UUID)) error {
	l.mu.Lock()
	l.runs[&deliver] = struct{}{}
	for _, n := range l.pending {
		deliver(n.at, n.ids...)
	}
	l.pending = nil
	l.mu.Unlock()

	<-ctx.Done()

	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.runs, &deliver)
	return ctx.Err()
}
