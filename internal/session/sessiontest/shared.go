package sessiontest

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/session"
)

// testShared lets somebody follow the turns of an owner without attempt ids.
func testShared(t *testing.T, open Open) {
	follow := func(t *testing.T) (*fixture, session.State, func(wait time.Duration) session.Verdict) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		generation := s.Generation
		return f, s, func(wait time.Duration) session.Verdict {
			f.clock.Step(f.policy.Grace + ms)
			v := f.expect(present(s, generation, serial("s")(0)), session.Rotated)
			generation = v.State.Generation
			f.clock.Step(wait)
			p := present(s, generation-1, serial("s")(0))
			elsewhere(&p)
			return f.expect(p, session.Replayed)
		}
	}
	t.Run("the third turn in a row that somebody else replays tells of both", func(t *testing.T) {
		_, s, round := follow(t)
		for i, want := range []bool{false, false, true, true, true} {
			v := round(time.Second)
			if v.Shared != want {
				t.Errorf("turn %d: got shared %t, want %t", i+1, v.Shared, want)
			}
			if v.State.IPAddress != "198.51.100.7" || v.State.UserAgent != s.UserAgent {
				t.Errorf("turn %d: got %s and %q, want who turned", i+1, v.State.IPAddress, v.State.UserAgent)
			}
		}
	})
	t.Run("a turn that nobody follows begins anew", func(t *testing.T) {
		f, s, round := follow(t)
		round(0)
		g := round(0).State.Generation
		f.clock.Step(f.policy.Grace + ms)
		v := f.expect(present(s, g, serverB), session.Rotated)
		if v.State.Follows != 2 || v.State.Followed != g {
			t.Fatalf("follows: got %d up to generation %d, want 2 up to %d", v.State.Follows, v.State.Followed, g)
		}
		f.clock.Step(f.policy.Grace + ms)
		f.expect(present(s, g+1, serverB), session.Rotated)
		p := present(s, g+1, serverA)
		elsewhere(&p)
		if v = f.expect(p, session.Replayed); v.Shared || v.State.Follows != 1 {
			t.Errorf("after a pause: got shared %t and %d in a row, want it counted anew", v.Shared, v.State.Follows)
		}
	})
	t.Run("many replays of one turn count once", func(t *testing.T) {
		f, s, round := follow(t)
		v := round(0)
		for range 5 {
			p := present(s, v.State.Generation-1, serial("s")(0))
			elsewhere(&p)
			if again := f.expect(p, session.Replayed); again.Shared || again.State.Follows != 1 {
				t.Fatalf("again: got shared %t and %d in a row, want 1", again.Shared, again.State.Follows)
			}
		}
	})
	t.Run("a thief who turns is followed by the owner", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		for g := s.Generation; g < s.Generation+4; g++ {
			f.clock.Step(f.policy.Grace + ms)
			thief := present(s, g, serial("s")(0))
			elsewhere(&thief)
			f.expect(thief, session.Rotated)
			v := f.expect(present(s, g, serial("s")(0)), session.Replayed)
			if want := g >= s.Generation+2; v.Shared != want {
				t.Errorf("turn %d: got shared %t, want %t", g, v.Shared, want)
			}
		}
	})
	t.Run("a shared session ends where the policy says so", func(t *testing.T) {
		f, s, round := follow(t)
		f.policy.EndShared = true
		round(0)
		g := round(0).State.Generation
		f.clock.Step(f.policy.Grace + ms)
		f.expect(present(s, g, serverB), session.Rotated)
		p := present(s, g, serverA)
		elsewhere(&p)
		v := f.expect(p, session.Shared)
		if !v.Shared || v.State.ID != s.ID {
			t.Errorf("verdict: got %+v, want it shared, of session %s", v, s.ID)
		}
		f.wantEnded(s, session.ReasonShared)
	})
}
