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

// single is one Redis server behind a proxy for each of the two servers.
type single struct {
	*redistest.Proc
	proxies [2]*faultproxy.Proxy
}

func newSingle(t *testing.T) *single {
	t.Helper()
	s := &single{Proc: redistest.Server(t, "maxmemory-policy noeviction")}
	s.proxies = [2]*faultproxy.Proxy{faultproxy.New(t, s.Addr()), faultproxy.New(t, s.Addr())}
	return s
}

func (s *single) urls() [2]string {
	return [2]string{"redis://" + s.proxies[0].Addr(), "redis://" + s.proxies[1].Addr()}
}

func (s *single) masters(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	return do(ctx, s.Client())
}

// faults of one Redis server.
func (s *single) faults(r *rig) []fault {
	ctx := context.Background()
	chosen := func(random *rand.Rand) []*faultproxy.Proxy { return either(s.proxies, random) }
	return append(throughProxies("Redis", "rotated", chosen, time.Minute), []fault{
		{kind: "Redis paused", run: func(span time.Duration, random *rand.Rand) error {
			s.Stop()
			time.Sleep(r.pauseOf(span, random))
			s.Cont()
			return nil
		}},
		{kind: "restart with an old snapshot", loss: true, run: func(_ time.Duration, random *rand.Rand) error {
			if err := s.Client().Save(ctx).Err(); err != nil {
				return err
			}
			r.age(random)
			s.Restart()
			return forgetFile(ctx, s.Client())
		}},
		{kind: "restart without persistence", loss: true, run: func(time.Duration, *rand.Rand) error {
			return restartEmpty(ctx, s.Proc)
		}},
		{kind: "restart with persistence", run: func(time.Duration, *rand.Rand) error { return restartFull(ctx, s.Proc) }},
	}...)
}

// restartEmpty is a restart of a server that keeps nothing.
func restartEmpty(ctx context.Context, p *redistest.Proc) error {
	err := forgetFile(ctx, p.Client())
	p.Restart()
	return err
}

// restartFull is a restart of a server that keeps everything.
func restartFull(ctx context.Context, p *redistest.Proc) error {
	_ = p.Client().ShutdownSave(ctx).Err() // its answer is the end of the connection
	p.Restart()
	return forgetFile(ctx, p.Client())
}

// pauseOf is how long a Redis is paused: up to five seconds in a long run.
func (r *rig) pauseOf(span time.Duration, random *rand.Rand) time.Duration {
	if !r.long {
		return span
	}
	return time.Second + time.Duration(random.Int64N(int64(4*time.Second)))
}
