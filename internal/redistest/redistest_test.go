package redistest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/redistest"
)

func TestMain(m *testing.M) {
	logging.Disable() // the client's own: it tells of servers that are down on purpose
	m.Run()
}

func set(t *testing.T, client redis.UniversalClient, key, value string) {
	t.Helper()
	if err := client.Set(t.Context(), key, value, 0).Err(); err != nil {
		t.Fatalf("SET %s: %v", key, err)
	}
}

func wantGet(t *testing.T, client redis.UniversalClient, key, want string) {
	t.Helper()
	var got string
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got, err = client.Get(t.Context(), key).Result(); err == nil || errors.Is(err, redis.Nil) {
			break
		}
	}
	if got != want {
		t.Errorf("GET %s: got %q (%v), want %q", key, got, err, want)
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	p := redistest.Server(t, "appendonly yes", "appendfsync always")
	set(t, p.Client(), "k", "v")
	pid := p.PID()
	p.Restart()
	wantGet(t, p.Client(), "k", "v")
	if p.PID() == pid {
		t.Error("Restart: got the same process, want another")
	}
	p.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	if err := p.Client().Ping(ctx).Err(); err == nil {
		t.Error("PING of a frozen server: got an answer, want none")
	}
	cancel()
	p.Cont()
	wantGet(t, p.Client(), "k", "v")
	p.Kill()
	if err := p.Client().Ping(t.Context()).Err(); err == nil {
		t.Error("PING of a dead server: got an answer, want none")
	}
	p.Restart("maxmemory 5mb")
	if got := p.Client().ConfigGet(t.Context(), "maxmemory").Val()["maxmemory"]; got != "5242880" {
		t.Errorf("maxmemory: got %s, want 5 MiB", got)
	}
}

// TestClosedServer: a server that does not answer the kit starts all the same.
func TestClosedServer(t *testing.T) {
	t.Parallel()
	for conf, want := range map[string]string{
		"requirepass hunter2": "NOAUTH", "user default on nopass ~* +@all -info": "NOPERM", `rename-command INFO ""`: "ERR unknown command",
	} {
		if err := redistest.Server(t, conf).Client().Info(t.Context()).Err(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("INFO with %s: got %v, want %s", conf, err, want)
		}
	}
}

func TestReplicated(t *testing.T) {
	t.Parallel()
	r := redistest.Replicated(t)
	first := r.Master()
	set(t, r.Client(), "k", "v")
	if n, err := first.Client().Wait(t.Context(), 1, 5*time.Second).Result(); n != 1 {
		t.Fatalf("WAIT: got %d (%v), want 1", n, err)
	}
	if dead := r.Failover(); dead != first || r.Master() == first || r.Replica() != first {
		t.Errorf("Failover: got %s dead and %s master, want %s dead and the other", dead.Addr(), r.Master().Addr(), first.Addr())
	}
	wantGet(t, r.Client(), "k", "v")
	r.Rejoin()
	wantGet(t, first.Client(), "k", "v")
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.Cluster(t)
	for i := range 50 {
		set(t, c.Client(), fmt.Sprint("k", i), fmt.Sprint("v", i))
	}
	before := c.Masters()[0].Client().DBSize(t.Context()).Val()
	c.MoveSlots(0, 1, 5)
	if after := c.Masters()[0].Client().DBSize(t.Context()).Val(); after != before-5 {
		t.Errorf("keys of the first shard after 5 slots moved: got %d, want 5 fewer than %d", after, before)
	}
	first := c.Masters()[2]
	if n, err := first.Client().Wait(t.Context(), 1, 5*time.Second).Result(); n != 1 {
		t.Logf("WAIT: got %d (%v)", n, err)
	}
	if dead := c.KillMaster(2); dead != first {
		t.Errorf("KillMaster: got %s, want %s", dead.Addr(), first.Addr())
	}
	c.Settle()
	for i := range 50 {
		wantGet(t, c.Client(), fmt.Sprint("k", i), fmt.Sprint("v", i))
	}
	first.Restart()
	c.Settle()
	if c.Masters()[2] == first {
		t.Error("the dead master came back as master, want a replica")
	}
}

// fronts are proxies before the nodes of a kit.
type fronts []*faultproxy.Proxy

func (f *fronts) before(t *testing.T) func(addr string) int {
	return func(addr string) int {
		p := faultproxy.New(t, addr)
		*f = append(*f, p)
		return p.Port()
	}
}

// accepted is how many connections all of them took.
func (f *fronts) accepted() (n int) {
	for _, p := range *f {
		n += p.Accepted()
	}
	return n
}

// TestFronts: clients and replicas pass the fronts, after a failover too.
func TestFronts(t *testing.T) {
	t.Parallel()
	passes := func(t *testing.T, f *fronts, client redis.UniversalClient) {
		t.Helper()
		before := f.accepted()
		set(t, client, "k", "v")
		wantGet(t, client, "k", "v")
		if after := f.accepted(); before == 0 || after == before {
			t.Errorf("connections through fronts: got %d, then %d; want more and more", before, after)
		}
	}
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		var f fronts
		r := redistest.ReplicatedBehind(t, f.before(t))
		passes(t, &f, r.Client())
		r.Failover()
		r.Rejoin()
		wantGet(t, r.Client(), "k", "v")
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		var f fronts
		c := redistest.ClusterBehind(t, f.before(t))
		passes(t, &f, c.Client())
		dead := c.KillMaster(1)
		c.Settle()
		dead.Restart()
		c.Settle()
		wantGet(t, c.Client(), "k", "v")
	})
}
