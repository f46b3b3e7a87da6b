package redisthrottle_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/redistest"
	"github.com/pawlauth/pawl/internal/throttle"
	"github.com/pawlauth/pawl/internal/throttle/redisthrottle"
	"github.com/pawlauth/pawl/internal/throttle/throttletest"
)

// left is how many units a bucket has; it takes them.
func left(t *testing.T, store throttle.Store, buckets []throttle.Bucket) int {
	t.Helper()
	for n := 0; ; n++ {
		v, err := store.Spend(t.Context(), buckets)
		if err != nil {
			t.Fatalf("Spend: %v", err)
		}
		if !v.Allowed() {
			return n
		}
	}
}

// counted is how many failures a lane, charged just now, counts.
func counted(t *testing.T, store throttle.Store, lane throttle.Lane) int {
	t.Helper()
	for n := 1; ; n++ {
		v, err := store.Charge(t.Context(), lane, throttle.Schedule{{Failures: n, Pause: time.Hour}})
		if err != nil {
			t.Fatalf("Charge: %v", err)
		}
		if v.Allowed() {
			return n - 1
		}
	}
}

// An answer that is lost is an error, and what it answered happened once.
func TestLostAnswers(t *testing.T) {
	server, direct := dialMini(t)
	proxy := faultproxy.New(t, server.Addr())
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr(), ContextTimeoutEnabled: true, ReadTimeout: time.Second})
	t.Cleanup(func() { _ = client.Close() })
	store, watcher := redisthrottle.New(client, redisthrottle.Options{}), redisthrottle.New(direct, redisthrottle.Options{})
	many := throttle.Schedule{{Failures: 1000, Pause: time.Hour}}
	for name, c := range map[string]struct {
		call                func(b []throttle.Bucket, lane throttle.Lane) error
		wantLeft, wantCount int
	}{
		"Spend": {func(b []throttle.Bucket, _ throttle.Lane) error {
			_, err := store.Spend(t.Context(), b)
			return err
		}, 1, 4},
		"Return": {func(b []throttle.Bucket, _ throttle.Lane) error { return store.Return(t.Context(), b) }, 3, 4},
		"Charge": {func(_ []throttle.Bucket, lane throttle.Lane) error {
			_, err := store.Charge(t.Context(), lane, many)
			return err
		}, 2, 5},
		"Uncharge": {func(_ []throttle.Bucket, lane throttle.Lane) error {
			return store.Uncharge(t.Context(), lane, many)
		}, 2, 3},
	} {
		for _, cut := range []bool{true, false} {
			if !cut && name != "Charge" {
				continue // it takes as long as the client waits
			}
			lane := throttle.Lane{Account: throttletest.NewAccount()}
			b := network(lane.Account)
			if err := c.call(network("warm"), throttle.Lane{Account: throttletest.NewAccount()}); err != nil { // the server knows the script
				t.Fatalf("%s: %v", name, err)
			}
			for range 3 {
				spend(t, watcher, b)
			}
			for range 4 {
				charge(t, watcher, lane, many)
			}
			proxy.Swallow(1, ":0\r\n", cut)
			if err := c.call(b, lane); err == nil {
				t.Errorf("%s whose answer is lost (cut: %t): got no error, want one", name, cut)
			}
			proxy.Swallow(0, "", false)
			if got := counted(t, watcher, lane); got != c.wantCount {
				t.Errorf("failures after %s (cut: %t): got %d, want %d", name, cut, got, c.wantCount)
			}
			if got := left(t, watcher, b); got != c.wantLeft {
				t.Errorf("units after %s (cut: %t): got %d, want %d", name, cut, got, c.wantLeft)
			}
		}
	}
}

// A server that hangs is an error in time.
func TestHang(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	store := redisthrottle.New(server.Client(), redisthrottle.Options{})
	lane := throttle.Lane{Account: throttletest.NewAccount()}
	charge(t, store, lane, schedule)
	server.Stop()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if v, err := store.Charge(ctx, lane, schedule); err == nil {
		t.Errorf("Charge: got %v and no error, want one", v)
	}
	if v, err := store.Spend(t.Context(), network("x")); err == nil {
		t.Errorf("Spend: got %v and no error, want one", v)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("time for two answers: got %s, want at most two seconds or so", took)
	}
	server.Cont()
	if got := counted(t, store, lane); got != 1 && got != 2 {
		t.Errorf("failures: got %d, want 1 or 2: what was cut short happened once, if at all", got)
	}
}

// A server that is full and may not evict cannot keep count: nobody passes.
func TestFullServer(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "maxmemory-policy noeviction")
	store := redisthrottle.New(server.Client(), redisthrottle.Options{})
	lane := throttle.Lane{Account: throttletest.NewAccount()}
	charge(t, store, lane, schedule)
	spend(t, store, network("x"))
	if err := server.Client().ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil { // less than an empty server needs
		t.Fatal(err)
	}
	_, spendErr := store.Spend(t.Context(), network("x"))
	_, chargeErr := store.Charge(t.Context(), lane, schedule)
	for what, err := range map[string]error{"Spend": spendErr, "Charge": chargeErr} {
		if err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("%s on a full server: got error %v, want the server's own", what, err)
		}
	}
}

// TestCluster holds the contract on a Cluster, and what the gates say while slots move.
func TestCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.Cluster(t)
	t.Run("contract", func(t *testing.T) {
		options := redis.ClusterOptions{ContextTimeoutEnabled: true, DialTimeout: patience, ReadTimeout: patience, PoolTimeout: patience}
		for _, node := range cluster.Procs() {
			options.Addrs = append(options.Addrs, node.Addr())
		}
		var clients [2]redis.UniversalClient
		for i := range clients {
			client := redis.NewClusterClient(&options)
			t.Cleanup(func() { _ = client.Close() })
			clients[i] = client
		}
		throttletest.Run(t, opener(clients[:]...))
	})
	t.Run("slots move", func(t *testing.T) {
		clock := throttletest.NewClock()
		store := redisthrottle.New(cluster.Client(), redisthrottle.Options{Now: clock.Now})
		const sites = 20
		var allowed, failed [sites]int
		stop := make(chan struct{})
		var wg sync.WaitGroup
		gate := throttletest.NewAccount()
		for site := range sites {
			addr := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(site), 15: 1})
			b := throttle.Networks(gate, addr, throttle.Rate{Burst: 30, Every: time.Hour})
			wg.Go(func() {
				for pause := time.NewTicker(20 * time.Millisecond); ; <-pause.C {
					v, err := store.Spend(t.Context(), b)
					switch {
					case err != nil:
						failed[site]++
						t.Logf("Spend: %v", err)
					case v.Allowed():
						allowed[site]++
					default:
						select {
						case <-stop:
							return
						default:
						}
					}
				}
			})
		}
		for i := range 3 {
			cluster.MoveSlots(i, (i+1)%3, 40)
		}
		close(stop)
		wg.Wait()
		for site := range sites {
			if got := allowed[site]; got > 30 || got+failed[site] < 30 {
				t.Errorf("units of site %d: got %d and %d errors, want 30, less those of calls that were cut short", site, got, failed[site])
			}
		}
		t.Logf("allowed %v, errors %v", allowed, failed)
	})
}
