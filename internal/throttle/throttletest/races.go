package throttletest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pawlauth/pawl/internal/throttle"
)

const crowd = 200

// together runs n calls at once, on all nodes in turn, and waits for all.
func (f *fixture) together(n int, call func(store throttle.Store, i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			call(f.stores[i%len(f.stores)], i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

func testRaces(t *testing.T, open Open) {
	t.Run("charges of one lane", func(t *testing.T) {
		f := newFixture(t, open)
		var allowed atomic.Int64
		f.together(crowd, func(store throttle.Store, _ int) {
			v, err := store.Charge(f.ctx, f.unknown(), defaults())
			switch {
			case err != nil:
				t.Errorf("Charge: %v", err)
			case v.Allowed():
				allowed.Add(1)
			case v.RetryAfter != defaults()[0].Pause:
				t.Errorf("wait: got %s, want %s", v.RetryAfter, defaults()[0].Pause)
			}
		})
		if got := allowed.Load(); got != 5 {
			t.Errorf("charges that were allowed: got %d of %d, want 5", got, crowd)
		}
		f.wantCount(5, f.unknown())
	})
	t.Run("charges that all count", func(t *testing.T) {
		f := newFixture(t, open)
		f.together(crowd, func(store throttle.Store, _ int) {
			if v, err := store.Charge(f.ctx, f.unknown(), never()); err != nil || !v.Allowed() {
				t.Errorf("Charge: got %v and error %v, want it allowed", v, err)
			}
		})
		f.wantCount(crowd, f.unknown())
	})
	t.Run("units of two buckets", func(t *testing.T) {
		f := newFixture(t, open)
		wide, one, other := f.bucket("wide", throttle.Rate{Burst: 50, Every: slow().Every}), f.bucket("1", slow()), f.bucket("2", slow())
		one.Rate.Burst, other.Rate.Burst = 40, 40
		var allowed [2]atomic.Int64
		f.together(crowd, func(store throttle.Store, i int) {
			pair := [][]throttle.Bucket{{wide, one}, {other, wide}}[i/2%2]
			v, err := store.Spend(f.ctx, pair)
			if err != nil {
				t.Errorf("Spend: %v", err)
			}
			if v.Allowed() {
				allowed[i/2%2].Add(1)
			}
		})
		if a, b := allowed[0].Load(), allowed[1].Load(); a+b != 50 || a > 40 || b > 40 {
			t.Errorf("units: got %d and %d, want 50 together and at most 40 each", a, b)
		}
		f.wantUnits(40-int(allowed[0].Load()), one)
		f.wantUnits(40-int(allowed[1].Load()), other)
	})
	t.Run("units that all come back", func(t *testing.T) {
		f := newFixture(t, open)
		b := []throttle.Bucket{f.bucket("a", throttle.Rate{Burst: crowd, Every: slow().Every})}
		f.together(crowd, func(store throttle.Store, _ int) {
			if v, err := store.Spend(f.ctx, b); err != nil || !v.Allowed() {
				t.Errorf("Spend: got %v and error %v, want it allowed", v, err)
			}
			if err := store.Return(f.ctx, b); err != nil {
				t.Errorf("Return: %v", err)
			}
		})
		f.wantUnits(crowd, b...)
	})
	t.Run("charges taken back", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(3, f.unknown())
		f.together(crowd, func(store throttle.Store, i int) {
			if v, err := store.Charge(f.ctx, f.unknown(), never()); err != nil || !v.Allowed() {
				t.Errorf("Charge: got %v and error %v, want it allowed", v, err)
			}
			if i%4 == 0 {
				return
			}
			if err := store.Uncharge(f.ctx, f.unknown(), never()); err != nil {
				t.Errorf("Uncharge: %v", err)
			}
		})
		f.wantCount(3+crowd/4, f.unknown())
	})
	t.Run("lanes of many devices", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(3, f.unknown())
		var unknown atomic.Int64
		f.together(crowd, func(store throttle.Store, i int) {
			v, err := store.Charge(f.ctx, f.device(fmt.Sprint(i)), never())
			if err != nil || !v.Allowed() {
				t.Errorf("Charge: got %v and error %v, want it allowed", v, err)
			}
			if v.Unknown {
				unknown.Add(1)
			}
		})
		if got := unknown.Load(); got != crowd-throttle.MaxDevices {
			t.Errorf("devices that count as unknown: got %d, want %d", got, crowd-throttle.MaxDevices)
		}
		f.wantCount(3+crowd-throttle.MaxDevices, f.unknown())
	})
}
