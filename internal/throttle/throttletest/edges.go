package throttletest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
)

// testOff gives a context that is over: a store that looked would say so.
func testOff(t *testing.T, open Open) {
	f := newFixture(t, open)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	offBuckets := []throttle.Bucket{f.bucket("a", throttle.Rate{}), f.bucket("b", throttle.Rate{})}
	for name, buckets := range map[string][]throttle.Bucket{"off": offBuckets, "none": nil} {
		if v, err := f.store.Spend(over, buckets); err != nil || !v.Allowed() {
			t.Errorf("Spend, %s: got %v and error %v, want it allowed without a look", name, v, err)
		}
		if err := f.store.Return(over, buckets); err != nil {
			t.Errorf("Return, %s: got error %v, want none", name, err)
		}
	}
	for name, schedule := range map[string]throttle.Schedule{"nil": nil, "empty": {}} {
		for range 200 {
			if v, err := f.store.Charge(over, f.unknown(), schedule); err != nil || !v.Allowed() {
				t.Fatalf("Charge, %s: got %v and error %v, want it allowed without a look", name, v, err)
			}
		}
		if err := f.store.Uncharge(over, f.unknown(), schedule); err != nil {
			t.Errorf("Uncharge, %s: got error %v, want none", name, err)
		}
	}
	f.wantCount(0, f.unknown())
	f.wantUnits(5, offBuckets[0], f.bucket("c", slow())) // one of them is on
}

// testRefused: nothing is counted, and nobody is let through.
func testRefused(t *testing.T, open Open) {
	t.Run("a context that is over", func(t *testing.T) {
		f := newFixture(t, open)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		b := []throttle.Bucket{f.bucket("a", slow())}
		f.wantSpend(0, b...)
		f.fail(2, f.unknown())
		_, spendErr := f.store.Spend(over, b)
		_, chargeErr := f.store.Charge(over, f.unknown(), never())
		for what, err := range map[string]error{
			"Spend": spendErr, "Charge": chargeErr,
			"Return":   f.store.Return(over, b),
			"Uncharge": f.store.Uncharge(over, f.unknown(), never()),
			"Reset":    f.store.Reset(over, f.unknown()),
			"Clear":    f.store.Clear(over, f.account),
		} {
			if err == nil {
				t.Errorf("%s: got no error, want one", what)
			}
		}
		f.wantUnits(4, b...)
		f.wantCount(2, f.unknown())
	})
	for name, rate := range map[string]throttle.Rate{
		"no burst": {Every: time.Second}, "no interval": {Burst: 5}, "negative burst": {Burst: -1, Every: time.Second},
		"negative interval": {Burst: 1, Every: -time.Second}, "half a microsecond": {Burst: 1, Every: 1500},
		"centuries": {Burst: 1_000_000, Every: day},
	} {
		t.Run("a rate with "+name, func(t *testing.T) {
			f := newFixture(t, open)
			b := []throttle.Bucket{f.bucket("a", slow()), f.bucket("b", rate)}
			if v, err := f.store.Spend(f.ctx, b); err == nil {
				t.Errorf("Spend: got %v and no error, want one", v)
			}
			if err := f.store.Return(f.ctx, b); err == nil {
				t.Error("Return: got no error, want one")
			}
			f.wantUnits(5, b[0])
		})
	}
	t.Run("buckets of two networks", func(t *testing.T) {
		f := newFixture(t, open)
		b := append(f.networks("2001:db8:1::1", slow()), f.networks("2001:db8:2::1", slow())...)
		if v, err := f.store.Spend(f.ctx, b); err == nil {
			t.Errorf("Spend: got %v and no error, want one", v)
		}
		f.wantUnits(5, b[:2]...)
	})
	for name, schedule := range map[string]throttle.Schedule{
		"a failure of 0": from(0, time.Second), "no pause": from(5, 0), "a negative pause": from(5, -time.Second),
		"steps out of order": slices.Concat(from(10, time.Second), from(5, time.Second)),
	} {
		t.Run("a schedule with "+name, func(t *testing.T) {
			f := newFixture(t, open)
			if v, err := f.store.Charge(f.ctx, f.unknown(), schedule); err == nil {
				t.Errorf("Charge: got %v and no error, want one", v)
			}
			if err := f.store.Uncharge(f.ctx, f.unknown(), schedule); err == nil {
				t.Error("Uncharge: got no error, want one")
			}
		})
	}
	for name, account := range map[string]string{
		"an email": "ada.lovelace.the.first@mail.example.com", "nothing": "", "upper case": "ABCDEF0123456789ABCDEF0123456789",
		"too short": "abcdef", "braces": "{0123456789abcdef0123456789abcdef}",
	} {
		t.Run("an account that is "+name, func(t *testing.T) {
			f := newFixture(t, open)
			lane := throttle.Lane{Account: account}
			_, chargeErr := f.store.Charge(f.ctx, lane, defaults())
			for what, err := range map[string]error{
				"Charge": chargeErr, "Uncharge": f.store.Uncharge(f.ctx, lane, defaults()),
				"Reset": f.store.Reset(f.ctx, lane), "Clear": f.store.Clear(f.ctx, account),
			} {
				if err == nil {
					t.Errorf("%s: got no error, want one", what)
				}
			}
		})
	}
}

// testClock moves the clock where no clock should go.
func testClock(t *testing.T, open Open) {
	for name, back := range map[string]time.Duration{"a little": time.Second, "an hour": time.Hour, "years": 1000 * day} {
		t.Run("a bucket, back by "+name, func(t *testing.T) {
			f := newFixture(t, open)
			b := f.bucket("a", slow())
			f.wantUnits(5, b)
			f.clock.Step(-back)
			for range 3 { // as empty as before, and no emptier
				f.wantSpend(b.Rate.Every, b)
			}
			f.clock.Step(b.Rate.Every - ms)
			f.wantSpend(ms, b)
			f.clock.Step(ms)
			f.wantUnits(1, b)
		})
		t.Run("a returned unit, back by "+name, func(t *testing.T) {
			f := newFixture(t, open)
			b := f.bucket("a", slow())
			f.wantUnits(5, b)
			f.clock.Step(-back)
			f.giveBack(b)
			f.wantUnits(1, b)
		})
		t.Run("a lane, back by "+name, func(t *testing.T) {
			f := newFixture(t, open)
			for range 5 {
				f.wantCharge(0, f.unknown(), defaults())
			}
			f.clock.Step(-back)
			for range 3 {
				f.wantCharge(30*time.Second, f.unknown(), defaults())
			}
			f.clock.Step(30*time.Second - ms)
			f.wantCharge(ms, f.unknown(), defaults())
			f.clock.Step(ms)
			f.wantCharge(0, f.unknown(), defaults())
			f.wantCount(6, f.unknown())
		})
		t.Run("a lane without pause, back by "+name, func(t *testing.T) {
			f := newFixture(t, open)
			f.fail(9, f.unknown())
			f.clock.Step(-back)
			f.fail(1, f.unknown())
			f.wantCount(10, f.unknown())
		})
		t.Run("an uncharge, back by "+name, func(t *testing.T) {
			f := newFixture(t, open)
			for range 5 {
				f.wantCharge(0, f.unknown(), defaults())
			}
			f.clock.Step(30 * time.Second)
			f.wantCharge(0, f.unknown(), defaults())
			f.clock.Step(-back)
			f.uncharge(f.unknown())
			v, err := f.store.Charge(f.ctx, f.unknown(), defaults())
			if err != nil || v.RetryAfter > 30*time.Second {
				t.Errorf("Charge: got a wait of %s and error %v, want at most a pause", v.RetryAfter, err)
			}
			f.wantCount(5, f.unknown())
		})
	}
}
