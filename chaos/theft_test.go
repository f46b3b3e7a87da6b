package chaos_test

import (
	"fmt"
	"time"
)

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
		d.truth.explain(d.s.id, "thieves", time.Now())
		d.count.thief(d.String(), func(c *catch) { c.presented++ })
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
