package model

// lossesOf are the ways in which the store forgets.
func (s *search) lossesOf(w world) {
	if w.snapshots > 0 && w.store.status == live {
		taken := w
		taken.snapshots--
		taken.snapshot = w.store
		s.arrive(taken, "a snapshot is taken at %d", w.store.generation)
	}
	if w.losses == 0 || w.store.status == live && w.store.epoch > w.ledger.epoch {
		return
	}
	w.losses--
	// what the owner had is forgotten: the thief may catch up with it
	w.thief.common = max(w.thief.common, w.owned(), w.store.generation)
	w.thief.parted = 0
	if w.store.status != missing {
		flushed := w
		flushed.store = hot{}
		s.arrive(flushed, "the store is flushed")
	}
	if w.snapshot.status == live {
		w.store, w.snapshot = w.snapshot, hot{}
		s.arrive(w, "the snapshot of %d comes back", w.store.generation)
	}
}

// ends are what becomes of the notes of an end: the ledger learns of it late,
// the tombstone is pruned, the ledger's row is dropped.
func (s *search) ends(w world) {
	if w.over && !w.dead {
		late := w
		late.dead = true
		s.arrive(late, "the ledger learns of the end")
	}
	if s.Prune && w.store.status == ended && (w.dead || s.PruneEarly) {
		pruned := w
		pruned.store = hot{}
		s.arrive(pruned, "the tombstone is pruned")
	}
	if s.Prune && w.dead && !w.gone {
		w.gone = true
		s.arrive(w, "the ledger drops the row")
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
		s.arrive(later, "a checkpoint of %d waits", w.store.generation)
	}
	if noted := w.noted; noted.status == live {
		w.noted = hot{}
		s.write(w, noted)
	}
}

// write is a checkpoint's way into the ledger, and what the ledger answers.
func (s *search) write(w world, noted hot) {
	if w.dead {
		w.store = hot{status: ended}
		s.arrive(w, "the checkpoint ends the session")
		return
	}
	held := w.ledger.held || noted.held
	if s.rules.Newer(s.millis(noted), s.millis(w.ledger)) {
		w.ledger = noted
		w.ledger.by, w.ledger.followed, w.ledger.follows = anybody, 0, 0 // the hot state's alone
	}
	w.ledger.held = held
	if w.ledger.generation > noted.generation && w.store.status != ended {
		w.store = s.restore(w.store, w.ledger, 0)
		s.arrive(w, "the checkpoint of %d lifts the store to %d", noted.generation, w.store.generation)
		return
	}
	s.arrive(w, "checkpoint of %d", noted.generation)
}
