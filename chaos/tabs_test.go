package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

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
		if trying.IsZero() && !t.r.nap(t.rest()) {
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

// rest is what lies between two refreshes; who misses an answer asks again soon.
func (t *tab) rest() time.Duration {
	wait := pause(t.random, t.think)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.lostSince.IsZero() {
		wait = min(wait, t.bound/6)
	}
	return wait
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
