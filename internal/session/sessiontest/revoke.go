package sessiontest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

func testRevoke(t *testing.T, open Open) {
	t.Run("ends a live session", func(t *testing.T) {
		f := newFixture(t, open)
		s, other := f.turned(), f.turned()
		f.create(s)
		f.create(other)
		f.revoke(s, session.ReasonLogout)
		f.wantEnded(s, session.ReasonLogout)
		f.wantStored(other)
	})
	t.Run("ends a session without hot state", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.revoke(s, session.ReasonPassword)
		f.wantEnded(s, session.ReasonPassword)
	})
	t.Run("ends several, each for its reason", func(t *testing.T) {
		f := newFixture(t, open)
		a, b, c := f.turned(), f.turned(), f.turned()
		f.create(a)
		f.create(b)
		err := f.store.Revoke(f.ctx, f.user, []session.End{
			{SessionID: a.ID, ExpiresAt: a.ExpiresAt, Reason: session.ReasonDisabled},
			{SessionID: c.ID, ExpiresAt: c.ExpiresAt, Reason: session.ReasonUnknown},
		})
		if err != nil {
			t.Fatalf("Revoke: %v", err)
		}
		f.wantEnded(a, session.ReasonDisabled)
		f.wantEnded(c, session.ReasonUnknown)
		f.wantStored(b)
	})
	t.Run("nothing to end", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		if err := f.store.Revoke(f.ctx, f.user, nil); err != nil {
			t.Errorf("Revoke of nothing: got %v, want no error", err)
		}
		f.wantStored(s)
	})
	t.Run("the first reason stays", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.revoke(s, session.ReasonLogout)
		f.revoke(s, session.ReasonReuse)
		f.wantEnded(s, session.ReasonLogout)
	})
	t.Run("the reason of an end that the store found stays", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.expect(present(s, 1, serverB), session.Reuse)
		f.revoke(s, session.ReasonLogout)
		f.wantEnded(s, session.ReasonReuse)
	})
	t.Run("acts inside one user", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		end := session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonRevoked}
		if err := f.store.Revoke(f.ctx, uuid.New(), []session.End{end}); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
		f.wantStored(s)
	})
	t.Run("an end that the ledger has is remembered for a day", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Absolute *= 2
		s := f.turned()
		f.create(s)
		end := session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonLogout, InLedger: true}
		if err := f.store.Revoke(f.ctx, f.user, []session.End{end}); err != nil {
			t.Fatal(err)
		}
		f.clock.Step(24*time.Hour - ms)
		f.wantEnded(s, session.ReasonLogout)
	})
	t.Run("another end is remembered until the absolute expiry", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Absolute *= 2
		s, found := f.turned(), f.turned()
		f.create(s)
		f.create(found)
		f.revoke(s, session.ReasonLogout)
		f.expect(present(found, 1, serverB), session.Reuse)
		f.clock.Step(f.policy.Absolute)
		f.wantEnded(s, session.ReasonLogout)
		f.wantEnded(found, session.ReasonReuse)
	})
	t.Run("no use brings an ended session back", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.revoke(s, session.ReasonLogout)
		for g := uint64(1); g <= 9; g++ {
			for _, by := range []session.Attempt{serverA, serverB, clientA} {
				f.expect(present(s, g, by), session.Tombstone)
			}
		}
		f.clock.Step(f.policy.Idle)
		f.wantEnded(s, session.ReasonLogout)
	})
}

func testList(t *testing.T, open Open) {
	t.Run("nobody's", func(t *testing.T) {
		f := newFixture(t, open)
		if got := f.list(); len(got) != 0 {
			t.Errorf("List: got %v, want nothing", got)
		}
	})
	t.Run("the user's and nobody else's", func(t *testing.T) {
		f := newFixture(t, open)
		a, b, theirs := f.turned(), f.state(), f.state()
		theirs.UserID = uuid.New()
		f.create(a)
		f.create(b)
		f.create(theirs)
		if n := len(f.list()); n != 2 {
			t.Errorf("List: got %d sessions, want 2", n)
		}
		f.wantStored(a)
		f.wantStored(b)
	})
	t.Run("without sessions past absolute expiry", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		s.ExpiresAt = s.LastUsedAt.Add(time.Minute)
		s.IdleExpiresAt = s.ExpiresAt
		f.create(s)
		f.clock.Step(time.Minute - ms)
		f.wantStored(s)
		f.clock.Step(ms)
		if n := len(f.list()); n != 0 {
			t.Errorf("List: got %d sessions, want none", n)
		}
	})
	t.Run("with sessions past idle expiry", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		f.clock.Step(2 * f.policy.Idle)
		f.wantStored(s)
	})
	t.Run("answers are the caller's", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		got := f.list()
		got[0].Generation, got[0].Role = 99, "ADMIN"
		f.wantStored(s)
	})
}
