package password_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
)

// crowd is calls of Verify from networks, each of which waits when the next comes.
type crowd struct {
	t     *testing.T
	h     *password.Hasher
	group sync.WaitGroup
	mu    sync.Mutex
	ended []string // who got an answer, in that order; refused ones with a "!"
}

// arrive adds one call and waits until it is in the queue or has its answer. It
// runs in a bubble of synctest.
func (c *crowd) arrive(ctx context.Context, network, name string) {
	c.group.Go(func() {
		_, err := c.h.Verify(ctx, network, secret.Text{}, secret.New(phrase))
		switch {
		case errors.Is(err, password.ErrOverloaded):
			name += "!"
		case errors.Is(err, context.Canceled):
			name += "?"
		case err != nil:
			c.t.Errorf("%s: %v", name, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = append(c.ended, name)
	})
	synctest.Wait()
}

// want compares who has had an answer since the last time.
func (c *crowd) want(what string, names ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.ended, names) {
		c.t.Errorf("%s: got answers %v, want %v", what, c.ended, names)
	}
	c.ended = nil
}

func TestFourWaitPerNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, cheap, 2)
		first, second := password.Occupy(h), password.Occupy(h)
		c := &crowd{t: t, h: h}
		for i := range 5 {
			c.arrive(t.Context(), "a", fmt.Sprint("a", i))
		}
		c.want("five of one network", "a4!")
		for i := range 3 {
			c.arrive(t.Context(), "b", fmt.Sprint("b", i))
		}
		c.want("three of another")
		first()
		c.group.Wait()
		c.want("a slot came free", "a0", "a1", "a2", "a3", "b0", "b1", "b2")
		first = password.Occupy(h)
		for i := range 4 { // those that went leave nothing behind
			c.arrive(t.Context(), "a", fmt.Sprint("a", i))
		}
		first()
		c.group.Wait()
		c.want("four more", "a0", "a1", "a2", "a3")
		second()
	})
}

// A queue that few networks have filled lets others in, at the cost of those
// with most waiting, and of the last to come among these.
func TestFullQueueIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, cheap, 1) // four places
		release := password.Occupy(h)
		c := &crowd{t: t, h: h}
		for i := range 4 {
			c.arrive(t.Context(), "a", fmt.Sprint("a", i))
		}
		c.want("a network fills the queue")
		c.arrive(t.Context(), "b", "b0")
		c.want("another network comes", "a3!")
		c.arrive(t.Context(), "b", "b1")
		c.want("and once more", "a2!")
		c.arrive(t.Context(), "b", "b2")
		c.want("it has as many as the first now", "b2!")
		c.arrive(t.Context(), "", "x")
		c.want("one of no known network", "b1!")
		c.arrive(t.Context(), "c", "c0")
		c.want("a third network", "a1!")
		c.arrive(t.Context(), "d", "d0")
		c.want("everybody has one place", "d0!")
		release()
		c.group.Wait()
		c.want("a slot came free", "a0", "b0", "x", "c0")
	})
}

// While slots are free there are so many more places, for each network and in all.
func TestFreeSlotsArePlaces(t *testing.T) {
	for name, c := range map[string]struct {
		network func(int) string
		want    int
	}{
		"one network":   {func(int) string { return "a" }, 2 + 4},
		"many networks": {func(i int) string { return fmt.Sprint(i) }, 2 + 2*4},
	} {
		h := newHasher(t, cheap, 2)
		got := 0
		for ; ; got++ {
			turn, err := h.Enter(c.network(got))
			if err != nil {
				break
			}
			defer turn.Leave()
		}
		if got != c.want {
			t.Errorf("%s: got %d places with two free slots, want %d", name, got, c.want)
		}
	}
}

// Whoever loses the place before it is ready to compute hears of it then, and
// takes no slot with it.
func TestDisplacedBeforeReady(t *testing.T) {
	h := newHasher(t, cheap, 1)
	release := password.Occupy(h)
	turns := make([]*password.Turn, 4)
	for i := range turns {
		var err error
		if turns[i], err = h.Enter("a"); err != nil {
			t.Fatal(err)
		}
	}
	other, err := h.Enter("b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := turns[3].Verify(t.Context(), secret.Text{}, secret.New(phrase)); !errors.Is(err, password.ErrOverloaded) {
		t.Errorf("the last one of the first network: got %v, want ErrOverloaded", err)
	}
	turns[3].Leave()
	release()
	for i, turn := range append(turns[:3], other) {
		if _, err := turn.Verify(t.Context(), secret.Text{}, secret.New(phrase)); err != nil {
			t.Errorf("turn %d: %v", i, err)
		}
		turn.Leave()
	}
	if free := password.Free(h); free != 1 {
		t.Errorf("got %d free slots, want 1", free)
	}
}

// Calls of no known network are not one another's.
func TestNoNetworkHasNoLimitOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, cheap, 2)
		first, second := password.Occupy(h), password.Occupy(h)
		c := &crowd{t: t, h: h}
		for i := range 9 {
			c.arrive(t.Context(), "", fmt.Sprint(i))
		}
		c.want("nine for eight places", "8!")
		c.arrive(t.Context(), "a", "a")
		c.want("none of them has most", "a!")
		first()
		second()
		c.group.Wait()
	})
}

func TestLeavingTheQueueMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, cheap, 1)
		release := password.Occupy(h)
		c := &crowd{t: t, h: h}
		gone, hangUp := context.WithCancel(t.Context())
		for i := range 4 {
			c.arrive(gone, "a", fmt.Sprint("a", i))
		}
		hangUp()
		c.group.Wait()
		slices.Sort(c.ended)
		c.want("four hang up", "a0?", "a1?", "a2?", "a3?")
		for i := range 4 {
			c.arrive(t.Context(), "a", fmt.Sprint("a", i))
		}
		c.want("four more have room")
		time.Sleep(2 * time.Second) // of the bubble's clock
		c.group.Wait()
		slices.Sort(c.ended)
		c.want("two seconds are over", "a0!", "a1!", "a2!", "a3!")
		release()
		c.arrive(t.Context(), "a", "a")
		c.want("the slot is free", "a")
	})
}

// A slot that comes in the moment in which a wait ends is not lost, and whoever
// is sent away in that moment gives back none.
func TestSlotThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, cheap, 1)
		for range 200 {
			release := password.Occupy(h)
			c := &crowd{t: t, h: h}
			for range 4 {
				c.group.Go(func() { _, _ = h.Verify(t.Context(), "a", secret.Text{}, secret.New(phrase)) })
			}
			synctest.Wait()
			c.group.Go(func() {
				time.Sleep(2 * time.Second)
				_, _ = h.Verify(t.Context(), "b", secret.Text{}, secret.New(phrase))
			})
			time.Sleep(2 * time.Second) // of the bubble's clock: when the four have waited enough
			release()
			c.group.Wait()
			if free := password.Free(h); free != 1 {
				t.Fatalf("got %d free slots, want 1", free)
			}
		}
	})
}

// Slots are neither lost nor doubled when waits end in all ways at once.
func TestSlotsAreKept(t *testing.T) {
	const concurrency = 3
	h := newHasher(t, cheap, concurrency)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for n := range 200 {
				ctx, cancel := context.WithCancel(context.Background())
				if n%3 == 0 {
					go cancel()
				}
				_, err := h.Verify(ctx, fmt.Sprint(i%5), secret.Text{}, secret.New(phrase))
				cancel()
				if err != nil && !errors.Is(err, password.ErrOverloaded) && !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want ErrOverloaded or the context's error", err)
				}
			}
		})
	}
	group.Wait()
	if free := password.Free(h); free != concurrency {
		t.Errorf("got %d free slots afterwards, want %d", free, concurrency)
	}
}
