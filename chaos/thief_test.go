package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// robbery is one kind of thief against one kind of client.
type robbery struct {
	how      string // "at once", "asleep", "following" or "waiting"
	attempts bool   // the owner sends attempt ids
	request  bool   // the thief copied a whole request: its attempt id too
}

func (k robbery) String() string {
	against := "bare client"
	if k.attempts {
		against = "attempt ids"
	}
	if k.request {
		against += ", whole request"
	}
	return k.how + ", " + against
}

// robberies are the kinds that exist. A thief who follows each turn of a bare
// client is answered inside the grace like the client itself: documented.
func robberies() []robbery {
	return []robbery{
		{"at once", false, false}, {"at once", true, false}, {"at once", true, true},
		{"asleep", false, false}, {"asleep", true, false}, {"asleep", true, true},
		{"following", true, false}, {"following", true, true},
		{"waiting", false, false}, {"waiting", true, false}, {"waiting", true, true},
	}
}

// thieves starts n thieves of each kind. One goroutine plays the owner and the
// thief, so that it knows who had what.
func (r *rig) thieves(n int, work *sync.WaitGroup) {
	for _, kind := range robberies() {
		for i := range n {
			account := <-r.accounts
			random := r.random(fmt.Sprintf("thief %s %d", kind, i))
			work.Go(func() {
				for round := 0; r.stopping.Err() == nil && (round == 0 || r.long); round++ {
					(&drama{rig: r, robbery: kind, random: random, account: account}).play()
				}
			})
		}
	}
}

// drama is one theft and what follows.
type drama struct {
	*rig
	robbery
	random  *rand.Rand
	account account

	s             *session
	victim, crook actor
	common        uint64 // the newest generation that both may hold without living through a turn together
	losses        int
	acted         bool
	turns         uint64 // the owner's generation when the thief acted first
	late          bool   // the owner waited for an answer for longer than it may
}

// actor is the owner or the thief.
type actor struct {
	name   string
	token  string
	newest uint64    // generation that it ever held
	used   time.Time // for the last time
	stolen string    // an attempt id that is not its own
	intent string    // an attempt id that waits for its answer
}

func (a *actor) takes(token string) {
	if token != "" {
		a.token = token
	}
	a.newest = max(a.newest, generation(a.token))
}

// limits of one drama.
const (
	mostTurns   = 3               // of the owner, with the thief alive
	shyness     = 3 * time.Second // beyond the grace, between bare owner and thief
	turnsBefore = 2               // generation at which the theft happens
)

// play is one round. What is still open when everybody goes home is counted.
func (d *drama) play() {
	d.s = d.rig.login(d.random, "thief "+d.String(), d.account, !d.attempts && d.random.IntN(2) == 0, 0)
	if d.s == nil {
		return
	}
	d.s.doom() // its end is no surprise
	d.victim, d.crook = actor{name: "owner"}, actor{name: "thief"}
	d.victim.takes(d.s.token)
	for d.victim.newest < turnsBefore || d.attempts && !d.rig.postgres.held(d.s.id) {
		if !d.nap(100*time.Millisecond) || d.use(&d.victim) != granted {
			d.odd("before the theft")
			return
		}
	}
	d.steal()
	if !d.prelude() {
		return
	}
	for d.over.Err() == nil {
		if d.step(&d.victim) || d.step(&d.crook) {
			return
		}
		d.nap(time.Duration(d.random.Int64N(int64(d.grace / 3))))
	}
	if d.acted {
		d.count.thief(d.String(), func(c *catch) { c.unfinished++ })
	}
}

// odd notes an owner who was signed out without a thief.
func (d *drama) odd(when string) {
	switch {
	case d.over.Err() != nil:
	case d.late:
		d.count.beyondOut.Add(1)
	default:
		d.count.signOuts.Add(1)
		d.s.mu.Lock()
		d.count.story("%s", d.s.story("signed out "+when))
		d.s.mu.Unlock()
	}
}

// steal copies the token, or the next request.
func (d *drama) steal() {
	d.s.note("the thief copies generation %d", d.victim.newest)
	d.crook.takes(d.victim.token)
	d.losses = d.rig.losses.seen()
	d.common = d.victim.newest
	if d.request {
		d.victim.intent = newAttempt()
		d.crook.stolen = d.victim.intent
		d.common++
	}
}

// prelude is what happens before the thief's first use; false when the drama is
// over by then.
func (d *drama) prelude() bool {
	switch d.how {
	case "at once":
		return !d.step(&d.crook)
	case "asleep":
		for want := d.victim.newest + 1 + uint64(d.random.IntN(2)); d.victim.newest < want; {
			if d.step(&d.victim) {
				return false
			}
			if !d.nap(d.grace / 4) {
				return false
			}
		}
		return !d.step(&d.crook)
	case "waiting":
		return d.waits()
	}
	return true
}

// waits lets the owner live on until the store loses something.
func (d *drama) waits() bool {
	loss := d.rig.losses.next()
	for {
		wait := time.Duration(d.random.Int64N(int64(d.grace)))
		if !d.attempts {
			wait += d.grace + shyness
		}
		select {
		case <-loss:
			return !d.step(&d.crook)
		case <-d.stopping.Done():
			return false // it never came
		case <-time.After(wait):
		}
		if d.step(&d.victim) {
			return false
		}
	}
}

// step is one use by one of the two, and what it comes to; true when the drama
// is over.
func (d *drama) step(a *actor) bool {
	if !d.attempts { // bare clients and their thieves keep a grace between them
		other := d.victim.used
		if a == &d.victim {
			other = d.crook.used
		}
		if wait := time.Until(other.Add(d.grace + shyness)); !other.IsZero() && wait > 0 && !d.nap(wait) {
			return false
		}
	}
	if a == &d.crook && !d.acted {
		d.acted, d.turns = true, d.victim.newest
	}
	got := d.use(a)
	if now := d.rig.losses.seen(); now != d.losses { // what was lost is lost for both
		d.losses, d.common = now, max(d.common, d.victim.newest, d.crook.newest)
	}
	switch {
	case got == terminal && d.acted:
		d.caught()
		return true
	case got == terminal:
		d.odd("with a thief who did nothing yet")
		return true
	case d.acted && got == granted && min(d.victim.newest, d.crook.newest) > d.common:
		d.free("the thief and the owner lived through a turn together")
		return true
	case d.acted && d.victim.newest > max(d.turns, d.common)+mostTurns:
		d.free("the owner went on as if there were no thief")
		return true
	}
	return false
}

// use presents an actor's token until there is an answer. A thief has less
// patience than the owner.
func (d *drama) use(a *actor) verdict {
	attempt := ""
	if d.attempts {
		if a.intent == "" {
			a.intent = newAttempt()
		}
		attempt = a.intent
	}
	if a == &d.crook {
		attempt = d.pretext()
	}
	began := time.Now()
	for tries := 0; d.over.Err() == nil; tries++ {
		d.late = a == &d.victim && !d.attempts && time.Since(began) > d.grace
		d.s.note("%s:", a.name)
		got := d.s.send(d.random.IntN(2), a.token, attempt)
		a.used = time.Now()
		switch {
		case got.verdict == granted:
			a.takes(got.token())
			a.intent = ""
			return granted
		case got.verdict == terminal:
			return terminal
		case a == &d.crook && (got.verdict == refused || tries == 5):
			return unavailable
		case got.verdict == refused:
			d.count.odd("refresh of a robbed client: %s", got)
		}
		d.nap(time.Duration(200+d.random.IntN(200)) * time.Millisecond)
	}
	return lost
}

// pretext is the attempt id that the thief sends: what he copied, one of his
// own, or none.
func (d *drama) pretext() string {
	switch {
	case !d.attempts:
		return ""
	case d.crook.stolen != "" && d.random.IntN(2) == 0:
		return d.crook.stolen
	case d.random.IntN(5) == 0:
		return ""
	}
	return newAttempt()
}

// caught makes sure that both are out, and stay out.
func (d *drama) caught() {
	now := time.Now()
	for _, a := range []*actor{&d.victim, &d.crook} {
		a.stolen, a.intent = "", newAttempt()
		before, revived := a.newest, time.Time{}
		for d.use(a) == granted {
			if revived.IsZero() {
				revived = time.Now()
			}
			if !d.rig.losses.since(now) {
				d.free("the " + a.name + " is answered after the session ended, without any loss")
				return
			}
			if a.newest > before+1 || time.Since(revived) > lifeAfter && !d.count.troubled(lifeAfter) {
				d.free("the " + a.name + " lives on in a session that a loss revived")
				return
			}
			d.nap(100 * time.Millisecond)
		}
		if !revived.IsZero() {
			d.count.revived.Add(1)
			d.count.longestLife.Store(max(d.count.longestLife.Load(), int64(time.Since(revived))))
		}
	}
	d.count.thief(d.String(), func(c *catch) { c.caught++ })
	for _, a := range []*actor{&d.victim, &d.crook} {
		d.s.mu.Lock()
		d.s.token = a.token
		d.s.mu.Unlock()
		d.bury(d.s)
	}
}

func (d *drama) free(why string) {
	d.count.thief(d.String(), func(c *catch) { c.free++ })
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.count.story("%s", d.s.story(fmt.Sprintf("a thief was not caught (%s): %s; common %d, owner %d, thief %d",
		d.String(), why, d.common, d.victim.newest, d.crook.newest)))
}
