package model

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

// millis is the session as the rules know it.
func (s *search) millis(h hot) Hot {
	m := Hot{
		Generation: uint64(h.generation), Attempt: Mark(h.attempt), Held: h.held,
		IdleExpiresAt: farMillis, ExpiresAt: farMillis, Grace: windowMillis(s.Grace), Retry: windowMillis(s.Retry),
		RotatedBy: h.by.String(), Followed: uint64(h.followed), Follows: uint64(h.follows),
	}
	if h.turned != never {
		m.TurnedAt = nowMillis - int64(h.turned)*tick
	}
	if h.epoch != 0 {
		m.RecoveredAt = tickEnd - int64(h.recovered)*tick + int64(h.epoch)
	}
	return m
}

// ticks is what the search keeps of a session.
func (h Hot) ticks() hot {
	t := hot{
		status: live, generation: uint8(h.Generation), turned: never, attempt: int8(h.Attempt),
		held: h.Held, recovered: never,
		by: presenterOf(h.RotatedBy), followed: uint8(h.Followed), follows: uint8(h.Follows),
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
	w.rests -= min(w.rests, 1)
	if w.store.status == live {
		switch w.question {
		case asked:
			return // its answer comes within seconds
		case forgotten:
			w.question = unasked
		}
	}
	grace := max(s.Grace, s.OtherGrace)
	window := max(grace, s.Retry, s.OtherRetry)
	for _, h := range w.hots() {
		age(&h.turned, window)
		age(&h.recovered, grace)
	}
	age(&w.used, s.Grace)
	age(&w.thief.used, s.Grace)
	if w.thief.parted != 0 {
		w.thief.parted = min(w.thief.parted+1, s.Grace+2)
	}
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
