package redisfeed_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/proctest"
	"github.com/pawlauth/pawl/internal/revocation"
	"github.com/pawlauth/pawl/internal/revocation/redisfeed"
)

const stream = "pawl:revocations"

var _ revocation.Feed = (*redisfeed.Feed)(nil)

// server is a real Redis whose stream is empty. Only one test uses it at a time.
func server(t *testing.T) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(proctest.Service(t, "PAWL_TEST_REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	options.DB = 7 // the stream is one per database, and other packages' tests use the first
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Del(t.Context(), stream).Err(); err != nil {
		t.Fatal(err)
	}
	return client
}

// node is one reader and what it heard.
type node struct {
	*redisfeed.Feed
	mu    sync.Mutex
	heard []uuid.UUID
}

func start(t *testing.T, client redis.UniversalClient) *node {
	t.Helper()
	n := &node{Feed: redisfeed.New(client, client, logtest.New(t), time.Now)}
	run(t, n.Feed, func(_ time.Time, ids ...uuid.UUID) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.heard = append(n.heard, ids...)
	})
	return n
}

// run lets a feed deliver until the test ends.
func run(t *testing.T, f *redisfeed.Feed, deliver func(at time.Time, ids ...uuid.UUID)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, deliver) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want the context's error", err)
		}
	})
}

func (n *node) has(id uuid.UUID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.heard, id)
}

// eventually waits for something that takes a moment.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func publish(t *testing.T, f *redisfeed.Feed, ids ...uuid.UUID) {
	t.Helper()
	if err := f.Publish(t.Context(), ids...); err != nil {
		t.Fatal(err)
	}
}

func TestEveryNodeHearsEverything(t *testing.T) {
	client := server(t)
	early := uuid.New()
	first := start(t, client)
	publish(t, first.Feed, early)
	eventually(t, "the first node hears", func() bool { return first.has(early) })
	second := start(t, client) // starts later and catches up
	eventually(t, "the second node catches up", func() bool { return second.has(early) && !second.Current().IsZero() })
	var all []uuid.UUID
	for range 2500 { // more than a page
		all = append(all, uuid.New())
	}
	publish(t, second.Feed, all...)
	for _, id := range all[:50] {
		publish(t, first.Feed, id)
	}
	for _, n := range []*node{first, second} {
		eventually(t, "all ids are heard", func() bool { return n.has(all[0]) && n.has(all[len(all)-1]) })
	}
}

func TestCatchUpOverManyPages(t *testing.T) {
	client := server(t)
	var ids []uuid.UUID
	quiet := redisfeed.New(client, client, logtest.New(t), time.Now)
	for range 2100 {
		ids = append(ids, uuid.New())
		publish(t, quiet, ids[len(ids)-1])
	}
	if !quiet.Current().IsZero() {
		t.Error("a feed that does not run claims to be current")
	}
	n := start(t, client)
	eventually(t, "current", func() bool { return !n.Current().IsZero() })
	for i, id := range ids { // all of it before it says so
		if !n.has(id) {
			t.Fatalf("entry %d of %d was not heard when the feed was current", i, len(ids))
		}
	}
}

// A failover to a server that lost the newest entries, and whose clock is
// behind: ids begin anew below the cursor.
func TestCursorAheadOfTheStream(t *testing.T) {
	client := server(t)
	n := start(t, client)
	before := uuid.New()
	publish(t, n.Feed, before)
	eventually(t, "heard before", func() bool { return n.has(before) })
	if err := client.Del(t.Context(), stream).Err(); err != nil {
		t.Fatal(err)
	}
	after := uuid.New()
	past := time.Now().Add(-10 * time.Minute).UnixMilli()
	if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: redisID(past), Values: []string{"ids", after.String()}}).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "heard below the old cursor", func() bool { return n.has(after) })
}

// Entries that a failover put a little below the cursor while newer ones were
// read already.
func TestOverlapIsReadAgain(t *testing.T) {
	client := server(t)
	n := start(t, client)
	eventually(t, "current", func() bool { return !n.Current().IsZero() })
	now := time.Now().UnixMilli()
	newer, older := uuid.New(), uuid.New()
	add := func(ms int64, id uuid.UUID) {
		t.Helper()
		if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: redisID(ms), Values: []string{"ids", id.String()}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	add(now, newer)
	eventually(t, "heard", func() bool { return n.has(newer) })
	if err := client.Del(t.Context(), stream).Err(); err != nil {
		t.Fatal(err)
	}
	add(now-30_000, older)
	add(now+1, newer)
	eventually(t, "heard below the cursor", func() bool { return n.has(older) })
}

func redisID(ms int64) string { return strconv.FormatInt(ms, 10) + "-0" }

func TestGarbageIsSkipped(t *testing.T) {
	client := server(t)
	n := start(t, client)
	for _, values := range [][]string{{"other", "x"}, {"ids", "no id"}, {"ids", ""}} {
		if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	good := uuid.New()
	publish(t, n.Feed, good)
	eventually(t, "the entry behind garbage", func() bool { return n.has(good) })
}

// The stream keeps the window and has an end.
func TestStreamIsBounded(t *testing.T) {
	client := server(t)
	old := time.Now().Add(-revocation.Window - time.Hour).UnixMilli()
	for i := range int64(500) {
		if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: redisID(old + i), Values: []string{"ids", uuid.NewString()}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	f := redisfeed.New(client, client, logtest.New(t), time.Now)
	publish(t, f, uuid.New())
	if n, err := client.XLen(t.Context(), stream).Result(); err != nil || n > 150 {
		t.Errorf("got %d entries (%v), want the old ones gone", n, err)
	}
	if ttl, err := client.TTL(t.Context(), stream).Result(); err != nil || ttl <= revocation.Window {
		t.Errorf("got TTL %s (%v), want more than the window", ttl, err)
	}
}

// Without a server the feed ages; nothing is lost when it comes back.
func TestOutage(t *testing.T) {
	client := server(t)
	options := *client.Options()
	gate := faultproxy.New(t, options.Addr)
	options.Addr, options.DialTimeout, options.ReadTimeout, options.ContextTimeoutEnabled = gate.Addr(), time.Second, time.Second, true
	through := redis.NewClient(&options)
	t.Cleanup(func() { _ = through.Close() })
	n := start(t, through)
	eventually(t, "current", func() bool { return time.Since(n.Current()) < time.Second })
	for _, weather := range []faultproxy.Weather{{Cut: true}, {Hang: true}} {
		gate.Set(weather)
		last := time.Now()
		eventually(t, "the feed ages when "+weather.String(), func() bool { return time.Since(n.Current()) > 1500*time.Millisecond })
		// Nothing arrives any more, so nothing counts as news; a reply that was
		// read before is allowed a moment to be counted.
		if late := n.Current().Sub(last); late > 500*time.Millisecond {
			t.Errorf("%s: the feed claims to be current %s after its last reply", weather, late)
		}
		missed := uuid.New()
		publish(t, redisfeed.New(client, client, logtest.New(t), time.Now), missed)
		if n.has(missed) {
			t.Errorf("%s: heard through a dead connection", weather)
		}
		gate.Set(faultproxy.Weather{})
		eventually(t, "current after "+weather.String(), func() bool { return time.Since(n.Current()) < time.Second })
		if !n.has(missed) {
			t.Errorf("%s: the feed was current before it had caught up", weather)
		}
	}
}
