package password

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	waitingPerSlot    = 4
	waitingPerNetwork = 4
	maxWait           = 2 * time.Second
)

// queue lets so many compute at once and makes some more wait, first come, first
// served. A network has at most four waiting, so others wait behind no more than
// that; a free slot is one more place. Where the queue is full all the same, a
// newcomer takes the place of the last one of the network that has most waiting,
// if that leaves the newcomer's network with no more than it: few networks cannot
// keep others out.
type queue struct {
	mu      sync.Mutex
	free    int
	places  int
	waiting []*turn        // all that have entered and compute nothing yet, in that order
	ready   []*turn        // those of them that only lack a slot, the longest waiting first
	count   map[string]int // how many of waiting each network has; those of no known network are not one another's
}

// turn is one that has entered.
type turn struct {
	network   string
	computing bool
	answer    chan error // gets nil with a slot, or ErrOverloaded; one of them, once
}

func newQueue(slots int) *queue {
	return &queue{free: slots, places: slots * waitingPerSlot, count: map[string]int{}}
}

// enter takes a place, at once or never. The error is ErrOverloaded.
func (q *queue) enter(network string) (*turn, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	own := q.count[network]
	if own >= waitingPerNetwork+q.free {
		return nil, ErrOverloaded
	}
	if len(q.waiting) >= q.places+q.free && !q.displace(own) {
		return nil, ErrOverloaded
	}
	t := &turn{network: network, answer: make(chan error, 1)}
	q.waiting = append(q.waiting, t)
	if network != "" {
		q.count[network]++
	}
	return t, nil
}

// start waits for a slot, which is t's until it leaves. The error is
// ErrOverloaded or the context's; t must leave all the same.
func (q *queue) start(ctx context.Context, t *turn) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	if q.began(t) {
		return nil
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case err := <-t.answer:
		return err
	case <-timer.C:
		return ErrOverloaded
	case <-ctx.Done():
		return contextError(ctx)
	}
}

// began reports whether t has a slot; else it is ready for one.
func (q *queue) began(t *turn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case t.computing:
		return true
	case !slices.Contains(q.waiting, t): // its answer is there
	case q.free > 0:
		q.free--
		q.remove(t)
		t.computing = true
		return true
	case !slices.Contains(q.ready, t):
		q.ready = append(q.ready, t)
	}
	return false
}

// leave gives back whatever t has: its slot to the one that waits longest, or its
// place. It may be called more than once.
func (q *queue) leave(t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !t.computing {
		q.remove(t)
		return
	}
	t.computing = false
	if len(q.ready) == 0 {
		q.free++
		return
	}
	next := q.ready[0]
	q.remove(next)
	next.computing = true
	next.answer <- nil
}

// displace sends away the last one of the network that has most waiting, if that
// is at least two more than own.
func (q *queue) displace(own int) bool {
	var last *turn
	most := own + 1
	for _, t := range q.waiting {
		if n := q.count[t.network]; n > most || n == most && last != nil {
			last, most = t, n
		}
	}
	if last == nil {
		return false
	}
	q.remove(last)
	last.answer <- ErrOverloaded
	return true
}

// remove takes a turn out of the queue, if it is there.
func (q *queue) remove(t *turn) {
	at := slices.Index(q.waiting, t)
	if at < 0 {
		return
	}
	q.waiting = slices.Delete(q.waiting, at, at+1)
	if at = slices.Index(q.ready, t); at >= 0 {
		q.ready = slices.Delete(q.ready, at, at+1)
	}
	if q.count[t.network]--; q.count[t.network] <= 0 {
		delete(q.count, t.network)
	}
}

func contextError(ctx context.Context) error {
	return fmt.Errorf("password: waiting for a turn: %w", ctx.Err())
}
