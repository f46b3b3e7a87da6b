package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// crowd is how many honest clients of each kind there are.
type crowd struct {
	tabs     [3]int // cookie clients with one, two and three tabs
	bare     int    // BODY clients without attempt ids
	phones   int    // BODY clients with attempt ids that lose half of the answers
	restless int    // clients that log out and in
	families int    // users with three clients, one of which revokes the others
	think    time.Duration
}

func (c crowd) size() int {
	return c.tabs[0] + c.tabs[1] + c.tabs[2] + c.bare + c.phones + c.restless + 3*c.families
}

// users is how many accounts the crowd needs.
func (c crowd) users() int { return c.size() - 2*c.families }

// kinds are the names of those that there are.
func (c crowd) kinds() (names []string) {
	for name, n := range map[string]int{
		tabbed(1): c.tabs[0], tabbed(2): c.tabs[1], tabbed(3): c.tabs[2],
		bareClient: c.bare, phone: c.phones, restless: c.restless, member: c.families,
	} {
		if n > 0 {
			names = append(names, name)
		}
	}
	return names
}

// kinds of clients.
const (
	bareClient = "bare BODY client"
	phone      = "phone"
	restless   = "restless client"
	member     = "family"
)

func tabbed(tabs int) string { return fmt.Sprintf("cookie client with %d tabs", tabs) }

// living are the sessions that honest clients hold, for the last look.
type living struct {
	mu  sync.Mutex
	all map[string]*session // by client
}

func (l *living) holds(s *session) { l.mu.Lock(); defer l.mu.Unlock(); l.all[s.who] = s }

// crowd starts the honest clients.
func (r *rig) crowd(c crowd, l *living, work *sync.WaitGroup) {
	start := func(kind string, n int, run func(*client)) {
		for i := range n {
			name := fmt.Sprintf("%s %d", kind, i)
			k := &client{rig: r, kind: kind, name: name, random: r.random(name), account: <-r.accounts, living: l, think: c.think}
			work.Go(func() { run(k) })
		}
	}
	for tabs := 1; tabs <= 3; tabs++ {
		start(tabbed(tabs), c.tabs[tabs-1], func(k *client) { k.browser(tabs) })
	}
	start(bareClient, c.bare, (*client).bare)
	start(phone, c.phones, func(k *client) { k.phone(nil) })
	start(restless, c.restless, (*client).restless)
	for i := range c.families {
		f := &family{}
		account := <-r.accounts
		for m := range 3 {
			name := fmt.Sprintf("family %d member %d", i, m)
			k := &client{rig: r, kind: member, name: name, random: r.random(name), account: account, living: l, think: c.think}
			if m == 0 {
				work.Go(func() { k.head(f) })
			} else {
				work.Go(func() { k.phone(f) })
			}
		}
	}
}

// client is one honest client, used by one goroutine but for its tabs.
type client struct {
	*rig
	kind    string
	name    string
	random  *rand.Rand
	account account
	living  *living
	think   time.Duration
}

func (k *client) login(cookie bool, bound time.Duration) *session {
	s := k.rig.login(k.random, k.kind, k.name, k.account, cookie, bound)
	if s != nil {
		k.living.holds(s)
	}
	return s
}

// pause is what lies between two refreshes; now and then it is long.
func pause(random *rand.Rand, think time.Duration) time.Duration {
	if random.IntN(20) == 0 {
		return think * time.Duration(4+random.IntN(8))
	}
	return think/4 + time.Duration(random.Int64N(int64(think)*3/2))
}
