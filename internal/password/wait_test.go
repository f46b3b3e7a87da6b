package password_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
)

// verdicts runs Verify and Hash, which must wait and fail alike.
func verdicts(ctx context.Context, h *password.Hasher) [2]error {
	_, err1 := h.Verify(ctx, "", secret.Text{}, secret.New(phrase))
	_, err2 := h.Hash(ctx, "", secret.New(phrase))
	return [2]error{err1, err2}
}

func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, cheap, 1)
		release := password.Occupy(h)
		begin := time.Now()
		for i, err := range verdicts(context.Background(), h) {
			if !errors.Is(err, password.ErrOverloaded) {
				t.Errorf("call %d: got %v, want ErrOverloaded", i, err)
			}
		}
		if got, want := time.Since(begin), 4*time.Second; got != want {
			t.Errorf("two waits took %s, want %s", got, want)
		}
		release()
		for i, err := range verdicts(context.Background(), h) {
			if err != nil {
				t.Errorf("call %d with a free slot: %v", i, err)
			}
		}
	})
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, cheap, 1)
		defer password.Occupy(h)()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begin := time.Now()
		for i, err := range verdicts(ctx, h) {
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, password.ErrOverloaded) {
				t.Errorf("call %d: got %v, want the context's error", i, err)
			}
		}
		if got, want := time.Since(begin), time.Second; got != want {
			t.Errorf("the waits took %s, want %s", got, want)
		}
	})
}

func TestDeadContextTakesNoSlot(t *testing.T) {
	h := newHasher(t, cheap, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for i, err := range verdicts(ctx, h) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: got %v, want the context's error", i, err)
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const concurrency = 2
		h := newHasher(t, cheap, concurrency)
		for burst := range 3 { // an earlier one leaves nothing behind
			release := []func(){password.Occupy(h), password.Occupy(h)}
			var group sync.WaitGroup
			for range concurrency * 4 {
				group.Go(func() {
					if _, err := h.Verify(context.Background(), "", secret.Text{}, secret.New(phrase)); err != nil {
						t.Errorf("burst %d: a call that had a place in the queue: %v", burst, err)
					}
				})
			}
			synctest.Wait() // all of them wait
			begin := time.Now()
			for i, err := range verdicts(context.Background(), h) {
				if !errors.Is(err, password.ErrOverloaded) {
					t.Errorf("burst %d, call %d with a full queue: got %v, want ErrOverloaded", burst, i, err)
				}
			}
			if waited := time.Since(begin); waited != 0 {
				t.Errorf("burst %d: a full queue answered after %s, want at once", burst, waited)
			}
			for _, free := range release {
				free()
			}
			group.Wait()
		}
		for i, err := range verdicts(context.Background(), h) {
			if err != nil {
				t.Errorf("call %d after the bursts: %v", i, err)
			}
		}
	})
}
