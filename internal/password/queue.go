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

// queue lets so many in at once and makes some more wait, first come, first
// served. A network has at most four waiting, so others wait behind no more than
// that. Where the queue is full all the same, a newcomer takes the place of the
// last one of the network that has most waiting, if that leaves the newcomer's
// network with no more than it: few networks cannot keep others out.
type queue struct {
	mu      sync.Mutex
	free    int
	places  int
	waiting []*turn        // the longest waiting first
	count   map[string]int // how many of them each network has; those of no known network are not one another's
}

// turn is one who waits. ready gets nil with a slot, or ErrOverloaded.
type turn struct {
	network string
	ready   chan error
}

func newQueue(slots int) *queue {
	return &queue{free: slots, places: slots * waitingPerSlot, count: map[string]int{}}
}

// enter takes a slot, waiting for it if need be; leave gives it back. The error
// is ErrOverloaded, or the context's.
func (q *queue) enter(ctx context.Context, network string) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	t, err := q.join(network)
	if t == nil {
		return err
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case err := <-t.ready:
		return err
	case <-timer.C:
		err = ErrOverloaded
	case <-ctx.Done():
		err = contextError(ctx)
	}
	if !q.quit(t) && <-t.ready == nil { // the slot came in the same moment
		q.leave()
	}
	return err
}

// join takes a slot (no turn, no error) or a place in the queue (a turn).
func (q *queue) join(network string) (*turn, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free > 0 {
		q.free--
		return nil, nil //nolint:nilnil // no turn is needed
	}
	own := q.count[network]
	if own >= waitingPerNetwork {
		return nil, ErrOverloaded
	}
	if len(q.waiting) >= q.places && !q.displace(own) {
		return nil, ErrOverloaded
	}
	t := &turn{network: network, ready: make(chan error, 1)}
	q.waiting = append(q.waiting, t)
	if network != "" {
		q.count[network]++
	}
	return t, nil
}

// displace sends away the last one of the network that has most waiting, if that
// is at least two more than own.
func (q *queue) displace(own int) bool {
	last, most := -1, own+1
	for i, t := range q.waiting {
		if n := q.count[t.network]; n > most || n == most && last >= 0 {
			last, most = i, n
		}
	}
	if last < 0 {
		return false
	}
	q.take(last).ready <- ErrOverloaded
	return true
}

// quit takes a turn out of the queue; it is false for one that is no longer
// there, whose answer has come.
func (q *queue) quit(t *turn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting, t)
	if at < 0 {
		return false
	}
	q.take(at)
	return true
}

// leave hands the slot to the one who waits longest.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.free++
		return
	}
	q.take(0).ready <- nil
}

// take removes a turn from the queue.
func (q *queue) take(at int) *turn {
	t := q.waiting[at]
	q.waiting = slices.Delete(q.waiting, at, at+1)
	if q.count[t.network]--; q.count[t.network] <= 0 {
		delete(q.count, t.network)
	}
	return t
}

func contextError(ctx context.Context) error {
	return fmt.Errorf("password: waiting for a turn: %w", ctx.Err())
}
