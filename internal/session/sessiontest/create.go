package sessiontest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

func testCreate(t *testing.T, open Open) {
	t.Run("keeps the session as given", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		s.Delivery, s.Role, s.Binding = session.DeliveryBody, "ADMIN", "2001:db8::/64"
		f.create(s)
		f.wantStored(s)
	})
	t.Run("keeps its generation, turn, attempt and hold", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		s.Held = true
		f.create(s)
		f.wantStored(s)
	})
	t.Run("twice is once", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		f.expect(present(s, 1, serverA), session.Rotated)
		before := f.stored(s.ID)
		again := s
		again.Role, again.UserAgent = "ADMIN", "other"
		f.create(again)
		f.wantStored(before)
	})
	t.Run("twice evicts once", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Cap = 2
		for range 2 {
			f.create(f.state())
			f.clock.Step(time.Second)
		}
		s := f.state()
		for range 2 {
			if _, err := f.store.Create(f.ctx, s, 2); err != nil {
				t.Fatalf("Create: %v", err)
			}
		}
		if n := len(f.list()); n != 2 {
			t.Errorf("live sessions: got %d, want 2", n)
		}
	})
	t.Run("does not raise the dead", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		f.revoke(s, session.ReasonLogout)
		if _, err := f.store.Create(f.ctx, s, 20); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Create of an ended session: got %v, want ErrEnded", err)
		}
		f.wantEnded(s, session.ReasonLogout)
	})
	t.Run("does not start what was revoked before", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.revoke(s, session.ReasonAborted)
		if _, err := f.store.Create(f.ctx, s, 20); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Create of a session revoked before: got %v, want ErrEnded", err)
		}
		f.wantEnded(s, session.ReasonAborted)
	})
	t.Run("an ended session evicts nobody", func(t *testing.T) {
		f := newFixture(t, open)
		dead, other := f.state(), f.state()
		f.revoke(dead, session.ReasonLogout)
		f.create(other)
		if _, err := f.store.Create(f.ctx, dead, 1); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Create of an ended session: got %v, want ErrEnded", err)
		}
		f.wantStored(other)
	})
}

func testCap(t *testing.T, open Open) {
	t.Run("ends the least recently used", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Cap = 3
		sessions := make([]session.State, 3)
		for i := range sessions {
			sessions[i] = f.state()
			f.create(sessions[i])
			f.clock.Step(time.Second)
		}
		f.expect(present(sessions[0], 1, serverA), session.Rotated) // now the second is the oldest
		f.clock.Step(time.Second)
		newest := f.state()
		evicted, err := f.store.Create(f.ctx, newest, 3)
		wantEvicted(t, evicted, err, sessions[1])
		f.wantEnded(sessions[1], session.ReasonEvicted)
		if n := len(f.list()); n != 3 {
			t.Errorf("live sessions: got %d, want 3", n)
		}
		f.wantStored(newest)
	})
	t.Run("an unchanged answer is a use", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.turned()
		f.create(first)
		f.clock.Step(time.Second)
		second := f.state()
		f.create(second)
		f.clock.Step(time.Second)
		f.expect(present(first, 5, serverB), session.Unchanged)
		f.clock.Step(time.Second)
		evicted, err := f.store.Create(f.ctx, f.state(), 2)
		wantEvicted(t, evicted, err, second)
	})
	t.Run("a smaller cap ends several, never the new one", func(t *testing.T) {
		f := newFixture(t, open)
		old := make([]session.State, 4)
		for i := range old {
			f.clock.Step(time.Second)
			old[i] = f.state()
			f.create(old[i])
		}
		newest := f.state()
		newest.LastUsedAt = old[0].LastUsedAt.Add(-time.Minute)
		evicted, err := f.store.Create(f.ctx, newest, 1)
		wantEvicted(t, evicted, err, old...)
		f.wantStored(newest)
		for _, s := range old {
			f.wantEnded(s, session.ReasonEvicted)
		}
	})
	t.Run("exactly at the cap ends nobody", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Cap = 2
		f.create(f.state())
		f.create(f.state())
		if n := len(f.list()); n != 2 {
			t.Errorf("live sessions: got %d, want 2", n)
		}
	})
	t.Run("ended sessions do not count", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Cap = 1
		for range 3 {
			s := f.state()
			f.create(s)
			f.revoke(s, session.ReasonLogout)
		}
		f.create(f.state())
	})
	t.Run("sessions past absolute expiry do not count", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Cap = 1
		s := f.state()
		s.ExpiresAt = f.clock.Now().Add(time.Minute)
		s.IdleExpiresAt = s.ExpiresAt
		f.create(s)
		f.clock.Step(time.Minute)
		f.create(f.state())
		if v := f.rotate(present(s, 1, serverA)); v.Outcome != session.Missing && v.Outcome != session.Expired {
			t.Errorf("the expired session: got %q, want missing or expired", v.Outcome)
		}
	})
	t.Run("sessions past idle expiry count and are the first to go", func(t *testing.T) {
		f := newFixture(t, open)
		idle := f.state()
		f.create(idle)
		f.clock.Step(f.policy.Idle)
		fresh := f.state()
		f.create(fresh)
		evicted, err := f.store.Create(f.ctx, f.state(), 2)
		wantEvicted(t, evicted, err, idle)
		f.wantStored(fresh)
	})
	t.Run("is per user", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Cap = 1
		mine := f.state()
		f.create(mine)
		theirs := f.state()
		theirs.UserID = uuid.New()
		f.create(theirs)
		f.wantStored(mine)
	})
	t.Run("a login flood leaves young tombstones alone", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.state()
		f.create(first)
		for range 150 {
			f.clock.Step(ms)
			if _, err := f.store.Create(f.ctx, f.state(), 1); err != nil {
				t.Fatalf("Create: %v", err)
			}
		}
		f.wantEnded(first, session.ReasonEvicted)
	})
}

// wantEvicted fails the test unless exactly the given sessions were evicted.
func wantEvicted(t *testing.T, got []session.End, err error, want ...session.State) {
	t.Helper()
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if len(got) != len(want) {
		t.Fatalf("evicted: got %d sessions %v, want %d", len(got), got, len(want))
	}
	for _, s := range want {
		found := false
		for _, end := range got {
			if end.SessionID == s.ID {
				found = true
				if !end.ExpiresAt.Equal(s.ExpiresAt) || end.Reason != session.ReasonEvicted {
					t.Errorf("evicted %s: got expiry %s and reason %q, want %s and %q",
						s.ID, end.ExpiresAt, end.Reason, s.ExpiresAt, session.ReasonEvicted)
				}
			}
		}
		if !found {
			t.Errorf("evicted: got %v, want %s among them", got, s.ID)
		}
	}
}
