package sessiontest

import (
	"maps"
	"slices"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/pawlauth/pawl/internal/session"
)

// note takes what the store has of a session; it waits to be written.
func (m *machine) note(o *owner) {
	if r, found := m.oracle.sessions[o.session.ID]; found && r.reason == "" {
		o.noted = append(o.noted, r.state.Checkpoint())
	}
}

// checkpoint tells the ledger what the store has, or had when it was noted, and
// the store what the ledger knows better.
func (m *machine) checkpoint(o *owner) {
	if len(o.noted) == 0 {
		m.note(o)
	}
	if len(o.noted) == 0 {
		return
	}
	i := rapid.IntRange(0, len(o.noted)-1).Draw(m.T, "note") // several servers write
	noted := o.noted[i]
	o.noted = slices.Delete(o.noted, i, i+1)
	known := m.ledger[o.session.ID]
	known.rise(noted)
	switch {
	case known.reason != "":
		m.revoke(noted.SessionID, known.reason)
	case known.state.Generation > noted.Generation:
		m.restore(known.state, 0)
	}
}

// rise is what becomes of a row by a checkpoint.
func (r *row) rise(c session.Checkpoint) {
	if c.Newer(r.state.Checkpoint()) {
		r.state.Generation, r.state.TurnedAt, r.state.Attempt = c.Generation, c.TurnedAt, c.Attempt
		r.state.RecoveredAt = c.RecoveredAt
	}
	r.state.Held = r.state.Held || c.Held
	if c.LastUsedAt.After(r.state.LastUsedAt) {
		r.state.LastUsedAt, r.state.IPAddress, r.state.UserAgent = c.LastUsedAt, c.IPAddress, c.UserAgent
	}
}

func (m *machine) wipe(*rapid.T) {
	m.store = m.forget(m.store, m.clock.Now, m.user)
	m.oracle.sessions = map[uuid.UUID]record{}
	if m.honest {
		m.snapshot = nil // two losses in one breath cost a session: docs/adr/0003-ledger.md
	}
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
