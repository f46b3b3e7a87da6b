package model

import "github.com/pawlauth/pawl/internal/session"

// Renderer is how the server that renders the owner's pages refreshes. It has a
// copy of the cookie as it was when the page was asked for, stores nothing, and
// what it would set does not arrive.
type Renderer string

// The rendering servers.
const (
	NoRenderer Renderer = ""
	ReadsOnly  Renderer = "access only" // asks for access tokens only
	Rotates    Renderer = "rotates"     // refreshes as a client does
)

// signOut is what an honest owner must not come to, and stuck: that the client
// gets no further whatever it sends.
const (
	signOut = "honest sign-out"
	stuck   = "an honest client is stuck"
)

// judged says what came of a tab's request.
const judged = "%d of a tab is %s (now %d)"

// requests lets the tabs and the rendering server get on.
func (s *search) requests(w world) {
	busy, rendering := 0, false
	for i := range s.places() {
		t := w.tabs[i]
		switch {
		case t.phase == quiet:
			continue
		case t.renders:
			rendering = true
		default:
			busy++
		}
		for _, at := range s.servers {
			switch {
			case t.phase == asking && t.renders:
				s.render(at, w, i)
			case t.phase == asking:
				s.process(at, w, i)
			}
		}
		if t.phase == answering {
			s.deliver(w, i)
			s.lose(w, i)
		}
	}
	free := s.places()
	for i := range s.places() {
		if w.tabs[i].phase == quiet {
			free = i
			break
		}
	}
	if busy < s.Tabs && w.rests == 0 {
		s.send(w, free)
	}
	if s.Renderer != NoRenderer && !rendering {
		w.tabs[free] = tab{phase: asking, renders: true, generation: w.jar, by: s.presenter(theOwner)}
		s.arrive(w, "a rendering server sends %d", w.jar)
	}
}

// places is how many requests there can be at a time.
func (s *search) places() int {
	if s.Renderer != NoRenderer {
		return s.Tabs + 1
	}
	return s.Tabs
}

func (s *search) presenter(p presenter) presenter {
	if s.Presenters {
		return p
	}
	return anybody
}

func (s *search) send(w world, i int) {
	t := tab{phase: asking, generation: w.jar, by: s.presenter(theOwner)}
	switch {
	case !s.Attempts:
		t.attempt = w.fresh(false)
	case w.intent == 0:
		w.intent = w.fresh(true)
		fallthrough
	default:
		t.attempt = w.intent
	}
	w.tabs[i] = t
	s.arrive(w, "a tab sends %d", t.generation)
	if s.Roaming {
		w.tabs[i].by = theOtherNetwork
		s.arrive(w, "a tab sends %d through another network", t.generation)
	}
}

func (t tab) use() Use {
	return Use{Generation: uint64(t.generation), Attempt: Mark(t.attempt), By: t.by.String()}
}

// render is a request of the rendering server; the owner's jar does not see the
// answer.
func (s *search) render(at server, w world, i int) {
	use := w.tabs[i].use()
	w.tabs[i] = tab{}
	use.Attempt = Mark(w.fresh(s.Attempts && s.Renderer == Rotates))
	use.AccessOnly = s.Renderer == ReadsOnly
	use.WrongNetwork = s.RendersAfar
	outcome, ok := s.present(at, &w, use)
	if !ok {
		return
	}
	const what = "%d of the rendering server is %s (now %d)"
	if w.over && !w.thief.acted {
		s.violation(signOut, what, use.Generation, outcome, w.store.generation)
		return
	}
	s.arrive(w, what, use.Generation, outcome, w.store.generation)
}

func (s *search) process(at server, w world, i int) {
	if s.apart() && w.thief.used <= s.Grace {
		return
	}
	t := w.tabs[i]
	outcome, ok := s.present(at, &w, t.use())
	if !ok {
		return
	}
	if s.apart() {
		w.used = 0
	}
	s.part(&w, outcome)
	switch outcome {
	case session.Rotated, session.Replayed, session.Retried:
		t.answered, t.carries = true, w.store.generation
	case session.Unchanged:
		t.answered, t.settles = true, w.owed != never
		if s.UnchangedSetsCookie {
			t.carries = w.store.generation
		}
	default:
		s.turnedDown(w, i, outcome)
		return
	}
	w.refused = 0
	if s.Resend && !t.resent {
		again := w
		again.tabs[i] = w.tabs[i]
		again.tabs[i].resent = true
		s.arrive(again, judged+", but the store's reply is lost", t.generation, outcome, w.store.generation)
	}
	t.phase = answering
	if !s.Attempts || t.attempt != w.intent {
		t.attempt = 0 // of no more use
	}
	w.tabs[i] = t
	s.arrive(w, judged, t.generation, outcome, w.store.generation)
}

// turnedDown is an answer without tokens. It arrives at once.
func (s *search) turnedDown(w world, i int, outcome session.Outcome) {
	t := w.tabs[i]
	w.tabs[i] = tab{}
	switch {
	case outcome == session.AttemptUsed:
		if t.attempt == w.intent && !s.RepeatsAttempt {
			w.intent = 0 // the next request draws a fresh one
		}
		if w.refused++; int(w.refused) > s.Tabs { // those of the other tabs were on their way
			s.violation(stuck, judged, t.generation, outcome, w.store.generation)
			return
		}
	case outcome == session.Contended, outcome == session.Recovering: // try again
	case !w.thief.acted:
		s.violation(signOut, judged, t.generation, outcome, w.store.generation)
		return
	}
	s.arrive(w, judged, t.generation, outcome, w.store.generation)
}

func (s *search) deliver(w world, i int) {
	t := w.tabs[i]
	w.tabs[i] = tab{}
	if t.carries != 0 {
		w.jar = t.carries
		w.jarMax = max(w.jarMax, w.jar)
	}
	if t.carries != 0 || t.settles {
		if s.Rests && w.owed != never {
			w.rests = s.Flight + 1
		}
		w.owed = never
	}
	half := w
	if s.Attempts && t.attempt == w.intent && !s.RepeatsAttempt {
		w.intent = 0
	}
	if wrong := s.shared(&w); wrong != "" {
		s.violation(wrong, "the owner gets %d, which the thief has", t.carries)
		return
	}
	s.arrive(w, "the answer to %d sets cookie %d", t.generation, t.carries)
	if s.Halves && half.intent != w.intent {
		s.arrive(half, "the answer to %d sets cookie %d and breaks off", t.generation, t.carries)
	}
}

func (s *search) lose(w world, i int) {
	t := w.tabs[i]
	w.tabs[i] = tab{}
	if t.carries > w.jar && w.owed == never {
		if s.LostFor == 0 {
			return
		}
		w.owed = t.age
		if w.store.generation == t.carries && w.store.turned != never {
			w.owed = max(w.owed, w.store.turned)
		}
	}
	s.arrive(w, "the answer to %d with %d is lost", t.generation, t.carries)
}
