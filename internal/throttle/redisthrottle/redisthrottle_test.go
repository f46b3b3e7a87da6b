package redisthrottle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/pawlauth/pawl/internal/proctest"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/throttle/redisthrottle"
	"github.com/pawlauth/pawl/internal/throttle/throttletest"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client's own: it tells of servers that are down on purpose
	m.Run()
}

// patience is for a crowd on a slow machine.
const patience = 30 * time.Second

func connect(t testing.TB, options *redis.Options) redis.UniversalClient {
	t.Helper()
	options.ContextTimeoutEnabled = true
	options.DialTimeout, options.ReadTimeout, options.PoolTimeout = patience, patience, patience
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// dialMini starts an in-process Redis for one test.
func dialMini(t *testing.T) (*miniredis.Miniredis, redis.UniversalClient) {
	t.Helper()
	server := miniredis.RunT(t)
	return server, connect(t, &redis.Options{Addr: server.Addr()})
}

// dialReal connects to the real Redis of PAWL_TEST_REDIS_URL.
func dialReal(t testing.TB) redis.UniversalClient {
	t.Helper()
	options, err := redis.ParseURL(proctest.Service(t, "PAWL_TEST_REDIS_URL"))
	if err != nil {
		t.Fatalf("PAWL_TEST_REDIS_URL: %v", err)
	}
	return connect(t, options)
}

// both runs a test on the in-process server and on a real one, by two clients.
func both(t *testing.T, run func(t *testing.T, clients ...redis.UniversalClient)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) {
		server, client := dialMini(t)
		run(t, client, connect(t, &redis.Options{Addr: server.Addr()}))
	})
	t.Run("real", func(t *testing.T) { run(t, dialReal(t), dialReal(t)) })
}

func opener(clients ...redis.UniversalClient) throttletest.Open {
	return func(_ *testing.T, now func() time.Time) []throttle.Store {
		var stores []throttle.Store
		for _, client := range clients {
			stores = append(stores, redisthrottle.New(client, redisthrottle.Options{Now: now, Timeout: patience}))
		}
		return stores
	}
}

func TestStore(t *testing.T) {
	both(t, func(t *testing.T, clients ...redis.UniversalClient) { throttletest.Run(t, opener(clients...)) })
}

func TestProperty(t *testing.T) {
	both(t, func(t *testing.T, clients ...redis.UniversalClient) {
		throttletest.Property(t, opener(clients...))
	})
}

var (
	rate     = throttle.Rate{Burst: 5, Every: 10 * time.Minute}
	schedule = throttle.Schedule{{Failures: 3, Pause: time.Hour}}
)

func network(name string) []throttle.Bucket {
	return []throttle.Bucket{{Key: "test:{" + name + "}:a", Rate: rate}, {Key: "test:{" + name + "}:b", Rate: rate}}
}

func spend(t *testing.T, store throttle.Store, buckets []throttle.Bucket) {
	t.Helper()
	if v, err := store.Spend(t.Context(), buckets); err != nil || !v.Allowed() {
		t.Fatalf("Spend: got %v and error %v, want it allowed", v, err)
	}
}

func charge(t *testing.T, store throttle.Store, lane throttle.Lane, schedule throttle.Schedule) {
	t.Helper()
	if v, err := store.Charge(t.Context(), lane, schedule); err != nil || !v.Allowed() {
		t.Fatalf("Charge: got %v and error %v, want it allowed", v, err)
	}
}

// The server's own clock: a wait goes by itself.
func TestServerClock(t *testing.T) {
	both(t, func(t *testing.T, clients ...redis.UniversalClient) {
		store := redisthrottle.New(clients[0], redisthrottle.Options{})
		lane := throttle.Lane{Account: throttletest.NewAccount()}
		b := network(lane.Account)
		for range 3 {
			charge(t, store, lane, schedule)
		}
		for range 5 {
			spend(t, store, b)
		}
		c, chargeErr := store.Charge(t.Context(), lane, schedule)
		s, spendErr := store.Spend(t.Context(), b)
		for what, v := range map[string]struct {
			got, want time.Duration
			err       error
		}{"Charge": {c.RetryAfter, time.Hour, chargeErr}, "Spend": {s.RetryAfter, rate.Every, spendErr}} {
			if v.err != nil || v.got > v.want || v.got < v.want-time.Minute {
				t.Errorf("%s: got a wait of %s and error %v, want about %s", what, v.got, v.err, v.want)
			}
		}
		short := throttle.Schedule{{Failures: 1, Pause: 50 * time.Millisecond}}
		deadline := time.Now().Add(20 * time.Second)
		for n := 0; n < 3; {
			v, err := store.Charge(t.Context(), throttle.Lane{Account: lane.Account, Device: "phone"}, short)
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("Charge: got %v and error %v, want the pause to end", v, err)
			}
			if v.Allowed() {
				n++
				continue
			}
			<-time.After(v.RetryAfter)
		}
	})
}

// A value that cannot be read is no bucket and no lane, and the next write mends it.
func TestUnreadable(t *testing.T) {
	both(t, func(t *testing.T, clients ...redis.UniversalClient) {
		store := redisthrottle.New(clients[0], redisthrottle.Options{})
		for _, value := range []string{"", "garbage", "-5", "1e9", strings.Repeat("9", 400), "1:2", "0:5:0:0", "5:now:0:0", ":::", "5:" + strings.Repeat("9", 30) + ":0:0"} {
			lane := throttle.Lane{Account: throttletest.NewAccount()}
			b := network(lane.Account)
			for _, bucket := range b {
				if err := clients[0].Set(t.Context(), "pawl:throttle:"+bucket.Key, value, time.Hour).Err(); err != nil {
					t.Fatal(err)
				}
			}
			key := "pawl:throttle:{" + lane.Account + "}:lanes"
			if err := clients[0].HSet(t.Context(), key, "unknown", value).Err(); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				spend(t, store, b)
			}
			for range 3 {
				charge(t, store, lane, schedule)
			}
			s, spendErr := store.Spend(t.Context(), b)
			c, chargeErr := store.Charge(t.Context(), lane, schedule)
			if s.Allowed() || c.Allowed() || spendErr != nil || chargeErr != nil {
				t.Errorf("after %q: got %v, %v and errors %v, %v, want both refused", value, s, c, spendErr, chargeErr)
			}
			if ttl, err := clients[0].PTTL(t.Context(), key).Result(); err != nil || ttl <= 0 {
				t.Errorf("time to live after %q: got %s and error %v, want some", value, ttl, err)
			}
		}
	})
}

func TestScriptFlush(t *testing.T) {
	both(t, func(t *testing.T, clients ...redis.UniversalClient) {
		store := redisthrottle.New(clients[0], redisthrottle.Options{})
		lane := throttle.Lane{Account: throttletest.NewAccount()}
		for range 3 {
			if err := clients[0].ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			charge(t, store, lane, schedule)
		}
		if v, err := store.Charge(t.Context(), lane, schedule); err != nil || v.Allowed() {
			t.Errorf("Charge: got %v and error %v, want three to have counted once each", v, err)
		}
	})
}

// A store that does not answer lets nobody through, and says so soon.
func TestNoAnswer(t *testing.T) {
	server, client := dialMini(t)
	server.Close()
	store := redisthrottle.New(client, redisthrottle.Options{})
	lane := throttle.Lane{Account: throttletest.NewAccount()}
	_, spendErr := store.Spend(t.Context(), network("x"))
	_, chargeErr := store.Charge(t.Context(), lane, schedule)
	for what, err := range map[string]error{
		"Spend": spendErr, "Charge": chargeErr, "Return": store.Return(t.Context(), network("x")),
		"Uncharge": store.Uncharge(t.Context(), lane, schedule),
		"Reset":    store.Reset(t.Context(), lane), "Clear": store.Clear(t.Context(), lane.Account),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "redisthrottle: ") {
			t.Errorf("%s without a server: got error %v, want one", what, err)
		}
	}
}
