package model

import "github.com/pawlauth/pawl/internal/session"

// present is a refresh of the contract with its way through the ledger. It is
// not ok where the search stops looking.
func (s *search) present(w *world, generation uint8, attempt int8) (outcome session.Outcome, ok bool) {
	if w.store.status == ended {
		return session.Tombstone, true
	}
	ahead := w.store.status == missing
	if !ahead {
		outcome, _ = s.judge(w.store, generation, attempt)
		ahead = outcome == session.Ahead
	}
	if ahead {
		if w.dead {
			w.store = hot{status: ended}
			return session.Tombstone, true
		}
		w.store = s.restore(w.store, w.ledger, generation)
	}
	outcome, after := s.judge(w.store, generation, attempt)
	switch outcome {
	case session.Reuse, session.BindingMiss:
		w.store = hot{status: ended}
		w.dead = true
		return outcome, true
	case session.Rotated:
		if w.dead {
			w.afterlife++
			if w.afterlife > 1 {
				s.violation("an ended session lives on", "%d turns again", generation)
			}
		}
	}
	w.store = after
	return outcome, after.generation <= s.Generations
}

// A tick is so many milliseconds that all recoveries of one tick have room
// before its end, in their order.
const (
	tick      = int64(64)
	tickEnd   = int64(1) << 20 * tick
	newEpoch  = 32 // of a recovery that happens now
	nowMillis = tickEnd + newEpoch
	farMillis = int64(1) << 50
)

// windowMillis is a window in which an age of so many ticks is the last.
func windowMillis(ticks uint8) int64 {
	if ticks == 0 {
		return 0
	}
	return int64(ticks)*tick + newEpoch
}

func (s *search) judge(h hot, generation uint8, attempt int8) (session.Outcome, hot) {
	outcome, after := s.rules.Judge(h.millis(), Use{Generation: uint64(generation), Attempt: Mark(attempt)}, nowMillis)
	return outcome, after.ticks()
}

func (s *search) restore(store, ledger hot, adopt uint8) hot {
	return s.rules.Restore(store.millis(), store.status == live, ledger.millis(), uint64(adopt), nowMillis).ticks()
}

func (h hot) millis() Hot {
	m := Hot{
		Generation: uint64(h.generation), Attempt: Mark(h.attempt), Held: h.held,
		IdleExpiresAt: farMillis, ExpiresAt: farMillis,
	}
	if h.turned != never {
		m.TurnedAt = nowMillis - int64(h.turned)*tick
	}
	if h.epoch != 0 {
		m.RecoveredAt = tickEnd - int64(h.recovered)*tick + int64(h.epoch)
	}
	return m
}

func (h Hot) ticks() hot {
	t := hot{
		status: live, generation: uint8(h.Generation), turned: never, attempt: int8(h.Attempt),
		held: h.Held, recovered: never,
	}
	if h.TurnedAt != 0 {
		t.turned = uint8((nowMillis - h.TurnedAt) / tick)
	}
	if h.RecoveredAt != 0 {
		ago := nowMillis - h.RecoveredAt
		t.recovered, t.epoch = uint8(ago/tick), uint8(newEpoch-ago%tick)
	}
	return t
}

// lossesOf are the ways in which the store forgets.
func (s *search) lossesOf(w world) {
	if w.snapshots > 0 && w.store.status == live {
		taken := w
		taken.snapshots--
		taken.snapshot = w.store
		s.reach(taken, "a snapshot is taken at %d", w.store.generation)
	}
	if w.losses == 0 || w.store.status == live && w.store.epoch > w.ledger.epoch {
		return
	}
	w.losses--
	// what the owner had is forgotten: the thief may catch up with it
	w.thief.common = max(w.thief.common, w.owned(), w.store.generation)
	if w.store.status != missing {
		flushed := w
		flushed.store = hot{}
		s.reach(flushed, "the store is flushed")
	}
	if w.snapshot.status == live {
		w.store, w.snapshot = w.snapshot, hot{}
		s.reach(w, "the snapshot of %d comes back", w.store.generation)
	}
}

// checkpoints reach the ledger at once, or late.
func (s *search) checkpoints(w world) {
	if w.store.status == live {
		s.write(w, w.store)
	}
	if !s.Late {
		return
	}
	if w.store.status == live && w.noted.status != live {
		later := w
		later.noted = w.store
		s.reach(later, "a checkpoint of %d waits", w.store.generation)
	}
	if noted := w.noted; noted.status == live {
		w.noted = hot{}
		s.write(w, noted)
	}
}

// write is a checkpoint's way into the ledger, and what the ledger answers.
func (s *search) write(w world, noted hot) {
	held := w.ledger.held || noted.held
	if s.rules.Newer(noted.millis(), w.ledger.millis()) {
		w.ledger = noted
	}
	w.ledger.held = held
	switch {
	case w.dead:
		w.store = hot{status: ended}
		s.reach(w, "the checkpoint ends the session")
	case w.ledger.generation > noted.generation && w.store.status != ended:
		w.store = s.restore(w.store, w.ledger, 0)
		s.reach(w, "the checkpoint of %d lifts the store to %d", noted.generation, w.store.generation)
	default:
		s.reach(w, "checkpoint of %d", noted.generation)
	}
}

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
	if s.apart() && w.used <= s.Grace || s.Thief == Waiting && w.losses == s.Losses {
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
		s.abuseAnyhow(cookie)
		return
	}
	s.reach(cookie, "a thief copies %d", w.jar)
	if !s.Attempts {
		return
	}
	for _, t := range w.tabs {
		if t.phase == asking {
			copied := w
			copied.thief.generation, copied.thief.stolen = t.generation, t.attempt
			copied.thief.common = max(cookie.thief.common, t.generation+1)
			s.reach(copied, "a thief copies a request with %d", t.generation)
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
	s.abuse(w, w.fresh(false))
	s.abuse(w, w.fresh(true))
	if w.thief.stolen != 0 {
		s.abuse(w, w.thief.stolen)
	}
}

// shared reports whether the thief and the owner have lived through a turn
// together, in a session that nobody ended.
func (w *world) shared() bool {
	return w.thief.acted && !w.dead && min(w.jarMax, w.thief.generation) > w.thief.common
}

func (s *search) abuse(w world, attempt int8) {
	presented := w.thief.generation
	outcome, ok := s.present(&w, presented, attempt)
	if !ok {
		return
	}
	w.thief.used, w.thief.acted = 0, true
	switch outcome {
	case session.Rotated, session.Unchanged, session.Replayed, session.Retried:
		w.thief.generation = max(w.thief.generation, w.store.generation)
		if w.shared() {
			s.violation("the thief lives on", "%d of the thief is %s: he has %d, which the owner has", presented, outcome, w.thief.generation)
			return
		}
	}
	s.reach(w, "%d of the thief is %s (now %d)", presented, outcome, w.store.generation)
}
