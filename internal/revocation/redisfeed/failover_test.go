package redisfeed_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/pawlauth/pawl/internal/logtest"
	"github.com/pawlauth/pawl/internal/redistest"
	"github.com/pawlauth/pawl/internal/revocation/redisfeed"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client's own: it tells of servers that are down on purpose
	m.Run()
}

// The master that holds the stream is killed, and a replica that lacks the last
// entries takes over: what was heard stays heard, later entries arrive, and the
// feed is current again.
func TestFailoverOfTheStream(t *testing.T) {
	t.Parallel()
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		cluster := redistest.Cluster(t)
		slot, err := cluster.Client().ClusterKeySlot(t.Context(), stream).Result()
		if err != nil {
			t.Fatal(err)
		}
		shard := int(slot) * 3 / 16384
		failover(t, cluster.Client(), cluster.Masters()[shard], func() { cluster.KillMaster(shard) })
	})
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		pair := redistest.Replicated(t)
		failover(t, pair.Client(), pair.Master(), pair.Master().Kill)
	})
}

func failover(t *testing.T, client redis.UniversalClient, master *redistest.Proc, kill func()) {
	first, second := start(t, client), start(t, client)
	both := func(id uuid.UUID) func() bool {
		return func() bool { return first.has(id) && second.has(id) }
	}
	kept := uuid.New()
	publish(t, first.Feed, kept)
	eventually(t, "both nodes hear", both(kept))
	if n, err := master.Client().Wait(t.Context(), 1, 10*time.Second).Result(); err != nil || n < 1 {
		t.Fatalf("replicas that have the entry: got %d (%v), want 1", n, err)
	}
	master.CutReplicas()
	lost := uuid.New()
	publish(t, first.Feed, lost)
	eventually(t, "both nodes hear what no replica has", both(lost))

	kill()
	killed := time.Now()
	later := uuid.New()
	eventually(t, "a later entry is taken", func() bool { return second.Publish(t.Context(), later) == nil })
	eventually(t, "both nodes hear the later entry", both(later))
	heard := time.Since(killed)
	for _, n := range []*node{first, second} {
		eventually(t, "current after the failover", func() bool { return n.Current().After(killed) && time.Since(n.Current()) < time.Second })
	}
	t.Logf("heard %s after the kill, current after %s", heard.Round(time.Millisecond), time.Since(killed).Round(time.Millisecond))

	third := start(t, client) // begins on what the replica knew
	eventually(t, "a new node catches up", func() bool { return !third.Current().IsZero() })
	if !third.has(kept) || !third.has(later) || third.has(lost) {
		t.Errorf("a new node heard kept %t, later %t, lost %t; want all but the lost one, which is the ledger's to tell",
			third.has(kept), third.has(later), third.has(lost))
	}
}

// A master that is frozen, with nobody to take over, ages the feed; nothing is
// lost when it goes on.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	n := start(t, server.Client())
	eventually(t, "current", func() bool { return !n.Current().IsZero() })
	server.Stop()
	eventually(t, "the feed ages", func() bool { return time.Since(n.Current()) > 1500*time.Millisecond })
	missed := uuid.New()
	if err := n.Publish(t.Context(), missed); err == nil {
		t.Error("Publish to a frozen server: got no error, want one")
	}
	server.Cont()
	eventually(t, "current again", func() bool { return time.Since(n.Current()) < 300*time.Millisecond })
	after := uuid.New()
	publish(t, redisfeed.New(server.Client(), server.Client(), logtest.New(t), time.Now), after)
	eventually(t, "news after the freeze", func() bool { return n.has(after) })
}

// A server that is full and may not evict takes ends all the same, and all nodes
// hear of them: access tokens must not outlive their session for want of memory.
func TestFullServer(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t, "maxmemory-policy noeviction")
	n := start(t, server.Client())
	eventually(t, "current", func() bool { return !n.Current().IsZero() })
	if err := server.Client().ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil { // less than an empty server needs
		t.Fatal(err)
	}
	for range 2 { // the first one makes the stream
		id := uuid.New()
		publish(t, n.Feed, id)
		eventually(t, "heard", func() bool { return n.has(id) })
	}
}

// Every failover loses the scripts that the old master knew.
func TestPublishAfterScriptFlush(t *testing.T) {
	t.Parallel()
	client := redistest.Server(t).Client()
	n := start(t, client)
	for range 3 {
		if err := client.ScriptFlush(context.WithoutCancel(t.Context())).Err(); err != nil {
			t.Fatal(err)
		}
		id := uuid.New()
		publish(t, n.Feed, id)
		eventually(t, "heard", func() bool { return n.has(id) })
	}
}
