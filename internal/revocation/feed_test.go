package revocation_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/revocation"
)

// inbox keeps what a feed delivers.
type inbox struct {
	mu  sync.Mutex
	ids []uuid.UUID
	at  []time.Time
}

func (i *inbox) deliver(at time.Time, ids ...uuid.UUID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, id := range ids {
		i.ids, i.at = append(i.ids, id), append(i.at, at)
	}
}

func (i *inbox) expect(t *testing.T, step string, want ...uuid.UUID) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if !slices.Equal(i.ids, want) {
		t.Errorf("%s: got %v, want %v", step, i.ids, want)
	}
}

// run starts a Run; stop ends it and waits for it.
func run(t *testing.T, feed revocation.Feed, deliver func(time.Time, ...uuid.UUID)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- feed.Run(ctx, deliver) }()
	synctest.Wait()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want the context's error", err)
		}
	}
}

func publish(t *testing.T, feed revocation.Feed, ids ...uuid.UUID) {
	t.Helper()
	if err := feed.Publish(context.Background(), ids...); err != nil {
		t.Errorf("Publish: %v", err)
	}
}

func TestLocalDeliversBeforePublishReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &clock{}
		feed := revocation.NewLocal(clock.now)
		var one, two inbox
		stopOne, stopTwo := run(t, feed, one.deliver), run(t, feed, two.deliver)
		a, b, c := uuid.New(), uuid.New(), uuid.New()
		clock.set(time.Minute)
		publish(t, feed, a, b)
		one.expect(t, "both go", a, b)
		two.expect(t, "both go", a, b)
		if want := start.Add(time.Minute); !one.at[0].Equal(want) {
			t.Errorf("time: got %v, want %v", one.at[0], want)
		}
		publish(t, feed)
		stopTwo()
		publish(t, feed, c)
		one.expect(t, "one goes", a, b, c)
		two.expect(t, "after its Run", a, b)
		stopOne()
	})
}

func TestLocalKeepsForTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &clock{}
		feed := revocation.NewLocal(clock.now)
		a, b, c := uuid.New(), uuid.New(), uuid.New()
		ids := []uuid.UUID{a}
		publish(t, feed, ids...)
		ids[0] = uuid.Nil // the caller's own again
		clock.set(time.Minute)
		publish(t, feed, b)
		var first, second inbox
		stop := run(t, feed, first.deliver)
		first.expect(t, "published before", a, b)
		if want := start; !first.at[0].Equal(want) {
			t.Errorf("time: got %v, want %v", first.at[0], want)
		}
		stop()
		publish(t, feed, c)
		defer run(t, feed, second.deliver)()
		second.expect(t, "published between", c)
	})
}

func TestLocalForgetsAfterTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &clock{}
		feed := revocation.NewLocal(clock.now)
		a, b := uuid.New(), uuid.New()
		publish(t, feed, a)
		clock.set(revocation.Window + 1)
		publish(t, feed, b)
		var in inbox
		defer run(t, feed, in.deliver)()
		in.expect(t, "after the window", b)
	})
}

func TestLocalFeedsASet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &clock{}
		feed, set := revocation.NewLocal(clock.now), revocation.NewSet(clock.now)
		defer run(t, feed, set.Add)()
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 100 {
					id := uuid.New()
					publish(t, feed, id)
					expect(t, set, "published", true, id)
				}
			})
		}
		group.Wait()
		if got := set.Len(); got != 800 {
			t.Errorf("Len: got %d, want 800", got)
		}
	})
}
