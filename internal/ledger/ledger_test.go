package ledger_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/ledger"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/user"
)

var start = time.Date(2026, 5, 6, 7, 8, 9, 123_000_000, time.UTC)

// world is a database with its nouns and a clock.
type world struct {
	t      *testing.T
	db     *gorm.DB
	users  *user.Users
	ledger *ledger.Ledger
	mu     sync.Mutex
	at     time.Time
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// each runs test in each dialect.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) { test(t, newWorld(t, db)) })
}

func newWorld(t *testing.T, db *gorm.DB) *world {
	w := &world{t: t, db: db, at: start}
	w.users, w.ledger = user.New(db, w.now), ledger.New(db, w.now)
	return w
}

func (w *world) user() user.User {
	w.t.Helper()
	u, err := w.users.Add(w.t.Context(), rand.Text()+"@example.com", secret.New("hash"), user.RoleUser)
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// state is a session of u that begins now.
func (w *world) state(u user.User) session.State {
	now := w.now()
	return session.State{
		Session: session.Session{
			ID: uuid.New(), UserID: u.ID, Delivery: session.DeliveryBody,
			CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(720 * time.Hour),
			DeviceName: "Ann's phone", UserAgent: "agent/1", IPAddress: "192.0.2.1",
		},
		Role: string(u.Role), Binding: "192.0.2.1", SecretHash: session.NewSecret().Hash(),
		Generation: 1, TurnedAt: now,
	}
}

var keyID = session.KeyID{1, 2, 3, 4, 5, 255}

func (w *world) begin(u user.User) session.State {
	w.t.Helper()
	s := w.state(u)
	if err := w.ledger.Begin(w.t.Context(), s, keyID, u.CredentialVersion); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) find(s session.State) ledger.Entry {
	w.t.Helper()
	e, err := w.ledger.Find(w.t.Context(), s.UserID, s.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// wantEnds compares the ends with those of the sessions, in any order.
func wantEnds(t *testing.T, what string, got []session.End, err error, reason session.Reason, want ...session.State) {
	t.Helper()
	ends := []session.End{}
	for _, s := range want {
		ends = append(ends, session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: reason, InLedger: true})
	}
	byID := func(a, b session.End) int { return cmp.Compare(a.SessionID.String(), b.SessionID.String()) }
	slices.SortFunc(got, byID)
	slices.SortFunc(ends, byID)
	if err != nil || !slices.Equal(got, ends) {
		t.Errorf("%s: got %v, %v, want %v", what, got, err, ends)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestBeginAndFind(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.user()
		plain := w.begin(u)
		full := w.state(u)
		full.Delivery, full.Generation, full.Held, full.Attempt = session.DeliveryCookie, 1<<53-1, true, "cabc"
		full.DeviceName, full.Binding, full.TurnedAt = "", "", time.Time{}
		if err := w.ledger.Begin(t.Context(), full, keyID, 1); err != nil {
			t.Fatal(err)
		}
		for _, s := range []session.State{plain, full} {
			want := ledger.Entry{State: s, KeyID: keyID, CredentialVersion: 1}
			if got := w.find(s); !reflect.DeepEqual(got, want) || got.Ended() {
				t.Errorf("Find: got %+v, want %+v", got, want)
			}
		}
		if err := w.ledger.Begin(t.Context(), plain, keyID, 1); err == nil || errors.Is(err, ledger.ErrUserChanged) {
			t.Errorf("a second Begin of one id: got %v, want another error", err)
		}
		other := w.user()
		_, err := w.ledger.Find(t.Context(), other.ID, plain.ID)
		wantErr(t, "Find as another user", err, ledger.ErrNotFound)
		_, err = w.ledger.Find(t.Context(), u.ID, uuid.New())
		wantErr(t, "Find of an unknown id", err, ledger.ErrNotFound)
		_, err = w.ledger.Find(t.Context(), uuid.Nil, uuid.Nil)
		wantErr(t, "Find of nothing", err, ledger.ErrNotFound)
	})
}

// TestStrangeText: what a client says about itself costs no login.
func TestStrangeText(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.state(w.user())
		s.UserAgent, s.DeviceName, s.IPAddress = "a\xff\x00b", strings.Repeat("ü", 600), "x\x00"
		if err := w.ledger.Begin(t.Context(), s, keyID, 1); err != nil {
			t.Fatal(err)
		}
		got := w.find(s).State
		if got.UserAgent != "ab" || len(got.DeviceName) != 512 || got.IPAddress != "x" {
			t.Errorf("got %q, %q, %q, want what every database stores", got.UserAgent, got.DeviceName, got.IPAddress)
		}
		c := s.Checkpoint()
		c.LastUsedAt, c.UserAgent = start.Add(time.Minute), "c\x00\xfed"
		if _, err := w.ledger.Checkpoint(t.Context(), []session.Checkpoint{c}); err != nil {
			t.Fatal(err)
		}
		if got := w.find(s).State.UserAgent; got != "cd" {
			t.Errorf("got %q, want %q", got, "cd")
		}
	})
}

// TestUserChanges: each change of the user keeps logins out that began before,
// and ends sessions that nobody revoked.
func TestUserChanges(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for name, c := range map[string]struct {
			do     func(user.User) error
			reason session.Reason
		}{
			"disable": {func(u user.User) error { return w.users.SetStatus(ctx, u.ID, user.StatusDisabled) }, session.ReasonDisabled},
			"disable and enable": {func(u user.User) error {
				return errors.Join(w.users.SetStatus(ctx, u.ID, user.StatusDisabled), w.users.SetStatus(ctx, u.ID, user.StatusActive))
			}, session.ReasonRevoked},
			"delete": {func(u user.User) error { return w.users.Delete(ctx, u.ID) }, session.ReasonDeleted},
			"role":   {func(u user.User) error { return w.users.SetRole(ctx, u.ID, user.RoleAdmin) }, session.ReasonRevoked},
			"password": {func(u user.User) error {
				return w.users.SetPassword(ctx, u.ID, u.CredentialVersion, secret.New("x"), nil)
			}, session.ReasonRevoked},
			"reset": {func(u user.User) error { return w.users.ResetPassword(ctx, u.ID, secret.New("x")) }, session.ReasonRevoked},
		} {
			u := w.user()
			s := w.begin(u)
			w.pass(time.Second)
			since := w.now()
			if err := c.do(u); err != nil {
				t.Fatal(err)
			}
			err := w.ledger.Begin(ctx, w.state(u), keyID, u.CredentialVersion)
			wantErr(t, name+": Begin", err, ledger.ErrUserChanged)
			e := w.find(s)
			if !e.UserGone || !e.Ended() || e.Reason != c.reason || !e.RevokedAt.IsZero() {
				t.Errorf("%s: got %+v, want it gone for %s", name, e, c.reason)
			}
			if list, err := w.ledger.ListByUser(ctx, u.ID); err != nil || len(list) != 0 {
				t.Errorf("%s: ListByUser: got %v, %v, want none", name, list, err)
			}
			answers, err := w.ledger.Checkpoint(ctx, []session.Checkpoint{s.Checkpoint()})
			if err != nil || len(answers) != 1 || !answers[0].UserGone || answers[0].Reason != c.reason {
				t.Errorf("%s: Checkpoint: got %+v, %v, want it gone for %s", name, answers, err, c.reason)
			}
			revoked, err := w.ended(since, 1)
			want := ledger.Revocation{End: session.End{SessionID: s.ID, ExpiresAt: s.ExpiresAt, Reason: c.reason, InLedger: true}, UserID: u.ID, RevokedAt: since}
			if err != nil || len(revoked) != 1 || revoked[0] != want {
				t.Errorf("%s: Ended: got %+v, %v, want %+v", name, revoked, err, want)
			}
			ends, err := w.ledger.RevokeAll(ctx, u.ID, uuid.Nil, session.ReasonPassword)
			wantEnds(t, name+": RevokeAll", ends, err, session.ReasonPassword, s)
			if got := w.find(s).Reason; got != session.ReasonPassword {
				t.Errorf("%s: got reason %s, want %s", name, got, session.ReasonPassword)
			}
			revoked, err = w.ended(since, 100)
			if err != nil || len(revoked) != 1 {
				t.Errorf("%s: Ended after RevokeAll: got %v, %v, want the session once", name, revoked, err)
			}
		}
		u := w.user()
		s := w.begin(u)
		if _, err := w.users.UpgradeHash(ctx, u.ID, u.PasswordHash, secret.New("better")); err != nil {
			t.Fatal(err)
		}
		if w.find(s).Ended() {
			t.Error("an upgraded hash ended a session")
		}
		if err := w.ledger.Begin(ctx, w.state(u), keyID, u.CredentialVersion); err != nil {
			t.Errorf("Begin after an upgraded hash: got %v", err)
		}
	})
}

func TestListByUser(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.user()
		var all []session.State
		for range 4 {
			all = append(all, w.begin(u))
			w.pass(time.Minute)
		}
		w.begin(w.user())
		short := w.state(u)
		short.ExpiresAt = w.now().Add(time.Hour)
		if err := w.ledger.Begin(t.Context(), short, keyID, 1); err != nil {
			t.Fatal(err)
		}
		used := all[0].Checkpoint()
		used.LastUsedAt = w.now().Add(30 * time.Minute)
		if _, err := w.ledger.Checkpoint(t.Context(), []session.Checkpoint{used}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ledger.Revoke(t.Context(), u.ID, []uuid.UUID{all[2].ID}, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Hour) // short expires at this very moment
		list, err := w.ledger.ListByUser(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		var got []uuid.UUID
		for _, e := range list {
			got = append(got, e.State.ID)
		}
		if want := []uuid.UUID{all[0].ID, all[3].ID, all[1].ID}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestDeleteScrubs: nothing personal is left in the sessions of a deleted user,
// and no checkpoint brings it back.
func TestDeleteScrubs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, u := t.Context(), w.user()
		s, ended, other := w.begin(u), w.begin(u), w.begin(w.user())
		if _, err := w.ledger.Revoke(ctx, u.ID, []uuid.UUID{ended.ID}, session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		if err := w.users.Delete(ctx, u.ID); err != nil {
			t.Fatal(err)
		}
		c := s.Checkpoint()
		c.Generation, c.LastUsedAt = 9, start.Add(time.Hour)
		if _, err := w.ledger.Checkpoint(ctx, []session.Checkpoint{c}); err != nil {
			t.Fatal(err)
		}
		for _, s := range []session.State{s, ended} {
			got := w.find(s).State
			if got.DeviceName != "" || got.UserAgent != "" || got.IPAddress != "" {
				t.Errorf("got %q, %q, %q, want nothing personal", got.DeviceName, got.UserAgent, got.IPAddress)
			}
		}
		if got := w.find(other).State; got.DeviceName == "" || got.UserAgent == "" || got.IPAddress == "" {
			t.Errorf("another user's session became %+v", got)
		}
		if got := w.find(s).State.Generation; got != 9 {
			t.Errorf("got generation %d, want 9: a row stays until its expiry", got)
		}
	})
}

// TestNoAnswer: a database that does not answer is none of the package's errors.
func TestNoAnswer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		u := w.user()
		s := w.begin(u)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err1 := w.ledger.Find(ctx, u.ID, s.ID)
		_, err2 := w.ledger.ListByUser(ctx, u.ID)
		_, err3 := w.ledger.RevokeAll(ctx, u.ID, uuid.Nil, session.ReasonLogout)
		_, _, err4 := w.ledger.RevokeByID(ctx, s.ID, session.ReasonLogout)
		_, _, _, err5 := w.ledger.Ended(ctx, ledger.EndedSince(start), 1)
		_, err6 := w.ledger.Checkpoint(ctx, []session.Checkpoint{s.Checkpoint()})
		_, err7 := w.ledger.DeleteExpired(ctx, 1)
		_, err8 := ledger.AcquireLease(ctx, w.db, time.Now, nil)
		err9 := w.ledger.Begin(ctx, w.state(u), keyID, 1)
		_, err10 := w.ledger.DeleteEnded(ctx, 1)
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8, err9, err10} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%d: got %v, want %v", i+1, err, context.Canceled)
			}
			for _, own := range []error{ledger.ErrNotFound, ledger.ErrUserChanged, ledger.ErrLeased} {
				if errors.Is(err, own) {
					t.Errorf("%d: got %v of a database that did not answer", i+1, err)
				}
			}
		}
		if w.find(s).Ended() {
			t.Error("a call that was given up ended a session")
		}
	})
}
