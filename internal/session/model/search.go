package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pawlauth/pawl/internal/session"
)

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

// Config bounds a search. Windows are ticks.
type Config struct {
	Tabs        int
	Attempts    bool  // the owner's tabs send attempt ids
	Grace       uint8 // reuse grace
	Retry       uint8 // retry window
	Flight      uint8 // longest time from sending a request to its answer
	LostFor     uint8 // a lost answer is asked for again within this time of the turn
	Generations uint8 // turns beyond this generation are not looked at
	Losses      uint8 // flushes and rollbacks; the row of a recovery is written before the next
	Snapshots   uint8 // snapshots that a rollback can bring back
	Late        bool  // a checkpoint may wait before it is written
	Resend      bool  // the store may judge a request twice, after a lost reply of its own
	Thief       Thief
	MaxStates   int // gives up after so many; 0 looks at all

	// UnchangedSetsCookie: an answer that repeats the presented token sets the
	// cookie too, and may overtake, or be overtaken by, another answer.
	UnchangedSetsCookie bool

	TurnsInRecovery   bool // switches off "nothing turns within one grace of a recovery"
	ManyTurnsPerGrace bool // switches off "one turn per grace"
	NothingHeld       bool // switches off "held sessions"
	NoEpochs          bool // switches off "a later recovery counts first"
}

// Result is what a search came to.
type Result struct {
	States    int
	Violation string   // empty when there is none
	Trace     []string // the shortest way there
}

// String shows the violation with its way.
func (r Result) String() string {
	if r.Violation == "" {
		return fmt.Sprintf("%d states, no violation", r.States)
	}
	return fmt.Sprintf("%d states, %s after %d steps:\n  %s", r.States, r.Violation, len(r.Trace), strings.Join(r.Trace, "\n  "))
}

type search struct {
	Config
	rules  Rules
	seen   map[world]int32
	worlds []world
	parent []int32
	event  []string
	at     int32
	result Result
}

// Search looks at every world that can be reached, nearest first, and stops at
// the first violation.
func Search(c Config) Result {
	s := &search{Config: c, seen: make(map[world]int32), rules: Rules{
		Idle: 1 << 40, Grace: windowMillis(c.Grace), Retry: windowMillis(c.Retry),
		TurnsInRecovery: c.TurnsInRecovery, ManyTurnsPerGrace: c.ManyTurnsPerGrace, NothingHeld: c.NothingHeld, NoEpochs: c.NoEpochs,
	}}
	s.reach(c.start(), "start")
	for ; int(s.at) < len(s.worlds) && s.result.Violation == "" && !s.tired(); s.at++ {
		s.expand(s.worlds[s.at])
	}
	s.result.States = len(s.worlds)
	return s.result
}

func (s *search) tired() bool { return s.MaxStates != 0 && len(s.worlds) > s.MaxStates }

// start is a session just after its login; against a thief of a client with
// attempt ids, one that is held and whose checkpoint says so.
func (c Config) start() world {
	h := hot{status: live, generation: 1, turned: never, recovered: never}
	if c.Attempts && c.Thief != NoThief {
		h.generation, h.held, h.attempt = 2, !c.NothingHeld, deadClient
	}
	w := world{
		store: h, ledger: h, jar: h.generation, jarMax: h.generation,
		owed: never, used: never, losses: c.Losses, snapshots: c.Snapshots,
	}
	w.thief.used = never
	return w
}

func (s *search) reach(w world, format string, args ...any) {
	w = w.canonical()
	if _, known := s.seen[w]; known {
		return
	}
	s.seen[w] = int32(len(s.worlds))
	s.worlds = append(s.worlds, w)
	s.parent = append(s.parent, s.at)
	s.event = append(s.event, fmt.Sprintf(format, args...))
}

func (s *search) violation(what, format string, args ...any) {
	if s.result.Violation != "" {
		return
	}
	trace := []string{fmt.Sprintf(format, args...)}
	for at := s.at; at != 0; at = s.parent[at] {
		trace = append(trace, s.event[at])
	}
	slices.Reverse(trace)
	s.result.Violation, s.result.Trace = what, trace
}

func (s *search) expand(w world) {
	sent := false
	for i := range s.Tabs {
		switch w.tabs[i].phase {
		case quiet:
			if !sent { // quiet tabs are alike
				s.send(w, i)
			}
			sent = true
		case asking:
			s.process(w, i)
		case answering:
			s.deliver(w, i)
			s.lose(w, i)
		}
	}
	s.lossesOf(w)
	s.checkpoints(w)
	s.theft(w)
	s.tick(w)
}

func (s *search) send(w world, i int) {
	t := tab{phase: asking, generation: w.jar}
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
	s.reach(w, "a tab sends %d", t.generation)
}

func (s *search) process(w world, i int) {
	if s.apart() && w.thief.used <= s.Grace {
		return
	}
	t := w.tabs[i]
	outcome, ok := s.present(&w, t.generation, t.attempt)
	if !ok {
		return
	}
	what := fmt.Sprintf("%d of a tab is %s (now %d)", t.generation, outcome, w.store.generation)
	w.used = 0
	switch outcome {
	case session.Rotated, session.Replayed, session.Retried:
		t.answered, t.carries = true, w.store.generation
	case session.Unchanged:
		t.answered, t.settles = true, w.owed != never
		if s.UnchangedSetsCookie {
			t.carries = w.store.generation
		}
	case session.Contended, session.Recovering: // try again
		w.tabs[i] = tab{}
		s.reach(w, "%s", what)
		return
	default:
		if !w.thief.acted {
			s.violation("honest sign-out", "%s", what)
			return
		}
		w.tabs[i] = tab{}
		s.reach(w, "%s", what)
		return
	}
	if s.Resend && !t.resent {
		again := w
		again.tabs[i] = tab{phase: asking, generation: t.generation, attempt: t.attempt, age: t.age, resent: true}
		s.reach(again, "%s, but the store's reply is lost", what)
	}
	t.phase = answering
	if !s.Attempts || t.attempt != w.intent {
		t.attempt = 0 // of no more use
	}
	w.tabs[i] = t
	s.reach(w, "%s", what)
}

func (s *search) deliver(w world, i int) {
	t := w.tabs[i]
	w.tabs[i] = tab{}
	if t.carries != 0 {
		w.jar = t.carries
		w.jarMax = max(w.jarMax, w.jar)
	}
	if t.carries != 0 || t.settles {
		w.owed = never
	}
	if s.Attempts && t.attempt == w.intent {
		w.intent = 0
	}
	if w.shared() {
		s.violation("the thief lives on", "the owner gets %d, which the thief has", t.carries)
		return
	}
	s.reach(w, "the answer to %d sets cookie %d", t.generation, t.carries)
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
	s.reach(w, "the answer to %d with %d is lost", t.generation, t.carries)
}

// tick lets time pass, as far as an honest client allows.
func (s *search) tick(w world) {
	for i := range w.tabs {
		t := &w.tabs[i]
		if t.phase == quiet {
			continue
		}
		if t.age++; t.age > s.Flight {
			return
		}
	}
	if w.owed != never {
		if w.owed++; w.owed > s.LostFor {
			return
		}
	}
	if w.dead && w.afterlife > 0 && w.store.status == live {
		return // the checkpoint's question comes within seconds
	}
	window := max(s.Grace, s.Retry)
	for _, h := range w.hots() {
		age(&h.turned, window)
		age(&h.recovered, s.Grace)
	}
	age(&w.used, s.Grace)
	age(&w.thief.used, s.Grace)
	s.reach(w, "a tick passes")
}

func age(ticks *uint8, window uint8) {
	if *ticks != never {
		*ticks++
	}
	if *ticks > window {
		*ticks = never
	}
}
