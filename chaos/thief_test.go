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
	d.s = d.rig.login(d.random, "robbed client", "thief "+d.String(), d.account, !d.attempts && d.random.IntN(2) == 0, 0)
	if d.s == nil {
		return
	}
	d.s.doom() // its end is no surprise
	d.victim, d.crook = actor{name: "owner"}, actor{name: "thief"}
	d.victim.takes(d.s.token)
	for d.victim.newest < turnsBefore || d.attempts && !d.rig.held(d.s.id) {
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
		d.truth.explain(d.s.id, "clients that were late", time.Time{})
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
