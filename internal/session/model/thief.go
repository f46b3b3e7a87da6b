package model

import "github.com/pawlauth/pawl/internal/session"

// Thief is how the thief of a search behaves. He acts instantly.
type Thief string

// The thieves. Against clients without attempt ids, all but Following keep out
// of the grace of the owner's turns, and the owner of his: inside it nobody can
// tell the two apart.
const (
	NoThief   Thief = ""
	AtOnce    Thief = "at once"   // uses the copy the moment he has it
	Asleep    Thief = "asleep"    // uses it later
	Waiting   Thief = "waiting"   // uses it only after the store lost something
	Following Thief = "following" // uses what he has at any moment
)

// What a thief must not come to.
const (
	// livesOn: he lived through a turn together with the owner.
	livesOn = "the thief lives on"
	// readsOn: he gets tokens later than one grace after the owner's divergent
	// use. That is the first request of the owner's browser that turned the
	// session away from what the thief holds or may hold, or that was turned
	// down for what the thief did.
	readsOn = "the thief reads on"
	// unnoticed: he lived through [FollowLimit] turns together with the owner,
	// and that was not reported.
	unnoticed = "the thief follows unnoticed"
	// letIn: he got anything from another network than a session is bound to.
	letIn = "the thief is let in"
)

// apart reports whether the thief and the owner keep one grace between them.
func (s *search) apart() bool {
	return s.Thief != NoThief && s.Thief != Following && !s.Attempts
}

func (s *search) theft(w world) {
	if s.Thief == NoThief {
		return
	}
	if w.thief.generation == 0 {
		s.steal(w)
		return
	}
	if s.Thief == Waiting && w.losses == s.Losses {
		return
	}
	s.abuse(w, w.fresh(false), true)
	if s.apart() && w.used <= s.Grace {
		return
	}
	s.abuseAnyhow(w)
}

// steal copies the cookie, or everything that one request says.
func (s *search) steal(w world) {
	cookie := w
	cookie.thief.generation, cookie.thief.common = w.jar, w.jar
	if w.losses < s.Losses {
		cookie.thief.common = w.owned()
	}
	if s.apart() {
		cookie.thief.common = max(cookie.thief.common, w.store.generation)
	}
	if s.Thief == AtOnce {
		s.abuse(cookie, w.fresh(false), true)
		s.abuseAnyhow(cookie)
		return
	}
	s.arrive(cookie, "a thief copies %d", w.jar)
	if !s.Attempts {
		return
	}
	for _, t := range w.tabs {
		if t.phase == asking && !t.renders {
			copied := w
			copied.thief.generation, copied.thief.stolen = t.generation, t.attempt
			copied.thief.common = max(cookie.thief.common, t.generation+1)
			s.arrive(copied, "a thief copies a request with %d", t.generation)
		}
	}
}

// owned is the newest generation that the owner has or is about to get.
func (w *world) owned() uint8 {
	newest := w.jarMax
	for _, t := range w.tabs {
		newest = max(newest, t.carries)
	}
	return newest
}

func (s *search) abuseAnyhow(w world) {
	s.abuse(w, w.fresh(false), false)
	s.abuse(w, w.fresh(true), false)
	if w.thief.stolen != 0 {
		s.abuse(w, w.thief.stolen, false)
		s.abuse(w, w.thief.stolen, true)
	}
}

// shared is what is wrong with a thief and an owner who have lived through turns
// together, in a session that nobody ended; empty when nothing is.
func (s *search) shared(w *world) string {
	together := min(w.jarMax, w.thief.generation)
	switch {
	case !w.thief.acted || w.over || together <= w.thief.common:
		return ""
	case !s.Presenters:
		return livesOn
	case together >= w.thief.common+FollowLimit && !w.thief.told:
		return unnoticed
	}
	return ""
}

func (s *search) abuse(w world, attempt int8, accessOnly bool) {
	for _, at := range s.servers {
		s.abuseAt(at, w, attempt, accessOnly)
	}
}

func (s *search) abuseAt(at server, w world, attempt int8, accessOnly bool) {
	use := Use{
		Generation: uint64(w.thief.generation), Attempt: Mark(attempt), AccessOnly: accessOnly, WrongNetwork: s.Bound,
	}
	if s.Presenters {
		use.By = theThief.String()
	}
	alive := !w.over
	outcome, ok := s.present(at, &w, use)
	if !ok {
		return
	}
	if outcome != session.AccessOnly { // which changes nothing
		w.thief.acted = true
		if s.apart() {
			w.thief.used = 0
		}
	}
	what := "%d of the thief is %s (now %d)"
	if Granted(outcome) {
		if outcome != session.AccessOnly && w.store.generation > w.thief.generation {
			w.thief.generation = w.store.generation
			if s.Presenters {
				w.thief.parted = 0 // he followed in time
			}
		}
		wrong := s.shared(&w)
		switch {
		case s.Bound:
			wrong = letIn
		case wrong == "" && alive && w.thief.parted > s.Grace+1:
			wrong = readsOn
		}
		if wrong != "" {
			s.violation(wrong, what, use.Generation, outcome, w.store.generation)
			return
		}
	}
	s.arrive(w, what, use.Generation, outcome, w.store.generation)
}

// part notes a divergent use of the owner's browser.
func (s *search) part(w *world, outcome session.Outcome) {
	t := &w.thief
	if t.generation == 0 || t.parted != 0 || w.over {
		return
	}
	switch outcome {
	case session.Rotated:
		if w.store.generation > max(t.common, t.generation) {
			t.parted = 1
		}
	case session.AttemptRequired:
		// Within a grace the client tries again. After a loss the thief may have
		// turned to what the owner has.
		if t.acted && w.store.turned > s.Grace && w.losses == s.Losses {
			t.parted = 1
		}
	}
}
