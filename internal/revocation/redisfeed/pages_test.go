package redisfeed_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/revocation/redisfeed"
)

// fill writes entries of some ids each in one step, as no publisher would.
func fill(t *testing.T, client *redis.Client, entries, ids int) (last uuid.UUID) {
	t.Helper()
	pipe := client.TxPipeline()
	for range entries {
		names := make([]string, ids)
		for i := range names {
			last = uuid.New()
			names[i] = last.String()
		}
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []string{"ids", strings.Join(names, ",")}})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	return last
}

// A full page is not everything: while any of it is still to be delivered, the
// feed is no more current than before. That holds at the start, and for what
// comes at once later.
func TestFullPageIsNotEverything(t *testing.T) {
	const entries = 2500
	client := server(t)
	f := redisfeed.New(client, client, logtest.New(t), time.Now)
	var heard atomic.Int64
	var before time.Time // before the first of a burst
	fill(t, client, entries, 1)
	run(t, f, func(time.Time, ...uuid.UUID) {
		n := heard.Add(1)
		if burst := (n - 1) % entries; burst == 0 {
			before = f.Current()
		} else if burst > 20 && !f.Current().Equal(before) { // the first few may come twice
			t.Errorf("after %d entries: the feed is current at %v, want %v while there is more", n, f.Current(), before)
		}
	})
	eventually(t, "the window", func() bool { return heard.Load() >= entries && !f.Current().IsZero() })
	if n := heard.Load(); n != entries {
		t.Fatalf("got %d entries delivered at the start, want %d", n, entries)
	}
	last := f.Current()
	fill(t, client, entries, 1)
	eventually(t, "the burst", func() bool { return heard.Load() >= 2*entries && f.Current().After(last) })
}

// An end counts from when this node hears of it, by its own clock: a Redis whose
// clock is behind would let ended sessions drop out of the list too early.
func TestTimesAreOfTheNodesClock(t *testing.T) {
	client := server(t)
	past := redisID(time.Now().Add(-50 * time.Minute).UnixMilli())
	id := uuid.New()
	if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, ID: past, Values: []string{"ids", id.String()}}).Err(); err != nil {
		t.Fatal(err)
	}
	ahead := func() time.Time { return time.Now().Add(time.Hour) }
	f := redisfeed.New(client, client, logtest.New(t), ahead)
	began, late := ahead(), uuid.New()
	heard := make(chan time.Time, 16)
	run(t, f, func(at time.Time, ids ...uuid.UUID) {
		for _, got := range ids {
			if got == id || got == late {
				heard <- at
			}
		}
	})
	eventually(t, "current", func() bool { return !f.Current().IsZero() })
	publish(t, f, late)
	for range 2 {
		if at := <-heard; at.Before(began) || at.After(ahead()) {
			t.Errorf("got an end at %v, want the node's own time, %v or a little later", at, began)
		}
	}
}

// What is published at once is not told in one entry: a page has a bounded size.
func TestEntriesAreBounded(t *testing.T) {
	client := server(t)
	n := start(t, client)
	all := make([]uuid.UUID, 2345)
	for i := range all {
		all[i] = uuid.New()
	}
	publish(t, n.Feed, all...)
	eventually(t, "all ids are heard", func() bool { return n.has(all[0]) && n.has(all[len(all)-1]) })
	entries, err := client.XRange(t.Context(), stream, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if size := len(entry.Values["ids"].(string)); size > 50*37 {
			t.Errorf("got an entry of %d bytes, want one of 50 ids at most", size)
		}
	}
	if len(entries) != 47 {
		t.Errorf("got %d entries for %d ids, want 47", len(entries), len(all))
	}
}

// slow is a client through a proxy, with the timeouts of the program.
func slow(t *testing.T, client *redis.Client) (*redis.Client, *faultproxy.Proxy) {
	t.Helper()
	options := *client.Options()
	proxy := faultproxy.New(t, options.Addr)
	const timeout = 800 * time.Millisecond
	options.Addr, options.DialTimeout, options.ReadTimeout, options.ContextTimeoutEnabled = proxy.Addr(), timeout, timeout, true
	through := redis.NewClient(&options)
	t.Cleanup(func() { _ = through.Close() })
	return through, proxy
}

// A server whose every reply is late is read all the same: opening a connection
// takes several of them, and a try that gave up halfway would start over for
// ever.
func TestDistantServer(t *testing.T) {
	client := server(t)
	last := fill(t, client, 100, 1)
	for _, late := range []time.Duration{250 * time.Millisecond, 600 * time.Millisecond} {
		through, proxy := slow(t, client)
		proxy.Set(faultproxy.Weather{Late: late})
		n := start(t, through)
		eventually(t, "current with replies late by "+late.String(), func() bool { return !n.Current().IsZero() })
		if !n.has(last) {
			t.Errorf("replies late by %s: current without the window", late)
		}
		if got := proxy.Accepted(); got > 2 {
			t.Errorf("replies late by %s: got %d connections opened, want one, or two", late, got)
		}
		later := uuid.New()
		publish(t, redisfeed.New(client, client, logtest.New(t), time.Now), later)
		eventually(t, "news with replies late by "+late.String(), func() bool { return n.has(later) })
	}
}

// On a line that is too slow for a full page smaller ones get through.
func TestSlowLine(t *testing.T) {
	client := server(t)
	last := fill(t, client, 1500, 50) // 2.8 MB
	through, proxy := slow(t, client)
	proxy.Set(faultproxy.Weather{Delay: 20 * time.Millisecond}) // 32 KiB each
	n := start(t, through)
	eventually(t, "current", func() bool { return !n.Current().IsZero() })
	if !n.has(last) {
		t.Error("current without the window")
	}
}
