package chaos_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/faultproxy"
)

// hot is the Redis that both servers use, in one of its forms.
type hot interface {
	// urls are what the two servers are told.
	urls() [2]string
	// masters calls do with a client of each server that takes writes now, past
	// all proxies.
	masters(ctx context.Context, do func(context.Context, *redis.Client) error) error
	// faults are what can happen to this form alone.
	faults(r *rig) []fault
}

// keyFaults are what can happen to the keys in every form of Redis.
func (r *rig) keyFaults() []fault {
	ctx := context.Background()
	flush := func() error {
		return r.redis.masters(ctx, func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() })
	}
	limit := func(bytes string) error {
		return r.redis.masters(ctx, func(ctx context.Context, c *redis.Client) error {
			return c.ConfigSet(ctx, "maxmemory", bytes).Err()
		})
	}
	var old album
	return []fault{
		{kind: "FLUSHALL", loss: true, run: func(time.Duration, *rand.Rand) error { return flush() }},
		{kind: "FLUSHALL while PostgreSQL hangs", loss: true, run: func(span time.Duration, _ *rand.Rand) error {
			r.eachProxy(faultproxy.Weather{Hang: true})
			err := flush()
			time.Sleep(span)
			r.eachProxy(faultproxy.Weather{})
			return err
		}},
		{kind: "SCRIPT FLUSH", run: func(time.Duration, *rand.Rand) error {
			return r.redis.masters(ctx, func(ctx context.Context, c *redis.Client) error { return c.ScriptFlush(ctx).Err() })
		}},
		{kind: "maxmemory reached", run: func(span time.Duration, _ *rand.Rand) error {
			err := limit("1mb")
			time.Sleep(span)
			return errors.Join(err, limit("0"))
		}},
		{kind: "old snapshot comes back", loss: true, run: func(_ time.Duration, random *rand.Rand) error {
			again := random.IntN(2) == 0 // the one that was taken after the last time
			if _, alone := r.redis.(*single); old == nil || !again || !alone {
				var err error
				if old, err = r.photograph(ctx); err != nil {
					return err
				}
				r.age(random)
			}
			if err := r.rollBack(ctx, old); err != nil {
				return err
			}
			var err error
			old, err = r.photograph(ctx)
			return err
		}},
	}
}

// age lets a snapshot grow one to three seconds old.
func (r *rig) age(random *rand.Rand) {
	r.count.note("snapshot taken")
	time.Sleep(r.grace/6 + time.Duration(random.Int64N(int64(r.grace/3))))
}

// album has the keys of each server at an earlier moment.
type album map[string][]dumped // by address

// dumped is one key of a snapshot.
type dumped struct {
	key, value string
	ttl        time.Duration
}

// photograph remembers all keys as they are.
func (r *rig) photograph(ctx context.Context) (album, error) {
	all := album{}
	err := r.redis.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		keys, err := c.Keys(ctx, "*").Result()
		if err != nil || len(keys) == 0 {
			return err
		}
		pipe := c.Pipeline() // no transaction: a Cluster has none over several slots
		dumps, ttls := make([]*redis.StringCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
		for i, key := range keys {
			dumps[i], ttls[i] = pipe.Dump(ctx, key), pipe.PTTL(ctx, key)
		}
		if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		at := c.Options().Addr
		for i, key := range keys {
			if dump := dumps[i].Val(); dump != "" {
				all[at] = append(all[at], dumped{key, dump, max(ttls[i].Val(), time.Second)})
			}
		}
		return nil
	})
	return all, err
}

// rollBack puts the photographed keys back and nothing else. Each key goes back
// in one step: it is not lost twice.
func (r *rig) rollBack(ctx context.Context, old album) error {
	return r.redis.masters(ctx, func(ctx context.Context, c *redis.Client) error {
		keys, err := c.Keys(ctx, "*").Result()
		if err != nil {
			return err
		}
		pipe := c.Pipeline()
		for _, d := range old[c.Options().Addr] {
			pipe.RestoreReplace(ctx, d.key, d.ttl, d.value)
			keys = slices.DeleteFunc(keys, func(key string) bool { return key == d.key })
		}
		for _, key := range keys {
			pipe.Del(ctx, key)
		}
		_, err = pipe.Exec(ctx)
		return err
	})
}

// forgetFile lets the next start of a server begin with nothing.
func forgetFile(ctx context.Context, c *redis.Client) error {
	dir, err := c.ConfigGet(ctx, "dir").Result()
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir["dir"], "dump.rdb")); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
