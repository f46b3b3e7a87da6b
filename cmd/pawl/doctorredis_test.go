package main_test

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/redistest"
)

// listedRights are what a user of Pawl's needs in Redis, as docs/operations.md
// lists them.
func listedRights(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	list := regexp.MustCompile("```\n(~pawl[^`]*)```").FindSubmatch(page)
	if list == nil {
		t.Fatalf("docs/operations.md lists no rights (%v)", err)
	}
	return strings.Join(strings.Fields(string(list[1])), " ")
}

// TestDoctorRedis: each check of one Redis, good and bad; nothing stays in it.
func TestDoctorRedis(t *testing.T) {
	dir, env := environment(t)
	operate(t, dir, env, "", "migrate", "up")
	rights := listedRights(t)
	safe := "save \"\"\nappendonly yes\n"
	user := "user default off\nuser pawl on >hunter2 "
	for _, tt := range []struct {
		name, conf string
		want       map[string]string
	}{
		{"good", safe + "min-replicas-to-write 0\nmaxmemory 100mb\n", map[string]string{
			"redis.tls": "ok on this machine", "redis.reach": "ok answers", "redis.version": "ok Redis ", "redis.role": "ok takes writes", "redis.eviction": "ok noeviction",
			"redis.persistence": "ok append-only", "redis.memory": "ok 100 MiB", "redis.replicas": "ok replicas: 0; a write needs 0", "redis.clock": "ok less than 2s", "redis.rights": "ok scripts",
		}},
		{"forgetful", "save \"\"\nmaxmemory-policy volatile-lru\nmaxmemory 1mb\n", map[string]string{
			"redis.eviction": "problem (volatile-lru)", "redis.persistence": "problem nothing on disk", "redis.memory": "warning 90 % of maxmemory (1 MiB)",
		}},
		{"snapshots", "save 3600 1\n", map[string]string{"redis.persistence": "ok snapshots alone", "redis.memory": "ok not set"}},
		{"replica", safe + "replicaof 127.0.0.1 1\nreplica-serve-stale-data yes\n", map[string]string{"redis.role": "problem is a replica", "redis.rights": "problem READONLY"}},
		{"part of a Cluster", safe + "cluster-enabled yes\n", map[string]string{"redis.role": "problem redis+cluster://"}},
		{"rights as listed", safe + user + rights + "\n", map[string]string{"redis.rights": "ok scripts", "redis.eviction": "ok noeviction", "redis.persistence": "ok append-only"}},
		{"without CONFIG", "save \"\"\n" + user + rights + " -config\n", map[string]string{
			"redis.eviction": "ok noeviction", "redis.persistence": "warning does not tell appendonly and save", "redis.memory": "ok not set", "redis.replicas": "ok replicas: 0",
		}},
		{"without CONFIG and INFO", safe + user + rights + " -config -info\n", map[string]string{
			"redis.version": "warning does not tell", "redis.role": "warning does not tell", "redis.eviction": "warning does not tell maxmemory-policy", "redis.persistence": "warning CONFIG GET",
			"redis.memory": "warning does not tell", "redis.replicas": "warning does not tell", "redis.rights": "ok scripts",
		}},
		{"without scripts", safe + user + rights + " -evalsha\n", map[string]string{"redis.rights": "problem no right to evalsha"}},
		{"without a command of scripts", safe + user + rights + " -hset\n", map[string]string{"redis.rights": "problem no right to "}},
		{"without the stream", safe + user + rights + " -xread\n", map[string]string{"redis.rights": "problem no right to xread"}},
		{"without TIME", safe + user + rights + " -time\n", map[string]string{"redis.clock": "problem NOPERM"}},
		{"other keys", safe + user + strings.Replace(rights, "~pawl:*", "~other:*", 1) + "\n", map[string]string{"redis.rights": "problem no right to the keys"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, login := redistest.Server(t, tt.conf).Addr(), ""
			if strings.Contains(tt.conf, user) {
				login = "pawl:hunter2@"
			}
			d := doctor(t, dir, with(env, "PAWL_REDIS_URL", "redis://"+login+address))
			for check, want := range tt.want {
				d.says(check, want)
			}
			if login != "" {
				return // only Pawl's user may look
			}
			client := redis.NewClient(&redis.Options{Addr: address})
			defer func() { _ = client.Close() }()
			if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 0 {
				t.Errorf("got %d keys (%v) after doctor, want none", n, err)
			}
		})
	}
}

// TestDoctorReplicas: a master that goes on alone after it lost its replicas is
// told, as far as it can be seen.
func TestDoctorReplicas(t *testing.T) {
	t.Parallel()
	dir, env := alone(t)
	delete(env, "PAWL_SESSION_STORE")
	master := redistest.Server(t, "appendonly yes", "user pawl on >hunter2 "+listedRights(t)+" -config")
	replica := redistest.Server(t, "appendonly yes", fmt.Sprintf("replicaof 127.0.0.1 %d", master.Port()))
	client, other := redis.NewClient(&redis.Options{Addr: master.Addr()}), redis.NewClient(&redis.Options{Addr: replica.Addr()})
	defer func() { _, _ = client.Close(), other.Close() }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		info, err := client.Info(t.Context(), "replication").Result()
		if err == nil && strings.Contains(info, "connected_slaves:1") && strings.Contains(info, "state=online") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %s (%v), want a replica", info, err)
		}
	}
	url := "redis://" + master.Addr()
	for _, tt := range []struct{ least, lag, want string }{
		{"0", "10", "warning replicas: 1; a master that lost them goes on taking writes, beside"},
		{"1", "0", "warning goes on taking writes, beside"},
		{"1", "60", "warning goes on taking writes for 60 seconds"},
		{"1", "10", "ok replicas: 1; a write needs 1"},
	} {
		for name, value := range map[string]string{"min-replicas-to-write": tt.least, "min-replicas-max-lag": tt.lag} {
			if err := client.ConfigSet(t.Context(), name, value).Err(); err != nil {
				t.Fatal(err)
			}
		}
		doctor(t, dir, with(env, "PAWL_REDIS_URL", url)).says("redis.replicas", tt.want)
	}
	doctor(t, dir, with(env, "PAWL_REDIS_URL", "redis://pawl:hunter2@"+master.Addr())).says("redis.replicas", "warning does not tell whether a master that lost them")

	// One whose replicas are gone just now is one of several all the same.
	sentinel := redistest.Sentinel(t, fmt.Sprintf("sentinel monitor main 127.0.0.1 %d 1", redistest.Server(t, "appendonly yes").Port())).Addr()
	doctor(t, dir, with(env, "PAWL_REDIS_URL", "redis+sentinel://"+sentinel+"/main")).says("redis.replicas", "warning replicas: 0; a master that lost them goes on")
}

// TestDoctorRedisElsewhere: what is not on this machine should speak TLS.
func TestDoctorRedisElsewhere(t *testing.T) {
	dir, env := alone(t)
	delete(env, "PAWL_SESSION_STORE")
	port := strconv.Itoa(redistest.Server(t).Port())
	d := doctor(t, dir, with(env, "PAWL_REDIS_URL", "redis://0.0.0.0:"+port))
	d.says("redis.tls", "warning not encrypted")
	d.says("redis.reach", "ok answers")
	d = doctor(t, dir, with(env, "PAWL_REDIS_URL", "rediss://0.0.0.0:"+port))
	d.says("redis.tls", "ok certificate is checked")
	d.says("redis.reach", "problem no good answer")
}

// TestDoctorRedisForms: Sentinels lead to the master; of a Cluster, every master
// is asked, and the one that differs is named.
func TestDoctorRedisForms(t *testing.T) {
	t.Parallel()
	dir, env := alone(t)
	delete(env, "PAWL_SESSION_STORE")
	master := redistest.Server(t, "appendonly yes")
	sentinel := redistest.Sentinel(t, "requirepass hunter2", fmt.Sprintf("sentinel monitor main 127.0.0.1 %d 1", master.Port())).Addr()
	d := doctor(t, dir, with(env, "PAWL_REDIS_URL", "redis+sentinel://"+sentinel+"/main", "PAWL_REDIS_SENTINEL_PASSWORD", "hunter2"))
	d.says("redis.role", "ok takes writes")
	d.says("redis.rights", "ok scripts")
	doctor(t, dir, with(env, "PAWL_REDIS_URL", "redis+sentinel://"+sentinel+"/main", "PAWL_REDIS_SENTINEL_PASSWORD", "9h3k")).says("redis.reach", "problem ")

	conf := "appendonly yes\ncluster-enabled yes\nuser pawl on >hunter2 " + listedRights(t) + " +cluster|slots"
	one, two := redistest.Server(t, conf).Addr(), redistest.Server(t, conf, "maxmemory-policy allkeys-lru").Addr()
	clients := [2]*redis.Client{}
	for i, address := range []string{one, two} {
		clients[i] = redis.NewClient(&redis.Options{Addr: address})
		defer func() { _ = clients[i].Close() }()
		if err := clients[i].ClusterAddSlotsRange(t.Context(), i*8192, i*8192+8191).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := clients[1].Do(t.Context(), "cluster", "set-config-epoch", 2).Err(); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(two)
	if err == nil {
		err = clients[0].ClusterMeet(t.Context(), host, port).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range clients {
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			info, err := client.ClusterInfo(t.Context()).Result()
			if err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_size:2") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the Cluster is not ready: %s (%v)", info, err)
			}
		}
	}
	d = doctor(t, dir, with(env, "PAWL_REDIS_URL", "redis+cluster://pawl:hunter2@"+one))
	d.says("redis.role", "ok (all 2)")
	d.says("redis.rights", "ok (all 2)")
	d.says("redis.eviction", "ok noeviction ("+one+")")
	d.says("redis.eviction", "problem ("+two+")")
	for _, client := range clients {
		if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 0 {
			t.Errorf("got %d keys (%v) after doctor, want none", n, err)
		}
	}
}

// TestServeWithListedRights: a server needs no other rights in Redis.
func TestServeWithListedRights(t *testing.T) {
	dir, env := environment(t)
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", "demo@example.com")
	env["PAWL_REDIS_URL"] = "redis://pawl:hunter2@" + redistest.Server(t, "appendonly yes", "user default off", "user pawl on >hunter2 "+listedRights(t)).Addr()
	env["PAWL_ALLOWED_ORIGINS"] = origin
	server, address := serveOne(t, dir, env)
	p := &plant{t: t, url: address}
	page, app := p.login("COOKIE"), p.login("BODY")
	p.turns(app, "with the listed rights")
	p.reads(app, `{ me { email } }`, "", "with the listed rights")
	p.reads(app, `mutation { revokeAllSessions { sessionIds } }`, "", "with the listed rights")
	if a, _ := p.send(page); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "REFRESH_TOKEN_INVALID" {
		t.Errorf("refresh of a session that was ended: got %s, want REFRESH_TOKEN_INVALID", a.body)
	}
	p.leaves(app, "with the listed rights")
	operate(t, dir, env, "", "user", "unlock", "demo@example.com")
	server.stop()
	if log := server.all.String(); strings.Contains(log, "NOPERM") || strings.Contains(log, "no permissions") {
		t.Errorf("got %s, want nothing that was refused", log)
	}
}
