package redisstore_test

import (
	"context"
	"crypto/rand"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

// eager is a policy under which every refresh turns, and an honest client relies
// on its attempt id alone.
var eager = session.Policy{Idle: time.Hour, Absolute: 24 * time.Hour, Retry: time.Hour, Cap: 5}

// client is an honest one: it keeps one token in flight, and its attempt id
// until an answer came.
type client struct {
	state      session.State // as its login left it: what the ledger would know
	generation uint64
	attempt    session.Attempt
}

// refresh makes one request and does what Pawl does with a verdict that the
// store lost something. The outcome is empty when the store did not answer.
func (c *client) refresh(ctx context.Context, store session.Store) (session.Outcome, error) {
	if c.attempt == "" {
		c.attempt = session.Attempt("c" + rand.Text())
	}
	p := presented(c.state, c.generation, c.attempt)
	v, err := store.Rotate(ctx, p, eager)
	if err != nil {
		return "", err
	}
	switch v.Outcome {
	case session.Missing, session.Ahead:
		_, err = store.Restore(ctx, c.state, c.generation, eager)
	case session.Rotated, session.Retried, session.Unchanged:
		c.generation, c.attempt = v.State.Generation, ""
	}
	return v.Outcome, err
}

// tally counts what a load came to.
type tally struct {
	outcomes map[session.Outcome]int
	errors   int
	sample   error         // one of them
	longest  time.Duration // between two answers to one client
}

// lost counts verdicts that the store lost something.
func (c tally) lost() int { return c.outcomes[session.Missing] + c.outcomes[session.Ahead] }

// underLoad lets fifty clients refresh, and one user in ten log in again, while
// during runs. Afterwards every client must get on. A verdict that accuses an
// honest client, or ends its session, fails the test.
func underLoad(t *testing.T, store session.Store, during func()) tally {
	t.Helper()
	clients := make([]*client, 50)
	for i := range clients {
		s := login(uuid.New(), time.Now(), session.NewSecret())
		s.Grace, s.Retry = eager.Grace, eager.Retry
		create(t, store, s)
		clients[i] = &client{state: s, generation: 1}
	}
	all := tally{outcomes: map[session.Outcome]int{}}
	var mu sync.Mutex
	step := func(c *client, answered *time.Time) bool {
		outcome, err := c.refresh(t.Context(), store)
		mu.Lock()
		defer mu.Unlock()
		if outcome != "" {
			all.outcomes[outcome]++
			all.longest = max(all.longest, time.Since(*answered))
			*answered = time.Now()
		}
		switch outcome {
		case session.Rotated, session.Retried, session.Missing, session.Ahead, "":
		default:
			t.Errorf("generation %d of an honest client: got %q, want tokens, or a loss told as such", c.generation, outcome)
		}
		if err != nil {
			all.errors++
			all.sample = err
		}
		return err == nil && (outcome == session.Rotated || outcome == session.Retried)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			answered := time.Now()
			for pause := time.NewTicker(20 * time.Millisecond); ; <-pause.C {
				select {
				case <-stop:
					for deadline := time.Now().Add(20 * time.Second); !step(c, &answered); <-pause.C {
						if time.Now().After(deadline) {
							t.Errorf("a session never got on after the fault, last error: %v", all.sample)
							return
						}
					}
					return
				default:
					step(c, &answered)
				}
			}
		})
	}
	during()
	close(stop)
	wg.Wait()
	t.Logf("outcomes %v, errors %d (%v), longest without an answer %s", maps.Clone(all.outcomes), all.errors, all.sample, all.longest.Round(time.Millisecond))
	return all
}

// busy waits until the load has had some answers.
func busy(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(300 * time.Millisecond):
	case <-t.Context().Done():
	}
}
