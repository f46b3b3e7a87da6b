package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// examineRedis looks at every server that keeps sessions.
func examineRedis(ctx context.Context, s settings) []finding {
	if s.redisURL.IsEmpty() {
		return []finding{{fine, "PAWL_SESSION_STORE", "sessions are in the server's memory: there can be one server", ""}}
	}
	where, err := parseRedisURL(s.redisURL.Reveal())
	if err != nil {
		return nil // the setting was refused
	}
	found := []finding{redisTLS(where)}
	client, err := redisClient(s.redisURL, s.sentinelPass)
	if err != nil {
		return append(found, finding{problem, "PAWL_REDIS_URL", err.Error(), ""})
	}
	defer func() { _ = client.Close() }()
	limited, cancel := context.WithTimeout(ctx, lookTime)
	servers, err := redisMasters(limited, client)
	cancel()
	if err != nil {
		f := unanswered(err)
		f.Check = "redis.reach"
		return append(found, f)
	}
	members := make([]member, len(servers))
	var all sync.WaitGroup
	for i, server := range servers {
		all.Go(func() {
			exam := &redisExam{client: client, server: server, kind: where.kind}
			members[i] = member{server.Options().Addr, examine(ctx, exam.looks())}
		})
	}
	all.Wait()
	return append(found, merge(members)...)
}

// redisTLS looks whether what travels to other machines is encrypted. The
// password does, too.
func redisTLS(where redisPlace) finding {
	const check = "redis.tls"
	switch {
	case where.secure:
		return finding{fine, check, "connections to Redis are encrypted and its certificate is checked", ""}
	case !slices.ContainsFunc(where.hosts, func(host string) bool { return !loopback(host) }):
		return finding{fine, check, "Redis is on this machine", ""}
	}
	return finding{warning, check, "Redis is on another machine, and connections to it are not encrypted", "begin PAWL_REDIS_URL with rediss"}
}

// redisExam is what is known of one Redis server so far.
type redisExam struct {
	client redis.UniversalClient
	server *redis.Client
	kind   string // of the URL
	facts  redisFacts
}

func (e *redisExam) looks() []look {
	return []look{
		{"redis.reach", e.reach},
		{"redis.version", e.version},
		{"redis.role", e.role},
		{"redis.eviction", e.told(redisFacts.eviction, "maxmemory-policy")},
		{"redis.persistence", e.told(redisFacts.persistence, "appendonly and save")},
		{"redis.memory", e.memory},
		{"redis.replicas", e.replicas},
		{"redis.clock", e.clock},
		{"redis.rights", e.rights},
	}
}

func (e *redisExam) reach(ctx context.Context) (finding, error) {
	if err := e.server.Ping(ctx).Err(); err != nil {
		return finding{}, err
	}
	var err error
	e.facts, err = readRedis(ctx, e.server)
	return finding{fine, "", "Redis answers", ""}, err
}

func (e *redisExam) version(context.Context) (finding, error) {
	version := e.facts.info["redis_version"]
	var major, minor int
	switch n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); {
	case n < 2:
		return unseen("its version", "INFO"), nil
	case major < 6 || major == 6 && minor < 2:
		return finding{problem, "", "Redis " + version + " lacks commands that Pawl needs", "take 6.2 or later; Pawl is tested with 7"}, nil
	}
	return finding{fine, "", "Redis " + version, ""}, nil
}

// role looks whether the server takes writes, in the form that the URL says.
func (e *redisExam) role(context.Context) (finding, error) {
	role, clustered := e.facts.info["role"], e.facts.info["redis_mode"] == "cluster" || e.facts.info["cluster_enabled"] == "1"
	switch {
	case role == "":
		return unseen("whether it takes writes", "INFO"), nil
	case role != "master":
		return finding{problem, "", "this server is a replica and takes no writes", "name the master in PAWL_REDIS_URL, or use redis+sentinel://"}, nil
	case clustered && e.kind != "redis+cluster":
		return finding{problem, "", "this server is one of a Cluster and has a part of the keys", "begin PAWL_REDIS_URL with redis+cluster://"}, nil
	}
	return finding{fine, "", "this server takes writes", ""}, nil
}

// unseen is a look that the server does not allow.
func unseen(what, command string) finding {
	return finding{warning, "", "Redis does not tell " + what, "allow the user " + command + ", or look where the service is set up"}
}

// told is a fact, or a warning that it cannot be seen.
func (e *redisExam) told(fact func(redisFacts) (finding, bool), what string) func(context.Context) (finding, error) {
	return func(context.Context) (finding, error) {
		if f, told := fact(e.facts); told {
			return f, nil
		}
		return unseen(what, "CONFIG GET"), nil
	}
}

func (e *redisExam) memory(context.Context) (finding, error) {
	text, _ := e.facts.setting("maxmemory")
	limit, told := number(text)
	used, _ := number(e.facts.info["used_memory"])
	switch {
	case !told:
		return unseen("maxmemory", "CONFIG GET"), nil
	case limit == 0:
		return finding{fine, "", "maxmemory is not set: the machine is the limit", ""}, nil
	case used > limit/10*9:
		return finding{warning, "", fmt.Sprintf("more than 90 %% of maxmemory (%d MiB) are used: a full Redis refuses refreshes and logins", limit>>20), "raise maxmemory"}, nil
	}
	return finding{fine, "", fmt.Sprintf("maxmemory is %d MiB", limit>>20), ""}, nil
}

// number is a whole number, or zero for a text that is none.
func number(text string) (n int64, is bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// longestLag is the most seconds for which a master should count a replica that is
// silent; it is Redis's default.
const longestLag = 10

// replicas tells how many there are. One server alone may be what is meant; where
// there are more, one that is cut off from them must stop taking writes, because
// another becomes the master meanwhile.
func (e *redisExam) replicas(context.Context) (finding, error) {
	n := e.facts.info["connected_slaves"]
	if n == "" {
		return unseen("its replicas", "INFO"), nil
	}
	text := "replicas: " + n
	setting, told := e.facts.setting("min-replicas-to-write")
	lagSetting, _ := e.facts.setting("min-replicas-max-lag")
	least, _ := number(setting)
	lag, _ := number(lagSetting)
	const advice = "set min-replicas-to-write to 1 and min-replicas-max-lag to 10, on replicas too"
	switch replicated := n != "0" || e.kind == "redis+sentinel"; {
	case !told && replicated:
		return finding{warning, "", text + "; Redis does not tell whether a master that lost them goes on taking writes (min-replicas-to-write)",
			"allow the user CONFIG GET, or look where the service is set up, and " + advice}, nil
	case !told:
		return finding{fine, "", text, ""}, nil
	case replicated && (least == 0 || lag == 0): // a lag of 0 turns it off as well
		return finding{warning, "", text + "; a master that lost them goes on taking writes, beside the one that took its place", advice}, nil
	case replicated && lag > longestLag:
		return finding{warning, "", fmt.Sprintf("%s; a master that lost them goes on taking writes for %d seconds", text, lag), advice}, nil
	}
	return finding{fine, "", text + "; a write needs " + setting + " of them (min-replicas-to-write)", ""}, nil
}

func (e *redisExam) clock(ctx context.Context) (finding, error) {
	asked := time.Now()
	theirs, err := e.server.Time(ctx).Result()
	if err != nil {
		return finding{}, err
	}
	return clocks("Redis", theirs, asked, time.Since(asked), problem), nil
}
