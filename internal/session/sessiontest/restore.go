package sessiontest

import (
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/session"
)

// checkpoint is what the ledger knows of s: generation g, turned by attempt
// and last used at the given times before now.
func (f *fixture) checkpoint(s session.State, g uint64, by session.Attempt, turned, used time.Duration) session.State {
	s.EarlierUses, s.MovedAt = [2]time.Time{}, time.Time{} // it does not tell of them
	s.FormerIPAddress, s.FormerUserAgent = "", ""
	now := f.clock.Now()
	s.Generation, s.TurnedAt, s.Attempt, s.LastUsedAt = g, now.Add(-turned), by, now.Add(-used)
	s.IdleExpiresAt, s.RecoveredAt = time.Time{}, time.Time{}
	s.IPAddress, s.UserAgent = "203.0.113.5", "ledger/1"
	return s
}

// restored is what a store keeps of a checkpoint that it took now.
func (f *fixture) restored(c session.State) session.State {
	c.IdleExpiresAt = c.LastUsedAt.Add(f.policy.Idle)
	if c.ExpiresAt.Before(c.IdleExpiresAt) {
		c.IdleExpiresAt = c.ExpiresAt
	}
	c.RecoveredAt = f.clock.Now()
	return c
}

func (f *fixture) wantRestored(got, want session.State) {
	f.t.Helper()
	wantState(f.t, "state after Restore", got, want)
	f.wantStored(want)
}

func testRestore(t *testing.T, open Open) {
	t.Run("rebuilds what is missing", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 7, clientA, 20*time.Minute, 15*time.Minute)
		c.Held = true
		f.wantRestored(f.restore(c, 0), f.restored(c))
	})
	t.Run("a generation at the checkpoint is not adopted", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 7, serverB, 20*time.Minute, 15*time.Minute)
		f.wantRestored(f.restore(c, 7), f.restored(c))
	})
	t.Run("an older generation is not adopted", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 7, serverB, 20*time.Minute, 15*time.Minute)
		f.wantRestored(f.restore(c, 3), f.restored(c))
	})
	t.Run("idle expiry of the rebuilt never passes absolute expiry", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 7, serverB, time.Minute, time.Minute)
		c.ExpiresAt = f.clock.Now().Add(time.Minute)
		f.wantRestored(f.restore(c, 0), f.restored(c))
	})
	t.Run("idle expiry counts from the checkpoint's last use", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 7, serverB, 2*time.Hour, f.policy.Idle)
		f.restore(c, 0)
		f.expect(present(c, 7, serverA), session.Expired)
	})
	t.Run("a generation ahead of the checkpoint counts as fresh", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 7, clientA, 2*time.Hour, 2*time.Hour)
		want := c
		want.Generation, want.TurnedAt, want.Attempt, want.RotatedBy = 12, time.Time{}, "", ""
		want.Use(f.clock.Now())
		f.wantRestored(f.restore(c, 12), f.restored(want))
		f.expect(present(c, 12, clientB), session.Unchanged)
	})
	t.Run("lifts what is older", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(20 * time.Minute)
		c := f.checkpoint(s, 8, clientA, 5*time.Minute, 4*time.Minute)
		c.Held = true
		f.wantRestored(f.restore(c, 0), f.restored(c))
	})
	t.Run("lifts and adopts", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(20 * time.Minute)
		c := f.checkpoint(s, 8, clientA, 5*time.Minute, 4*time.Minute)
		want := c
		want.Generation, want.TurnedAt, want.Attempt, want.RotatedBy = 9, time.Time{}, "", ""
		want.Use(f.clock.Now())
		f.wantRestored(f.restore(c, 9), f.restored(want))
	})
	t.Run("adopts above the hot state", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(20 * time.Minute)
		c := f.checkpoint(s, 2, serverB, time.Hour, time.Hour)
		want := s
		want.Generation, want.TurnedAt, want.Attempt, want.RotatedBy = 6, time.Time{}, "", ""
		want.Use(f.clock.Now())
		want = f.restored(want)
		got := f.restore(c, 6)
		got.IPAddress, got.UserAgent = want.IPAddress, want.UserAgent // who used it is not known
		wantState(t, "state after Restore", got, want)
	})
	for name, g := range map[string]uint64{"the same generation": 5, "an older generation": 4} {
		t.Run("changes nothing for "+name, func(t *testing.T) {
			f := newFixture(t, open)
			s := f.turned()
			f.create(s)
			f.clock.Step(time.Minute)
			f.wantRestored(f.restore(f.checkpoint(s, g, clientB, 0, 0), 5), s)
			f.expect(present(s, 3, serverB), session.Reuse) // not a recovery
		})
	}
	t.Run("a later recovery counts more than a newer generation", func(t *testing.T) {
		f := newFixture(t, open)
		lost := f.checkpoint(f.turned(), 9, serverA, 0, 0) // written down later
		f.clock.Step(time.Second)
		s := f.restore(f.checkpoint(lost, 8, serverA, time.Minute, time.Minute), 0)
		f.clock.Step(time.Second)
		f.wantRestored(f.restore(lost, 0), s)
		since := s
		since.Generation, since.TurnedAt, since.LastUsedAt = 10, f.clock.Now(), f.clock.Now()
		f.wantRestored(f.restore(since, 0), f.restored(since))
	})
	t.Run("nothing lowers a generation, a later recovery neither", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		c := f.checkpoint(s, s.Generation-1, serverA, 0, 0)
		c.RecoveredAt = f.clock.Now()
		f.wantRestored(f.restore(c, 0), s)
	})
	t.Run("recoveries are told apart when the clock was set back", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 8, serverA, time.Minute, time.Minute)
		c.RecoveredAt = f.clock.Now().Add(5 * time.Second)
		if got, want := f.restore(c, 0).RecoveredAt, c.RecoveredAt.Add(ms); !got.Equal(want) {
			t.Errorf("RecoveredAt: got %s, want %s", spell(got), spell(want))
		}
	})
	t.Run("twice is once", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 7, serverB, 20*time.Minute, 15*time.Minute)
		first := f.restore(c, 9)
		f.clock.Step(time.Second)
		f.wantRestored(f.restore(c, 9), first)
	})
	t.Run("the hold survives a lift by a checkpoint without it", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		s.Held = true
		f.create(s)
		f.clock.Step(time.Minute)
		c := f.checkpoint(s, 6, serverB, 30*time.Second, 30*time.Second)
		c.Held = false
		if got := f.restore(c, 0); !got.Held {
			t.Error("Held after a lift: got false, want true")
		}
		f.expect(present(s, 6, serverB), session.AttemptRequired)
	})
	t.Run("the hold comes with a checkpoint that is not newer", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(time.Minute)
		c := f.checkpoint(s, 4, serverB, 2*time.Minute, 2*time.Minute)
		c.Held = true
		want := s
		want.Held, want.RecoveredAt = true, f.clock.Now()
		f.wantRestored(f.restore(c, 0), want)
	})
	t.Run("the grace is the session's own, not the checkpoint's", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		s.Grace = 20 * time.Second
		f.create(s)
		c := f.checkpoint(s, 8, serverB, 0, 0)
		c.Grace = 2 * time.Second
		if got := f.restore(c, 9).Grace; got != s.Grace {
			t.Errorf("grace after a lift: got %s, want %s", got, s.Grace)
		}
	})
	t.Run("the grace of a rebuilt session is the checkpoint's", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 7, serverB, 25*time.Second, 25*time.Second)
		c.Grace = 30 * time.Second
		f.wantRestored(f.restore(c, 0), f.restored(c))
		f.expect(present(c, 6, serverA), session.Replayed)
	})
	t.Run("the hold survives an adoption", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 7, clientA, time.Minute, time.Minute)
		c.Held = true
		if got := f.restore(c, 9); !got.Held {
			t.Error("Held after an adoption: got false, want true")
		}
	})
	t.Run("does not raise the dead", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.revoke(s, session.ReasonRevoked)
		if _, err := f.store.Restore(f.ctx, f.checkpoint(s, 9, serverB, 0, 0), 12, f.policy); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Restore of an ended session: got %v, want ErrEnded", err)
		}
		f.wantEnded(s, session.ReasonRevoked)
	})
	t.Run("does not raise what reuse ended", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.expect(present(s, 1, serverB), session.Reuse)
		if _, err := f.store.Restore(f.ctx, s, 0, f.policy); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Restore of an ended session: got %v, want ErrEnded", err)
		}
		f.wantEnded(s, session.ReasonReuse)
	})
	t.Run("knows no cap", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Cap = 1
		f.create(f.state())
		f.restore(f.checkpoint(f.turned(), 7, serverB, 0, 0), 0)
		if n := len(f.list()); n != 2 {
			t.Errorf("live sessions: got %d, want 2", n)
		}
	})
}

// testRecovery is the time after a Restore that changed something.
func testRecovery(t *testing.T, open Open) {
	lost := func(t *testing.T, change func(*session.State)) (*fixture, session.State) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 8, serverA, 30*time.Minute, 25*time.Minute)
		if change != nil {
			change(&c)
		}
		return f, f.restore(c, 0)
	}
	for _, c := range []struct {
		name    string
		given   func(*session.State)
		age     time.Duration
		present uint64
		by      session.Attempt
		with    func(*session.Presented)
		want    session.Outcome
	}{
		{"older than the previous", nil, 0, 5, serverB, nil, session.Recovering},
		{"older than the previous, exactly at the grace", nil, 10 * time.Second, 6, serverB, nil, session.Recovering},
		{"the previous", nil, 0, 7, serverB, nil, session.Recovering},
		{"the previous, exactly at the grace", nil, 10 * time.Second, 7, serverB, nil, session.Recovering},
		{"the previous with the attempt of the turn", nil, time.Second, 7, serverA, nil, session.Retried},
		{"rule 6 before 7: stale from another network", bound, time.Second, 5, serverB, elsewhere, session.Recovering},
		{"rule 6 before 8: stale and held", held, time.Second, 5, serverB, nil, session.Recovering},
		{"rule 4 before 6: stale with another secret", nil, time.Second, 5, serverB, wrongSecret, session.Forged},
		{"rule 8 before 9: the previous and held", held, time.Second, 7, serverB, nil, session.AttemptRequired},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, s := lost(t, c.given)
			f.clock.Step(c.age)
			p := present(s, c.present, c.by)
			if c.with != nil {
				c.with(&p)
			}
			before := f.stored(s.ID)
			f.expect(p, c.want)
			if c.want != session.Retried {
				f.wantStored(before)
			}
		})
	}
	for name, g := range map[string]uint64{"older than the previous": 5, "the previous": 7} {
		t.Run(name+", after the grace, is reuse", func(t *testing.T) {
			f, s := lost(t, nil)
			f.clock.Step(f.policy.Grace + ms)
			f.expect(present(s, g, serverB), session.Reuse)
			f.wantEnded(s, session.ReasonReuse)
		})
		t.Run(name+", grace 0, is reuse", func(t *testing.T) {
			f := newFixture(t, open)
			f.policy.Grace = 0
			s := f.restore(f.checkpoint(f.turned(), 8, serverA, 30*time.Minute, 25*time.Minute), 0)
			f.expect(present(s, g, serverB), session.Reuse)
		})
	}
	t.Run("the turn of a checkpoint keeps its grace", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 8, serverA, 4*time.Second, 4*time.Second)
		f.restore(c, 0)
		f.expect(present(c, 8, serverB), session.Unchanged)
		f.expect(present(c, 7, serverB), session.Replayed)
		f.clock.Step(6 * time.Second)
		f.expect(present(c, 7, serverB), session.Replayed)
		f.clock.Step(ms)
		f.expect(present(c, 7, serverB), session.Recovering)
	})
	t.Run("nothing turns within one grace", func(t *testing.T) {
		f, s := lost(t, nil)
		f.expect(present(s, 8, serverB), session.Unchanged)
		f.clock.Step(f.policy.Grace)
		f.expect(present(s, 8, serverB), session.Unchanged)
		f.clock.Step(ms)
		f.expect(present(s, 8, serverB), session.Rotated)
	})
	t.Run("an adopted generation waits one grace too", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 8, serverA, 30*time.Minute, 25*time.Minute)
		f.restore(c, 11)
		f.clock.Step(f.policy.Grace)
		f.expect(present(c, 11, serverB), session.Unchanged)
		f.clock.Step(ms)
		f.expect(present(c, 11, serverB), session.Rotated)
	})
	t.Run("generation 1 and a grace of 0 wait for nothing", func(t *testing.T) {
		f := newFixture(t, open)
		first := f.checkpoint(f.state(), 1, serverA, time.Minute, time.Minute)
		f.restore(first, 0)
		f.expect(present(first, 1, serverB), session.Rotated)
		f.policy.Grace = 0
		other := f.checkpoint(f.turned(), 8, serverA, time.Minute, time.Minute)
		f.restore(other, 0)
		f.expect(present(other, 8, serverB), session.Rotated)
	})
	t.Run("the attempt of a checkpoint keeps its retry window", func(t *testing.T) {
		f := newFixture(t, open)
		c := f.checkpoint(f.turned(), 8, clientA, 20*time.Minute, 20*time.Minute)
		f.restore(c, 0)
		f.expect(present(c, 7, clientB), session.Recovering)
		f.expect(present(c, 7, clientA), session.Retried)
	})
	t.Run("a recovery does not make an ended session live", func(t *testing.T) {
		f, s := lost(t, nil)
		f.revoke(s, session.ReasonLogout)
		f.wantEnded(s, session.ReasonLogout)
	})
}
