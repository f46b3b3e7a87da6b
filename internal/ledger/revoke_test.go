package ledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/session"
)

func TestRevoke(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, u, other := t.Context(), w.user(), w.user()
		a, b, c, d, foreign := w.begin(u), w.begin(u), w.begin(u), w.begin(u), w.begin(other)
		expired := w.state(u)
		expired.ExpiresAt = w.now().Add(time.Second)
		if err := w.ledger.Begin(ctx, expired, keyID, 1); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		ids := []uuid.UUID{a.ID, b.ID, foreign.ID, expired.ID, uuid.New()}
		ends, err := w.ledger.Revoke(ctx, u.ID, ids, session.ReasonLogout)
		wantEnds(t, "Revoke", ends, err, session.ReasonLogout, a, b)
		if e := w.find(a); !e.RevokedAt.Equal(w.now()) || e.Reason != session.ReasonLogout || !e.Ended() || e.UserGone {
			t.Errorf("got %+v, want it ended by logout now", e)
		}
		w.pass(time.Minute)
		ends, err = w.ledger.Revoke(ctx, u.ID, ids, session.ReasonRevoked)
		wantEnds(t, "Revoke again", ends, err, session.ReasonRevoked)
		if e := w.find(a); e.Reason != session.ReasonLogout || e.RevokedAt.Equal(w.now()) {
			t.Errorf("got %+v, want the first end", e)
		}
		ends, err = w.ledger.Revoke(ctx, u.ID, nil, session.ReasonRevoked)
		wantEnds(t, "Revoke of nothing", ends, err, session.ReasonRevoked)
		ends, err = w.ledger.RevokeWithSecret(ctx, u.ID, c.ID, d.SecretHash, session.ReasonLogout)
		wantEnds(t, "RevokeWithSecret of another", ends, err, session.ReasonLogout)
		ends, err = w.ledger.RevokeWithSecret(ctx, other.ID, c.ID, c.SecretHash, session.ReasonLogout)
		wantEnds(t, "RevokeWithSecret as another", ends, err, session.ReasonLogout)
		ends, err = w.ledger.RevokeWithSecret(ctx, u.ID, c.ID, c.SecretHash, session.ReasonLogout)
		wantEnds(t, "RevokeWithSecret", ends, err, session.ReasonLogout, c)

		e, f := w.begin(u), w.begin(u)
		ends, err = w.ledger.RevokeAll(ctx, u.ID, e.ID, session.ReasonPassword)
		wantEnds(t, "RevokeAll but one", ends, err, session.ReasonPassword, d, f)
		ends, err = w.ledger.RevokeAll(ctx, uuid.Nil, uuid.Nil, session.ReasonPassword)
		wantEnds(t, "RevokeAll of nobody", ends, err, session.ReasonPassword)
		ends, err = w.ledger.RevokeAll(ctx, u.ID, uuid.Nil, session.ReasonRole)
		wantEnds(t, "RevokeAll", ends, err, session.ReasonRole, e)

		owner, ends, err := w.ledger.RevokeByID(ctx, foreign.ID, session.ReasonRevoked)
		wantEnds(t, "RevokeByID", ends, err, session.ReasonRevoked, foreign)
		if owner != other.ID {
			t.Errorf("RevokeByID: got user %v, want %v", owner, other.ID)
		}
		owner, ends, err = w.ledger.RevokeByID(ctx, foreign.ID, session.ReasonRevoked)
		wantEnds(t, "RevokeByID again", ends, err, session.ReasonRevoked)
		if owner != other.ID {
			t.Errorf("RevokeByID again: got user %v, want %v", owner, other.ID)
		}
		_, _, err = w.ledger.RevokeByID(ctx, uuid.New(), session.ReasonRevoked)
		wantErr(t, "RevokeByID of an unknown id", err, ledger.ErrNotFound)
	})
}

// TestRevokeByKey: the sessions of one key, batch by batch.
func TestRevokeByKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, u, other := t.Context(), w.user(), w.user()
		mine := []session.State{w.begin(u), w.begin(other), w.begin(u), w.begin(other), w.begin(u)}
		users := map[uuid.UUID]uuid.UUID{}
		for _, s := range mine {
			users[s.ID] = s.UserID
		}
		foreign, over := w.state(u), w.begin(u)
		if err := w.ledger.Begin(ctx, foreign, session.KeyID{9}, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ledger.Revoke(ctx, u.ID, []uuid.UUID{over.ID}, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		var all []session.End
		last := uuid.Nil
		for _, want := range []int{2, 2, 1, 0} {
			owners, ends, err := w.ledger.RevokeByKey(ctx, keyID, last, 2, session.ReasonRevoked)
			if err != nil || len(ends) != want || len(owners) != want {
				t.Fatalf("got %d ends of %d users (%v), want %d", len(ends), len(owners), err, want)
			}
			before := last
			for i, end := range ends {
				if users[end.SessionID] != owners[i] {
					t.Errorf("got user %s of %s, want %s", owners[i], end.SessionID, users[end.SessionID])
				}
				if end.SessionID.String() <= before.String() {
					t.Errorf("got %s in the batch after %s", end.SessionID, before)
				}
				if end.SessionID.String() > last.String() {
					last = end.SessionID
				}
			}
			all = append(all, ends...)
		}
		wantEnds(t, "RevokeByKey", all, nil, session.ReasonRevoked, mine...)
		if w.find(foreign).Ended() || w.find(over).Reason != session.ReasonLogout {
			t.Error("got the end of a session of another key, or of one that had ended")
		}
	})
}
