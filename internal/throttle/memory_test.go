package throttle_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/throttle/throttletest"
)

func open(_ *testing.T, now func() time.Time) []throttle.Store {
	return []throttle.Store{throttle.NewMemory(now)}
}

func TestMemory(t *testing.T) { throttletest.Run(t, open) }

func TestMemoryProperty(t *testing.T) { throttletest.Property(t, open) }

func bucket(i int, rate throttle.Rate) []throttle.Bucket {
	return []throttle.Bucket{{Key: fmt.Sprintf("test:{%d}", i), Rate: rate}}
}

func charge(t *testing.T, m *throttle.Memory, lane throttle.Lane, schedule throttle.Schedule) {
	t.Helper()
	if v, err := m.Charge(t.Context(), lane, schedule); err != nil || !v.Allowed() {
		t.Fatalf("Charge: got %v and error %v, want it allowed", v, err)
	}
}

func spend(t *testing.T, m *throttle.Memory, buckets []throttle.Bucket) {
	t.Helper()
	if v, err := m.Spend(t.Context(), buckets); err != nil || !v.Allowed() {
		t.Fatalf("Spend: got %v and error %v, want it allowed", v, err)
	}
}

// tick makes the store look for dead entries.
func tick(t *testing.T, m *throttle.Memory) {
	t.Helper()
	if err := m.Return(t.Context(), bucket(-1, throttle.Rate{Burst: 1, Every: time.Second})); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryForgets(t *testing.T) {
	const minute, day = time.Minute, 24 * time.Hour
	lane := throttle.Lane{Account: throttletest.NewAccount()}
	week := throttle.Schedule{{Failures: 1, Pause: 7 * day}}
	for name, c := range map[string]struct {
		write func(t *testing.T, m *throttle.Memory)
		life  time.Duration
	}{
		"a bucket that is full again": {func(t *testing.T, m *throttle.Memory) {
			for range 3 {
				spend(t, m, bucket(1, throttle.Rate{Burst: 5, Every: 10 * minute}))
			}
		}, 30 * minute},
		"a count that is nothing": {func(t *testing.T, m *throttle.Memory) {
			for range 9 {
				charge(t, m, lane, throttle.Schedule{{Failures: 100, Pause: minute}})
			}
		}, 4 * day},
		"a pause that is over": {func(t *testing.T, m *throttle.Memory) { charge(t, m, lane, week) }, 7 * day},
		"a device": {func(t *testing.T, m *throttle.Memory) {
			charge(t, m, throttle.Lane{Account: lane.Account, Device: "phone"}, week)
		}, 7 * day},
	} {
		t.Run(name, func(t *testing.T) {
			clock := throttletest.NewClock()
			m := throttle.NewSmallMemory(clock.Now, 10)
			c.write(t, m)
			clock.Step(c.life - time.Millisecond)
			tick(t, m)
			if got := m.Len(); got != 1 {
				t.Errorf("entries before their end: got %d, want 1", got)
			}
			clock.Step(2 * minute)
			tick(t, m)
			if got, accounts := m.Len(), m.Accounts(); got != 0 || accounts != 0 {
				t.Errorf("entries after their end: got %d and %d accounts, want none", got, accounts)
			}
		})
	}
}

// What is undone leaves nothing behind.
func TestMemoryKeepsNoEmptyEntry(t *testing.T) {
	schedule := throttle.Schedule{{Failures: 1, Pause: time.Hour}}
	lane := throttle.Lane{Account: throttletest.NewAccount()}
	for name, undo := range map[string]func(m *throttle.Memory) error{
		"Uncharge": func(m *throttle.Memory) error { return m.Uncharge(t.Context(), lane, schedule) },
		"Reset":    func(m *throttle.Memory) error { return m.Reset(t.Context(), lane) },
		"Clear":    func(m *throttle.Memory) error { return m.Clear(t.Context(), lane.Account) },
		"Return":   func(*throttle.Memory) error { return nil },
	} {
		m := throttle.NewMemory(throttletest.NewClock().Now)
		rate := throttle.Rate{Burst: 2, Every: time.Minute}
		spend(t, m, bucket(1, rate))
		if err := m.Return(t.Context(), bucket(1, rate)); err != nil {
			t.Fatalf("Return: %v", err)
		}
		if name != "Return" {
			charge(t, m, lane, schedule)
		}
		if err := undo(m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, accounts := m.Len(), m.Accounts(); got != 0 || accounts != 0 {
			t.Errorf("entries after %s: got %d and %d accounts, want none", name, got, accounts)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	clock := throttletest.NewClock()
	m := throttle.NewSmallMemory(clock.Now, 10)
	rate := throttle.Rate{Burst: 5, Every: time.Second}
	for i := range 10 {
		spend(t, m, bucket(i, rate))
	}
	if v, err := m.Spend(t.Context(), bucket(10, rate)); !errors.Is(err, throttle.ErrFull) {
		t.Errorf("Spend of a new network when full: got %v and error %v, want ErrFull", v, err)
	}
	spend(t, m, bucket(3, rate)) // known ones go on
	if got := m.Len(); got != 10 {
		t.Errorf("entries when full: got %d, want 10", got)
	}
	clock.Step(time.Second) // all but one are full again
	spend(t, m, bucket(10, rate))
	if got := m.Len(); got != 2 {
		t.Errorf("entries after there was room: got %d, want 2", got)
	}
}

// Made-up names keep nobody out of a full memory, and do not make it forget who
// guesses at one account.
func TestMadeUpNames(t *testing.T) {
	clock := throttletest.NewClock()
	m := throttle.NewSmallMemory(clock.Now, 10)
	schedule := throttle.Schedule{{Failures: 3, Pause: time.Minute}, {Failures: 4, Pause: time.Hour}}
	guessed, known := throttle.Lane{Account: throttletest.NewAccount()}, throttle.Lane{Account: throttletest.NewAccount(), Device: "phone"}
	for range 3 {
		charge(t, m, guessed, schedule)
	}
	charge(t, m, known, schedule)
	charge(t, m, known, schedule)
	clock.Step(2 * time.Minute) // no pause is running: the first has three failures, the second two
	for range 100 {
		charge(t, m, throttle.Lane{Account: throttletest.NewAccount()}, schedule)
	}
	if got := m.Len(); got > 10 {
		t.Errorf("entries: got %d, want at most 10", got)
	}
	charge(t, m, guessed, schedule)
	if v, err := m.Charge(t.Context(), guessed, schedule); err != nil || v.RetryAfter != time.Hour {
		t.Errorf("the fifth guess: got a wait of %s (%v), want an hour after four", v.RetryAfter, err)
	}
	charge(t, m, known, schedule)
	if v, err := m.Charge(t.Context(), known, schedule); err != nil || v.RetryAfter != time.Minute {
		t.Errorf("the fourth from the phone: got a wait of %s (%v), want a minute after three", v.RetryAfter, err)
	}
}

// Running pauses are never cut short, whatever comes.
func TestRunningPausesStay(t *testing.T) {
	clock := throttletest.NewClock()
	m := throttle.NewSmallMemory(clock.Now, 10)
	schedule := throttle.Schedule{{Failures: 1, Pause: time.Minute}}
	lanes := make([]throttle.Lane, 10)
	for i := range lanes {
		lanes[i].Account = throttletest.NewAccount()
		charge(t, m, lanes[i], schedule)
	}
	another := throttle.Lane{Account: throttletest.NewAccount()}
	for name, lane := range map[string]throttle.Lane{"account": another, "device": {Account: lanes[0].Account, Device: "phone"}} {
		if v, err := m.Charge(t.Context(), lane, schedule); !errors.Is(err, throttle.ErrFull) {
			t.Errorf("Charge of a new %s: got %v and error %v, want ErrFull", name, v, err)
		}
	}
	for _, lane := range lanes {
		if v, err := m.Charge(t.Context(), lane, schedule); err != nil || v.RetryAfter != time.Minute {
			t.Errorf("got a wait of %s (%v), want the pause of a minute", v.RetryAfter, err)
		}
	}
	clock.Step(time.Minute)
	charge(t, m, another, schedule)
}

// Room is made where the pause is over, even if failures are most there.
func TestRoomIsWherePausesAreOver(t *testing.T) {
	clock := throttletest.NewClock()
	m := throttle.NewSmallMemory(clock.Now, 2)
	schedule := throttle.Schedule{{Failures: 1, Pause: time.Minute}}
	old := throttle.Lane{Account: throttletest.NewAccount()}
	for range 2 {
		charge(t, m, old, schedule)
		clock.Step(time.Minute)
	}
	charge(t, m, throttle.Lane{Account: throttletest.NewAccount()}, schedule)
	charge(t, m, throttle.Lane{Account: throttletest.NewAccount()}, schedule)
	if got := m.Accounts(); got != 2 {
		t.Errorf("accounts: got %d, want 2", got)
	}
}

// Nobody can leave more than the limit, whatever the mix.
func TestMemoryCountsItsEntries(t *testing.T) {
	m := throttle.NewMemory(throttletest.NewClock().Now)
	schedule := throttle.Schedule{{Failures: 1000, Pause: time.Hour}}
	account := throttletest.NewAccount()
	for i := range 2 * throttle.MaxDevices {
		charge(t, m, throttle.Lane{Account: account, Device: fmt.Sprint(i)}, schedule)
		charge(t, m, throttle.Lane{Account: account}, schedule)
	}
	if got, want := m.Len(), throttle.MaxDevices+1; got != want {
		t.Errorf("entries of one account: got %d, want %d", got, want)
	}
}

func TestMemoryPeek(t *testing.T) {
	clock := throttletest.NewClock()
	m := throttle.NewMemory(clock.Now)
	b := []throttle.Bucket{
		{Key: "test:{x}:1", Rate: throttle.Rate{Burst: 2, Every: time.Minute}},
		{Key: "test:{x}:2", Rate: throttle.Rate{Burst: 3, Every: time.Hour}},
	}
	peek := func(want time.Duration) {
		t.Helper()
		for range 3 {
			if v, err := m.Peek(t.Context(), b); err != nil || v.RetryAfter != want {
				t.Fatalf("Peek: got a wait of %s and error %v, want %s", v.RetryAfter, err, want)
			}
		}
	}
	peek(0)
	if got := m.Len(); got != 0 {
		t.Errorf("entries after a look: got %d, want none", got)
	}
	spend(t, m, b)
	peek(0)
	spend(t, m, b)
	peek(time.Minute)
	clock.Step(time.Minute - time.Millisecond)
	peek(time.Millisecond)
	clock.Step(-time.Hour)
	b = b[:1]
	peek(time.Minute)
	clock.Step(time.Minute)
	peek(0)
	if v, err := m.Peek(t.Context(), bucket(1, throttle.Rate{Burst: -1})); err == nil {
		t.Errorf("Peek with a bad rate: got %v and no error, want one", v)
	}
}

func BenchmarkMemory(b *testing.B) {
	m := throttle.NewMemory(time.Now)
	rate, schedule := throttle.Rate{Burst: 1_000_000, Every: time.Microsecond}, throttle.Schedule{{Failures: 1_000_000, Pause: time.Second}}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		lane := throttle.Lane{Account: throttletest.NewAccount()}
		buckets := []throttle.Bucket{{Key: lane.Account, Rate: rate}}
		for pb.Next() {
			if v, err := m.Spend(b.Context(), buckets); err != nil || !v.Allowed() {
				b.Fatalf("Spend: got %v and error %v", v, err)
			}
			if v, err := m.Charge(b.Context(), lane, schedule); err != nil || !v.Allowed() {
				b.Fatalf("Charge: got %v and error %v", v, err)
			}
			if err := m.Reset(b.Context(), lane); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSweep is the longest that a full memory keeps others waiting.
func BenchmarkSweep(b *testing.B) {
	clock := throttletest.NewClock()
	m := throttle.NewMemory(clock.Now)
	for i := range 250_000 {
		_, _ = m.Spend(b.Context(), bucket(i, throttle.Rate{Burst: 5, Every: 24 * time.Hour}))
		_, _ = m.Charge(b.Context(), throttle.Lane{Account: fmt.Sprintf("%064x", i)}, throttle.Schedule{{Failures: 1, Pause: 24 * time.Hour}})
	}
	for b.Loop() {
		m.Sweep()
	}
}
