package auth_test

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/database"
	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/migrations"
)

const newPassword = "wholly different sentence 7"

func (c *client) changePassword(next string) (auth.ChangePasswordResult, error) {
	return c.w.svc.ChangePassword(c.w.Context(), c.caller, c.w.claims(c), auth.ChangePasswordInput{
		CurrentPassword: secret.New(goodPassword), NewPassword: secret.New(next),
	})
}

// logsIn reports whether a password does.
func (w *world) logsIn(pass string) bool {
	w.Helper()
	_, ok := w.tryLogin(phone, pass).(*auth.LoginPayload)
	return ok
}

// TestChangePasswordIsOneStep: where no new session can begin, the password has
// not changed and nothing has ended.
func TestChangePasswordIsOneStep(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		w := newWorldOn(t, db)
		c, other := w.login(phone), w.login(browser)
		refuse, allow := "CREATE TRIGGER refuse BEFORE INSERT ON sessions BEGIN SELECT RAISE(FAIL, 'refused'); END", "DROP TRIGGER refuse"
		if database.Dialect(db) == database.PostgreSQL {
			refuse = "ALTER TABLE sessions ADD CONSTRAINT refuse CHECK (false) NOT VALID"
			allow = "ALTER TABLE sessions DROP CONSTRAINT refuse"
		}
		w.must(db.Exec(refuse).Error)
		if result, err := c.changePassword(newPassword); !errors.Is(err, auth.ErrUnavailable) {
			t.Fatalf("without a new session: got %T (%v), want ErrUnavailable", result, err)
		}
		w.must(db.Exec(allow).Error)
		for _, c := range []*client{c, other} {
			c.inLedger(false, "")
			c.refresh()
			c.authenticates(nil)
		}
		if !w.logsIn(goodPassword) || w.logsIn(newPassword) {
			t.Error("the password changed, although the answer said otherwise")
		}
		result, err := c.changePassword(newPassword)
		if _, ok := result.(*auth.ChangePasswordPayload); !ok {
			t.Errorf("the same again: got %T (%v), want a new session", result, err)
		}
	})
}

// throughProxy is a world whose PostgreSQL is reached through a proxy.
func throughProxy(t *testing.T) (*world, *faultproxy.Proxy) {
	t.Helper()
	direct := databasetest.PostgresURL(t)
	target, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	proxy := faultproxy.New(t, target.Host)
	db, err := database.Open(t.Context(), proxy.Through(direct))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close(db) })
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.Up(t.Context(), pool, database.Dialect(db)); err != nil {
		t.Fatal(err)
	}
	return newWorldOn(t, db), proxy
}

// TestChangePasswordWhoseAnswerIsLost: the transaction was carried out, and its
// answer lost. The new session is found, and handed out.
func TestChangePasswordWhoseAnswerIsLost(t *testing.T) {
	w, proxy := throughProxy(t)
	c, other := w.login(phone), w.login(browser)
	proxy.Swallow(1, "COMMIT", true)
	result, err := c.changePassword(newPassword)
	payload, ok := result.(*auth.ChangePasswordPayload)
	if !ok || proxy.Left() != 0 {
		t.Fatalf("got %T (%v), %d answers left to lose, want a new session in spite of the lost answer", result, err, proxy.Left())
	}
	if len(payload.RevokedSessionIDs) != 2 {
		t.Errorf("revoked: got %v, want both sessions", payload.RevokedSessionIDs)
	}
	fresh := &client{w: w, caller: phone, token: handed(payload.Credential), id: payload.Session.ID}
	fresh.refresh()
	fresh.authenticates(nil)
	fresh.inLedger(false, "")
	other.wants(other.token, auth.ErrRefreshRevoked)
	if w.logsIn(goodPassword) || !w.logsIn(newPassword) {
		t.Error("the old password is still the user's")
	}
}

// TestChangePasswordLeftOpen: the transaction was carried out and nobody can
// find out. The answer leaves it open, the session that nobody holds ends, and
// those from before do.
func TestChangePasswordLeftOpen(t *testing.T) {
	w, proxy := throughProxy(t)
	c := w.login(phone)
	var away atomic.Bool
	gone := func(db *gorm.DB) {
		if away.Load() && proxy.Left() == 0 {
			_ = db.AddError(errDown)
		}
	}
	w.must(w.db.Callback().Row().Before("gorm:row").Register("gone", gone))
	proxy.Swallow(1, "COMMIT", true)
	away.Store(true)
	if result, err := c.changePassword(newPassword); !errors.Is(err, auth.ErrUnavailable) {
		t.Fatalf("got %T (%v), want ErrUnavailable", result, err)
	}
	away.Store(false)
	w.must(w.svc.TakeOver(w.Context()))
	w.svc.Settle(w.Context())
	c.wants(c.token, auth.ErrRefreshRevoked)
	if left, err := w.ledger.ListByUser(w.Context(), w.user.ID); err != nil || len(left) != 0 {
		t.Errorf("got %v (%v), want no session of the change left", left, err)
	}
	if w.logsIn(goodPassword) || !w.logsIn(newPassword) {
		t.Error("the old password is still the user's")
	}
}

// ended is a store in which every new session has ended already.
type ended struct{ session.Store }

func (ended) Create(context.Context, session.State, int) ([]session.End, error) {
	return nil, session.ErrEnded
}

// TestChangePasswordWhoseSessionEnds: an admin may end the new session before its
// owner learns of it. The password has changed all the same.
func TestChangePasswordWhoseSessionEnds(t *testing.T) {
	w := newWorld(t)
	c := w.login(phone)
	w.hot.Store = ended{w.hot.Store}
	result, err := c.changePassword(newPassword)
	if _, ok := result.(*auth.ChangePasswordPayload); !ok {
		t.Fatalf("got %T (%v), want the payload of a password that changed", result, err)
	}
}

// TestChangePasswordsAtOnce: of several changes of one password one is made, and
// its session alone lives on.
func TestChangePasswordsAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *gorm.DB) {
		const many = 4
		w := newWorldOn(t, db)
		clients := make([]*client, many)
		for i := range clients {
			clients[i] = w.login(phone)
		}
		next := func(i int) string { return newPassword + string(rune('a'+i)) }
		payloads := make([]*auth.ChangePasswordPayload, many)
		var all sync.WaitGroup
		for i, c := range clients {
			all.Go(func() {
				result, err := c.changePassword(next(i))
				var ok bool
				if payloads[i], ok = result.(*auth.ChangePasswordPayload); ok {
					return
				}
				if _, refused := result.(auth.InvalidCredentialsError); !refused && !errors.Is(err, auth.ErrSessionRevoked) {
					t.Errorf("got %T (%v), want a new session, InvalidCredentialsError or ErrSessionRevoked", result, err)
				}
			})
		}
		all.Wait()
		made := 0
		for i, payload := range payloads {
			if payload == nil {
				if w.logsIn(next(i)) {
					t.Errorf("change %d was refused, and its password logs in", i)
				}
				continue
			}
			made++
			fresh := &client{w: w, caller: phone, token: handed(payload.Credential), id: payload.Session.ID}
			fresh.refresh()
			if !w.logsIn(next(i)) {
				t.Errorf("change %d was made, and its password does not log in", i)
			}
		}
		if made != 1 {
			t.Errorf("got %d changes made, want 1", made)
		}
		for _, c := range clients {
			c.wants(c.token, auth.ErrRefreshRevoked)
		}
	})
}
