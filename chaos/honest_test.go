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
			k := &client{rig: r, name: name, random: r.random(name), account: <-r.accounts, living: l, think: c.think}
			work.Go(func() { run(k) })
		}
	}
	for tabs := 1; tabs <= 3; tabs++ {
		start(fmt.Sprintf("cookie client with %d tabs", tabs), c.tabs[tabs-1], func(k *client) { k.browser(tabs) })
	}
	start("bare BODY client", c.bare, (*client).bare)
	start("phone", c.phones, func(k *client) { k.phone(nil) })
	start("restless client", c.restless, (*client).restless)
	for i := range c.families {
		f := &family{}
		account := <-r.accounts
		for m := range 3 {
			name := fmt.Sprintf("family %d member %d", i, m)
			k := &client{rig: r, name: name, random: r.random(name), account: account, living: l, think: c.think}
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
	name    string
	random  *rand.Rand
	account account
	living  *living
	think   time.Duration
}

func (k *client) login(cookie bool, bound time.Duration) *session {
	s := k.rig.login(k.random, k.name, k.account, cookie, bound)
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

// browser is a cookie client whose tabs share a jar and no attempt ids.
func (k *client) browser(tabs int) {
	bound := k.grace
	if tabs > 1 {
		bound /= 2
	}
	for k.over.Err() == nil {
		s := k.login(true, bound)
		if s == nil {
			return
		}
		var open sync.WaitGroup
		for i := range tabs {
			t := &tab{session: s, random: k.rig.random(fmt.Sprintf("%s tab %d %s", k.name, i, s.id)), think: k.think * time.Duration(tabs)}
			open.Go(t.use)
		}
		open.Wait()
	}
}

// bare is a BODY client without attempt ids.
func (k *client) bare() {
	for k.over.Err() == nil {
		s := k.login(false, k.grace)
		if s == nil {
			return
		}
		(&tab{session: s, random: k.random, think: k.think}).use()
	}
}

// restless logs out after a few refreshes and in again.
func (k *client) restless() {
	for k.over.Err() == nil {
		s := k.login(k.random.IntN(2) == 0, k.grace)
		if s == nil {
			return
		}
		t := &tab{session: s, random: k.random, think: k.think, uses: 3 + k.random.IntN(25)}
		t.use()
		if !s.gone() && k.over.Err() == nil {
			s.logout(k.random)
		}
	}
}

// tab sends what it finds in the jar, again and again.
type tab struct {
	*session
	random *rand.Rand
	think  time.Duration
	uses   int // 0 for as long as the session lives
}

func (t *tab) use() {
	trying := time.Time{} // since when without an answer
	for uses := 0; (t.uses == 0 || uses < t.uses) && !t.gone() && t.r.over.Err() == nil; {
		if trying.IsZero() && !t.r.nap(pause(t.random, t.think)) {
			return
		}
		sent := time.Now()
		if trying.IsZero() {
			trying = sent
		}
		a := t.send(t.random.IntN(2), t.jar(), "")
		switch {
		case a.verdict == terminal:
			t.signedOut(a)
			return
		case a.verdict == granted && t.loses():
			a.verdict = lost
			t.r.count.swallowed.Add(1)
			t.note("  which is lost on its way")
			t.deliver(sent, a)
			trying = time.Time{}
			continue
		case a.verdict == granted:
			if t.random.IntN(4) == 0 { // it arrives after others
				time.Sleep(time.Duration(t.random.Int64N(int64(200 * time.Millisecond))))
			}
			t.r.count.waited(time.Since(trying))
			t.deliver(sent, a)
			t.look(a)
			trying = time.Time{}
			uses++
			continue
		case a.verdict == refused:
			t.r.count.odd("refresh of %s: %s", t.who, a)
		}
		t.deliver(sent, a)
		t.r.nap(time.Duration(100+t.random.IntN(300)) * time.Millisecond)
	}
}

// loses reports whether this answer gets lost. The client will have another one
// in time.
func (t *tab) loses() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.r.stopping.Err() == nil && t.random.IntN(10) == 0 && (t.lostSince.IsZero() || time.Since(t.lostSince) < t.bound/6)
}

// look uses the new access token now and then.
func (t *tab) look(a answer) {
	if t.random.IntN(10) > 0 {
		return
	}
	got := t.r.post(t.random.IntN(2), meQuery, nil, "Authorization", "Bearer "+a.Data.RefreshToken.AccessToken.Token)
	switch {
	case got.verdict == granted && got.Data.Me != nil && got.Data.Me.ID != t.account.id:
		t.r.count.mixed.Add(1)
	case got.verdict == terminal && !t.isDoomed() && !t.gone():
		t.r.count.refusedLiving.Add(1)
		t.r.count.story("the access token of a living session was refused: %s: %s", t.who, got)
	case got.verdict == refused:
		t.r.count.odd("me: %s", got)
	}
}

func (s *session) isDoomed() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.doomed }

// phone is a BODY client with attempt ids that loses half of the answers, now
// and then for long.
func (k *client) phone(f *family) {
	for k.over.Err() == nil {
		s := f.joins(func() *session { return k.login(false, 0) })
		if s == nil {
			return
		}
		for !s.gone() && k.nap(pause(k.random, k.think)) {
			k.attempt(s)
		}
	}
}

// attempt repeats one refresh until its answer arrived.
func (k *client) attempt(s *session) {
	if s.intent == "" { // kept until its answer came, over any break
		s.intent = newAttempt()
	}
	for k.over.Err() == nil {
		sent := time.Now()
		a := s.send(k.random.IntN(2), s.jar(), s.intent)
		switch {
		case k.stopping.Err() == nil && k.random.IntN(2) == 0:
			k.count.swallowed.Add(1)
			s.note("  which is lost on its way")
			if k.random.IntN(40) == 0 { // a tunnel
				k.nap(k.grace + time.Duration(k.random.Int64N(int64(k.grace))))
			}
			k.nap(time.Duration(k.random.IntN(200)) * time.Millisecond)
			continue
		case a.verdict == granted:
			s.deliver(sent, a)
			s.intent = ""
			return
		case a.verdict == terminal:
			s.signedOut(a)
			return
		case a.verdict == refused:
			k.count.odd("refresh of %s: %s", k.name, a)
		}
		k.nap(time.Duration(100+k.random.IntN(300)) * time.Millisecond)
	}
}

// family are the sessions of one user.
type family struct {
	doors   sync.RWMutex // nobody comes in while all are sent away
	mu      sync.Mutex
	members map[string]*session
}

// joins signs a member in.
func (f *family) joins(login func() *session) *session {
	if f == nil {
		return login()
	}
	f.doors.RLock()
	defer f.doors.RUnlock()
	s := login()
	if s == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members == nil {
		f.members = map[string]*session{}
	}
	f.members[s.who] = s
	return s
}

// others are the sessions that nobody has ended yet.
func (f *family) others() (all []*session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.members {
		if !s.isDoomed() && !s.gone() {
			all = append(all, s)
		}
	}
	return all
}

// head is the client that ends the sessions of the others.
func (k *client) head(f *family) {
	for k.over.Err() == nil {
		s := k.login(false, 0)
		for s != nil && !s.gone() && k.nap(pause(k.random, k.think)) {
			k.attempt(s)
			if k.random.IntN(6) > 0 {
				continue
			}
			f.doors.Lock()
			if others := f.others(); len(others) > 0 {
				k.revoke(s, others)
			}
			f.doors.Unlock()
		}
		if s == nil {
			return
		}
	}
}

// revoke ends one of the sessions, or all, and repeats that until it is
// acknowledged.
func (k *client) revoke(s *session, others []*session) {
	query, input := revokeAllQuery, map[string]any{}
	if k.random.IntN(4) > 0 {
		others = others[:1]
		query, input = revokeQuery, map[string]any{"sessionId": others[0].id}
	}
	for _, other := range others {
		other.doom()
	}
	for k.over.Err() == nil {
		s.mu.Lock()
		access := s.access
		s.mu.Unlock()
		a := k.post(k.random.IntN(2), query, input, "Authorization", "Bearer "+access)
		switch a.verdict {
		case granted:
			k.count.ends.Add(1)
			for _, other := range others {
				k.bury(other)
			}
			return
		case terminal, refused:
			k.count.odd("%s of %s: %s", query[:30], k.name, a)
		}
		k.nap(200 * time.Millisecond)
	}
}
