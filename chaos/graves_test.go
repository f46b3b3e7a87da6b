package chaos_test

import (
	"math/rand/v2"
	"sync"
	"time"
)

// graves are sessions whose end was acknowledged. Somebody keeps trying them.
type graves struct {
	mu  sync.Mutex
	all []*grave
}

// grave is one ended session and what its holder had.
type grave struct {
	*session
	token, access string
	since         time.Time

	mu    sync.Mutex
	turns int       // after the end
	first time.Time // an answer with tokens after the end
}

const (
	// feedStale is how long an access token may outlive its session while the
	// stores fail: PAWL_REVOCATION_STALE_AFTER and a look at what is left.
	feedStale = 6 * time.Second
	// lifeAfter is how long a revived session may live: the question of the
	// checkpoint comes within seconds of its first use.
	lifeAfter = 10 * time.Second
)

// bury notes that the end of a session was acknowledged.
func (r *rig) bury(s *session) {
	s.mu.Lock()
	g := &grave{session: s, token: s.token, access: s.access, since: time.Now()}
	s.mu.Unlock()
	r.graves.mu.Lock()
	defer r.graves.mu.Unlock()
	r.graves.all = append(r.graves.all, g)
}

// pick is any grave, a fresh one more often.
func (g *graves) pick(random *rand.Rand) *grave {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.all)
	switch {
	case n == 0:
		return nil
	case random.IntN(2) == 0:
		return g.all[n-1-random.IntN(min(n, 20))]
	}
	return g.all[random.IntN(n)]
}

// list are all graves.
func (g *graves) list() []*grave {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*grave{}, g.all...)
}

// rob tries ended sessions until everybody goes home, eagerly after a loss.
func (r *rig) rob(name string) {
	random := r.random(name)
	loss, eager := r.losses.next(), time.Time{}
	for {
		wait := 40 * time.Millisecond
		if time.Now().Before(eager) {
			wait = 4 * time.Millisecond
		}
		select {
		case <-r.over.Done():
			return
		case <-loss:
			loss, eager = r.losses.next(), time.Now().Add(2*time.Second)
		case <-time.After(wait):
		}
		if g := r.graves.pick(random); g != nil {
			g.try(random, random.IntN(2))
		}
	}
}

// try presents what the holder had.
func (g *grave) try(random *rand.Rand, node int) {
	attempt := ""
	if random.IntN(2) == 0 || g.bound == 0 { // some are held to attempt ids
		attempt = newAttempt()
	}
	g.mu.Lock()
	token := g.token
	g.mu.Unlock()
	g.r.truth.explain(g.id, "robbers of ended sessions", g.since)
	if a := g.send(node, token, attempt); a.verdict == granted {
		g.rises(a)
		for g.r.nap(100*time.Millisecond) && g.again(random) {
		}
	} else if a.verdict == refused {
		g.r.count.odd("refresh of an ended session: %s", a)
	}
	if time.Since(g.since) < feedStale {
		return
	}
	if a := g.r.post(node, meQuery, nil, "Authorization", "Bearer "+g.access); a.verdict == granted {
		g.r.count.outlived.Add(1)
		g.r.count.story("%s", g.tell("an access token outlived its session"))
	}
}

// rises notes tokens that an ended session got.
func (g *grave) rises(a answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if token := a.token(); token != "" {
		g.token = token
	}
	if a.Data.RefreshToken.Rotated {
		g.turns++
	}
	if g.first.IsZero() {
		g.first = time.Now()
		if g.r.losses.since(g.since) {
			g.r.count.revived.Add(1)
			return
		}
		g.r.count.cameBack.Add(1)
		g.r.count.story("%s", g.tell("an ended session was answered without any loss"))
	}
}

// again tries a session that came back, until it is dead again.
func (g *grave) again(random *rand.Rand) bool {
	g.mu.Lock()
	token, first, turns := g.token, g.first, g.turns
	g.mu.Unlock()
	a := g.send(random.IntN(2), token, newAttempt())
	lived := time.Since(first)
	switch a.verdict {
	case granted:
		g.rises(a)
	case terminal:
		g.r.count.longestLife.Store(max(g.r.count.longestLife.Load(), int64(lived)))
		return false
	}
	if turns > 1 || lived > lifeAfter && !g.r.count.troubled(lifeAfter) {
		g.r.count.cameBack.Add(1)
		g.r.count.story("%s", g.tell("an ended session lives on"))
		return false
	}
	return true
}

func (g *grave) tell(what string) string {
	g.session.mu.Lock()
	defer g.session.mu.Unlock()
	return g.story(what + ", ended " + g.since.Format("15:04:05.000"))
}
