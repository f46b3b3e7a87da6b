// Package throttletest owns the proof that a throttle store keeps its contract:
// a suite in which every sentence of the contract is a case, and a property test
// that compares a store with a simple model. It refuses to know how a store works.
package throttletest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
)

// Open returns the stores of several nodes, or of one, which share all they
// know, and read the time from now. They may keep what other tests wrote: every
// test uses networks and accounts of its own.
type Open func(t *testing.T, now func() time.Time) []throttle.Store

// Run holds the stores to every sentence of the contract of [throttle.Store].
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, group := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Spend", testSpend},
		{"Return", testReturn},
		{"Networks", testNetworks},
		{"Charge", testCharge},
		{"Halving", testHalving},
		{"Uncharge", testUncharge},
		{"Lanes", testLanes},
		{"Attack", testAttack},
		{"Off", testOff},
		{"Refused", testRefused},
		{"Clock", testClock},
		{"Races", testRaces},
	} {
		t.Run(group.name, func(t *testing.T) { group.run(t, open) })
	}
}

// Clock is a clock that only moves when it is told to, forwards or backwards. It
// is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts a clock in 2026.
func NewClock() *Clock { return &Clock{now: time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Step moves the clock by d, which may be negative.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const (
	ms  = time.Millisecond
	day = 24 * time.Hour
)

// The suite's clock stands still while a server's goes on: its buckets take so
// long to fill that no server forgets one meanwhile.
func slow() throttle.Rate { return throttle.Rate{Burst: 5, Every: 10 * time.Minute} }

// defaults is the schedule that Pawl has where nothing else is set.
func defaults() throttle.Schedule {
	return slices.Concat(from(5, 30*time.Second), from(10, time.Minute), from(20, 5*time.Minute), from(50, time.Hour), from(100, day))
}

// from is a schedule of one step.
func from(failures int, pause time.Duration) throttle.Schedule {
	return throttle.Schedule{{Failures: failures, Pause: pause}}
}

// never counts and pauses nobody that the suite sends.
func never() throttle.Schedule { return from(100_000, ms) }

// fixture is a store with a clock, and names that nobody else uses.
type fixture struct {
	t       *testing.T
	ctx     context.Context
	store   throttle.Store
	stores  []throttle.Store
	clock   *Clock
	gate    string
	account string
}

func newFixture(t *testing.T, open Open) *fixture {
	t.Helper()
	clock := NewClock()
	stores := open(t, clock.Now)
	return &fixture{
		t: t, ctx: t.Context(), store: stores[0], stores: stores, clock: clock,
		gate: "test-" + rand.Text(), account: NewAccount(),
	}
}

// NewAccount is an account that nobody else uses.
func NewAccount() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// unknown is the lane of unknown devices.
func (f *fixture) unknown() throttle.Lane { return throttle.Lane{Account: f.account} }

func (f *fixture) device(name string) throttle.Lane {
	return throttle.Lane{Account: f.account, Device: name}
}

// bucket is one of the fixture's own.
func (f *fixture) bucket(name string, rate throttle.Rate) throttle.Bucket {
	return throttle.Bucket{Key: f.gate + ":{network}:" + name, Rate: rate}
}

func (f *fixture) networks(addr string, rate throttle.Rate) []throttle.Bucket {
	f.t.Helper()
	return throttle.Networks(f.gate, netip.MustParseAddr(addr), rate)
}

// wantSpend spends and fails the test unless the wait is want.
func (f *fixture) wantSpend(want time.Duration, buckets ...throttle.Bucket) {
	f.t.Helper()
	v, err := f.store.Spend(f.ctx, buckets)
	if err != nil || v.RetryAfter != want {
		f.t.Fatalf("Spend: got a wait of %s and error %v, want %s", v.RetryAfter, err, want)
	}
}

// wantUnits fails the test unless exactly n units are left, and takes them.
func (f *fixture) wantUnits(n int, buckets ...throttle.Bucket) {
	f.t.Helper()
	for i := range n + 1 {
		v, err := f.store.Spend(f.ctx, buckets)
		if err != nil || v.Allowed() != (i < n) {
			f.t.Fatalf("Spend of unit %d: got a wait of %s and error %v, want %d units", i+1, v.RetryAfter, err, n)
		}
	}
}

func (f *fixture) giveBack(buckets ...throttle.Bucket) {
	f.t.Helper()
	if err := f.store.Return(f.ctx, buckets); err != nil {
		f.t.Fatalf("Return: %v", err)
	}
}

// wantCharge charges and fails the test unless the wait is want.
func (f *fixture) wantCharge(want time.Duration, lane throttle.Lane, schedule throttle.Schedule) {
	f.t.Helper()
	v, err := f.store.Charge(f.ctx, lane, schedule)
	if err != nil || v.RetryAfter != want {
		f.t.Fatalf("Charge: got a wait of %s and error %v, want %s", v.RetryAfter, err, want)
	}
}

// fail counts n failures, of which none meets a pause.
func (f *fixture) fail(n int, lane throttle.Lane) {
	f.t.Helper()
	for range n {
		f.wantCharge(0, lane, never())
	}
}

// wantCount fails the test unless the lane, last charged less than an hour ago,
// counts n failures. It leaves the lane as it was, but for what Uncharge knows of it.
func (f *fixture) wantCount(n int, lane throttle.Lane) {
	f.t.Helper()
	for probe := 1; ; probe++ {
		schedule := from(probe, time.Hour)
		v, err := f.store.Charge(f.ctx, lane, schedule)
		if err != nil {
			f.t.Fatalf("Charge: %v", err)
		}
		if v.Allowed() {
			f.uncharge(lane)
			if got := probe - 1; got != n {
				f.t.Fatalf("failures that count: got %d, want %d", got, n)
			}
			return
		}
	}
}

func (f *fixture) uncharge(lane throttle.Lane) {
	f.t.Helper()
	if err := f.store.Uncharge(f.ctx, lane, never()); err != nil {
		f.t.Fatalf("Uncharge: %v", err)
	}
}

func (f *fixture) reset(lane throttle.Lane) {
	f.t.Helper()
	if err := f.store.Reset(f.ctx, lane); err != nil {
		f.t.Fatalf("Reset: %v", err)
	}
}
