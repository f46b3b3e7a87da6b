package sessiontest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/session"
)

// testClock moves the clock where no clock should go.
func testClock(t *testing.T, open Open) {
	t.Run("a clock that jumped ahead ends nothing", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(f.policy.Idle)
		f.expect(present(s, 5, serverB), session.Expired)
		f.clock.Step(-f.policy.Idle)
		f.wantStored(s)
		f.expect(present(s, 5, serverB), session.Unchanged)
	})
	t.Run("a clock that jumped far ahead may forget, but ends nothing", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(10 * f.policy.Absolute)
		f.rotate(present(s, 5, serverB))
		f.clock.Step(-10 * f.policy.Absolute)
		if v := f.rotate(present(s, 5, serverB)); v.Outcome != session.Unchanged && v.Outcome != session.Missing {
			t.Errorf("Rotate: got %q, want unchanged or missing", v.Outcome)
		}
	})
	t.Run("a use in the past is a use at the last use", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(-5 * time.Minute)
		v := f.expect(present(s, 5, serverB), session.Unchanged)
		if !v.State.LastUsedAt.Equal(s.LastUsedAt) {
			t.Errorf("last use: got %s, want %s", v.State.LastUsedAt, s.LastUsedAt)
		}
		f.expect(present(s, 4, serverB), session.Replayed)
	})
	t.Run("a turn in the past is a turn at the last use", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Grace = 0
		s := f.turned()
		f.create(s)
		f.clock.Step(-5 * time.Minute)
		v := f.expect(present(s, 5, serverB), session.Rotated)
		wantMoment(t, "turn", v.State.TurnedAt, s.LastUsedAt)
		wantMoment(t, "last use", v.State.LastUsedAt, s.LastUsedAt)
		wantMoment(t, "idle expiry", v.State.IdleExpiresAt, s.LastUsedAt.Add(f.policy.Idle))
	})
	t.Run("the grace does not grow while the clock is behind", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(8 * time.Second)
		f.expect(present(s, 4, serverB), session.Replayed)
		f.clock.Step(-8 * time.Second)
		v := f.expect(present(s, 4, serverB), session.Replayed)
		wantMoment(t, "last use", v.State.LastUsedAt, s.TurnedAt.Add(8*time.Second))
		f.clock.Step(11 * time.Second)
		f.expect(present(s, 4, serverB), session.Reuse)
	})
	t.Run("a recovery in the past is a recovery at the last use", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		f.create(s)
		f.clock.Step(-5 * time.Minute)
		got := f.restore(s, 9)
		wantMoment(t, "last use", got.LastUsedAt, s.LastUsedAt)
		wantMoment(t, "recovery", got.RecoveredAt, s.LastUsedAt)
	})
	t.Run("a use before the recovery is a use at the recovery", func(t *testing.T) {
		f := newFixture(t, open)
		f.policy.Grace = 0
		c := f.checkpoint(f.turned(), 8, serverA, 20*time.Minute, 20*time.Minute)
		recovered := f.restore(c, 0).RecoveredAt
		f.clock.Step(-5 * time.Minute)
		v := f.expect(present(c, 8, serverB), session.Rotated)
		wantMoment(t, "last use", v.State.LastUsedAt, recovered)
		wantMoment(t, "turn", v.State.TurnedAt, recovered)
	})
	t.Run("expiry counts on the session's own time", func(t *testing.T) {
		f := newFixture(t, open)
		s := f.turned()
		s.LastUsedAt = s.LastUsedAt.Add(2 * time.Minute)
		s.IdleExpiresAt = s.LastUsedAt
		f.create(s)
		f.expect(present(s, 5, serverB), session.Expired)
	})
}

func wantMoment(t *testing.T, what string, got, want time.Time) {
	t.Helper()
	if !got.Equal(want) {
		t.Errorf("%s: got %s, want %s", what, spell(got), spell(want))
	}
}

// testContext gives up before the store begins: it must not begin then.
func testContext(t *testing.T, open Open) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancelLate := context.WithDeadline(context.Background(), time.Now().Add(-time.Millisecond))
	defer cancelLate()
	for name, ctx := range map[string]context.Context{"canceled": canceled, "past the deadline": late} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, open)
			s := f.turned()
			f.create(s)
			f.clock.Step(f.policy.Grace + ms)
			other := f.turned()
			end := []session.End{{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonLogout}}
			_, createErr := f.store.Create(ctx, other, 1)
			_, rotateErr := f.store.Rotate(ctx, present(s, 5, serverB), f.policy)
			_, staleErr := f.store.Rotate(ctx, present(s, 1, serverB), f.policy)
			_, restoreErr := f.store.Restore(ctx, f.checkpoint(s, 9, serverB, 0, 0), 10, f.policy)
			_, listErr := f.store.List(ctx, f.user)
			for operation, err := range map[string]error{
				"Create": createErr, "Rotate": rotateErr, "Rotate of a stale token": staleErr, "Restore": restoreErr,
				"Revoke": f.store.Revoke(ctx, f.user, end), "List": listErr, "Ping": f.store.Ping(ctx),
			} {
				if err == nil || errors.Is(err, session.ErrEnded) {
					t.Errorf("%s: got error %v, want one that says nothing about the session", operation, err)
				}
			}
			f.wantStored(s)
			if n := len(f.list()); n != 1 {
				t.Errorf("live sessions: got %d, want 1", n)
			}
		})
	}
	t.Run("a deadline to come is no hindrance, wherever the clock stands", func(t *testing.T) {
		f := newFixture(t, open)
		ctx, cancel := context.WithTimeout(f.ctx, time.Minute)
		defer cancel()
		f.ctx = ctx
		s := f.turned()
		f.create(s)
		for _, step := range []time.Duration{30 * time.Minute, -time.Hour, 40 * time.Minute} {
			f.clock.Step(step)
			f.rotate(present(s, 5, serverB))
		}
	})
	t.Run("a store that answers answers a ping", func(t *testing.T) {
		f := newFixture(t, open)
		if err := f.store.Ping(f.ctx); err != nil {
			t.Errorf("Ping: got %v, want no error", err)
		}
	})
}
