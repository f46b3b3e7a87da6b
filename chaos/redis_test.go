package chaos_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/redistest"
)

// hot is the Redis that both servers use, in one of its forms.
type hot interface {
	// urls are what the two servers are told.
	urls() [2]string
	// masters calls do with a client of each server that takes writes now, past
	// all proxies.
	masters(ctx context.Context, do func(context.Context, *redis.Client) error) error
	// faults are what can happen to this form.
	faults(r *rig) []fault
}

// single is one Redis server behind a proxy for each of the two servers.
type single struct {
	*redistest.Proc
	file    string // what it saves
	proxies [2]*proxy
	picture []dumped // of an earlier moment
}

// dumped is one key of a snapshot.
type dumped struct {
	key, value string
	ttl        time.Duration
}

func newSingle(t *testing.T) *single {
	t.Helper()
	s := &single{Proc: redistest.Server(t, "maxmemory-policy noeviction")}
	dir, err := s.Client().ConfigGet(t.Context(), "dir").Result()
	if err != nil {
		t.Fatal(err)
	}
	s.file = filepath.Join(dir["dir"], "dump.rdb")
	s.proxies = [2]*proxy{newProxy(t, s.Addr()), newProxy(t, s.Addr())}
	return s
}

func (s *single) urls() [2]string {
	return [2]string{"redis://" + s.proxies[0].addr(), "redis://" + s.proxies[1].addr()}
}

func (s *single) masters(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	return do(ctx, s.Client())
}

// photograph remembers all keys as they are.
func (s *single) photograph(ctx context.Context) error {
	keys, err := s.Client().Keys(ctx, "*").Result()
	if err != nil {
		return err
	}
	pipe := s.Client().TxPipeline() // one moment
	dumps, ttls := make([]*redis.StringCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	for i, key := range keys {
		dumps[i], ttls[i] = pipe.Dump(ctx, key), pipe.PTTL(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	s.picture = s.picture[:0]
	for i, key := range keys {
		s.picture = append(s.picture, dumped{key, dumps[i].Val(), max(ttls[i].Val(), time.Second)})
	}
	return nil
}

// rollBack puts the photographed keys back and nothing else, in one step.
func (s *single) rollBack(ctx context.Context) error {
	pipe := s.Client().TxPipeline()
	pipe.FlushAll(ctx)
	for _, d := range s.picture {
		pipe.Restore(ctx, d.key, d.ttl, d.value)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// forgetFile lets the next start begin with nothing.
func (s *single) forgetFile() error {
	if err := os.Remove(s.file); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
