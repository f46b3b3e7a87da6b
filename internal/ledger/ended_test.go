package ledger_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

// ended reads what ended, page by page.
func (w *world) ended(since time.Time, limit int) ([]ledger.Revocation, error) {
	return w.pages(w.ledger.Ended, since, limit)
}

type reader func(ctx context.Context, after ledger.Cursor, limit int) (page []ledger.Revocation, next ledger.Cursor, more bool, err error)

func (w *world) pages(read reader, since time.Time, limit int) (all []ledger.Revocation, err error) {
	at := ledger.EndedSince(since)
	for more := true; more; {
		var page []ledger.Revocation
		if page, at, more, err = read(w.t.Context(), at, limit); err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	return all, nil
}

func TestEnded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, u := t.Context(), w.user()
		early, onTime, late, live, short := w.begin(u), w.begin(u), w.begin(u), w.begin(u), w.state(u)
		short.ExpiresAt = w.now().Add(3 * time.Minute)
		if err := w.ledger.Begin(ctx, short, keyID, 1); err != nil {
			t.Fatal(err)
		}
		var since time.Time
		for i, s := range []session.State{early, onTime, late, short} {
			if _, err := w.ledger.Revoke(ctx, u.ID, []uuid.UUID{s.ID}, session.ReasonReuse); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				since = w.now()
			}
			w.pass(time.Minute)
		}
		got, err := w.ended(since, 2)
		if err != nil || len(got) != 2 {
			t.Fatalf("got %+v, %v, want two", got, err)
		}
		for i, s := range []session.State{onTime, late} {
			want := ledger.Revocation{
				End:    session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: session.ReasonReuse, InLedger: true},
				UserID: u.ID, RevokedAt: since.Add(time.Duration(i) * time.Minute),
			}
			if got[i] != want {
				t.Errorf("got %+v, want %+v", got[i], want)
			}
		}
		if w.find(live).Ended() {
			t.Error("got an end of a session that nobody ended")
		}
	})
}

// TestEndedByPages: whatever the size of a page, each end is read once, also
// where thousands have one time, or a time between two milliseconds.
func TestEndedByPages(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		since := w.now()
		want := map[uuid.UUID]session.Reason{}
		var u user.User
		for range 7 {
			u = w.user()
			for range 3 {
				want[w.begin(u).ID] = session.ReasonLogout
			}
		}
		if err := w.db.Exec("UPDATE sessions SET revoked_at = ?, reason = ?", database.At(since), session.ReasonLogout).Error; err != nil {
			t.Fatal(err)
		}
		if database.Dialect(w.db) == database.PostgreSQL { // an operator's own statement
			err := w.db.Exec("UPDATE sessions SET revoked_at = revoked_at + interval '300 microseconds' WHERE user_id = ?", u.ID).Error
			if err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			gone := w.user()
			for range 3 {
				want[w.begin(gone).ID] = session.ReasonDisabled
			}
			if err := w.users.SetStatus(t.Context(), gone.ID, user.StatusDisabled); err != nil {
				t.Fatal(err)
			}
			w.begin(w.user()) // of somebody who is just new
		}
		for _, limit := range []int{1, 2, 3, 4, 1000} {
			got, err := w.ended(since, limit)
			if err != nil || len(got) != len(want) {
				t.Errorf("by %d: got %d ends, %v, want %d", limit, len(got), err, len(want))
			}
			seen := map[uuid.UUID]bool{}
			for _, r := range got {
				if reason, ok := want[r.SessionID]; seen[r.SessionID] || !ok || r.Reason != reason {
					t.Errorf("by %d: got %+v, seen before: %t, want it once for %q", limit, r, seen[r.SessionID], reason)
				}
				seen[r.SessionID] = true
			}
			ids, err := w.pages(w.ledger.EndedIDs, since, limit)
			if same := slices.EqualFunc(ids, got, func(a, b ledger.Revocation) bool {
				return a.SessionID == b.SessionID && a.RevokedAt.Equal(b.RevokedAt)
			}); err != nil || !same {
				t.Errorf("EndedIDs by %d: got %d ends, %v, want the same as of Ended", limit, len(ids), err)
			}
		}
	})
}
