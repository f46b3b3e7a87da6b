package main_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
	"github.com/pawlauth/pawl/internal/redistest"
	"github.com/pawlauth/pawl/internal/secret"
)

// TestClusterFailoverIsNoticed: a master of a real Cluster dies under light load.
// Its replica takes over in a second or two, and nobody tells the client: it must
// look by itself, or its writes fail for a minute.
func TestClusterFailoverIsNoticed(t *testing.T) {
	t.Parallel()
	const limit = 20 * time.Second
	cluster := redistest.Cluster(t)
	keys := map[int]string{}
	for i := 0; len(keys) < 3; i++ {
		key := fmt.Sprintf("pawl:{%d}:sessions", i)
		slot, err := cluster.Client().ClusterKeySlot(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		keys[int(slot)*3/16384] = key
	}
	client, err := pawl.RedisClient(secret.New(cluster.URL()), secret.Text{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	write := func(shard int) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return client.Eval(ctx, "return redis.call('SET', KEYS[1], 'x')", []string{keys[shard]}).Err()
	}
	for shard := range 3 {
		if err := write(shard); err != nil {
			t.Fatal(err)
		}
	}
	cluster.KillMaster(0)
	killed := time.Now()
	for err := write(0); err != nil; err = write(0) {
		if time.Since(killed) > limit {
			t.Fatalf("%s after its master died, the shard takes no writes: %v", time.Since(killed), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("writes again %s after the master died", time.Since(killed).Round(time.Millisecond))
	for shard := range 3 {
		if err := write(shard); err != nil {
			t.Errorf("shard %d after the failover: got %v, want none", shard, err)
		}
	}
}
