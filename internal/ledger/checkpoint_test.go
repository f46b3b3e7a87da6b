package ledger_test

import (
	"context"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/session"
)

// TestCheckpointRises: what each checkpoint makes of the one before.
func TestCheckpointRises(t *testing.T) {
	at := func(m int) time.Time { return start.Add(time.Duration(m)*time.Minute + time.Millisecond) }
	base := session.Checkpoint{Generation: 5, TurnedAt: at(50), Attempt: "sbase", LastUsedAt: at(50), IPAddress: "192.0.2.5", UserAgent: "base"}
	cases := map[string]struct {
		change, want func(*session.Checkpoint)
	}{
		"newer": {
			func(c *session.Checkpoint) {
				*c = session.Checkpoint{Generation: 6, TurnedAt: at(60), Attempt: "cnew", Held: true, LastUsedAt: at(61), IPAddress: "192.0.2.6", UserAgent: "new"}
			},
			func(c *session.Checkpoint) {
				*c = session.Checkpoint{Generation: 6, TurnedAt: at(60), Attempt: "cnew", Held: true, LastUsedAt: at(61), IPAddress: "192.0.2.6", UserAgent: "new"}
			},
		},
		"older": {
			func(c *session.Checkpoint) {
				*c = session.Checkpoint{Generation: 4, TurnedAt: at(40), Attempt: "cold", LastUsedAt: at(41), IPAddress: "192.0.2.4", UserAgent: "old"}
			},
			func(*session.Checkpoint) {},
		},
		"older but held": {
			func(c *session.Checkpoint) { c.Generation, c.Held, c.LastUsedAt = 4, true, at(41) },
			func(c *session.Checkpoint) { c.Held = true },
		},
		"older but used later": {
			func(c *session.Checkpoint) {
				*c = session.Checkpoint{Generation: 4, TurnedAt: at(70), Attempt: "cold", LastUsedAt: at(71), IPAddress: "192.0.2.7", UserAgent: "later"}
			},
			func(c *session.Checkpoint) { c.LastUsedAt, c.IPAddress, c.UserAgent = at(71), "192.0.2.7", "later" },
		},
		"newer but used earlier": {
			func(c *session.Checkpoint) {
				*c = session.Checkpoint{Generation: 6, TurnedAt: at(30), Attempt: "snew", LastUsedAt: at(30), IPAddress: "192.0.2.3", UserAgent: "skewed"}
			},
			func(c *session.Checkpoint) { c.Generation, c.TurnedAt, c.Attempt = 6, at(30), "snew" },
		},
		"after a recovery, older": {
			func(c *session.Checkpoint) {
				c.Generation, c.TurnedAt, c.Attempt, c.RecoveredAt = 4, time.Time{}, "", at(52)
			},
			func(c *session.Checkpoint) {
				c.Generation, c.TurnedAt, c.Attempt, c.RecoveredAt = 4, time.Time{}, "", at(52)
			},
		},
		"adopted": {
			func(c *session.Checkpoint) {
				c.Generation, c.TurnedAt, c.Attempt, c.LastUsedAt = 9, time.Time{}, "", at(90)
			},
			func(c *session.Checkpoint) {
				c.Generation, c.TurnedAt, c.Attempt, c.LastUsedAt = 9, time.Time{}, "", at(90)
			},
		},
		"same generation, turn unknown": {
			func(c *session.Checkpoint) { c.TurnedAt, c.Attempt = time.Time{}, "" },
			func(*session.Checkpoint) {},
		},
		"same generation, turned again": {
			func(c *session.Checkpoint) { c.TurnedAt, c.Attempt = at(55), "cagain" },
			func(c *session.Checkpoint) { c.TurnedAt, c.Attempt = at(55), "cagain" },
		},
		"same generation, turned before": {
			func(c *session.Checkpoint) { c.TurnedAt, c.Attempt = at(45), "cbefore" },
			func(*session.Checkpoint) {},
		},
	}
	each(t, func(t *testing.T, w *world) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				s := w.begin(w.user())
				neighbour := w.begin(w.user())
				send := func(c session.Checkpoint) session.Checkpoint {
					t.Helper()
					c.SessionID, c.UserID = s.ID, s.UserID
					answers, err := w.ledger.Checkpoint(t.Context(), []session.Checkpoint{c})
					if err != nil || len(answers) != 1 {
						t.Fatalf("got %v, %v, want one answer", answers, err)
					}
					if got := w.find(s); !reflect.DeepEqual(got, answers[0]) {
						t.Errorf("the answer differs from the row: got %+v, want %+v", answers[0], got)
					}
					return answers[0].State.Checkpoint()
				}
				send(base)
				change, want := base, base
				c.change(&change)
				c.want(&want)
				want.SessionID, want.UserID = s.ID, s.UserID
				if got := send(change); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
				if want.Held {
					change.Held = false
					if got := send(change); !got.Held {
						t.Errorf("got %+v, want it held as before", got)
					}
				}
				if got := w.find(neighbour).State; !reflect.DeepEqual(got, neighbour) {
					t.Errorf("another session became %+v, want %+v", got, neighbour)
				}
			})
		}
	})
}

// TestCheckpointAfterRecovery: a turn that the hot state lost does not come back
// when it is written down after the recovery.
func TestCheckpointAfterRecovery(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.begin(w.user())
		checkpoint := func(generation uint64, recovered time.Time) session.Checkpoint {
			return session.Checkpoint{SessionID: s.ID, UserID: s.UserID, Generation: generation, TurnedAt: start, LastUsedAt: start, RecoveredAt: recovered}
		}
		first, second := start.Add(time.Second), start.Add(time.Minute)
		for _, c := range []struct {
			what string
			send []session.Checkpoint
			want session.Checkpoint
		}{
			{"after a recovery", []session.Checkpoint{checkpoint(4, first)}, checkpoint(4, first)},
			{"from before it", []session.Checkpoint{checkpoint(9, time.Time{})}, checkpoint(4, first)},
			{"the next turn", []session.Checkpoint{checkpoint(5, first)}, checkpoint(5, first)},
			{"both in one batch", []session.Checkpoint{checkpoint(4, second), checkpoint(6, first)}, checkpoint(4, second)},
			{"the other way round", []session.Checkpoint{checkpoint(7, first), checkpoint(5, second)}, checkpoint(5, second)},
		} {
			if _, err := w.ledger.Checkpoint(t.Context(), c.send); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			got := w.find(s).State
			if got.Generation != c.want.Generation || !got.RecoveredAt.Equal(c.want.RecoveredAt) {
				t.Errorf("%s: got generation %d recovered %s, want %d and %s",
					c.what, got.Generation, got.RecoveredAt, c.want.Generation, c.want.RecoveredAt)
			}
		}
	})
}

// TestCheckpointAnswers: one answer for each session that the ledger knows as
// the user's, ended and expired ones too.
func TestCheckpointAnswers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, u := t.Context(), w.user()
		live, ended := w.begin(u), w.begin(u)
		if _, err := w.ledger.Revoke(ctx, u.ID, []uuid.UUID{ended.ID}, session.ReasonEvicted); err != nil {
			t.Fatal(err)
		}
		w.pass(721 * time.Hour) // both expired
		foreign := w.begin(w.user()).Checkpoint()
		foreign.UserID, foreign.Generation = u.ID, 99
		unknown := w.state(u).Checkpoint()
		second := live.Checkpoint()
		second.Generation, second.Held = 3, true
		third := live.Checkpoint()
		third.Generation = 2
		batch := []session.Checkpoint{live.Checkpoint(), ended.Checkpoint(), foreign, unknown, second, third}
		answers, err := w.ledger.Checkpoint(ctx, batch)
		if err != nil || len(answers) != 2 {
			t.Fatalf("got %+v, %v, want two answers", answers, err)
		}
		for _, a := range answers {
			switch a.State.ID {
			case live.ID:
				if a.Ended() || a.State.Generation != 3 || !a.State.Held {
					t.Errorf("live: got %+v, want it at generation 3 and held", a)
				}
			case ended.ID:
				if !a.Ended() || a.Reason != session.ReasonEvicted {
					t.Errorf("ended: got %+v, want %s", a, session.ReasonEvicted)
				}
			default:
				t.Errorf("got an answer for %v", a.State.ID)
			}
		}
		if answers, err := w.ledger.Checkpoint(ctx, nil); err != nil || len(answers) != 0 {
			t.Errorf("no batch: got %v, %v, want nothing", answers, err)
		}
	})
}

// TestCheckpointsMeet: large batches of the same sessions in different orders,
// beside revocations, deletes and sweeps of the same rows, neither wait for each
// other for good nor lose the highest generation.
func TestCheckpointsMeet(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		const writers, rounds, size = 4, 8, 120
		users := []uuid.UUID{w.user().ID, w.user().ID, w.user().ID}
		var states []session.State
		for i := range size {
			u, err := w.users.ByID(ctx, users[i%len(users)])
			if err != nil {
				t.Fatal(err)
			}
			states = append(states, w.begin(u))
		}
		var wg sync.WaitGroup
		do := func(f func() error) {
			wg.Go(func() {
				if err := f(); err != nil {
					t.Errorf("beside others: got %v, want none", err)
				}
			})
		}
		for i := range writers {
			do(func() error {
				for round := range rounds {
					var batch []session.Checkpoint
					for _, n := range rand.Perm(size) {
						c := states[n].Checkpoint()
						c.Generation = uint64(2 + round*writers + i)
						c.LastUsedAt = start.Add(time.Duration(round*writers+i) * time.Second)
						batch = append(batch, c)
					}
					if answers, err := w.ledger.Checkpoint(ctx, batch); err != nil || len(answers) != size {
						t.Errorf("got %d answers, %v, want %d", len(answers), err, size)
					}
				}
				return nil
			})
		}
		for _, u := range users {
			do(func() error { _, err := w.ledger.RevokeAll(ctx, u, uuid.Nil, session.ReasonLogout); return err })
			do(func() error { _, err := w.ledger.RevokeAll(ctx, u, uuid.Nil, session.ReasonRevoked); return err })
			do(func() error { _, err := w.ledger.DeleteExpired(ctx, size); return err })
			do(func() error { _, err := w.ledger.DeleteEnded(ctx, size); return err })
		}
		do(func() error { return w.users.Delete(ctx, users[0]) })
		wg.Wait()
		for _, s := range states {
			if got := w.find(s); got.State.Generation != writers*rounds+1 || !got.Ended() {
				t.Fatalf("got %+v, want it ended at generation %d", got, writers*rounds+1)
			}
			if got := w.find(s).State; s.UserID == users[0] && got.UserAgent+got.IPAddress+got.DeviceName != "" {
				t.Fatalf("got %+v of a deleted user, want nothing personal", got)
			}
		}
	})
}
