package sessiontest

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/session"
)

// testChain walks through the life of sessions.
func testChain(t *testing.T, open Open) {
	t.Run("a first refresh turns, the second waits for the grace", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		f.expect(present(s, 1, serverA), session.Rotated)
		f.expect(present(s, 2, serverB), session.Unchanged)
		f.clock.Step(f.policy.Grace)
		f.expect(present(s, 2, serverB), session.Unchanged)
		f.clock.Step(ms)
		v := f.expect(present(s, 2, serverB), session.Rotated)
		if v.State.Generation != 3 {
			t.Errorf("generation: got %d, want 3", v.State.Generation)
		}
	})
	t.Run("the grace counts from the turn, not from the last answer", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		f.expect(present(s, 1, serverA), session.Rotated)
		f.clock.Step(f.policy.Grace)
		f.expect(present(s, 1, serverB), session.Replayed)
		f.clock.Step(ms)
		f.expect(present(s, 1, serverB), session.Reuse)
		f.wantEnded(s, session.ReasonReuse)
	})
	t.Run("a replay hands out the successor", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		f.expect(present(s, 1, serverA), session.Rotated)
		for range 3 {
			if v := f.expect(present(s, 1, serverB), session.Replayed); v.State.Generation != 2 {
				t.Errorf("generation of a replay: got %d, want 2", v.State.Generation)
			}
		}
	})
	t.Run("what was used before the successor is reuse even within the grace", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.expect(present(s, 3, serverB), session.Reuse)
		f.expect(present(s, 5, serverB), session.Tombstone)
	})
	t.Run("a lost answer is harmless for the retry window", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		f.expect(present(s, 1, clientA), session.Rotated)
		f.clock.Step(f.policy.Retry)
		v := f.expect(present(s, 1, clientA), session.Retried)
		f.expect(present(s, v.State.Generation, clientB), session.Rotated)
		f.expect(present(s, 1, clientA), session.Reuse)
	})
	t.Run("a turn with a client's attempt holds", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		f.expect(present(s, 1, clientA), session.Rotated)
		f.expect(present(s, 2, serverB), session.AttemptRequired)
		f.clock.Step(f.policy.Grace + ms)
		f.expect(present(s, 2, serverB), session.AttemptRequired)
		f.expect(present(s, 2, clientB), session.Rotated)
	})
	for outcome, c := range map[session.Outcome]struct {
		turn    session.Attempt
		present uint64
	}{session.Unchanged: {serverA, 5}, session.Replayed: {serverA, 4}, session.Retried: {clientA, 4}} {
		// whoever holds a copy could keep its owner out
		t.Run("nothing but a turn holds: "+string(outcome), func(t *testing.T) {
			f := newFixture(t, open)
			s := f.turned()
			s.Attempt = c.turn
			f.create(s)
			f.expect(present(s, c.present, clientA), outcome)
			f.clock.Step(f.policy.Grace + ms)
			f.expect(present(s, 5, serverB), session.Rotated)
		})
	}
	t.Run("a hold hides no theft", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		f.expect(present(s, 1, clientA), session.Rotated) // a thief's
		f.clock.Step(f.policy.Grace + ms)
		f.expect(present(s, 1, serverB), session.Reuse) // the owner's
	})
	t.Run("uses are told by periods of five minutes", func(t *testing.T) {
		f := newFixture(t, open)
		f.clock.Step(f.clock.Now().Truncate(session.Period).Add(session.Period).Sub(f.clock.Now()))
		start := f.clock.Now()
		s := f.state()
		f.create(s)
		use := func(at time.Duration, want ...time.Duration) {
			t.Helper()
			f.clock.Step(start.Add(at).Sub(f.clock.Now()))
			g := f.stored(s.ID).Generation
			v := f.expect(present(s, g, serial("c")(0)), session.Rotated)
			var starts [2]time.Time
			for i, d := range want {
				starts[i] = start.Add(d)
			}
			if v.State.EarlierUses != starts {
				t.Errorf("at %s: got uses at %s and %s before, want %s and %s", at,
					spell(v.State.EarlierUses[0]), spell(v.State.EarlierUses[1]), spell(starts[0]), spell(starts[1]))
			}
		}
		const m = time.Minute
		use(m)
		use(4 * m)
		use(5*m, 0)
		use(9*m, 0)
		use(21*m, 5*m, 0)
		use(24*m, 5*m, 0)
		use(31*m, 20*m, 5*m)
	})
	t.Run("outcomes that hand out nothing do not hold", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		s.Attempt = clientA
		f.create(s)
		f.expect(present(s, 4, clientB), session.Contended)
		f.expect(present(s, 6, clientB), session.Ahead)
		f.expect(present(s, 5, serverB), session.Unchanged)
	})
	t.Run("use slides idle expiry by turns only", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(f.policy.Grace)
		f.expect(present(s, 5, serverB), session.Unchanged)
		f.clock.Step(f.policy.Idle - f.policy.Grace)
		f.expect(present(s, 5, serverB), session.Expired)
	})
	t.Run("a session lives to its absolute expiry when used", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.state()
		f.create(s)
		g := uint64(1)
		for f.clock.Now().Add(50 * time.Minute).Before(s.ExpiresAt) {
			f.clock.Step(50 * time.Minute)
			g = f.expect(present(s, g, serverB), session.Rotated).State.Generation
		}
		f.clock.Step(s.ExpiresAt.Sub(f.clock.Now()) - ms)
		v := f.expect(present(s, g, serverB), session.Rotated)
		if !v.State.IdleExpiresAt.Equal(s.ExpiresAt) {
			t.Errorf("idle expiry: got %s, want the absolute expiry %s", v.State.IdleExpiresAt, s.ExpiresAt)
		}
		f.clock.Step(ms)
		f.expect(present(s, v.State.Generation, serverB), session.Expired)
	})
	t.Run("one session's end leaves the user's others alone", func(t *testing.T) {
		f := newFixture(t, open)
		a, b := f.turned(), f.turned()
		f.create(a)
		f.create(b)
		f.expect(present(a, 2, serverB), session.Reuse)
		f.wantStored(b)
		f.expect(present(a, 2, serverB), session.Tombstone)
		f.wantStored(b)
	})
	t.Run("grace 0 is strict", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Grace = 0
		s := f.state()
		f.create(s)
		f.expect(present(s, 1, serverA), session.Rotated)
		f.expect(present(s, 1, serverA), session.Retried) // the same request once more
		f.expect(present(s, 2, serverB), session.Rotated)
		f.expect(present(s, 2, serverA), session.Reuse)
	})
}
