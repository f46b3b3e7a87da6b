package chaos_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/redistest"
)

// sentinel is a master with a replica, watched by Sentinels.
type sentinel struct{ *redistest.Pair }

func newSentinel(t *testing.T) *sentinel {
	t.Helper()
	return &sentinel{redistest.Replicated(t, "maxmemory-policy noeviction")}
}

func (s *sentinel) urls() [2]string { return [2]string{s.URL(), s.URL()} }

func (s *sentinel) masters(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	return do(ctx, s.Master().Client())
}

func (s *sentinel) faults(r *rig) []fault {
	return []fault{
		{kind: "failover", loss: true, run: func(span time.Duration, _ *rand.Rand) error {
			s.Failover()
			time.Sleep(span)
			s.Rejoin()
			return nil
		}},
		{kind: "failover that loses the last writes", loss: true, run: func(span time.Duration, _ *rand.Rand) error {
			replica := s.Replica()
			replica.Stop() // the master goes on alone
			time.Sleep(min(span, 900*time.Millisecond))
			s.Master().Kill()
			replica.Cont()
			s.Failover()
			s.Rejoin()
			return nil
		}},
		{kind: "master paused", run: func(span time.Duration, _ *rand.Rand) error {
			master := s.Master()
			master.Stop()
			time.Sleep(min(span, 700*time.Millisecond)) // not long enough for a failover
			master.Cont()
			return nil
		}},
		{kind: "a Sentinel killed", run: func(span time.Duration, _ *rand.Rand) error {
			watcher := s.Sentinels()[1]
			watcher.Kill()
			time.Sleep(span)
			watcher.Restart()
			s.Settle()
			return nil
		}},
		{kind: "replica killed", run: func(span time.Duration, _ *rand.Rand) error {
			s.Replica().Kill()
			time.Sleep(span)
			s.Rejoin()
			return nil
		}},
		{kind: "FLUSHALL", loss: true, run: func(time.Duration, *rand.Rand) error {
			return s.Master().Client().FlushAll(context.Background()).Err()
		}},
	}
}

// cluster is three masters with a replica each.
type cluster struct{ *redistest.Nodes }

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return &cluster{redistest.Cluster(t, "maxmemory-policy noeviction")}
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

func (c *cluster) faults(r *rig) []fault {
	ctx := context.Background()
	return []fault{
		{kind: "a master killed", loss: true, run: func(_ time.Duration, random *rand.Rand) error {
			dead := c.KillMaster(random.IntN(3))
			c.Settle()
			dead.Restart()
			c.Settle()
			return nil
		}},
		{kind: "slots moved", run: func(_ time.Duration, random *rand.Rand) error {
			from := random.IntN(3)
			c.MoveSlots(from, (from+1+random.IntN(2))%3, 40)
			return nil
		}},
		{kind: "a master paused", run: func(span time.Duration, random *rand.Rand) error {
			master := c.Masters()[random.IntN(3)]
			master.Stop()
			time.Sleep(min(span, 700*time.Millisecond)) // not long enough for a failover
			master.Cont()
			c.Settle()
			return nil
		}},
		{kind: "FLUSHALL on one master", loss: true, run: func(_ time.Duration, random *rand.Rand) error {
			return c.Masters()[random.IntN(3)].Client().FlushAll(ctx).Err()
		}},
		{kind: "SCRIPT FLUSH", run: func(time.Duration, *rand.Rand) error {
			return c.masters(ctx, func(ctx context.Context, m *redis.Client) error { return m.ScriptFlush(ctx).Err() })
		}},
	}
}
