package chaos_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// plan is how long a run is and who takes part.
type plan struct {
	form      string
	seed      uint64
	refreshes int64         // at least
	duration  time.Duration // at least
	long      bool
	crowd     crowd
	thieves   int           // of each kind
	patience  time.Duration // for thieves to end what they began
	between   [2]time.Duration
	span      [2]time.Duration
}

// TestChaos runs for PAWL_CHAOS_REFRESHES or PAWL_CHAOS_DURATION, on the form of
// Redis that PAWL_CHAOS_REDIS names: single, sentinel or cluster. Without either
// it is a short run that has some of the faults, others each time.
func TestChaos(t *testing.T) {
	needServices(t)
	t.Parallel()
	p := plan{
		form: "single", seed: uint64(time.Now().UnixNano()) % 1_000_000, duration: 9 * time.Second, patience: 7 * time.Second,
		crowd:   crowd{tabs: [3]int{10, 8, 8}, bare: 6, phones: 14, restless: 6, families: 2, think: time.Second},
		thieves: 1,
		between: [2]time.Duration{300 * time.Millisecond, 900 * time.Millisecond},
		span:    [2]time.Duration{300 * time.Millisecond, 900 * time.Millisecond},
	}
	p.fromEnvironment(t)
	t.Logf("seed %d, Redis %s: PAWL_CHAOS_SEED=%d repeats the schedule", p.seed, p.form, p.seed)
	p.run(t)
}

// needServices skips the suite where nobody asked for real stores.
func needServices(t *testing.T) {
	t.Helper()
	if os.Getenv("PAWL_TEST_REQUIRE_SERVICES") != "1" {
		t.Skip("this suite runs where PAWL_TEST_REQUIRE_SERVICES=1: see make test and make chaos")
	}
}

func (p *plan) fromEnvironment(t *testing.T) {
	t.Helper()
	number := func(name string) uint64 {
		text := os.Getenv(name)
		if text == "" {
			return 0
		}
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	p.refreshes = int64(number("PAWL_CHAOS_REFRESHES"))
	if text := os.Getenv("PAWL_CHAOS_DURATION"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("PAWL_CHAOS_DURATION: %v", err)
		}
		p.duration, p.long = d, true
	}
	if p.refreshes > 0 {
		p.long = true
	}
	if seed := number("PAWL_CHAOS_SEED"); seed != 0 {
		p.seed = seed
	}
	if form := os.Getenv("PAWL_CHAOS_REDIS"); form != "" {
		p.form = form
	}
	if p.long {
		p.crowd = crowd{tabs: [3]int{20, 15, 15}, bare: 10, phones: 25, restless: 10, families: 5, think: 80 * time.Millisecond}
		p.thieves, p.patience = 2, time.Minute
		p.between = [2]time.Duration{500 * time.Millisecond, 4 * time.Second}
		p.span = [2]time.Duration{300 * time.Millisecond, 2500 * time.Millisecond}
	}
}

func (p *plan) run(t *testing.T) {
	t.Helper()
	r := newRig(t, p.form, p.seed, p.crowd.users()+p.thieves*len(robberies()), graceOf(p.form))
	r.long = p.long
	began := time.Now()
	var honest, others sync.WaitGroup
	l := &living{all: map[string]*session{}}
	r.crowd(p.crowd, l, &honest)
	r.thieves(p.thieves, &others)
	var robbers sync.WaitGroup
	for i := range 2 {
		robbers.Go(func() { r.rob(fmt.Sprintf("robber %d", i)) })
	}
	robbers.Go(r.watch)
	if err := await("everybody signs in", func() error {
		if want := int64(p.crowd.size()); r.count.logins.Load() < want {
			return fmt.Errorf("%d of %d did", r.count.logins.Load(), want)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	began = time.Now() // signing in takes long where other tests run
	start := [2]size{r.nodes[0].size(), r.nodes[1].size()}
	r.schedule(p.between, p.span, func() bool {
		return time.Since(began) >= p.duration && r.count.refreshes.Load() >= p.refreshes
	})
	r.count.begin("none", false)
	r.stop()
	settle(&others, p.patience)
	end := [2]size{r.nodes[0].size(), r.nodes[1].size()}
	r.finish()
	honest.Wait()
	others.Wait()
	robbers.Wait()
	r.lastLook(l)
	r.table(p, time.Since(began), start, end)
	r.verdict(p)
}

// settle waits for a group, but not forever.
func settle(group *sync.WaitGroup, limit time.Duration) {
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

// lastLook refreshes every living session once more, and tries every ended one
// on both servers.
func (r *rig) lastLook(l *living) {
	r.over, r.finish = context.WithCancel(context.Background())
	random := r.random("last look")
	if r.long {
		time.Sleep(r.grace + time.Second) // so that all of them turn
	}
	r.count.pauses()
	var looks sync.WaitGroup
	for _, s := range l.all {
		side := random.IntN(2)
		looks.Go(func() { s.lastRefresh(side) })
	}
	looks.Wait()
	for _, g := range r.graves.list() {
		g.try(random, 0)
		g.try(random, 1)
	}
}

// lastRefresh presents what a client has until there is an answer with tokens.
// There is one within a grace: the time for which a store that lost something
// judges nobody.
func (s *session) lastRefresh(side int) {
	for began := time.Now(); !s.gone() && !s.isDoomed(); side = 1 - side {
		attempt := ""
		if s.bound == 0 {
			if s.intent == "" {
				s.intent = newAttempt()
			}
			attempt = s.intent
		}
		sent := time.Now()
		a := s.send(side, s.jar(), attempt)
		s.deliver(sent, a)
		switch {
		case a.verdict == terminal:
			s.signedOut(a)
		case a.verdict == granted:
			return
		case time.Since(began) > 2*s.r.grace+patience:
			s.mu.Lock()
			s.r.count.odd("%s", s.story("the last refresh: "+a.String()))
			s.mu.Unlock()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// keys counts keys, those without TTL, and measures the largest user.
func (r *rig) keys() (total, endless int, largest int64, err error) {
	err = r.redis.masters(context.Background(), func(ctx context.Context, c *redis.Client) error {
		keys, err := c.Keys(ctx, "*").Result()
		if err != nil {
			return err
		}
		for _, key := range keys {
			total++
			if ttl, err := c.PTTL(ctx, key).Result(); err == nil && ttl <= 0 && ttl != -2 {
				endless++
			}
			if key == "pawl:revocations" {
				continue
			}
			bytes, err := c.MemoryUsage(ctx, key, 0).Result()
			if err == nil {
				largest = max(largest, bytes)
			}
		}
		return nil
	})
	return total, endless, largest, err
}
