package auth_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
)

// render asks for an access token and nothing else, as a server does that
// renders a page with its visitor's cookie.
func (c *client) render(tok secret.Text) (*auth.RefreshTokenPayload, error) {
	c.w.Helper()
	no := false
	caller, in := c.caller, &auth.RefreshTokenInput{Rotate: &no}
	if caller.CookieAllowed {
		caller.RefreshCookies = []secret.Text{tok}
	} else {
		in.RefreshToken = &tok
	}
	payload, err := c.w.svc.Refresh(c.w.Context(), caller, in)
	if err == nil {
		if _, cookie := payload.Cookie(); cookie || payload.RefreshToken() != nil || payload.Rotated || !payload.Session.Current {
			c.w.Errorf("access only: got %+v, want an access token and nothing else", payload)
		}
		caller.AccessToken = payload.AccessToken.Token
		if _, err := c.w.svc.Authenticate(c.w.Context(), caller); err != nil {
			c.w.Errorf("the access token: got %v, want it good", err)
		}
	}
	return payload, err
}

func (c *client) renders(tok secret.Text) {
	c.w.Helper()
	if _, err := c.render(tok); err != nil {
		c.w.Fatalf("access only: %v", err)
	}
}

// A server that renders changes nothing: not the hot state, not the ledger.
func TestAccessOnlyChangesNothing(t *testing.T) {
	each(t, func(w *world) {
		for _, caller := range []auth.Caller{phone, browser} {
			c := w.login(caller)
			c.turn()
			w.clock.step(time.Hour)
			w.svc.Flush(w.Context())
			hot, err := w.hot.Store.Find(w.Context(), w.user.ID, c.id)
			w.must(err)
			row := c.inLedger(false, "")
			for range 3 {
				c.renders(c.token)
			}
			w.svc.Flush(w.Context())
			if after, err := w.hot.Store.Find(w.Context(), w.user.ID, c.id); err != nil || after != hot {
				t.Errorf("hot state: got %+v (%v), want it as before: %+v", after, err, hot)
			}
			if after := c.inLedger(false, ""); after != row {
				t.Errorf("ledger: got %+v, want it as before: %+v", after, row)
			}
			c.turn()
		}
	})
}

// The server's answers never arrive, and the browser goes on as if nothing was.
func TestAccessOnlyBesideItsBrowser(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(browser)
		for range 5 {
			old := c.token
			c.renders(c.token)
			c.turn()
			c.renders(old) // a page that was on its way
			c.renders(c.token)
			w.clock.step(w.policy.Grace)
			c.renders(old)
		}
		c.refresh()
		if _, err := c.send(c.token, "1234567890123456789012"); err != nil {
			t.Fatal(err)
		}
		c.renders(c.token) // held to attempt ids, and asked for none
	})
}

// Reuse is judged as ever: a copy that was replaced ends its session.
func TestAccessOnlyIsNoWayAroundReuse(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(browser)
		old := c.token
		c.turn()
		w.clock.step(w.policy.Grace + time.Second)
		if _, err := c.render(old); !errors.Is(err, auth.ErrRefreshReused) {
			t.Fatalf("a replaced token: got %v, want ErrRefreshReused", err)
		}
		c.authenticates(auth.ErrSessionRevoked)
		c.inLedger(true, session.ReasonReuse)
	})
}

// The answer to the browser's own refresh was lost: it holds the token before,
// and repeats its attempt id. A page that is rendered meanwhile gets no token,
// and costs it nothing.
func TestAccessOnlyWhileAnAnswerIsLost(t *testing.T) {
	each(t, func(w *world) {
		const attempt = "1234567890123456789012"
		c := w.login(browser)
		payload, err := c.send(c.token, attempt) // lost
		w.must(err)
		c.renders(c.token)
		w.clock.step(time.Hour)
		if _, err := c.render(c.token); !errors.Is(err, auth.ErrUnavailable) {
			t.Fatalf("an hour later: got %v, want ErrUnavailable", err)
		}
		c.same(c.token, attempt, handed(payload.Credential))
	})
}

// What the hot state lost is repaired, and the token judged then.
func TestAccessOnlyAfterALoss(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(browser)
		c.turn()
		w.hot.flush()
		c.renders(c.token)
		w.clock.step(w.policy.Grace + time.Second)
		c.turn()
		gone := w.login(phone)
		w.logout(gone)
		w.hot.flush()
		if _, err := gone.render(gone.token); !errors.Is(err, auth.ErrRefreshRevoked) {
			t.Errorf("a session that ended: got %v, want ErrRefreshRevoked", err)
		}
	})
}

// An old snapshot of the hot state came back, with a session that ended since: the
// ledger is asked after an access token alone too.
func TestAccessOnlyAsksTheLedger(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.turn()
		before, err := w.hot.Store.Find(w.Context(), w.user.ID, c.id)
		w.must(err)
		row := c.inLedger(false, "")
		w.logout(c)
		w.restart()
		w.hot.flush()
		_, err = w.hot.Store.Create(w.Context(), before, 20)
		w.must(err)
		c.renders(c.token)
		w.svc.Flush(w.Context())
		if _, err := c.render(c.token); !errors.Is(err, auth.ErrRefreshRevoked) {
			t.Errorf("once the ledger was asked: got %v, want ErrRefreshRevoked", err)
		}
		if after := c.inLedger(true, session.ReasonLogout); after.State.Generation != row.State.Generation {
			t.Errorf("ledger: got generation %d, want it as before: %d", after.State.Generation, row.State.Generation)
		}
	})
}

// Whoever has a copy of a cookie and uses it for access tokens alone, from another
// network, is told of once for each turn, also when the copy is spent.
func TestAccessOnlyFromElsewhereIsTold(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(browser)
		turn := func(attempt string) {
			w.clock.step(w.policy.Grace + time.Second)
			payload, err := c.send(c.token, attempt)
			w.must(err)
			c.token = handed(payload.Credential)
		}
		turn("1234567890123456789012")
		thief := thiefOf(c)
		w.clock.step(w.policy.Grace + time.Second)
		for range 3 {
			c.renders(c.token) // from the visitor's own network
			thief.renders(thief.token)
		}
		turn("abcdefghijabcdefghijab")
		w.clock.step(time.Hour)
		for range 3 {
			if _, err := thief.render(thief.token); !errors.Is(err, auth.ErrUnavailable) {
				t.Fatalf("a spent copy: got %v, want ErrUnavailable", err)
			}
		}
		events := w.sharedEvents()
		if len(events) != 2 {
			t.Fatalf("events: got %d, want one for each turn: %+v", len(events), events)
		}
		for _, e := range events {
			if e.SessionID != c.id || e.Address != "198.51.100.7" || e.Earlier.Address != "192.0.2.1" || e.Details["rotate"] != "false" {
				t.Errorf("event: got %+v, want both presenters", e)
			}
		}
	})
}
