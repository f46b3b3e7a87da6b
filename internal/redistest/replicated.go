package redistest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MasterName is what the Sentinels of [Replicated] call their master.
const MasterName = "main"

// Pair is a master and a replica, watched by three Sentinels of which two must
// agree.
type Pair struct {
	t         testing.TB
	nodes     [2]*Proc
	sentinels []*Proc

	mu     sync.Mutex
	client *redis.Client
}

// Replicated starts a master, its replica, and three Sentinels that give a
// master up after a second. It returns when all of them know each other.
// Lines of conf go to the two data nodes.
func Replicated(t testing.TB, conf ...string) *Pair {
	t.Helper()
	return ReplicatedBehind(t, nil, conf...)
}

// ReplicatedBehind is [Replicated] with a front before each data node: front is
// called with the node's address and returns a port of 127.0.0.1 that leads
// there. Clients, Sentinels and the replica know the nodes by these ports alone.
func ReplicatedBehind(t testing.TB, front func(addr string) int, conf ...string) *Pair {
	t.Helper()
	r := &Pair{t: t}
	for i := range r.nodes {
		r.nodes[i] = Server(t, conf...)
		if front == nil {
			continue
		}
		if err := r.nodes[i].announce("replica-announce-port", front(r.nodes[i].Addr())); err != nil {
			t.Fatal(err)
		}
	}
	replica := r.nodes[1].Client()
	if err := errors.Join(r.follow(t.Context(), 1), replica.ConfigRewrite(t.Context()).Err()); err != nil {
		t.Fatal(err)
	}
	until(t, "replication", r.nodes[1].linked) // before the Sentinels ask for replicas, which they seldom do
	for range 3 {
		r.sentinels = append(r.sentinels, Sentinel(t,
			fmt.Sprintf("sentinel monitor %s %s %d 2", MasterName, host, r.nodes[0].door),
			"sentinel down-after-milliseconds "+MasterName+" 1000",
			"sentinel failover-timeout "+MasterName+" 2000"))
	}
	t.Cleanup(func() {
		if r.client != nil {
			_ = r.client.Close()
		}
	})
	r.Settle()
	return r
}

// Sentinel starts one Sentinel on a free port. Lines of conf say what it watches
// ("sentinel monitor main 127.0.0.1 6379 1").
func Sentinel(t testing.TB, conf ...string) *Proc {
	t.Helper()
	return start(t, conf, "--sentinel")
}

// URL names the Sentinels as PAWL_REDIS_URL spells it.
func (r *Pair) URL() string {
	return "redis+sentinel://" + strings.Join(addrs(r.sentinels), ",") + "/" + MasterName
}

// Client follows the master, with the timeouts that Pawl uses. It is closed
// when the test ends.
func (r *Pair) Client() *redis.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client == nil {
		o := options(addrs(r.sentinels))
		o.MasterName = MasterName
		r.client = redis.NewFailoverClient(o.Failover())
	}
	return r.client
}

// Sentinels are the three Sentinel processes.
func (r *Pair) Sentinels() []*Proc { return r.sentinels }

// Master is the node that the Sentinels call master now.
func (r *Pair) Master() *Proc {
	r.t.Helper()
	return r.nodes[r.master()]
}

// Replica is the other one, dead or alive.
func (r *Pair) Replica() *Proc {
	r.t.Helper()
	return r.nodes[1-r.master()]
}

func (r *Pair) master() int {
	r.t.Helper()
	at := -1
	until(r.t, "a Sentinel that names the master", func(ctx context.Context) (err error) {
		at, err = r.ask(ctx, r.sentinels[0])
		return err
	})
	return at
}

// ask is which node a Sentinel calls master.
func (r *Pair) ask(ctx context.Context, sentinel *Proc) (int, error) {
	addr, err := sentinel.sentinel().GetMasterAddrByName(ctx, MasterName).Result()
	if err != nil || len(addr) != 2 {
		return 0, fmt.Errorf("got %v, %w", addr, errors.Join(err, errors.New("no address")))
	}
	for i, node := range r.nodes {
		if strconv.Itoa(node.door) == addr[1] {
			return i, nil
		}
	}
	return 0, fmt.Errorf("the master is at %v", addr)
}

// Failover kills the master as kill -9 does and returns when the replica has
// taken over and every Sentinel says so. It returns the dead node; [Pair.Rejoin]
// brings it back.
func (r *Pair) Failover() *Proc {
	r.t.Helper()
	dead := r.master()
	r.nodes[dead].Kill()
	until(r.t, "failover", func(ctx context.Context) error {
		for _, sentinel := range r.sentinels {
			if at, err := r.ask(ctx, sentinel); err != nil || at == dead {
				return errors.Join(err, errors.New("a Sentinel names the dead master"))
			}
		}
		return r.nodes[1-dead].is(ctx, "master")
	})
	return r.nodes[dead]
}

// Rejoin starts the node that is not the master as its replica, and returns when
// it has the master's data and the Sentinels would fail over to it.
func (r *Pair) Rejoin() {
	r.t.Helper()
	r.Replica().Restart()
	r.Settle()
}

// Settle returns when the replica has the master's data, and each Sentinel knows
// the others and a replica it can promote. A master that came back as one is
// made a replica at once, which Sentinels alone take many seconds for.
func (r *Pair) Settle() {
	r.t.Helper()
	until(r.t, "Sentinels that know each other", func(ctx context.Context) error {
		at, err := r.ask(ctx, r.sentinels[0])
		if err != nil {
			return err
		}
		replica := r.nodes[1-at]
		if replica.is(ctx, "master") == nil {
			if err := r.follow(ctx, 1-at); err != nil {
				return err
			}
		}
		if err := replica.linked(ctx); err != nil {
			return err
		}
		for _, s := range r.sentinels {
			if err := s.sentinel().CkQuorum(ctx, MasterName).Err(); err != nil {
				return err
			}
			replicas, err := s.sentinel().Replicas(ctx, MasterName).Result()
			if err != nil || len(replicas) != 1 || replicas[0]["flags"] != "slave" || replicas[0]["master-link-status"] != "ok" {
				return fmt.Errorf("replicas %v, %w", replicas, errors.Join(err, errors.New("want one that is linked")))
			}
			others, err := s.sentinel().Sentinels(ctx, MasterName).Result()
			if err != nil || len(others) != 2 {
				return fmt.Errorf("%d other Sentinels, %w", len(others), errors.Join(err, errors.New("want 2")))
			}
		}
		return nil
	})
}

// follow makes a node a replica of the other one.
func (r *Pair) follow(ctx context.Context, at int) error {
	return r.nodes[at].Client().ReplicaOf(ctx, host, strconv.Itoa(r.nodes[1-at].door)).Err()
}

// linked reports whether the node is a replica that has its master's data.
func (p *Proc) linked(ctx context.Context) error {
	return p.replication(ctx, "master_link_status:up")
}

func (p *Proc) is(ctx context.Context, role string) error { return p.replication(ctx, "role:"+role) }

func (p *Proc) replication(ctx context.Context, line string) error {
	info, err := p.Client().Info(ctx, "replication").Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, line+"\r") {
		return fmt.Errorf("%s is not %s", p.Addr(), line)
	}
	return nil
}

// sentinel speaks to a Sentinel over the process's own client.
func (p *Proc) sentinel() sentinel { return sentinel{p.Client()} }

// sentinel is what the kit asks a Sentinel.
type sentinel struct{ client *redis.Client }

func (s sentinel) GetMasterAddrByName(ctx context.Context, name string) *redis.StringSliceCmd {
	return do(ctx, s.client, redis.NewStringSliceCmd(ctx, "sentinel", "get-master-addr-by-name", name))
}

func (s sentinel) CkQuorum(ctx context.Context, name string) *redis.StringCmd {
	return do(ctx, s.client, redis.NewStringCmd(ctx, "sentinel", "ckquorum", name))
}

func (s sentinel) Replicas(ctx context.Context, name string) *redis.MapStringStringSliceCmd {
	return do(ctx, s.client, redis.NewMapStringStringSliceCmd(ctx, "sentinel", "replicas", name))
}

func (s sentinel) Sentinels(ctx context.Context, name string) *redis.MapStringStringSliceCmd {
	return do(ctx, s.client, redis.NewMapStringStringSliceCmd(ctx, "sentinel", "sentinels", name))
}

func do[C redis.Cmder](ctx context.Context, client *redis.Client, cmd C) C {
	_ = client.Process(ctx, cmd)
	return cmd
}
