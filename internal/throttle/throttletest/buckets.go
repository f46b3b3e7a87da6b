package throttletest

import (
	"fmt"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
)

func testSpend(t *testing.T, open Open) {
	t.Run("a burst, then one per interval", func(t *testing.T) {
		f := newFixture(t, open)
		b := f.bucket("a", slow())
		f.wantUnits(5, b)
		for range 3 {
			f.wantSpend(b.Rate.Every, b)
			f.clock.Step(b.Rate.Every - ms)
			f.wantSpend(ms, b)
			f.clock.Step(ms)
			f.wantUnits(1, b)
		}
	})
	t.Run("a refusal costs nothing", func(t *testing.T) {
		f := newFixture(t, open)
		b := f.bucket("a", slow())
		f.wantUnits(5, b)
		for range 20 {
			f.wantSpend(b.Rate.Every, b)
		}
		f.clock.Step(b.Rate.Every)
		f.wantSpend(0, b)
	})
	t.Run("it fills, and never beyond", func(t *testing.T) {
		f := newFixture(t, open)
		b := f.bucket("a", slow())
		f.wantUnits(5, b)
		f.clock.Step(3*b.Rate.Every + b.Rate.Every/2)
		f.wantUnits(3, b)
		f.wantSpend(b.Rate.Every/2, b)
		f.clock.Step(365 * day)
		f.wantUnits(5, b)
	})
	t.Run("from all or from none", func(t *testing.T) {
		f := newFixture(t, open)
		small, large := f.bucket("small", throttle.Rate{Burst: 2, Every: 10 * time.Minute}), f.bucket("large", slow())
		for _, pair := range [][]throttle.Bucket{{small, large}, {large, small}} {
			f.wantUnits(2, pair...)
			f.wantUnits(3, large)
			f.clock.Step(day)
		}
	})
	t.Run("the longest wait counts", func(t *testing.T) {
		f := newFixture(t, open)
		short, long := f.bucket("short", slow()), f.bucket("long", throttle.Rate{Burst: 5, Every: 2 * time.Hour})
		f.wantUnits(5, short, long)
		for _, pair := range [][]throttle.Bucket{{short, long}, {long, short}} {
			f.wantSpend(2*time.Hour, pair...)
		}
		f.clock.Step(2*time.Hour - ms)
		f.wantSpend(ms, short, long)
		f.clock.Step(ms)
		f.wantSpend(0, short, long)
	})
	t.Run("others have buckets of their own", func(t *testing.T) {
		f := newFixture(t, open)
		f.wantUnits(5, f.bucket("a", slow()))
		f.wantUnits(5, f.bucket("b", slow()))
	})
	t.Run("a burst of one", func(t *testing.T) {
		f := newFixture(t, open)
		b := f.bucket("a", throttle.Rate{Burst: 1, Every: 10 * time.Minute})
		for range 3 {
			f.wantUnits(1, b)
			f.wantSpend(10*time.Minute, b)
			f.clock.Step(10 * time.Minute)
		}
	})
	t.Run("other rates than before", func(t *testing.T) {
		f := newFixture(t, open)
		f.wantUnits(5, f.bucket("a", slow()))
		f.wantSpend(ms, f.bucket("a", throttle.Rate{Burst: 5, Every: ms}))
		f.clock.Step(day)
		f.wantUnits(7, f.bucket("a", throttle.Rate{Burst: 7, Every: time.Hour}))
	})
}

func testReturn(t *testing.T, open Open) {
	t.Run("one unit comes back", func(t *testing.T) {
		f := newFixture(t, open)
		b := f.bucket("a", slow())
		f.wantUnits(5, b)
		f.giveBack(b)
		f.wantUnits(1, b)
		f.giveBack(b)
		f.giveBack(b)
		f.wantUnits(2, b)
		f.wantSpend(b.Rate.Every, b) // as if nothing had been taken and returned
	})
	t.Run("to every bucket", func(t *testing.T) {
		f := newFixture(t, open)
		a, b := f.bucket("a", slow()), f.bucket("b", slow())
		f.wantUnits(5, a, b)
		f.giveBack(a, b)
		f.wantUnits(1, a)
		f.wantUnits(1, b)
	})
	t.Run("never beyond full", func(t *testing.T) {
		f := newFixture(t, open)
		b := f.bucket("a", slow())
		f.giveBack(b)
		f.wantSpend(0, b)
		for range 10 {
			f.giveBack(b)
		}
		f.wantUnits(5, b)
		f.clock.Step(4*b.Rate.Every + b.Rate.Every/2) // half a unit is missing
		f.giveBack(b)
		f.wantUnits(5, b)
	})
	t.Run("spent and returned without end", func(t *testing.T) {
		f := newFixture(t, open)
		b := f.bucket("a", slow())
		for range 50 {
			f.wantSpend(0, b)
			f.giveBack(b)
		}
		f.wantUnits(5, b)
	})
}

func testNetworks(t *testing.T, open Open) {
	t.Run("IPv4", func(t *testing.T) {
		f := newFixture(t, open)
		f.wantUnits(5, f.networks("192.0.2.1", slow())...)
		f.wantUnits(0, f.networks("::ffff:192.0.2.1", slow())...)
		f.wantUnits(5, f.networks("192.0.2.2", slow())...)
	})
	t.Run("IPv6", func(t *testing.T) {
		f := newFixture(t, open)
		f.wantUnits(5, f.networks("2001:db8:1:1::1", slow())...)
		f.wantUnits(0, f.networks("2001:db8:1:1:ffff::2%eth0", slow())...)
		for i := range 9 {
			f.wantUnits(5, f.networks(fmt.Sprintf("2001:db8:1:1%d::1", i), slow())...)
		}
		f.wantSpend(slow().Every/10, f.networks("2001:db8:1:2::1", slow())...)
		f.wantUnits(5, f.networks("2001:db8:2:1::1", slow())...)
		f.clock.Step(slow().Every / 10)
		f.wantUnits(1, f.networks("2001:db8:1:2::1", slow())...)
	})
	t.Run("gates", func(t *testing.T) {
		f := newFixture(t, open)
		f.wantUnits(5, f.networks("192.0.2.1", slow())...)
		f.gate += "-other"
		f.wantUnits(5, f.networks("192.0.2.1", slow())...)
	})
}
