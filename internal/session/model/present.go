package model

import "github.com/pawlauth/pawl/internal/session"

// server is one of those that a request can come to.
type server struct {
	rules     Rules
	unbinding bool // it binds no new sessions
}

// present is a refresh of the contract with its way through the ledger. It is
// not ok where the search stops looking.
func (s *search) present(at server, w *world, u Use) (outcome session.Outcome, ok bool) {
	u.Unbinding = at.unbinding
	if w.store.status == ended {
		w.dead = true // a tombstone is repeated to a ledger that does not know it
		return session.Tombstone, true
	}
	ahead := w.store.status == missing
	if !ahead {
		outcome, _ = s.judge(at, w.store, u)
		ahead = outcome == session.Ahead
	}
	if ahead {
		if w.dead && !(w.gone && s.MissingRowLives) {
			w.store = hot{status: ended}
			return session.Tombstone, true
		}
		w.store = s.restore(w.store, w.ledger, uint8(u.Generation))
	}
	outcome, after := s.judge(at, w.store, u)
	switch outcome {
	case session.Reuse, session.BindingMiss, session.Shared:
		w.store = hot{status: ended}
		w.over, w.dead = true, w.dead || !s.LateEnds
		w.thief.parted, w.thief.told = 0, false // of no more interest
		return outcome, true
	}
	if Granted(outcome) && w.over {
		s.outlive(w, u, outcome)
	}
	if ReportsShared(s.millis(w.store), s.millis(after)) {
		w.thief.told = true
	}
	w.store = after
	return outcome, after.generation <= s.Generations
}

// outlive notes tokens that were handed out after the end of their session: only
// by a store that lost it, at most one turn, and until the ledger was asked.
func (s *search) outlive(w *world, u Use, outcome session.Outcome) {
	const lives = "an ended session lives on"
	if outcome == session.Rotated {
		w.afterlife++
	}
	switch {
	case w.losses == s.Losses || w.afterlife > 1:
		s.violation(lives, "%d is %s again", u.Generation, outcome)
	case w.question == unasked:
		s.violation(lives, "%d is %s still", u.Generation, outcome)
	case outcome == session.AccessOnly && s.AccessAsksNothing && w.question == notNeeded:
		w.question = forgotten
	case w.question == notNeeded:
		w.question = asked
	}
}

func (s *search) judge(at server, h hot, u Use) (session.Outcome, hot) {
	outcome, after := at.rules.Judge(s.millis(h), u, nowMillis)
	return outcome, after.ticks()
}

func (s *search) restore(store, ledger hot, adopt uint8) hot {
	return s.rules.Restore(s.millis(store), store.status == live, s.millis(ledger), uint64(adopt), nowMillis).ticks()
}
