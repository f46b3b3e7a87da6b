package chaos_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// counters are what the table shows.
type counters struct {
	requests, refreshes, turns, logins, ends atomic.Int64
	swallowed                                atomic.Int64 // answers that clients threw away
	signOuts, beyond, beyondOut              atomic.Int64
	mixed, oddities                          atomic.Int64
	refusedLiving                            atomic.Int64 // access tokens of living sessions that were refused
	cameBack, revived                        atomic.Int64
	outlived                                 atomic.Int64 // access tokens that outlived their session
	longestLife                              atomic.Int64 // of a revived session, in nanoseconds

	mu      sync.Mutex
	faults  map[string]*effect
	order   []string
	current string
	history []string
	last    time.Time        // of service
	started time.Time        // of the newest fault
	longest time.Duration    // between the starts of two faults
	clients map[string]int64 // refreshes by the kind of client
	active  bool             // a fault is
	calm    time.Time        // since when none is
	thieves map[string]*catch
	stories []string
}

// effect is what a kind of fault did.
type effect struct {
	times int
	gap   time.Duration // longest time without any refresh
	wait  time.Duration // longest time that one client waited for an answer
}

// catch is how thieves of a kind fared.
type catch struct{ presented, caught, free, unfinished int }

func (c *counters) ready() {
	c.faults, c.thieves, c.clients = map[string]*effect{}, map[string]*catch{}, map[string]int64{}
	c.begin("none", false)
}

// begin attributes what follows to a kind of fault.
func (c *counters) begin(kind string, happens bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.faults[kind] == nil {
		c.faults[kind] = &effect{}
		c.order = append(c.order, kind)
	}
	c.current = kind
	if happens {
		c.faults[kind].times++
		c.active = true
		if !c.started.IsZero() {
			c.longest = max(c.longest, time.Since(c.started))
		}
		c.started = time.Now()
	}
	c.history = append(c.history, time.Now().Format("15:04:05.000 ")+kind)
}

// healed notes that the fault is over.
func (c *counters) healed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active, c.calm = false, time.Now()
	c.history = append(c.history, c.calm.Format("15:04:05.000 ")+"healed")
}

// troubled reports whether there was a fault within the last d.
func (c *counters) troubled(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active || time.Since(c.calm) < d
}

// note adds to the history of faults.
func (c *counters) note(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(c.history, time.Now().Format("15:04:05.000 ")+text)
}

func (c *counters) lastFaults(n int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.history[max(0, len(c.history)-n):]...)
}

// served notes a refresh of a kind of client that was answered with tokens.
func (c *counters) served(kind string, rotated bool) {
	c.refreshes.Add(1)
	if rotated {
		c.turns.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients[kind]++
	now := time.Now()
	if !c.last.IsZero() {
		e := c.faults[c.current]
		e.gap = max(e.gap, now.Sub(c.last))
	}
	c.last = now
}

// pauses lets nobody count the time since the last answer.
func (c *counters) pauses() { c.mu.Lock(); defer c.mu.Unlock(); c.last = time.Time{} }

// waited notes how long a client tried in vain before it was answered.
func (c *counters) waited(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.faults[c.current]
	e.wait = max(e.wait, d)
}

// odd notes an answer that no client should ever see.
func (c *counters) odd(format string, args ...any) {
	c.oddities.Add(1)
	c.story("an odd answer: "+format, args...)
}

// story keeps what is to be told at the end; the first of them are enough.
func (c *counters) story(format string, args ...any) {
	text := time.Now().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.stories) < 20 {
		c.stories = append(c.stories, text)
	}
}

func (c *counters) thief(kind string, do func(*catch)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.thieves[kind] == nil {
		c.thieves[kind] = &catch{}
	}
	do(c.thieves[kind])
}

// free is the number of thieves who were not caught.
func (c *counters) free() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.thieves {
		n += k.free
	}
	return n
}
