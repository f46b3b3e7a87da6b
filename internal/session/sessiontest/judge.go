package sessiontest

import (
	"errors"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/internal/session"
)

// check compares the live sessions that the store lists with the oracle's.
func (m *machine) check(t *rapid.T) {
	states, err := m.store.List(m.ctx, m.user)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	now := m.clock.Now()
	got := map[uuid.UUID]session.State{}
	for _, s := range states {
		got[s.ID] = s
	}
	for id, r := range m.oracle.sessions {
		s, listed := got[id]
		switch {
		case r.reason != "" || !now.Before(r.state.ExpiresAt):
			if listed {
				t.Fatalf("List: got session %s, which has ended (%q) or expired", id, r.reason)
			}
		case !listed:
			t.Fatalf("List: got it without session %s, want it listed", id)
		default:
			if d := difference(s, r.state); d != "" {
				t.Fatalf("List, session %s:\n%s", id, d)
			}
			m.rises(id, s.Generation)
		}
		delete(got, id)
	}
	for id := range got {
		t.Fatalf("List: got session %s, which nobody began", id)
	}
}

// rises fails the test when a generation went down.
func (m *machine) rises(id uuid.UUID, generation uint64) {
	row := m.ledger[id]
	if generation < row.newest {
		m.Fatalf("generation of %s: got %d after %d, want it never to go down", id, generation, row.newest)
	}
	row.newest = generation
}

// refresh is a refresh with its way through the ledger; every answer of the
// store is compared with the oracle's.
func (m *machine) refresh(p session.Presented) session.Verdict {
	v := m.rotate(p)
	if v.Outcome == session.Missing || v.Outcome == session.Ahead {
		known := m.ledger[p.SessionID]
		if known.reason != "" {
			m.revoke(p.SessionID, known.reason)
		} else {
			m.restore(known.state, p.Generation)
		}
		v = m.rotate(p)
	}
	switch v.Outcome {
	case session.Reuse, session.BindingMiss:
		m.end(p.SessionID, reasonOf(v.Outcome))
	case session.Rotated, session.Unchanged, session.Replayed, session.Retried:
		row := m.ledger[p.SessionID]
		if row.reason != "" && !row.revived {
			m.Fatalf("Rotate of a session that ended (%q): got %q, want tokens for nobody", row.reason, v.Outcome)
		}
		m.rises(p.SessionID, v.State.Generation)
	}
	return v
}

func (m *machine) rotate(p session.Presented) session.Verdict {
	got, err := m.store.Rotate(m.ctx, p, m.policy)
	if err != nil {
		m.Fatalf("Rotate: %v", err)
	}
	want := m.oracle.rotate(p, m.clock.Now())
	if want.Outcome == session.Expired && got.Outcome == session.Missing && !m.clock.Now().Before(want.State.ExpiresAt) {
		delete(m.oracle.sessions, p.SessionID) // the store forgot it, as it may
		return got
	}
	if got.Outcome != want.Outcome || got.Reason != want.Reason {
		m.Fatalf("Rotate of generation %d by %s: got %q %q, want %q %q; the session is %+v",
			p.Generation, p.Attempt, got.Outcome, got.Reason, want.Outcome, want.Reason, want.State)
	}
	if want.Outcome != session.Reuse && want.Outcome != session.BindingMiss {
		if d := difference(got.State, want.State); d != "" {
			m.Fatalf("Rotate of generation %d by %s is %q:\n%s", p.Generation, p.Attempt, got.Outcome, d)
		}
	}
	return got
}

func (m *machine) restore(known session.State, adopt uint64) {
	got, err := m.store.Restore(m.ctx, known, adopt, m.policy)
	want, ok := m.oracle.restore(known, adopt, m.clock.Now())
	if !ok {
		if !errors.Is(err, session.ErrEnded) {
			m.Fatalf("Restore of an ended session: got %v, want ErrEnded", err)
		}
		return
	}
	if err != nil {
		m.Fatalf("Restore: %v", err)
	}
	if d := difference(got, want); d != "" {
		m.Fatalf("Restore of generation %d, adopting %d:\n%s", known.Generation, adopt, d)
	}
}
