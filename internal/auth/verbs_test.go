package auth_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/token"
	"github.com/pawlauth/pawl/internal/user"
)

func TestLoginOneAnswer(t *testing.T) {
	w := newWorld(t)
	hash, err := w.svc.Hasher.Hash(t.Context(), "", secret.New(goodPassword))
	w.must(err)
	add := func(email string, hash secret.Text) user.User {
		u, err := w.users.Add(t.Context(), email, hash, user.RoleUser)
		w.must(err)
		return u
	}
	w.must(w.users.SetStatus(t.Context(), add("disabled@example.com", hash).ID, user.StatusDisabled))
	w.must(w.users.Delete(t.Context(), add("deleted@example.com", hash).ID))
	add("nopassword@example.com", secret.Text{})
	add("unreadable@example.com", secret.New("$argon2id$v=19$m=999999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA"))
	for name, in := range map[string][2]string{
		"unknown user":    {"nobody@example.com", goodPassword},
		"wrong password":  {"ada@example.com", "wrong horse battery staple"},
		"disabled":        {"disabled@example.com", goodPassword},
		"deleted":         {"deleted@example.com", goodPassword},
		"no password":     {"nopassword@example.com", ""},
		"unreadable hash": {"unreadable@example.com", goodPassword},
		"over-long":       {"ada@example.com", strings.Repeat("x", 5000)},
		"NUL":             {"ada@example.com", goodPassword + "\x00"},
		"empty email":     {"", goodPassword},
		"no email at all": {strings.Repeat("x", 500), goodPassword},
	} {
		got, err := w.svc.Login(t.Context(), phone, auth.LoginInput{
			Email: secret.New(in[0]), Password: secret.New(in[1]), RefreshTokenDelivery: session.DeliveryBody,
		})
		want := auth.InvalidCredentialsError{Message: "The email or the password is not right."}
		if err != nil || !reflect.DeepEqual(got, auth.LoginResult(want)) {
			t.Errorf("%s: got %#v, %v; want %#v", name, got, err, want)
		}
	}
}

func TestLoginDeviceName(t *testing.T) {
	w := newWorld(t)
	login := func(name string) (auth.LoginResult, error) {
		return w.svc.Login(t.Context(), phone, auth.LoginInput{
			Email: secret.New("ada@example.com"), Password: secret.New(goodPassword),
			RefreshTokenDelivery: session.DeliveryBody, DeviceName: &name,
		})
	}
	result, err := login("  Ada's\x00 \x1fphone\n" + strings.Repeat("ü", 51))
	w.must(err)
	if got := result.(*auth.LoginPayload).Session.DeviceName; got != "Ada's phone"+strings.Repeat("ü", 51) {
		t.Errorf("device name: got %q", got)
	}
	var input *auth.InputError
	if _, err := login(strings.Repeat("ü", 65)); !errors.As(err, &input) || input.Field != "deviceName" {
		t.Errorf("65 characters: got %v, want BAD_USER_INPUT", err)
	}
}

func TestLoginReplacesTheCookiesSession(t *testing.T) {
	each(t, func(w *world) {
		first, second, app := w.login(browser), w.login(browser), w.login(phone)
		again := browser
		again.RefreshCookies = []secret.Text{first.token, secret.New("garbage"), second.token}
		fresh := w.login(again)
		first.wants(first.token, auth.ErrRefreshRevoked)
		second.wants(second.token, auth.ErrRefreshRevoked)
		first.inLedger(true, session.ReasonRelogin)
		fresh.caller = browser
		fresh.refresh()
		app.refresh()
	})
}

func TestSessionCap(t *testing.T) {
	each(t, func(w *world) {
		w.policy.Cap = 3
		w.restart()
		var clients []*client
		for range 3 {
			w.clock.step(time.Second)
			clients = append(clients, w.login(phone))
		}
		w.clock.step(time.Second)
		clients[0].refresh() // no longer the least recently used
		w.clock.step(time.Second)
		w.login(phone)
		clients[1].authenticates(auth.ErrSessionRevoked)
		clients[1].wants(clients[1].token, auth.ErrRefreshRevoked)
		clients[1].inLedger(true, session.ReasonEvicted)
		clients[0].refresh()
		clients[2].refresh()
		if got := len(w.mySessions(clients[0])); got != 3 {
			t.Fatalf("sessions: got %d, want 3", got)
		}
	})
}

func TestLoginWithoutStoreLeavesNothing(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.hot.down.Store(true)
		_, err := w.svc.Login(w.Context(), phone, auth.LoginInput{
			Email: secret.New("ada@example.com"), Password: secret.New(goodPassword), RefreshTokenDelivery: session.DeliveryBody,
		})
		if !errors.Is(err, auth.ErrUnavailable) {
			t.Fatalf("login: got %v, want UNAVAILABLE", err)
		}
		w.hot.down.Store(false)
		w.svc.Settle(w.Context())
		if got := len(w.mySessions(c)); got != 1 {
			t.Fatalf("sessions after a login that failed: got %d, want 1", got)
		}
	})
}

// A login whose password was verified before the account changed must not
// outlive the change, however the two meet.
func TestLoginRacesChanges(t *testing.T) {
	each(t, func(w *world) {
		accounts := &auth.Accounts{Users: w.users, Ledger: w.ledger, Store: w.hot, Feed: w.svc.Feed}
		for range 15 {
			var logins sync.WaitGroup
			results := make(chan auth.LoginResult, 8)
			for range 8 {
				logins.Go(func() {
					result, err := w.svc.Login(w.Context(), phone, auth.LoginInput{
						Email: secret.New("ada@example.com"), Password: secret.New(goodPassword), RefreshTokenDelivery: session.DeliveryBody,
					})
					if err != nil {
						t.Error(err)
					}
					results <- result
				})
			}
			_, err := accounts.Disable(w.Context(), w.user.ID)
			w.must(err)
			logins.Wait()
			close(results)
			for result := range results {
				if payload, ok := result.(*auth.LoginPayload); ok {
					survivor := &client{w: w, caller: phone, id: payload.Session.ID}
					survivor.wants(handed(payload.Credential), auth.ErrRefreshRevoked)
				}
			}
			w.must(accounts.Enable(w.Context(), w.user.ID))
		}
	})
}

func (w *world) claims(c *client) *token.Claims {
	w.Helper()
	caller := c.caller
	caller.AccessToken = c.access
	claims, err := w.svc.Authenticate(w.Context(), caller)
	w.must(err)
	return claims
}

func (w *world) mySessions(c *client) []session.Session {
	w.Helper()
	list, err := w.svc.MySessions(w.Context(), w.claims(c))
	w.must(err)
	return list
}

func TestMySessions(t *testing.T) {
	each(t, func(w *world) {
		a, b, gone := w.login(phone), w.login(browser), w.login(phone)
		w.logout(gone)
		w.clock.step(8 * time.Minute)
		a.refresh()
		used := w.clock.now()
		w.clock.step(6 * time.Minute)
		check := func(when string) {
			t.Helper()
			list := w.mySessions(b)
			if len(list) != 2 || list[0].ID != a.id || list[1].ID != b.id || list[0].Current || !list[1].Current {
				t.Fatalf("%s: got %+v, want a (used last), then b (current)", when, list)
			}
			if !list[0].LastUsedAt.Equal(used) || !list[0].SeenLastUsedAt.Equal(used.Truncate(5*time.Minute)) {
				t.Fatalf("%s: last use: got %s, seen as %s, want %s, and its five minutes", when, list[0].LastUsedAt, list[0].SeenLastUsedAt, used)
			}
		}
		check("with hot state")
		w.svc.Flush(w.Context())
		w.hot.flush()
		check("after a loss")
		w.hot.down.Store(true)
		check("with the store down")
		w.hot.down.Store(false)
		w.dbDown.Store(true)
		if _, err := w.svc.MySessions(w.Context(), w.claims(b)); !errors.Is(err, auth.ErrUnavailable) {
			t.Fatalf("ledger down: got %v, want UNAVAILABLE", err)
		}
	})
}

func TestLogout(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(browser)
		w.clock.step(time.Hour) // the access token has expired
		caller := browser
		caller.RefreshCookies = []secret.Text{c.token}
		payload, err := w.svc.Logout(w.Context(), caller, nil)
		w.must(err)
		if payload.SessionID == nil || *payload.SessionID != c.id {
			t.Fatalf("logout by cookie: got %v, want %s", payload.SessionID, c.id)
		}
		c.wants(c.token, auth.ErrRefreshRevoked)
		payload, err = w.svc.Logout(w.Context(), caller, nil)
		w.must(err)
		if payload.SessionID != nil {
			t.Fatalf("second logout: got %v, want null", payload.SessionID)
		}

		p := w.login(phone)
		lost := phone
		lost.AccessToken = p.access
		payload, err = w.svc.Logout(w.Context(), lost, nil)
		w.must(err)
		if payload.SessionID == nil || *payload.SessionID != p.id {
			t.Fatalf("logout by access token: got %v, want %s", payload.SessionID, p.id)
		}
		p.authenticates(auth.ErrSessionRevoked)
		p.wants(p.token, auth.ErrRefreshRevoked)

		garbage := secret.New("garbage")
		for _, in := range []*auth.LogoutInput{nil, {RefreshToken: &garbage}} {
			payload, err = w.svc.Logout(w.Context(), phone, in)
			w.must(err)
			if payload.SessionID != nil {
				t.Fatalf("logout of nothing: got %v, want null", payload.SessionID)
			}
		}
	})
}

func TestRevokeSession(t *testing.T) {
	each(t, func(w *world) {
		c, other := w.login(browser), w.login(phone)
		revoke := func(caller auth.Caller, id string) *auth.RevokeSessionPayload {
			t.Helper()
			payload, err := w.svc.RevokeSession(w.Context(), caller, w.claims(c), auth.RevokeSessionInput{SessionID: id})
			w.must(err)
			return payload
		}
		stranger, err := w.users.Add(w.Context(), "eve@example.com", secret.Text{}, user.RoleUser)
		w.must(err)
		claims := *w.claims(c)
		claims.UserID = stranger.ID
		foreign, err := w.svc.RevokeSession(w.Context(), phone, &claims, auth.RevokeSessionInput{SessionID: other.id.String()})
		w.must(err)
		if foreign.SessionID != nil {
			t.Fatal("a stranger ended the session")
		}
		for _, id := range []string{"", "garbage", uuid.NewString()} {
			if got := revoke(browser, id); got.SessionID != nil || got.ClearCookie {
				t.Fatalf("unknown session %q: got %+v", id, got)
			}
		}
		holder := browser
		holder.RefreshCookies = []secret.Text{c.token}
		if got := revoke(holder, other.id.String()); got.SessionID == nil || *got.SessionID != other.id || got.ClearCookie {
			t.Fatalf("revoking another: got %+v", got)
		}
		other.authenticates(auth.ErrSessionRevoked)
		other.wants(other.token, auth.ErrRefreshRevoked)
		third := w.login(browser)
		elsewhere := phone // cookies that came along from a page that may not use them
		elsewhere.RefreshCookies = []secret.Text{third.token}
		if got := revoke(elsewhere, third.id.String()); got.SessionID == nil || got.ClearCookie {
			t.Fatalf("revoking the cookie's session from elsewhere: got %+v, want the cookie left alone", got)
		}
		if got := revoke(holder, c.id.String()); got.SessionID == nil || !got.ClearCookie {
			t.Fatalf("revoking the cookie's own session: got %+v, want the cookie cleared", got)
		}
	})
}

func TestRevokeAll(t *testing.T) {
	each(t, func(w *world) {
		a, b, c := w.login(browser), w.login(phone), w.login(phone)
		holder := browser
		holder.RefreshCookies = []secret.Text{a.token}
		payload, err := w.svc.RevokeAllSessions(w.Context(), holder, w.claims(a), nil)
		w.must(err)
		if len(payload.SessionIDs) != 2 || payload.ClearCookie {
			t.Fatalf("all but this one: got %+v", payload)
		}
		b.wants(b.token, auth.ErrRefreshRevoked)
		c.authenticates(auth.ErrSessionRevoked)
		a.refresh()
		holder.RefreshCookies = []secret.Text{a.token}
		payload, err = w.svc.RevokeAllSessions(w.Context(), holder, w.claims(a), &auth.RevokeAllSessionsInput{IncludeCurrent: true})
		w.must(err)
		if len(payload.SessionIDs) != 1 || payload.SessionIDs[0] != a.id || !payload.ClearCookie {
			t.Fatalf("this one too: got %+v", payload)
		}
		for _, id := range []string{"garbage", uuid.NewString()} {
			payload, err = w.svc.RevokeUserSessions(w.Context(), phone, nil, auth.RevokeUserSessionsInput{UserID: id})
			w.must(err)
			if payload.SessionIDs == nil || len(payload.SessionIDs) != 0 {
				t.Fatalf("sessions of nobody: got %+v, want an empty list", payload)
			}
		}
		d := w.login(phone)
		own := w.login(browser) // an admin's: it is not the admin who signs out
		holder.RefreshCookies = []secret.Text{own.token}
		payload, err = w.svc.RevokeUserSessions(w.Context(), holder, nil, auth.RevokeUserSessionsInput{UserID: w.user.ID.String()})
		w.must(err)
		if len(payload.SessionIDs) != 2 || payload.ClearCookie {
			t.Fatalf("all of a user's: got %+v, want two and the cookie left alone", payload)
		}
		d.authenticates(auth.ErrSessionRevoked)
	})
}

func TestChangePassword(t *testing.T) {
	each(t, func(w *world) {
		c, thief, other := w.login(phone), &client{w: w, caller: phone}, w.login(browser)
		thief.token, thief.id = c.token, c.id
		change := func(caller auth.Caller, current, next string) auth.ChangePasswordResult {
			t.Helper()
			result, err := w.svc.ChangePassword(w.Context(), caller, w.claims(c), auth.ChangePasswordInput{
				CurrentPassword: secret.New(current), NewPassword: secret.New(next),
			})
			w.must(err)
			return result
		}
		const next = "wholly different sentence 7"
		if _, ok := change(phone, "not the password", next).(auth.InvalidCredentialsError); !ok {
			t.Fatal("wrong current password: want InvalidCredentialsError")
		}
		for bad, want := range map[string]password.Problem{
			"short": password.TooShort, goodPassword: password.Unchanged,
			"the pawl turns forward only": password.Contextual,
		} {
			weak, ok := change(phone, goodPassword, bad).(auth.WeakPasswordError)
			if !ok || len(weak.Problems) == 0 || weak.Problems[0] != want {
				t.Errorf("new password %q: got %+v, want %s", bad, weak, want)
			}
		}
		_, err := w.svc.ChangePassword(w.Context(), phone, w.claims(c), auth.ChangePasswordInput{
			CurrentPassword: secret.New(goodPassword), NewPassword: secret.New("wholly different \x00 sentence"),
		})
		var input *auth.InputError
		if !errors.As(err, &input) || input.Field != "newPassword" {
			t.Errorf("new password with NUL: got %v, want BAD_USER_INPUT for newPassword", err)
		}
		c.refresh() // nothing has ended so far
		payload, ok := change(phone, goodPassword, next).(*auth.ChangePasswordPayload)
		if !ok {
			t.Fatal("want a payload")
		}
		if len(payload.RevokedSessionIDs) != 2 {
			t.Fatalf("revoked: got %v, want both sessions", payload.RevokedSessionIDs)
		}
		thief.wants(c.token, auth.ErrRefreshRevoked)
		other.wants(other.token, auth.ErrRefreshRevoked)
		other.authenticates(auth.ErrSessionRevoked)
		fresh := &client{w: w, caller: phone, token: handed(payload.Credential), id: payload.Session.ID}
		fresh.refresh()
		if _, ok := w.tryLogin(phone, goodPassword).(auth.InvalidCredentialsError); !ok {
			t.Fatal("the old password still logs in")
		}
		if _, ok := w.tryLogin(phone, next).(*auth.LoginPayload); !ok {
			t.Fatal("the new password does not log in")
		}
	})
}

// The password has changed by the time the store is asked: the caller must not
// be left without a session.
func TestChangePasswordWithTheStoreDown(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		claims := w.claims(c)
		w.hot.down.Store(true)
		result, err := w.svc.ChangePassword(w.Context(), phone, claims, auth.ChangePasswordInput{
			CurrentPassword: secret.New(goodPassword), NewPassword: secret.New("wholly different sentence 7"),
		})
		w.must(err)
		payload, ok := result.(*auth.ChangePasswordPayload)
		if !ok {
			t.Fatalf("got %T, want a new session", result)
		}
		w.hot.down.Store(false)
		fresh := &client{w: w, caller: phone, token: handed(payload.Credential), id: payload.Session.ID}
		fresh.refresh()
		w.svc.Settle(w.Context())
		c.wants(c.token, auth.ErrRefreshRevoked)
	})
}

// A hash of older cost is brought up to date by a good login, and by nothing else.
func TestLoginUpgradesTheHash(t *testing.T) {
	w := newWorld(t)
	old, err := password.New(password.Params{MemoryKiB: 32, Time: 1, Parallelism: 1}, 1)
	w.must(err)
	hash, err := old.Hash(t.Context(), "", secret.New(goodPassword))
	w.must(err)
	w.must(w.users.ResetPassword(t.Context(), w.user.ID, hash))
	stored := func() string {
		u, err := w.users.ByID(t.Context(), w.user.ID)
		w.must(err)
		return u.PasswordHash.Reveal()
	}
	w.tryLogin(phone, "wrong horse battery staple")
	if stored() != hash.Reveal() {
		t.Fatal("a failed login changed the hash")
	}
	c := w.login(phone)
	if stored() == hash.Reveal() {
		t.Fatal("a good login kept the old hash")
	}
	c.refresh() // the upgrade ended nothing
	w.login(phone)
	c.refresh()
}

// An attacker who measures learns nothing: no login is quicker than the floor.
func TestLoginTakesItsTime(t *testing.T) {
	w := newWorld(t)
	w.svc.LoginMinDuration = 150 * time.Millisecond
	w.svc.Now = time.Now
	for _, pass := range []string{goodPassword, "wrong horse battery staple"} {
		began := time.Now()
		w.tryLogin(phone, pass)
		if took := time.Since(began); took < w.svc.LoginMinDuration {
			t.Errorf("login took %s, want at least %s", took, w.svc.LoginMinDuration)
		}
	}
}

func TestChangePasswordNeedsTheChannel(t *testing.T) {
	w := newWorld(t)
	c := w.login(browser)
	_, err := w.svc.ChangePassword(t.Context(), phone, w.claims(c), auth.ChangePasswordInput{
		CurrentPassword: secret.New(goodPassword), NewPassword: secret.New("wholly different sentence 7"),
	})
	if !errors.Is(err, auth.ErrCrossOrigin) {
		t.Fatalf("cookie session outside its page: got %v, want CROSS_ORIGIN_REQUEST", err)
	}
	c.refresh()
}

func TestAccounts(t *testing.T) {
	each(t, func(w *world) {
		accounts := &auth.Accounts{Users: w.users, Ledger: w.ledger, Store: w.hot, Feed: w.svc.Feed}
		hash, err := w.svc.Hasher.Hash(w.Context(), "", secret.New(goodPassword))
		w.must(err)
		for name, change := range map[string]func(ctx context.Context) (auth.Effect, error){
			"password": func(ctx context.Context) (auth.Effect, error) { return accounts.SetPassword(ctx, w.user.ID, hash) },
			"role": func(ctx context.Context) (auth.Effect, error) {
				return accounts.SetRole(ctx, w.user.ID, user.RoleAdmin)
			},
			"disable": func(ctx context.Context) (auth.Effect, error) { return accounts.Disable(ctx, w.user.ID) },
			"revoke":  func(ctx context.Context) (auth.Effect, error) { return accounts.RevokeAll(ctx, w.user.ID) },
		} {
			c := w.login(phone)
			effect, err := change(w.Context())
			w.must(err)
			if len(effect.Ended) != 1 || effect.Ended[0] != c.id || !effect.AtOnce {
				t.Errorf("%s: got %+v, want the session ended at once", name, effect)
			}
			c.wants(c.token, auth.ErrRefreshRevoked)
			w.must(accounts.Enable(w.Context(), w.user.ID))
			c.wants(c.token, auth.ErrRefreshRevoked) // enabling revives nothing
			w.must(w.users.SetRole(w.Context(), w.user.ID, user.RoleUser))
		}
		w.hot.down.Store(true)
		effect, err := accounts.Delete(w.Context(), w.user.ID)
		w.must(err)
		if effect.AtOnce {
			t.Error("delete with the store down: want it to say so")
		}
	})
}

// The program's background work: started, stopped, and nothing lost in between.
func TestRunWritesWhatIsPendingBeforeItReturns(t *testing.T) {
	w := newWorld(t)
	c := w.login(phone)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.svc.Run(ctx) }()
	c.refresh()
	c.turn()
	stop()
	w.must(<-done)
	if got := c.inLedger(false, "").State.Generation; got != 3 {
		t.Fatalf("checkpoint after stop: got generation %d, want 3", got)
	}
}

// One token, many goroutines: one turn, one successor.
func TestConcurrentRefreshes(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		var all sync.WaitGroup
		var mu sync.Mutex
		rotated, successors := 0, map[string]bool{}
		for range 64 {
			all.Go(func() {
				payload, err := c.send(c.token, "")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if payload.Rotated {
					rotated++
				}
				successors[handed(payload.Credential).Reveal()] = true
			})
		}
		all.Wait()
		if rotated != 1 || len(successors) != 1 {
			t.Fatalf("got %d turns and %d successors, want 1 and 1", rotated, len(successors))
		}
	})
}
