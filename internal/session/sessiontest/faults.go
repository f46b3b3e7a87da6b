package sessiontest

import (
	"maps"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/internal/session"
)

// checkpoint tells the ledger what the store has, and the store what the
// ledger knows better.
func (m *machine) checkpoint(id uuid.UUID) {
	r, found := m.oracle.sessions[id]
	known := m.ledger[id]
	if !found || r.reason != "" {
		return
	}
	switch {
	case known.reason != "":
		m.revoke(id, known.reason)
	case known.state.Generation > r.state.Generation:
		m.restore(known.state, 0)
	default:
		held, used := known.state.Held || r.state.Held, known.state.LastUsedAt
		known.state = r.state
		known.state.Held, known.state.RecoveredAt = held, time.Time{}
		if used.After(known.state.LastUsedAt) {
			known.state.LastUsedAt = used
		}
	}
}

func (m *machine) wipe(*rapid.T) {
	m.store = m.forget(m.store, m.clock.Now, m.user)
	m.oracle.sessions = map[uuid.UUID]record{}
	m.lost()
}

func (m *machine) take(*rapid.T) { m.snapshot = maps.Clone(m.oracle.sessions) }

// rollback brings the snapshot back, as a restore of an old file does.
func (m *machine) rollback(t *rapid.T) {
	if m.snapshot == nil {
		t.Skip("no snapshot")
	}
	now := m.clock.Now()
	for _, r := range m.snapshot {
		if !now.Before(r.state.ExpiresAt) {
			t.Skip("the snapshot is too old")
		}
	}
	m.store = m.forget(m.store, m.clock.Now, m.user)
	for id, r := range m.snapshot {
		if r.reason != "" {
			end := session.End{SessionID: id, ExpiresAt: r.state.ExpiresAt, Reason: r.reason}
			if err := m.store.Revoke(m.ctx, m.user, []session.End{end}); err != nil {
				t.Fatalf("Revoke: %v", err)
			}
		} else if _, err := m.store.Create(m.ctx, r.state, len(m.snapshot)); err != nil {
			t.Fatalf("Create: %v", err)
		}
	}
	m.oracle.sessions = maps.Clone(m.snapshot)
	m.lost()
}

// lost notes that the store fell back.
func (m *machine) lost() {
	for _, r := range m.ledger {
		r.newest = 0
		r.revived = r.reason != ""
	}
}
