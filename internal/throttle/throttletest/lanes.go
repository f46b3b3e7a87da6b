package throttletest

import (
	"fmt"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
)

func testCharge(t *testing.T, open Open) {
	t.Run("the schedule, step by step", func(t *testing.T) {
		f := newFixture(t, open)
		lane := f.unknown()
		for n := 1; n <= 120; n++ {
			f.wantCharge(0, lane, defaults())
			pause := time.Duration(0)
			switch {
			case n >= 100:
				pause = day
			case n >= 50:
				pause = time.Hour
			case n >= 20:
				pause = 5 * time.Minute
			case n >= 10:
				pause = time.Minute
			case n >= 5:
				pause = 30 * time.Second
			}
			if pause == 0 {
				continue
			}
			f.wantCharge(pause, lane, defaults())
			f.clock.Step(pause - ms)
			f.wantCharge(ms, lane, defaults())
			f.clock.Step(ms)
			if pause == day { // a whole day: the count halves, and reaches 100 again later
				f.wantCharge(0, lane, defaults())
				f.wantCharge(time.Hour, lane, defaults())
				f.wantCount(51, lane)
				return
			}
		}
	})
	t.Run("five are free, the sixth waits from the fifth", func(t *testing.T) {
		f := newFixture(t, open)
		schedule := from(5, 30*time.Second)
		for range 5 {
			f.wantCharge(0, f.unknown(), schedule)
			f.clock.Step(time.Minute)
		}
		f.clock.Step(-time.Minute + 10*time.Second)
		f.wantCharge(20*time.Second, f.unknown(), schedule)
	})
	t.Run("what a pause refuses is not counted", func(t *testing.T) {
		f := newFixture(t, open)
		for range 5 {
			f.wantCharge(0, f.unknown(), defaults())
		}
		for range 30 {
			f.clock.Step(time.Second - ms)
			if v, err := f.store.Charge(f.ctx, f.unknown(), defaults()); err != nil || v.Allowed() {
				t.Fatalf("Charge in the pause: got %v and error %v, want a refusal", v, err)
			}
		}
		f.wantCount(5, f.unknown())
		f.clock.Step(30 * ms)
		f.wantCharge(0, f.unknown(), defaults())
		f.wantCount(6, f.unknown())
	})
	t.Run("a pause from the first failure", func(t *testing.T) {
		f := newFixture(t, open)
		f.wantCharge(0, f.unknown(), from(1, time.Minute))
		f.wantCharge(time.Minute, f.unknown(), from(1, time.Minute))
	})
	t.Run("a pause may be longer than a day", func(t *testing.T) {
		f := newFixture(t, open)
		for range 3 {
			f.wantCharge(0, f.unknown(), from(3, 10*day))
		}
		f.clock.Step(9 * day)
		f.wantCharge(day, f.unknown(), from(3, 10*day))
		f.clock.Step(day)
		f.wantCharge(0, f.unknown(), from(3, 10*day))
		f.wantCount(1, f.unknown())
	})
	t.Run("another schedule than before", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(7, f.unknown())
		f.wantCharge(time.Hour, f.unknown(), from(7, time.Hour))
		f.wantCharge(0, f.unknown(), from(8, time.Hour))
	})
}

func testHalving(t *testing.T, open Open) {
	for _, c := range []struct {
		failures int
		idle     time.Duration
		left     int
	}{
		{9, 0, 9}, {9, day - ms, 9}, {9, day, 4}, {9, 2*day - ms, 4}, {9, 2 * day, 2}, {9, 3 * day, 1}, {9, 4 * day, 0},
		{1, day - ms, 1}, {1, day, 0}, {2, day, 1}, {100, day, 50}, {100, 6 * day, 1}, {100, 7 * day, 0},
		{3, 70 * day, 0}, {3, 10_000 * day, 0},
	} {
		t.Run(fmt.Sprintf("%d after %s", c.failures, c.idle), func(t *testing.T) {
			f := newFixture(t, open)
			f.fail(c.failures, f.unknown())
			f.clock.Step(c.idle)
			f.fail(1, f.unknown())
			f.wantCount(c.left+1, f.unknown())
		})
	}
	t.Run("not while the attack goes on", func(t *testing.T) {
		f := newFixture(t, open)
		for range 20 {
			f.fail(1, f.unknown())
			f.clock.Step(day - ms)
		}
		f.fail(1, f.unknown())
		f.wantCount(21, f.unknown())
	})
	t.Run("a refusal is no failure", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(8, f.unknown())
		for i := range 4 { // two days
			f.clock.Step(day / 2)
			f.wantCharge(time.Duration(3-i)*day/2+time.Hour, f.unknown(), from(8, 2*day+time.Hour))
		}
		f.clock.Step(time.Hour)
		f.fail(1, f.unknown())
		f.wantCount(3, f.unknown())
	})
}

func testUncharge(t *testing.T, open Open) {
	t.Run("one failure less", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(5, f.unknown())
		f.uncharge(f.unknown())
		f.wantCount(4, f.unknown())
		f.uncharge(f.unknown())
		f.wantCount(3, f.unknown())
	})
	t.Run("never below nothing", func(t *testing.T) {
		f := newFixture(t, open)
		for range 3 {
			f.uncharge(f.unknown())
		}
		f.wantCount(0, f.unknown())
		f.fail(2, f.unknown())
		for range 5 {
			f.uncharge(f.unknown())
		}
		f.wantCount(0, f.unknown())
		f.fail(5, f.unknown())
		f.wantCount(5, f.unknown())
	})
	t.Run("a pause that is over stays over", func(t *testing.T) {
		f := newFixture(t, open)
		for range 5 {
			f.wantCharge(0, f.unknown(), defaults())
		}
		f.clock.Step(30 * time.Second)
		for range 10 {
			f.wantCharge(0, f.unknown(), defaults())
			f.wantCharge(30*time.Second, f.unknown(), defaults())
			f.uncharge(f.unknown())
		}
		f.wantCount(5, f.unknown())
	})
	t.Run("a day halves once", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(80, f.unknown())
		f.clock.Step(day)
		for range 6 {
			f.fail(1, f.unknown())
			f.uncharge(f.unknown())
		}
		f.fail(1, f.unknown())
		f.wantCount(41, f.unknown())
	})
	t.Run("after other charges", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(3, f.unknown())
		f.clock.Step(time.Minute)
		f.fail(2, f.unknown()) // two at the same time
		f.uncharge(f.unknown())
		f.uncharge(f.unknown())
		f.wantCount(3, f.unknown())
		f.fail(2, f.unknown())
		f.uncharge(f.unknown())
		f.wantCount(4, f.unknown())
	})
	t.Run("after a reset", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(3, f.unknown())
		f.reset(f.unknown())
		f.uncharge(f.unknown())
		f.wantCount(0, f.unknown())
	})
}

func testLanes(t *testing.T, open Open) {
	t.Run("a reset forgets one lane", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(5, f.unknown())
		f.fail(6, f.device("phone"))
		f.reset(f.unknown())
		f.wantCount(0, f.unknown())
		f.wantCount(6, f.device("phone"))
		f.reset(f.device("phone"))
		f.reset(f.device("phone"))
		f.wantCount(0, f.device("phone"))
	})
	t.Run("a reset ends the pause", func(t *testing.T) {
		f := newFixture(t, open)
		f.wantCharge(0, f.unknown(), from(1, time.Hour))
		f.reset(f.unknown())
		f.wantCharge(0, f.unknown(), from(1, time.Hour))
	})
	t.Run("clearing forgets all of an account", func(t *testing.T) {
		f := newFixture(t, open)
		other := throttle.Lane{Account: NewAccount()}
		f.fail(4, other)
		f.fail(5, f.unknown())
		f.fail(6, f.device("phone"))
		for range 2 {
			if err := f.store.Clear(f.ctx, f.account); err != nil {
				t.Fatalf("Clear: %v", err)
			}
		}
		f.wantCount(0, f.unknown())
		f.wantCount(0, f.device("phone"))
		f.wantCount(4, other)
	})
	t.Run("devices have lanes of their own", func(t *testing.T) {
		f := newFixture(t, open)
		names := []string{"unknown", "device:", "a", "A", " ", "a:b", "{a}", "a\x00b", "\xff", "0:0", "電話"}
		for i, name := range names {
			f.fail(i+1, f.device(name))
		}
		f.fail(20, f.unknown())
		for i, name := range names {
			f.wantCount(i+1, f.device(name))
		}
		f.wantCount(20, f.unknown())
	})
	t.Run("an attack on the unknown leaves a device alone", func(t *testing.T) {
		f := newFixture(t, open)
		for range 5 {
			f.wantCharge(0, f.unknown(), defaults())
		}
		f.wantCharge(30*time.Second, f.unknown(), defaults())
		f.wantCharge(0, f.device("phone"), defaults())
	})
	t.Run("so many devices", func(t *testing.T) {
		f := newFixture(t, open)
		f.fail(3, f.unknown())
		f.fill(0, never())
		f.fail(1, f.nth(0)) // has a lane
		for range 2 {
			f.wantUnknown(f.device("newcomer"), never())
		}
		f.wantCount(2, f.nth(0))
		for i := 1; i < throttle.MaxDevices; i++ {
			f.wantCount(1, f.nth(i))
		}
		f.wantCount(5, f.unknown())
		f.uncharge(f.unknown())
		f.wantCount(4, f.unknown())
	})
	t.Run("a newcomer finds the pause of the unknown", func(t *testing.T) {
		f := newFixture(t, open)
		f.fill(0, defaults())
		for range 5 {
			f.wantUnknown(f.device("newcomer"), defaults())
		}
		f.wantCharge(30*time.Second, f.device("another"), defaults())
		f.wantCharge(30*time.Second, f.unknown(), defaults())
		f.wantCharge(0, f.nth(7), defaults())
	})
	t.Run("a lane that is free again is somebody's", func(t *testing.T) {
		for name, free := range map[string]func(f *fixture){
			"reset":     func(f *fixture) { f.reset(f.nth(5)) },
			"uncharged": func(f *fixture) { f.uncharge(f.nth(5)) },
			"a day":     func(f *fixture) { f.clock.Step(day) },
		} {
			f := newFixture(t, open)
			f.fill(0, never())
			free(f)
			f.fail(1, f.device("newcomer"))
			f.wantCount(1, f.device("newcomer"))
			f.wantCount(0, f.unknown())
			t.Log(name)
		}
	})
	t.Run("room is made of what no longer matters alone", func(t *testing.T) {
		f := newFixture(t, open)
		schedule := from(5, 6*day)
		for range 5 {
			f.wantCharge(0, f.nth(0), schedule)
		}
		for range 4 { // three days
			f.wantCharge(0, f.nth(1), schedule)
		}
		f.fill(2, schedule)
		f.clock.Step(day - ms)
		f.wantUnknown(f.device("newcomer"), schedule)
		f.clock.Step(ms)
		for i := range throttle.MaxDevices - 2 {
			f.wantCharge(0, f.device(fmt.Sprintf("newcomer %d", i)), schedule)
		}
		f.wantUnknown(f.device("one too many"), schedule)
		f.wantCharge(5*day, f.nth(0), schedule)
		f.wantCharge(0, f.nth(1), schedule)
		f.wantCount(3, f.nth(1))
	})
}

// nth is the lane of the account's nth device.
func (f *fixture) nth(i int) throttle.Lane { return f.device(fmt.Sprintf("device %d", i)) }

// fill gives the account a failure of each device from the nth on, and with them
// as many devices as it may have.
func (f *fixture) fill(n int, schedule throttle.Schedule) {
	f.t.Helper()
	for ; n < throttle.MaxDevices; n++ {
		v, err := f.store.Charge(f.ctx, f.nth(n), schedule)
		if err != nil || v != (throttle.Verdict{}) {
			f.t.Fatalf("Charge of device %d: got %+v and error %v, want a lane of its own", n, v, err)
		}
	}
}

// wantUnknown charges a device and fails the test unless it counts as unknown.
func (f *fixture) wantUnknown(lane throttle.Lane, schedule throttle.Schedule) {
	f.t.Helper()
	v, err := f.store.Charge(f.ctx, lane, schedule)
	if err != nil || !v.Allowed() || !v.Unknown {
		f.t.Fatalf("Charge of %q: got %+v and error %v, want it to count as an unknown device", lane.Device, v, err)
	}
}
