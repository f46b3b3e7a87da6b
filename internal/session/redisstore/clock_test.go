package redisstore_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/session/redisstore"
)

// deadlines notes the deadline of every script call, by key.
type deadlines struct {
	mu    sync.Mutex
	calls map[string][]int64
}

func (d *deadlines) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *deadlines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (d *deadlines) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		// EVALSHA sha keys key… clock deadline …
		if args := cmd.Args(); cmd.Name() == "evalsha" && len(args) > 4+args[2].(int) {
			first, deadline := args[3].(string), args[4+args[2].(int)].(int64)
			d.mu.Lock()
			d.calls[first] = append(d.calls[first], deadline)
			d.mu.Unlock()
		}
		return next(ctx, cmd)
	}
}

// Two shards whose clocks are an hour apart: each call carries a deadline on the
// clock of the server that it goes to, from the second call on a slot at once.
func TestEveryShardHasItsClock(t *testing.T) {
	servers := [2]*miniredis.Miniredis{miniredis.RunT(t), miniredis.RunT(t)}
	clocks := [2]time.Time{time.Now(), time.Now().Add(time.Hour)}
	for i, server := range servers {
		server.SetTime(clocks[i])
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{
		ContextTimeoutEnabled: true,
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{
				{Start: 0, End: 8191, Nodes: []redis.ClusterNode{{Addr: servers[0].Addr()}}},
				{Start: 8192, End: 16383, Nodes: []redis.ClusterNode{{Addr: servers[1].Addr()}}},
			}, nil
		},
	})
	t.Cleanup(func() { _ = client.Close() })
	seen := &deadlines{calls: map[string][]int64{}}
	client.AddHook(seen)
	store := redisstore.New(client, redisstore.Options{})
	var all []session.State
	for range 20 {
		s := login(uuid.New(), clocks[0], session.NewSecret())
		all = append(all, s)
		create(t, store, s)
	}
	for range 3 {
		for _, s := range all {
			if _, err := store.Rotate(t.Context(), presented(s, 1, "s1"), policy); err != nil {
				t.Fatal(err)
			}
		}
	}
	shards := map[int]int{}
	for _, s := range all {
		shard := redisstore.Slot(hash(s)) / 8192
		shards[shard]++
		calls := seen.calls[hash(s)]
		if len(calls) != 4 {
			t.Errorf("calls for a session of shard %d: got %d, want 4: one to create it and three rotations", shard, len(calls))
		}
		for i, deadline := range calls {
			if in := time.UnixMilli(deadline).Sub(clocks[shard]); in < 0 || in > 4*time.Second {
				t.Errorf("deadline of call %d to shard %d: got %s from its clock, want within seconds", i, shard, in)
			}
		}
	}
	if len(shards) != 2 {
		t.Fatalf("shards in use: got %v, want both", shards)
	}
}

// A slot that moves to a server whose clock is far ahead loses no call.
func TestServerReplacedByOneThatIsAhead(t *testing.T) {
	server, client := dialMini(t)
	store := redisstore.New(client, redisstore.Options{})
	s := login(uuid.New(), time.Now(), session.NewSecret())
	create(t, store, s)
	server.SetTime(time.Now().Add(30 * time.Minute))
	expect(t, store, presented(s, 1, "s1"), session.Rotated)
}

func TestSlot(t *testing.T) {
	// from the Cluster specification and from CLUSTER KEYSLOT of a real server
	for key, want := range map[string]int{"123456789": 0x31C3, "{123456789}:x": 0x31C3, "foo{}{bar}": 8363, "": 0} {
		if got := redisstore.Slot(key); got != want {
			t.Errorf("slot of %q: got %d, want %d", key, got, want)
		}
	}
	for i := range 3 { // a tag counts alone
		tag := strconv.Itoa(i)
		if a, b := redisstore.Slot("{"+tag+"}a"), redisstore.Slot("{"+tag+"}b"); a != b {
			t.Errorf("slots of one tag: got %d and %d, want one", a, b)
		}
	}
}
