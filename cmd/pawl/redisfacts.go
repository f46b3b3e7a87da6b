package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisMasters are the servers that take writes: all those of a Cluster, sorted
// by address, or the one.
func redisMasters(ctx context.Context, client redis.UniversalClient) ([]*redis.Client, error) {
	var all []*redis.Client
	if single, ok := client.(*redis.Client); ok {
		return append(all, single), nil
	}
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return nil, errors.New("redis: neither one server nor a Cluster")
	}
	var mu sync.Mutex
	err := cluster.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, master)
		return nil
	})
	slices.SortFunc(all, func(a, b *redis.Client) int { return cmp.Compare(a.Options().Addr, b.Options().Addr) })
	return all, err
}

// redisFacts are what one Redis server tells about itself. Managed services
// often refuse CONFIG, and access lists may refuse INFO too.
type redisFacts struct {
	info   map[string]string
	config map[string]string
}

// readRedis asks a server. An error means that it does not answer.
func readRedis(ctx context.Context, server *redis.Client) (redisFacts, error) {
	facts := redisFacts{map[string]string{}, map[string]string{}}
	var info *redis.StringCmd
	var settings []*redis.MapStringStringCmd
	_, err := server.Pipelined(ctx, func(p redis.Pipeliner) error {
		info = p.Info(ctx)
		for _, name := range []string{"maxmemory-policy", "maxmemory", "appendonly", "save", "min-replicas-to-write", "min-replicas-max-lag"} {
			settings = append(settings, p.ConfigGet(ctx, name))
		}
		return nil
	})
	if err != nil && !replied(err) {
		return facts, err
	}
	for line := range strings.Lines(info.Val()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		facts.info[name] = value
	}
	for _, reply := range settings {
		for name, value := range reply.Val() {
			facts.config[name] = value
		}
	}
	return facts, nil
}

// setting is a line of the server's configuration. INFO repeats some.
func (f redisFacts) setting(name string) (value string, told bool) {
	if value, told = f.config[name]; told {
		return value, true
	}
	switch name {
	case "appendonly":
		words := map[string]string{"0": "no", "1": "yes"}
		value, told = words[f.info["aof_enabled"]]
	case "maxmemory", "maxmemory-policy":
		value, told = f.info[strings.ReplaceAll(name, "-", "_")]
	}
	return value, told
}

// eviction looks whether the server may throw sessions away.
func (f redisFacts) eviction() (found finding, told bool) {
	switch policy, told := f.setting("maxmemory-policy"); {
	case !told:
		return finding{}, false
	case policy != "noeviction":
		return finding{problem, "redis.eviction", "Redis may evict sessions when its memory is full (" + policy + "): they come back from the database, slower",
			"set maxmemory-policy to noeviction"}, true
	}
	return finding{fine, "redis.eviction", "maxmemory-policy is noeviction", ""}, true
}

// persistence looks whether the server loses everything when it stops.
func (f redisFacts) persistence() (found finding, told bool) {
	const check = "redis.persistence"
	appends, told := f.setting("appendonly")
	snapshots, toldToo := f.setting("save")
	switch {
	case told && appends == "yes":
		return finding{fine, check, "the append-only file is on", ""}, true
	case !told || !toldToo:
		return finding{}, false
	case snapshots == "":
		return finding{problem, check, "Redis keeps nothing on disk: after its restart every session comes back from the database, slower",
			"set appendonly to yes"}, true
	}
	return finding{fine, check, "snapshots alone: after a restart of Redis what is newer comes back from the database, slower", ""}, true
}

// warnRedis says so when a Redis may throw sessions away, or loses all of them
// when it stops. One that does not tell its configuration is left alone.
func warnRedis(ctx context.Context, s settings, log *slog.Logger) {
	if s.redisURL.IsEmpty() {
		return
	}
	client, err := redisClient(s.redisURL, s.sentinelPass)
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	servers, err := redisMasters(ctx, client)
	if err != nil {
		return
	}
	var members []member
	for _, server := range servers {
		m := member{name: server.Options().Addr}
		if facts, err := readRedis(ctx, server); err == nil {
			for _, about := range []func() (finding, bool){facts.eviction, facts.persistence} {
				if f, told := about(); told {
					m.found = append(m.found, f)
				}
			}
		}
		members = append(members, m)
	}
	warn(log, merge(members)...)
}
