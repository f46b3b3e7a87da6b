package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
)

// forgets demands what a deletion deletes by a ledger's clock, three at a time.
func (w *world) forgets(what string, deletion func(context.Context, int) (int64, error), at time.Time, want ...int64) {
	w.t.Helper()
	w.pass(at.Sub(w.now()))
	for _, want := range want {
		if got, err := deletion(w.t.Context(), 3); err != nil || got != want {
			w.t.Errorf("%s: got %d, %v, want %d", what, got, err, want)
		}
	}
}

// TestDeleteExpired: the rows of sessions go a day after they expired by both
// clocks, whatever one of them says, and whatever became of their user.
func TestDeleteExpired(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, u := t.Context(), w.user()
		w.pass(time.Since(w.now()) - 48*time.Hour)
		var old []session.State
		for range 5 {
			s := w.state(u)
			s.ExpiresAt = w.now().Add(time.Minute)
			if err := w.ledger.Begin(ctx, s, keyID, 1); err != nil {
				t.Fatal(err)
			}
			old = append(old, s)
		}
		day := old[0].ExpiresAt.Truncate(time.Millisecond).Add(24 * time.Hour)
		recent, live := w.state(u), w.begin(u)
		recent.ExpiresAt = day.Add(time.Hour) // less than a day ago by the database's clock
		if err := w.ledger.Begin(ctx, recent, keyID, 1); err != nil {
			t.Fatal(err)
		}
		if err := w.users.Delete(ctx, u.ID); err != nil {
			t.Fatal(err)
		}
		w.forgets("a day after", w.ledger.DeleteExpired, day, 0)
		w.forgets("a day and a millisecond after", w.ledger.DeleteExpired, day.Add(time.Millisecond), 3, 2, 0)
		w.forgets("by a clock that is years ahead", w.ledger.DeleteExpired, day.Add(5*365*24*time.Hour), 0)
		_, err := w.ledger.Find(ctx, u.ID, old[0].ID)
		wantErr(t, "Find", err, ledger.ErrNotFound)
		w.find(recent)
		w.find(live)
	})
}

// TestDeleteEnded: the rows of sessions that ended go two hours later, by both
// clocks, and for as long servers find them among what ended.
func TestDeleteEnded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, u := t.Context(), w.user()
		w.pass(time.Since(w.now()) - 24*time.Hour)
		live := w.begin(u)
		var ids []uuid.UUID
		for range 5 {
			ids = append(ids, w.begin(u).ID)
		}
		if ends, err := w.ledger.Revoke(ctx, u.ID, ids, session.ReasonEvicted); err != nil || len(ends) != 5 {
			t.Fatalf("Revoke: got %v, %v, want 5 ends", ends, err)
		}
		later := w.now().Truncate(time.Millisecond).Add(2 * time.Hour)
		w.forgets("two hours after", w.ledger.DeleteEnded, later, 0)
		w.forgets("two hours and a millisecond after", w.ledger.DeleteEnded, later.Add(time.Millisecond), 3, 2, 0)

		w.pass(time.Since(w.now()) - time.Hour) // less than two hours ago by the database's clock
		last := w.begin(u)
		if _, err := w.ledger.Revoke(ctx, u.ID, []uuid.UUID{last.ID}, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		w.forgets("by a clock that is years ahead", w.ledger.DeleteEnded, w.now().Add(5*365*24*time.Hour), 0)
		w.find(last)
		w.find(live)
	})
}
