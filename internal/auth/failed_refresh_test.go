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

// Every refresh whose token is no good is charged, whatever was wrong with it;
// what an owner may meet, or a visitor without a token, is not.
func TestEveryFailedRefreshIsCharged(t *testing.T) {
	other := session.Key{Material: []byte("another key of thirty-two bytes!")}
	retired := session.Key{Material: refresh.Material, State: session.KeyRetired}
	send := func(tok secret.Text) func(c *client) {
		return func(c *client) { _, _ = c.send(tok, "") }
	}
	altered := func(change func(tok *session.Token)) func(c *client) {
		return func(c *client) { send(c.altered(change))(c) }
	}
	newest := func(c *client) { _, _ = c.send(c.token, "") }
	for _, tt := range []struct {
		outcome session.Outcome
		charged bool
		bring   func(w *world, c *client)
		send    func(c *client)
	}{
		{outcome: session.Malformed, charged: true, send: send(secret.New("junk"))},
		{outcome: session.Absent, send: func(c *client) {
			caller := browser
			caller.Address = c.caller.Address
			_, _ = c.w.svc.Refresh(c.w.Context(), caller, nil)
		}},
		{outcome: session.Rejected, send: func(c *client) { _, _ = c.send(c.token, "short") }},
		{outcome: session.UnknownKey, charged: true, bring: func(w *world, _ *client) { w.restart(other) }, send: newest},
		{outcome: session.RetiredKey, charged: true, bring: func(w *world, _ *client) { w.restart(retired, other) }, send: newest},
		{outcome: session.Forged, charged: true, send: altered(func(tok *session.Token) { tok.Secret = session.NewSecret() })},
		{outcome: session.Unknown, charged: true, send: altered(func(tok *session.Token) { tok.SessionID[15] ^= 1 })},
		{outcome: session.Expired, charged: true, bring: func(w *world, _ *client) { w.clock.step(w.policy.Absolute) }, send: newest},
		{outcome: session.Tombstone, charged: true, bring: func(w *world, c *client) { w.logout(c) }, send: newest},
		{outcome: session.BindingMiss, charged: true, send: func(c *client) {
			caller := browser
			caller.Address, caller.RefreshCookies = c.caller.Address, []secret.Text{c.token}
			_, _ = c.w.svc.Refresh(c.w.Context(), caller, nil)
		}},
		{outcome: session.Reuse, charged: true, bring: func(_ *world, c *client) {
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
			_, err := c.send(secret.New("junk"), "")
			if limited := (*auth.RateLimitedError)(nil); errors.As(err, &limited) != tt.charged {
				t.Errorf("the next refresh: got %v, want charged %t", err, tt.charged)
			}
		})
	}
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
