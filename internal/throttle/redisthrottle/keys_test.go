package redisthrottle_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/throttle/redisthrottle"
	"github.com/pawlauth/pawl/internal/throttle/throttletest"
)

// Every key has its name and its end.
func TestKeys(t *testing.T) {
	const day = 24 * time.Hour
	account := throttletest.NewAccount()
	lanes := "pawl:throttle:{" + account + "}:lanes"
	lane, phone := throttle.Lane{Account: account}, throttle.Lane{Account: account, Device: "phone"}
	many := throttle.Schedule{{Failures: 1000, Pause: time.Minute}}
	week := throttle.Schedule{{Failures: 1, Pause: 7 * day}}
	for name, c := range map[string]struct {
		do   func(t *testing.T, s throttle.Store)
		want map[string]time.Duration
	}{
		"buckets": {func(t *testing.T, s throttle.Store) {
			spend(t, s, network("x"))
			spend(t, s, network("x")[:1])
		}, map[string]time.Duration{"pawl:throttle:test:{x}:a": 20 * time.Minute, "pawl:throttle:test:{x}:b": 10 * time.Minute}},
		"a bucket that got one back": {func(t *testing.T, s throttle.Store) {
			spend(t, s, network("x"))
			spend(t, s, network("x")[:1])
			_ = s.Return(t.Context(), network("x"))
		}, map[string]time.Duration{"pawl:throttle:test:{x}:a": 10 * time.Minute}},
		"a bucket that is refused": {func(t *testing.T, s throttle.Store) {
			for range 5 {
				spend(t, s, network("x")[:1])
			}
			_, _ = s.Spend(t.Context(), network("x"))
		}, map[string]time.Duration{"pawl:throttle:test:{x}:a": 50 * time.Minute}},
		"a count": {func(t *testing.T, s throttle.Store) {
			for range 9 {
				charge(t, s, lane, many)
			}
		}, map[string]time.Duration{lanes: 4 * day}},
		"a pause longer than the count": {func(t *testing.T, s throttle.Store) { charge(t, s, lane, week) },
			map[string]time.Duration{lanes: 7 * day}},
		"the longest lane": {func(t *testing.T, s throttle.Store) {
			charge(t, s, lane, week)
			charge(t, s, phone, many)
		}, map[string]time.Duration{lanes: 7 * day}},
		"the other way round": {func(t *testing.T, s throttle.Store) {
			charge(t, s, phone, many)
			charge(t, s, lane, week)
		}, map[string]time.Duration{lanes: 7 * day}},
		"uncharged": {func(t *testing.T, s throttle.Store) {
			charge(t, s, lane, many)
			_ = s.Uncharge(t.Context(), lane, many)
		}, nil},
		"reset": {func(t *testing.T, s throttle.Store) {
			charge(t, s, lane, many)
			_ = s.Reset(t.Context(), lane)
		}, nil},
		"nothing to undo": {func(t *testing.T, s throttle.Store) {
			_ = s.Return(t.Context(), network("x"))
			_ = s.Uncharge(t.Context(), lane, many)
			_ = s.Reset(t.Context(), lane)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := dialMini(t)
			clock := throttletest.NewClock()
			c.do(t, redisthrottle.New(client, redisthrottle.Options{Now: clock.Now}))
			if got := server.Keys(); len(got) != len(c.want) {
				t.Errorf("keys: got %q, want %v", got, c.want)
			}
			for key, want := range c.want {
				if got := server.TTL(key); got != want {
					t.Errorf("time to live of %s: got %s, want %s", key, got, want)
				}
			}
		})
	}
	t.Run("a real server forgets", func(t *testing.T) {
		client := dialReal(t)
		store := redisthrottle.New(client, redisthrottle.Options{})
		charge(t, store, lane, week)
		b := network(account)[:1]
		spend(t, store, b)
		for key, want := range map[string]time.Duration{lanes: 7 * day, "pawl:throttle:" + b[0].Key: rate.Every} {
			got, err := client.PTTL(t.Context(), key).Result()
			if err != nil || got > want || got < want-time.Minute {
				t.Errorf("time to live of %s: got %s and error %v, want about %s", key, got, err, want)
			}
		}
	})
}
