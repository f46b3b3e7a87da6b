package chaos_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/redistest"
)

// blink is how long a master may be away without being given up.
const blink = 700 * time.Millisecond

// doors are proxies before the nodes of a Sentinel or a Cluster, by the node
// that they lead to. All that pass by them: servers, replicas, Sentinels.
type doors map[string]*faultproxy.Proxy

// before puts a proxy before each node of the kit.
func (d doors) before(t *testing.T) func(addr string) int {
	return func(addr string) int {
		d[addr] = faultproxy.New(t, addr)
		return d[addr].Port()
	}
}

// sentinel is a master with a replica, watched by Sentinels.
type sentinel struct {
	*redistest.Pair
	doors doors
}

func newSentinel(t *testing.T) *sentinel {
	t.Helper()
	d := doors{}
	return &sentinel{redistest.ReplicatedBehind(t, d.before(t), "maxmemory-policy noeviction"), d}
}

func (s *sentinel) urls() [2]string { return [2]string{s.URL(), s.URL()} }

func (s *sentinel) masters(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	return do(ctx, s.Master().Client())
}

// faults of a pair. Whatever may end in a failover counts as a loss.
func (s *sentinel) faults(*rig) []fault {
	ctx := context.Background()
	before := func(*rand.Rand) []*faultproxy.Proxy { return []*faultproxy.Proxy{s.doors[s.Master().Addr()]} }
	network := throughProxies("the line to the master", "rotated", before, blink)
	for i, f := range network {
		network[i].loss = true
		network[i].run = func(span time.Duration, random *rand.Rand) error {
			err := f.run(span, random)
			s.Settle()
			return err
		}
	}
	then := func(do func(span time.Duration) error) func(time.Duration, *rand.Rand) error {
		return func(span time.Duration, _ *rand.Rand) error {
			err := do(span)
			s.Settle()
			return err
		}
	}
	return append(network, []fault{
		{kind: "failover", loss: true, run: then(func(span time.Duration) error {
			s.Failover()
			time.Sleep(span)
			s.Rejoin()
			return nil
		})},
		{kind: "failover that loses the last writes", loss: true, run: then(func(span time.Duration) error {
			replica := s.Replica()
			replica.Stop() // the master goes on alone
			time.Sleep(min(span, blink))
			s.Master().Kill()
			replica.Cont()
			s.Failover()
			s.Rejoin()
			return nil
		})},
		{kind: "failover while the master is paused", loss: true, run: then(func(time.Duration) error {
			return s.comesBackTo(s.Master())
		})},
		{kind: "master paused", loss: true, run: then(func(span time.Duration) error {
			master := s.Master()
			master.Stop()
			time.Sleep(min(span, blink))
			master.Cont()
			return nil
		})},
		{kind: "master restarted without persistence", loss: true, run: then(func(time.Duration) error {
			return restartEmpty(ctx, s.Master())
		})},
		{kind: "master restarted with persistence", loss: true, run: then(func(time.Duration) error {
			return restartFull(ctx, s.Master())
		})},
		{kind: "a Sentinel killed", run: then(func(span time.Duration) error {
			watcher := s.Sentinels()[1]
			watcher.Kill()
			time.Sleep(span)
			watcher.Restart()
			return nil
		})},
		{kind: "replica killed", run: then(func(span time.Duration) error {
			s.Replica().Kill()
			time.Sleep(span)
			s.Rejoin()
			return nil
		})},
	}...)
}

// comesBackTo freezes a master until its replica took over. When it goes on, it
// believes for a moment that it is the master still, and executes what waits in
// its sockets.
func (s *sentinel) comesBackTo(old *redistest.Proc) error {
	old.Stop()
	defer old.Cont()
	return await("a failover", func() error {
		if s.Master() == old {
			return errNotYet
		}
		return nil
	})
}
