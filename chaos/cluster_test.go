package chaos_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/redistest"
)

// errNotYet says that what is awaited has not come.
var errNotYet = errors.New("not yet")

// cluster is three masters with a replica each.
type cluster struct {
	*redistest.Nodes
	doors doors
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	d := doors{}
	return &cluster{redistest.ClusterBehind(t, d.before(t), "maxmemory-policy noeviction"), d}
}

func (c *cluster) urls() [2]string { return [2]string{c.URL(), c.URL()} }

func (c *cluster) masters(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	for _, m := range c.Masters() {
		if err := do(ctx, m.Client()); err != nil {
			return err
		}
	}
	return nil
}

// before are the proxies of one master, or of all.
func (c *cluster) before(random *rand.Rand) (chosen []*faultproxy.Proxy) {
	all := c.Masters()
	if n := random.IntN(4); n < len(all) {
		all = all[n : n+1]
	}
	for _, m := range all {
		chosen = append(chosen, c.doors[m.Addr()])
	}
	return chosen
}

// faults of a Cluster. Whatever may end in a failover counts as a loss.
func (c *cluster) faults(*rig) []fault {
	ctx := context.Background()
	one := func(do func(m *redistest.Proc, span time.Duration) error) func(time.Duration, *rand.Rand) error {
		return func(span time.Duration, random *rand.Rand) error {
			err := do(c.Masters()[random.IntN(3)], span)
			c.Settle()
			return err
		}
	}
	// Nodes tell each other past the proxies that they live: none is given up.
	network := throughProxies("the line to masters", "rotated", c.before, time.Minute)
	return append(network, []fault{
		{kind: "failover", loss: true, run: one(func(m *redistest.Proc, _ time.Duration) error {
			m.Kill()
			c.Settle()
			m.Restart()
			return nil
		})},
		{kind: "failover that loses the last writes", loss: true, run: one(func(m *redistest.Proc, span time.Duration) error {
			m.CutReplicas()
			time.Sleep(min(span, blink))
			m.Kill()
			c.Settle()
			m.Restart()
			return nil
		})},
		{kind: "failover while the master is paused", loss: true, run: one(func(m *redistest.Proc, _ time.Duration) error {
			m.Stop()
			defer m.Cont()
			return await("a failover", func() error { return c.took(m) })
		})},
		{kind: "slots moved", run: func(_ time.Duration, random *rand.Rand) error {
			from := random.IntN(3)
			c.MoveSlots(from, (from+1+random.IntN(2))%3, 40)
			return nil
		}},
		{kind: "a master paused", loss: true, run: one(func(m *redistest.Proc, span time.Duration) error {
			m.Stop()
			time.Sleep(min(span, blink))
			m.Cont()
			return nil
		})},
		{kind: "a master restarted without persistence", loss: true, run: one(func(m *redistest.Proc, _ time.Duration) error {
			return restartEmpty(ctx, m)
		})},
		{kind: "a master restarted with persistence", loss: true, run: one(func(m *redistest.Proc, _ time.Duration) error {
			return restartFull(ctx, m)
		})},
		{kind: "FLUSHALL on one master", loss: true, run: one(func(m *redistest.Proc, _ time.Duration) error {
			return m.Client().FlushAll(ctx).Err()
		})},
	}...)
}

// took is nil when the replica of a frozen master took its place: the nodes of a
// shard are i and i+3.
func (c *cluster) took(frozen *redistest.Proc) error {
	all := c.Procs()
	for i, p := range all {
		if p == frozen {
			return c.leads(all[(i+3)%6])
		}
	}
	return nil
}

func (c *cluster) leads(p *redistest.Proc) error {
	role, err := p.Client().Do(context.Background(), "role").Slice()
	if err == nil && role[0] != "master" {
		err = errNotYet
	}
	return err
}
