package redistest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	shards   = 3
	allSlots = 16384
)

// Nodes is a Redis Cluster of three shards, each a master and a replica.
type Nodes struct {
	t      testing.TB
	procs  [2 * shards]*Proc // i and i+shards are the two nodes of shard i
	ids    [2 * shards]string
	client *redis.ClusterClient
}

// Cluster starts three masters with a replica each, that give a node up after a
// second. It returns when all slots are served. Lines of conf go to every node.
func Cluster(t testing.TB, conf ...string) *Nodes {
	t.Helper()
	return ClusterBehind(t, nil, conf...)
}

// ClusterBehind is [Cluster] with a front before each node: front is called with
// the node's address and returns a port of 127.0.0.1 that leads there. Clients
// and replicas know the nodes by these ports alone; what the nodes tell each
// other about the Cluster does not pass a front.
func ClusterBehind(t testing.TB, front func(addr string) int, conf ...string) *Nodes {
	t.Helper()
	c := &Nodes{t: t}
	ctx := context.Background()
	for i := range c.procs {
		c.procs[i] = Server(t, append([]string{
			"cluster-enabled yes", "cluster-node-timeout 1000",
			"cluster-replica-validity-factor 0", "cluster-allow-replica-migration no",
		}, conf...)...)
		if front != nil {
			c.must(c.procs[i].announce("cluster-announce-port", front(c.procs[i].Addr())))
		}
		c.ids[i] = c.procs[i].Client().ClusterMyID(ctx).Val()
		c.must(c.procs[i].Client().Do(ctx, "cluster", "set-config-epoch", i+1).Err())
	}
	for i, p := range c.procs {
		if i < shards {
			c.must(p.Client().ClusterAddSlotsRange(ctx, i*allSlots/shards, (i+1)*allSlots/shards-1).Err())
		}
		for _, other := range c.procs[:i] {
			c.must(other.Client().ClusterMeet(ctx, host, strconv.Itoa(p.port)).Err())
		}
	}
	for i, p := range c.procs[shards:] {
		until(t, "a replica that knows its master", func(ctx context.Context) error {
			return p.Client().ClusterReplicate(ctx, c.ids[i]).Err()
		})
	}
	c.Settle()
	o := options(addrs(c.procs[:])).Cluster()
	o.ClusterStateReloadInterval = time.Second // nobody tells a client that its master is dead
	c.client = redis.NewClusterClient(o)
	t.Cleanup(func() { _ = c.client.Close() })
	return c
}

// URL names the nodes as PAWL_REDIS_URL spells it.
func (c *Nodes) URL() string { return "redis+cluster://" + strings.Join(addrs(c.procs[:]), ",") }

// Client is a client of the whole Cluster, with the timeouts that Pawl uses. It
// is closed when the test ends.
func (c *Nodes) Client() *redis.ClusterClient { return c.client }

// Procs are all six nodes; i and i+3 are the two of shard i.
func (c *Nodes) Procs() []*Proc { return c.procs[:] }

// Masters are the present masters of the three shards. A shard without one is
// waited for.
func (c *Nodes) Masters() []*Proc {
	c.t.Helper()
	all := make([]*Proc, shards)
	for i := range all {
		all[i] = c.procs[c.master(i)]
	}
	return all
}

// master is the index of the present master of shard i.
func (c *Nodes) master(i int) int {
	c.t.Helper()
	at := i
	until(c.t, fmt.Sprintf("a master of shard %d", i), func(ctx context.Context) error {
		var err error
		for _, at = range []int{i, i + shards} {
			var nodes string
			nodes, err = c.procs[at].Client().ClusterNodes(ctx).Result()
			if err == nil && strings.Contains(nodes, "myself,master") {
				return nil
			}
		}
		return fmt.Errorf("none is master: %w", err)
	})
	return at
}

// KillMaster kills the master of shard i as kill -9 does and returns at once
// with the dead node. Its replica takes over in a second or two (see
// [Nodes.Settle]); [Proc.Restart] brings the dead one back as a replica.
func (c *Nodes) KillMaster(i int) *Proc {
	c.t.Helper()
	dead := c.procs[c.master(i)]
	dead.Kill()
	return dead
}

// Settle returns when every node that lives calls the Cluster healthy, each
// shard has one master that all of them know, and its living replicas have its
// data.
func (c *Nodes) Settle() {
	c.t.Helper()
	until(c.t, "a healthy Cluster", func(ctx context.Context) error {
		masters := map[int]int{}
		for i, p := range c.procs {
			if p.dead() {
				continue
			}
			info, err := p.Client().ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			for _, want := range []string{"cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:6"} {
				if !strings.Contains(info, want+"\r") {
					return fmt.Errorf("node %d: not %s", i, want)
				}
			}
			if p.is(ctx, "master") == nil {
				masters[i%shards]++
			} else if err := p.linked(ctx); err != nil {
				return err
			}
		}
		for i := range shards {
			if masters[i] != 1 {
				return fmt.Errorf("shard %d has %d masters", i, masters[i])
			}
		}
		return nil
	})
}

// MoveSlots moves n slots from one shard to another, with their keys, as
// redis-cli --cluster reshard does; those that hold keys first. It is meant to
// run under load.
func (c *Nodes) MoveSlots(from, to, n int) {
	c.t.Helper()
	ctx := context.Background()
	at := c.master(from)
	source := c.procs[at]
	owned := c.slots(at)
	pipe := source.Client().Pipeline()
	counts := make([]*redis.IntCmd, len(owned))
	for i, slot := range owned {
		counts[i] = pipe.ClusterCountKeysInSlot(ctx, slot)
	}
	_, err := pipe.Exec(ctx)
	c.must(err)
	var full, empty []int
	for i, slot := range owned {
		if counts[i].Val() > 0 {
			full = append(full, slot)
		} else {
			empty = append(empty, slot)
		}
	}
	slots := append(full, empty...)
	for _, slot := range slots[:min(n, len(slots))] {
		c.MoveSlot(slot, from, to)
	}
}

// slots are the slots of a master.
func (c *Nodes) slots(master int) []int {
	c.t.Helper()
	all, err := c.procs[master].Client().ClusterShards(context.Background()).Result()
	c.must(err)
	var owned []int
	for _, shard := range all {
		for _, node := range shard.Nodes {
			if node.ID != c.ids[master] {
				continue
			}
			for _, r := range shard.Slots {
				for slot := r.Start; slot <= r.End; slot++ {
					owned = append(owned, int(slot))
				}
			}
		}
	}
	return owned
}

// MoveSlot moves one slot with its keys from one shard to another.
func (c *Nodes) MoveSlot(slot, from, to int) {
	c.t.Helper()
	ctx := context.Background()
	a, b := c.master(from), c.master(to)
	source, target := c.procs[a].Client(), c.procs[b]
	c.must(target.Client().Do(ctx, "cluster", "setslot", slot, "importing", c.ids[a]).Err())
	c.must(source.Do(ctx, "cluster", "setslot", slot, "migrating", c.ids[b]).Err())
	for {
		keys, err := source.ClusterGetKeysInSlot(ctx, slot, 10).Result()
		c.must(err)
		if len(keys) == 0 {
			break
		}
		args := []any{"migrate", host, target.port, "", 0, 5000, "keys"}
		for _, key := range keys {
			args = append(args, key)
		}
		c.must(source.Do(ctx, args...).Err())
	}
	for _, at := range []int{b, a, c.master(shards - from - to)} { // the target first, or the slot is nobody's for a moment
		c.must(c.procs[at].Client().Do(ctx, "cluster", "setslot", slot, "node", c.ids[b]).Err())
	}
}

func (c *Nodes) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("Redis Cluster: %v", err)
	}
}

// dead reports whether the process has ended.
func (p *Proc) dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.run.Running()
}
