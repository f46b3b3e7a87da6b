package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// fault is something that goes wrong, and is put right again before run returns.
type fault struct {
	kind string
	loss bool // Redis forgets something
	run  func(span time.Duration, random *rand.Rand) error
}

// schedule injects faults until the run is over, in rounds that have each kind
// once. It runs in the test's own goroutine.
func (r *rig) schedule(between, span [2]time.Duration, done func() bool) {
	random := r.random("faults")
	all := append(r.redis.faults(r), append(r.postgresFaults(), r.nodeFaults()...)...)
	within := func(limits [2]time.Duration) time.Duration {
		return limits[0] + time.Duration(random.Int64N(int64(limits[1]-limits[0])))
	}
	for round := 0; ; round++ {
		for _, i := range random.Perm(len(all)) {
			f := all[i]
			time.Sleep(within(between))
			if f.loss { // two losses within one request's life are beyond what is promised
				time.Sleep(time.Until(r.losses.last().Add(4 * time.Second)))
			}
			if done() {
				return
			}
			r.count.begin(f.kind, true)
			if f.loss {
				r.losses.begins()
			}
			err := f.run(within(span), random)
			if f.loss {
				r.losses.happened()
			}
			r.count.healed()
			if err != nil {
				r.t.Fatalf("the fault %q itself went wrong: %v", f.kind, err)
			}
		}
	}
}

// either is one of the proxies, or both.
func either(proxies [2]*proxy, random *rand.Rand) []*proxy {
	if n := random.IntN(3); n < 2 {
		return proxies[n : n+1]
	}
	return proxies[:]
}

// throughProxies are the faults of a network.
func throughProxies(store, turn string, proxies [2]*proxy) []fault {
	weathers := func(w weather) func(time.Duration, *rand.Rand) error {
		return func(span time.Duration, random *rand.Rand) error {
			chosen := either(proxies, random)
			for _, p := range chosen {
				p.set(w)
			}
			time.Sleep(span)
			for _, p := range chosen {
				p.set(weather{})
			}
			return nil
		}
	}
	return []fault{
		{kind: store + " cut off", run: weathers(weather{cut: true})},
		{kind: store + " hangs", run: weathers(weather{hang: true})},
		{kind: store + " slow", run: weathers(weather{delay: 150 * time.Millisecond})},
		{kind: store + " loses one reply", run: func(span time.Duration, random *rand.Rand) error {
			for _, p := range either(proxies, random) {
				p.swallow(1, turn, random.IntN(2) == 0)
			}
			time.Sleep(span)
			for _, p := range proxies {
				p.swallow(0, "", false)
			}
			return nil
		}},
	}
}

// faults of one Redis server.
func (s *single) faults(r *rig) []fault {
	ctx := context.Background()
	do := func(steps ...func() error) error {
		for _, step := range steps {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}
	save := func() error { return s.Client().Save(ctx).Err() }
	flush := func() error { return s.Client().FlushAll(ctx).Err() }
	restart := func() error { s.Kill(); s.Restart(); return nil }
	return append(throughProxies("Redis", "rotated", s.proxies), []fault{
		{kind: "Redis paused", run: func(span time.Duration, random *rand.Rand) error {
			s.Stop()
			time.Sleep(r.pauseOf(span, random))
			s.Cont()
			return nil
		}},
		{kind: "FLUSHALL", loss: true, run: func(time.Duration, *rand.Rand) error { return flush() }},
		{kind: "FLUSHALL while PostgreSQL hangs", loss: true, run: func(span time.Duration, _ *rand.Rand) error {
			r.eachProxy(weather{hang: true})
			err := flush()
			time.Sleep(span)
			r.eachProxy(weather{})
			return err
		}},
		{kind: "old snapshot comes back", loss: true, run: func(_ time.Duration, random *rand.Rand) error {
			if s.picture == nil || random.IntN(2) == 0 { // or the one that was taken after the last time
				if err := s.photograph(ctx); err != nil {
					return err
				}
				r.age(random)
			}
			return do(func() error { return s.rollBack(ctx) }, func() error { return s.photograph(ctx) })
		}},
		{kind: "restart with an old snapshot", loss: true, run: func(_ time.Duration, random *rand.Rand) error {
			return do(save, func() error { r.age(random); return restart() }, s.forgetFile)
		}},
		{kind: "restart without persistence", loss: true, run: func(time.Duration, *rand.Rand) error {
			return do(s.forgetFile, restart)
		}},
		{kind: "restart with persistence", run: func(time.Duration, *rand.Rand) error {
			_ = s.Client().ShutdownSave(ctx).Err() // its answer is the end of the connection
			return do(restart, s.forgetFile)
		}},
		{kind: "SCRIPT FLUSH", run: func(time.Duration, *rand.Rand) error { return s.Client().ScriptFlush(ctx).Err() }},
		{kind: "maxmemory reached", run: func(span time.Duration, _ *rand.Rand) error {
			return do(func() error { return s.Client().ConfigSet(ctx, "maxmemory", "1mb").Err() },
				func() error { time.Sleep(span); return s.Client().ConfigSet(ctx, "maxmemory", "0").Err() })
		}},
	}...)
}

// age lets a snapshot grow one to three seconds old.
func (r *rig) age(random *rand.Rand) {
	r.count.note("snapshot taken")
	time.Sleep(r.grace/6 + time.Duration(random.Int64N(int64(r.grace/3))))
}

// pauseOf is how long a Redis is paused: up to five seconds in a long run.
func (r *rig) pauseOf(span time.Duration, random *rand.Rand) time.Duration {
	if !r.long {
		return span
	}
	return time.Second + time.Duration(random.Int64N(int64(4*time.Second)))
}

func (r *rig) eachProxy(w weather) {
	for _, p := range r.proxies {
		p.set(w)
	}
}

// postgresFaults are those of the database.
func (r *rig) postgresFaults() []fault {
	p := r.postgres
	while := func(span time.Duration, begin, end []string) error {
		if err := p.all(begin...); err != nil {
			return err
		}
		time.Sleep(span)
		return p.all(end...)
	}
	restart := func(s syscall.Signal) func(time.Duration, *rand.Rand) error {
		return func(time.Duration, *rand.Rand) error {
			if err := p.end(s); err != nil {
				return err
			}
			return p.up()
		}
	}
	return append(throughProxies("PostgreSQL", "", r.proxies), []fault{
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
			n := r.nodes[random.IntN(2)]
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
			n.signal(syscall.SIGSTOP)
			time.Sleep(min(span, r.grace/2-time.Second)) // a request in it is in flight
			n.signal(syscall.SIGCONT)
			return nil
		}},
	}
}
