package auth_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
)

// Every refresh whose token is no good is charged, whatever was wrong with it: to
// the network where the token is none of this server's, else to the token. What an
// owner may meet, or a visitor without a token, is not; and nothing is ever
// charged to another session, be it of the same user and network.
func TestEveryFailedRefreshIsCharged(t *testing.T) {
	const network, itself = "network", "token"
	other := session.Key{Material: []byte("another key of thirty-two bytes!")}
	retired := session.Key{Material: refresh.Material, State: session.KeyRetired}
	altered := func(change func(tok *session.Token)) func(w *world, c *client) {
		return func(_ *world, c *client) { c.token = c.altered(change) }
	}
	newest := func(c *client) { _, _ = c.send(c.token, "") }
	for _, tt := range []struct {
		outcome session.Outcome
		charged string
		bring   func(w *world, c *client)
		send    func(c *client)
	}{
		{outcome: session.Malformed, charged: network, send: func(c *client) { _, _ = c.send(secret.New("junk"), "") }},
		{outcome: session.Absent, send: func(c *client) {
			caller := browser
			caller.Address = c.caller.Address
			_, _ = c.w.svc.Refresh(c.w.Context(), caller, nil)
		}},
		{outcome: session.Rejected, send: func(c *client) { _, _ = c.send(c.token, "short") }},
		{outcome: session.UnknownKey, charged: network, bring: func(w *world, _ *client) { w.restart(other) }, send: newest},
		{outcome: session.RetiredKey, charged: network, bring: func(w *world, _ *client) { w.restart(retired, other) }, send: newest},
		{outcome: session.Forged, charged: itself, bring: altered(func(tok *session.Token) { tok.Secret = session.NewSecret() }), send: newest},
		{outcome: session.Unknown, charged: itself, bring: altered(func(tok *session.Token) { tok.SessionID[15] ^= 1 }), send: newest},
		{outcome: session.Expired, charged: itself, bring: func(w *world, _ *client) { w.clock.step(w.policy.Absolute) }, send: newest},
		{outcome: session.Tombstone, charged: itself, bring: func(w *world, c *client) { w.logout(c) }, send: newest},
		{outcome: session.BindingMiss, charged: itself, send: func(c *client) {
			caller := browser
			caller.Address, caller.RefreshCookies = c.caller.Address, []secret.Text{c.token}
			_, _ = c.w.svc.Refresh(c.w.Context(), caller, nil)
		}},
		{outcome: session.Reuse, charged: itself, bring: func(_ *world, c *client) {
			first := c.token
			c.refresh()
			c.turn()
			c.token = first
		}, send: newest},
		{outcome: session.Rotated, send: newest},
		{outcome: session.SessionChanged, send: func(c *client) {
			id := "another"
			_, _ = c.w.svc.Refresh(c.w.Context(), c.caller, &auth.RefreshTokenInput{RefreshToken: &c.token, SessionID: &id})
		}},
		{outcome: session.Unavailable, bring: func(w *world, _ *client) { w.hot.down.Store(true) }, send: newest},
	} {
		t.Run(string(tt.outcome), func(t *testing.T) {
			w := newWorld(t)
			w.refreshRate = throttle.Rate{Burst: 1, Every: time.Hour}
			w.restart()
			c := w.login(phone)
			if tt.bring != nil {
				tt.bring(w, c)
			}
			c.caller.Address = host(1)
			tt.send(c)
			if got := w.seen.words; got["refresh "+string(tt.outcome)] == 0 {
				t.Fatalf("observed: got %v, want a refresh that is %s", got, tt.outcome)
			}
			tt.send(c)
			if limited := w.seen.words["refresh "+string(session.RateLimited)] > 0; limited != (tt.charged != "") {
				t.Errorf("the same again: got limited %t, want charged to the %s", limited, tt.charged)
			}
			_, err := c.send(secret.New("other junk"), "")
			if limited := (*auth.RateLimitedError)(nil); errors.As(err, &limited) != (tt.charged == network) {
				t.Errorf("junk from there: got %v, want charged to the %s", err, tt.charged)
			}
			w.hot.down.Store(false)
			good := w.login(phone)
			good.caller.Address = host(1)
			good.refresh()
		})
	}
}

// rotations counts the questions about refreshes that reach the store.
type rotations struct {
	session.Store
	asked int
}

func (r *rotations) Rotate(ctx context.Context, p session.Presented, policy session.Policy) (session.Verdict, error) {
	r.asked++
	return r.Store.Rotate(ctx, p, policy)
}

// Whoever sends one dead token without end is refused before any store is asked,
// and hurts nobody else: neither on their network nor of the same user.
func TestDeadTokensAreLimited(t *testing.T) {
	gated(t, func(w *world) {
		w.refreshRate = throttle.Rate{Burst: 600, Every: 100 * time.Millisecond}
		w.restart()
		dead, living := w.login(phone), w.login(phone)
		w.logout(dead)
		w.restart() // the node has forgotten that it ended
		store := &rotations{Store: w.svc.Store}
		w.svc.Store = store
		refused := 0
		for range 500 {
			switch _, err := dead.send(dead.token, ""); {
			case errors.As(err, new(*auth.RateLimitedError)):
				refused++
			case !errors.Is(err, auth.ErrRefreshRevoked):
				t.Fatalf("a dead token: got %v, want ErrRefreshRevoked", err)
			}
		}
		if refused != 470 || store.asked > 30 {
			t.Errorf("got %d of 500 refused and the store asked %d times, want 30 answers", refused, store.asked)
		}
		living.refresh()
		w.clock.step(10 * time.Second)
		dead.wants(dead.token, auth.ErrRefreshRevoked)
		if _, err := dead.send(dead.token, ""); !errors.As(err, new(*auth.RateLimitedError)) {
			t.Errorf("the second within ten seconds: got %v, want *RateLimitedError", err)
		}
		w.dbDown.Store(true) // a logout with it asks nobody either
		w.hot.down.Store(true)
		payload, err := w.svc.Logout(w.Context(), phone, &auth.LogoutInput{RefreshToken: &dead.token})
		if err != nil || payload.SessionID != nil {
			t.Errorf("logout: got %+v, %v, want nothing ended", payload, err)
		}
	})
}

// Logouts with a dead token are limited like refreshes.
func TestDeadLogoutsAreLimited(t *testing.T) {
	gated(t, func(w *world) {
		c := w.login(phone)
		w.logout(c)
		logout := func() error {
			_, err := w.svc.Logout(w.Context(), phone, &auth.LogoutInput{RefreshToken: &c.token})
			return err
		}
		for range 3 {
			w.must(logout())
		}
		w.dbDown.Store(true)
		w.hot.down.Store(true)
		w.must(logout())
	})
}

// A token that is forged with a leaked key has a bucket of its own: it does not
// keep the session's owner out.
func TestForgedTokensLimitNoOwner(t *testing.T) {
	gated(t, func(w *world) {
		c := w.login(phone)
		forged := c.altered(func(tok *session.Token) { tok.Secret = session.NewSecret() })
		for range 50 {
			_, _ = c.send(forged, "")
		}
		if _, err := c.send(forged, ""); !errors.As(err, new(*auth.RateLimitedError)) {
			t.Errorf("the forged token: got %v, want *RateLimitedError", err)
		}
		c.refresh()
	})
}

// altered is the client's newest token with something else in it, and a good MAC.
func (c *client) altered(change func(tok *session.Token)) secret.Text {
	c.w.Helper()
	tok, err := c.w.svc.Keys.Load().Refresh.Parse(c.token)
	c.w.must(err)
	change(&tok)
	text, err := c.w.svc.Keys.Load().Refresh.Mint(tok)
	c.w.must(err)
	return text
}

// Whoever hangs up before the answer is charged all the same.
func TestHangingUpIsCharged(t *testing.T) {
	w := newWorld(t)
	w.refreshRate = throttle.Rate{Burst: 1, Every: time.Hour}
	w.restart()
	c := w.login(phone)
	w.logout(c)
	gone, hangUp := context.WithCancel(w.Context())
	hangUp()
	_, _ = w.svc.Refresh(gone, phone, &auth.RefreshTokenInput{RefreshToken: &c.token})
	if _, err := c.send(c.token, ""); !errors.As(err, new(*auth.RateLimitedError)) {
		t.Errorf("the next refresh: got %v, want *RateLimitedError", err)
	}
}
