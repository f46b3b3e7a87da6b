package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/pawlauth/pawl/internal/faultproxy"
)

// fault is something that goes wrong, and is put right again before run returns.
type fault struct {
	kind string
	loss bool // Redis forgets something
	run  func(span time.Duration, random *rand.Rand) error
}

// often is the longest time between the beginnings of two faults, but for what a
// slow machine adds.
const often = 8 * time.Second

// faults are all that can happen to these stores and servers.
func (r *rig) faults() []fault {
	return slices.Concat(r.keyFaults(), r.redis.faults(r), r.postgresFaults(), r.nodeFaults())
}

// schedule injects faults until the run is over, in rounds that have each kind
// once; a long run has a whole round at least. It runs in the test's own
// goroutine.
func (r *rig) schedule(between, span [2]time.Duration, done func() bool) {
	random := r.random("faults")
	all := r.faults()
	within := func(limits [2]time.Duration) time.Duration {
		return limits[0] + time.Duration(random.Int64N(int64(limits[1]-limits[0])))
	}
	began := time.Now() // the fault before
	for round := 0; ; round++ {
		for _, i := range random.Perm(len(all)) {
			f := all[i]
			time.Sleep(min(within(between), time.Until(began.Add(often))))
			if f.loss { // two losses within one request's life are beyond what is promised
				time.Sleep(time.Until(r.losses.last().Add(4 * time.Second)))
			}
			if done() && (round > 0 || !r.long) {
				return
			}
			began = time.Now()
			r.inject(f, within(span), random)
		}
	}
}

// inject lets one fault happen.
func (r *rig) inject(f fault, span time.Duration, random *rand.Rand) {
	r.count.begin(f.kind, true)
	if f.loss {
		r.losses.begins()
	}
	err := f.run(span, random)
	if f.loss {
		r.losses.happened()
	}
	r.count.healed()
	if err != nil {
		r.t.Fatalf("the fault %q itself went wrong: %v", f.kind, err)
	}
}

// either is one of the proxies, or both.
func either(proxies [2]*faultproxy.Proxy, random *rand.Rand) []*faultproxy.Proxy {
	if n := random.IntN(3); n < 2 {
		return proxies[n : n+1]
	}
	return proxies[:]
}

// throughProxies are the faults of the network before a store: at the proxies
// that are chosen each time, for a limited time.
func throughProxies(store, turn string, choose func(*rand.Rand) []*faultproxy.Proxy, limit time.Duration) []fault {
	weathers := func(w faultproxy.Weather) func(time.Duration, *rand.Rand) error {
		return func(span time.Duration, random *rand.Rand) error {
			chosen := choose(random)
			for _, p := range chosen {
				p.Set(w)
			}
			time.Sleep(min(span, limit))
			for _, p := range chosen {
				p.Set(faultproxy.Weather{})
			}
			return nil
		}
	}
	return []fault{
		{kind: store + " cut off", run: weathers(faultproxy.Weather{Cut: true})},
		{kind: store + " hangs", run: weathers(faultproxy.Weather{Hang: true})},
		{kind: store + " slow", run: weathers(faultproxy.Weather{Delay: 150 * time.Millisecond})},
		{kind: store + " loses one reply", run: func(span time.Duration, random *rand.Rand) error {
			chosen := choose(random)
			for _, p := range chosen {
				p.Swallow(1, turn, random.IntN(2) == 0)
			}
			time.Sleep(span)
			for _, p := range chosen {
				p.Swallow(0, "", false)
			}
			return nil
		}},
	}
}

func (r *rig) eachProxy(w faultproxy.Weather) {
	for _, p := range r.proxies {
		p.Set(w)
	}
}

// postgresFaults are those of the database.
func (r *rig) postgresFaults() []fault {
	p := r.postgres
	while := func(span time.Duration, begin, end []string) error {
		p.Exec(begin...)
		time.Sleep(span)
		p.Exec(end...)
		return nil
	}
	restart := func(s syscall.Signal) func(time.Duration, *rand.Rand) error {
		return func(time.Duration, *rand.Rand) error {
			p.End(s)
			p.Up()
			return nil
		}
	}
	chosen := func(random *rand.Rand) []*faultproxy.Proxy { return either(r.proxies, random) }
	return append(throughProxies("PostgreSQL", "", chosen, time.Minute), []fault{
		{kind: "PostgreSQL down", run: func(span time.Duration, _ *rand.Rand) error {
			p.End(syscall.SIGINT)
			time.Sleep(span)
			p.Up()
			return nil
		}},
		{kind: "PostgreSQL restarted", run: restart(syscall.SIGINT)},
		{kind: "PostgreSQL crashed", run: restart(syscall.SIGQUIT)},
		{kind: "PostgreSQL read-only", run: func(span time.Duration, _ *rand.Rand) error {
			return while(span, []string{"ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"},
				[]string{"ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"})
		}},
		{kind: "PostgreSQL connection limit", run: func(span time.Duration, _ *rand.Rand) error {
			return while(span, []string{"ALTER ROLE pawl CONNECTION LIMIT 1", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pawl'"},
				[]string{"SET default_transaction_read_only = off", "ALTER ROLE pawl CONNECTION LIMIT -1"})
		}},
	}...)
}

// nodeFaults are those of the servers themselves.
func (r *rig) nodeFaults() []fault {
	restart := func(s syscall.Signal) func(time.Duration, *rand.Rand) error {
		return func(span time.Duration, random *rand.Rand) error {
			at := random.IntN(2)
			n := r.nodes[at]
			r.truth.read(at, n) // what it counts ends with it
			if err := n.end(s); err != nil {
				return err
			}
			time.Sleep(span / 2)
			if err := n.up(); err != nil {
				return fmt.Errorf("%w; its log ends: %v", err, n.says("", 10))
			}
			return nil
		}
	}
	return []fault{
		{kind: "a server killed", run: restart(syscall.SIGKILL)},
		{kind: "a server stopped and started", run: restart(syscall.SIGTERM)},
		{kind: "a server paused", run: func(span time.Duration, random *rand.Rand) error {
			n := r.nodes[random.IntN(2)]
			_ = n.now().Signal(syscall.SIGSTOP)
			time.Sleep(min(span, r.grace/2-time.Second)) // a request in it is in flight
			_ = n.now().Signal(syscall.SIGCONT)
			return nil
		}},
	}
}
