package auth_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
)

const (
	attemptA = "attempt-AAAAAAAAAAAAAA"
	attemptB = "attempt-BBBBBBBBBBBBBB"
)

func TestGarbageIsMalformed(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.hot.down.Store(true) // no store is asked
		w.dbDown.Store(true)
		text := c.token.Reveal()
		for _, garbage := range []string{"", "x", text[:len(text)-1], text + "A", strings.ToUpper(text), "A" + text[1:]} {
			c.wants(secret.New(garbage), auth.ErrRefreshMalformed)
		}
	})
}

func TestUnknownAndRetiredKeys(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		other := session.Key{Material: []byte("another key of thirty-two bytes!")}
		w.restart(other)
		c.wants(c.token, auth.ErrUnavailable)
		retired := refresh
		retired.State = session.KeyRetired
		w.restart(retired, other)
		c.wants(c.token, auth.ErrRefreshRevoked)
		w.restart()
		c.refresh()
	})
}

func TestFirstRefreshTurnsThenOncePerGrace(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(browser)
		first := c.token
		if !c.refresh().Rotated {
			t.Fatal("first refresh: got rotated false, want true")
		}
		second := c.token
		c.same(second, "", second) // unchanged
		c.same(first, "", second)  // replayed
		w.clock.step(w.policy.Grace)
		c.same(first, "", second)
		c.same(second, "", second)
		w.clock.step(time.Millisecond)
		if !c.refresh().Rotated || c.token.Reveal() == second.Reveal() {
			t.Fatal("refresh after the grace: want another token")
		}
		c.same(second, "", c.token)
		c.authenticates(nil)
	})
}

func TestReuseEndsTheSession(t *testing.T) {
	for name, late := range map[string]func(c *client, first secret.Text){
		"two behind": func(c *client, _ secret.Text) { c.turn() },
		"previous after the grace": func(c *client, _ secret.Text) {
			c.w.clock.step(c.w.policy.Grace + time.Millisecond)
		},
		"stale on an idle session": func(c *client, _ secret.Text) { c.turn(); c.w.clock.step(c.w.policy.Idle) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				c, other := w.login(browser), w.login(phone)
				first := c.token
				c.refresh()
				late(c, first)
				c.wants(first, auth.ErrRefreshReused)
				c.inLedger(true, session.ReasonReuse)
				c.wants(first, auth.ErrRefreshRevoked) // never reported twice
				c.wants(c.token, auth.ErrRefreshRevoked)
				w.restart() // not only this node's memory knows
				c.wants(c.token, auth.ErrRefreshRevoked)
				if w.clock.now().Before(time.Date(2030, 5, 7, 0, 0, 0, 0, time.UTC)) {
					other.refresh() // never escalates to other sessions
				}
			})
		})
	}
}

func TestReuseEndsAccessTokens(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(browser)
		first := c.token
		c.refresh()
		c.turn()
		c.authenticates(nil)
		c.wants(first, auth.ErrRefreshReused)
		c.authenticates(auth.ErrSessionRevoked)
		w.clock.step(time.Hour)
		c.authenticates(auth.ErrTokenExpired) // expired and revoked is expired
	})
}

func TestAttempts(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		first := c.token
		payload, err := c.send(first, attemptA)
		w.must(err)
		second := handed(payload.Credential)
		w.clock.step(3 * time.Second)
		if _, err := c.send(first, attemptB); !errors.Is(err, auth.ErrUnavailable) {
			t.Fatalf("another attempt within the grace: got %v, want UNAVAILABLE", err)
		}
		c.same(first, attemptA, second)
		w.clock.step(w.policy.Retry - 3*time.Second)
		c.same(first, attemptA, second) // retried, a day later
		if _, err := c.send(first, attemptB); !errors.Is(err, auth.ErrRefreshReused) {
			t.Fatalf("another attempt after the grace: got %v, want reuse", err)
		}
	})
}

func TestHeldSessionDemandsAttempts(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		first := c.token
		payload, err := c.send(first, attemptA)
		w.must(err)
		c.token = handed(payload.Credential)
		for _, tok := range []secret.Text{c.token, first} {
			_, err := c.send(tok, "")
			var input *auth.InputError
			if !errors.As(err, &input) || input.Field != "attemptId" {
				t.Fatalf("held session without attempt: got %v, want BAD_USER_INPUT for attemptId", err)
			}
		}
		w.svc.Flush(w.Context())
		w.hot.flush() // the checkpoint carries it across a loss
		w.restart()
		var input *auth.InputError
		if _, err := c.send(c.token, ""); !errors.As(err, &input) {
			t.Fatalf("held session after a loss: got %v, want BAD_USER_INPUT", err)
		}
		if _, err := c.send(c.token, attemptB); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAttemptIDShape(t *testing.T) {
	w := newWorld(t)
	c := w.login(phone)
	for _, bad := range []string{"short", strings.Repeat("a", 65), "with a space in it, you see", "unicode-ünïcode-ünïcode"} {
		var input *auth.InputError
		if _, err := c.send(c.token, bad); !errors.As(err, &input) || input.Field != "attemptId" {
			t.Errorf("attempt %q: got %v, want BAD_USER_INPUT", bad, err)
		}
	}
}

func TestSessionChanged(t *testing.T) {
	each(t, func(w *world) {
		c, other := w.login(browser), w.login(browser)
		believed := other.id.String()
		caller := browser
		caller.RefreshCookies = []secret.Text{c.token}
		_, err := w.svc.Refresh(w.Context(), caller, &auth.RefreshTokenInput{SessionID: &believed})
		if !errors.Is(err, auth.ErrSessionChanged) {
			t.Fatalf("got %v, want SESSION_CHANGED", err)
		}
		if !c.refresh().Rotated { // nothing was consumed
			t.Fatal("the session was changed by the refused refresh")
		}
		own := c.id.String()
		caller.RefreshCookies = []secret.Text{c.token}
		if _, err := w.svc.Refresh(w.Context(), caller, &auth.RefreshTokenInput{SessionID: &own}); err != nil {
			t.Fatalf("with the right session id: %v", err)
		}
	})
}

func TestWrongChannelEndsTheSession(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(browser)
		stolen := &client{w: w, caller: phone}
		stolen.wants(c.token, auth.ErrRefreshBinding)
		c.wants(c.token, auth.ErrRefreshRevoked)
		c.authenticates(auth.ErrSessionRevoked)
		c.inLedger(true, session.ReasonBinding)

		p := w.login(phone)
		page := &client{w: w, caller: browser}
		page.wants(p.token, auth.ErrRefreshBinding)
		p.wants(p.token, auth.ErrRefreshRevoked)

		d := w.login(browser) // a logout tells of it as well
		_, err := w.svc.Logout(w.Context(), phone, &auth.LogoutInput{RefreshToken: &d.token})
		w.must(err)
		d.inLedger(true, session.ReasonBinding)
	})
}

// A session ends once: its token on the wrong channel is no news after that, and
// costs the ledger nothing on the way of the answer.
func TestWrongChannelOfAnEndedSession(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.onTheWrongChannel(auth.ErrRefreshBinding)
		w.dbDown.Store(true) // were it asked, the store would have to stand in
		finds := w.hot.finds.Load()
		for range 3 {
			c.onTheWrongChannel(auth.ErrRefreshRevoked)
		}
		if got := w.hot.finds.Load() - finds; got != 0 {
			t.Errorf("answers about a session whose end is known: got %d questions to the stores, want none", got)
		}
		w.dbDown.Store(false)
		w.saw("login succeeded", "refresh binding", "ended binding", "refresh tombstone", "refresh tombstone", "refresh tombstone")
		w.must(w.audit.Flush(w.Context()))
		w.restart()
		c.onTheWrongChannel(auth.ErrRefreshRevoked) // of an end that this node did not hear of
		if got := w.events(audit.SessionBindingMismatch); len(got) != 1 {
			t.Errorf("events of a session that ended once: got %d, want 1", len(got))
		}

		d := w.login(phone)
		w.logout(d)
		d.onTheWrongChannel(auth.ErrRefreshRevoked)
		if got := w.events(audit.SessionBindingMismatch); len(got) != 1 {
			t.Errorf("events after a logout: got %d, want none more", len(got))
		}
	})
}

func TestClosedChannelsTouchNothing(t *testing.T) {
	each(t, func(w *world) {
		c, p := w.login(browser), w.login(phone)
		foreign := &client{w: w, caller: browser}
		foreign.caller.CookieAllowed = false
		foreign.caller.RefreshCookies = []secret.Text{c.token}
		if _, err := w.svc.Refresh(w.Context(), foreign.caller, nil); !errors.Is(err, auth.ErrCrossOrigin) {
			t.Fatalf("cookie from a foreign page: got %v, want CROSS_ORIGIN_REQUEST", err)
		}
		if _, err := w.svc.Logout(w.Context(), foreign.caller, nil); !errors.Is(err, auth.ErrCrossOrigin) {
			t.Fatalf("logout from a foreign page: got %v, want CROSS_ORIGIN_REQUEST", err)
		}
		if _, err := w.svc.Refresh(w.Context(), browser, &auth.RefreshTokenInput{RefreshToken: &p.token}); !errors.Is(err, auth.ErrCrossOrigin) {
			t.Fatalf("body token from a browser: got %v, want CROSS_ORIGIN_REQUEST", err)
		}
		for _, d := range []session.Delivery{session.DeliveryBody, session.DeliveryCookie} {
			_, err := w.svc.Login(w.Context(), auth.Caller{}, auth.LoginInput{
				Email: secret.New("ada@example.com"), Password: secret.New(goodPassword), RefreshTokenDelivery: d,
			})
			if !errors.Is(err, auth.ErrCrossOrigin) {
				t.Fatalf("login %s on a closed channel: got %v, want CROSS_ORIGIN_REQUEST", d, err)
			}
		}
		c.refresh()
		p.refresh()
	})
}

func TestAmbiguousTokensConsumeNothing(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(browser)
		two := browser
		two.RefreshCookies = []secret.Text{c.token, c.token}
		both := auth.Caller{BodyAllowed: true, RefreshCookies: []secret.Text{c.token}}
		for _, err := range []error{
			second(w.svc.Refresh(w.Context(), two, nil)),
			second(w.svc.Logout(w.Context(), two, nil)),
			second(w.svc.Refresh(w.Context(), both, &auth.RefreshTokenInput{RefreshToken: &c.token})),
			second(w.svc.Logout(w.Context(), both, &auth.LogoutInput{RefreshToken: &c.token})),
		} {
			if !errors.Is(err, auth.ErrAmbiguous) {
				t.Fatalf("two tokens: got %v, want BAD_REQUEST", err)
			}
		}
		if _, err := w.svc.Refresh(w.Context(), browser, nil); !errors.Is(err, auth.ErrRefreshMissing) {
			t.Fatalf("no token: got %v, want MISSING", err)
		}
		if !c.refresh().Rotated {
			t.Fatal("a refused refresh consumed the token")
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestForgedSecret(t *testing.T) {
	for _, lost := range []bool{false, true} {
		each(t, func(w *world) {
			c := w.login(phone)
			tok, err := w.svc.Keys.Load().Refresh.Parse(c.token)
			w.must(err)
			tok.Secret = session.NewSecret()
			forged, err := w.svc.Keys.Load().Refresh.Mint(tok)
			w.must(err)
			if lost {
				w.hot.flush()
			}
			c.wants(forged, auth.ErrRefreshUnknown)
			payload, err := w.svc.Logout(w.Context(), phone, &auth.LogoutInput{RefreshToken: &forged})
			w.must(err)
			if payload.SessionID != nil {
				t.Fatal("a forged token logged its session out")
			}
			c.refresh()
		})
	}
}

func TestExpiry(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		w.clock.step(w.policy.Idle - time.Millisecond)
		c.refresh()
		w.clock.step(w.policy.Idle)
		c.wants(c.token, auth.ErrRefreshExpired)
		w.clock.step(-time.Hour) // the clock had jumped: nothing was ended
		c.refresh()
		w.clock.step(w.policy.Idle - time.Hour)
		c.refresh()
		w.clock.step(w.policy.Absolute)
		c.wants(c.token, auth.ErrRefreshExpired)
	})
}

func TestAccessTokenEndsWithTheSession(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		for range 4 {
			w.clock.step(w.policy.Idle - time.Hour)
			c.refresh()
		}
		w.clock.step(w.policy.Absolute - 4*(w.policy.Idle-time.Hour) - time.Minute)
		got := c.refresh()
		if want := got.Session.ExpiresAt.Truncate(time.Second); !got.AccessToken.ExpiresAt.Equal(want) || got.AccessToken.ExpiresIn > 60 {
			t.Errorf("a minute before the end: got a token until %s, for %d s, want until %s", got.AccessToken.ExpiresAt, got.AccessToken.ExpiresIn, want)
		}
	})
}

func TestIdleNeverSlidesPastAbsolute(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		for range 4 {
			w.clock.step(w.policy.Idle - time.Hour)
			got := c.refresh().Session
			if got.IdleExpiresAt.After(got.ExpiresAt) {
				t.Fatalf("idle expiry %s is after the absolute expiry %s", got.IdleExpiresAt, got.ExpiresAt)
			}
		}
	})
}

func TestIPBinding(t *testing.T) {
	each(t, func(w *world) {
		w.policy.BindIP = true
		w.restart()
		c := w.login(phone)
		c.refresh()
		c.caller.Address = netip.MustParseAddr("198.51.100.7")
		c.wants(c.token, auth.ErrRefreshBinding)
		c.caller.Address = phone.Address
		c.wants(c.token, auth.ErrRefreshRevoked)
		c.inLedger(true, session.ReasonBinding)

		six := phone
		six.Address = netip.MustParseAddr("2001:db8::1")
		d := w.login(six)
		d.caller.Address = netip.MustParseAddr("2001:db8::2:3:4") // the same /64
		d.refresh()
		d.caller.Address = netip.MustParseAddr("2001:db8:0:1::1")
		d.wants(d.token, auth.ErrRefreshBinding)
	})
}

func TestStoreOutageIsNoLogout(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.hot.down.Store(true)
		c.wants(c.token, auth.ErrUnavailable)
		w.hot.down.Store(false)
		c.refresh()
		w.dbDown.Store(true) // refreshing needs no ledger
		c.turn()
		c.authenticates(nil)
		w.hot.flush() // unless something was lost
		c.wants(c.token, auth.ErrUnavailable)
		w.dbDown.Store(false)
		c.refresh()
	})
}

func TestUnknownSession(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		tok, err := w.svc.Keys.Load().Refresh.Parse(c.token)
		w.must(err)
		tok.SessionID = uuid.New()
		stray, err := w.svc.Keys.Load().Refresh.Mint(tok)
		w.must(err)
		c.wants(stray, auth.ErrRefreshUnknown)
		c.wants(stray, auth.ErrRefreshUnknown)
		w.dbDown.Store(true)
		c.wants(stray, auth.ErrRefreshUnknown) // by its tombstone
		w.dbDown.Store(false)
		c.refresh()
	})
}

// The session in the answer is the caller's, and needs no other read.
func TestRefreshDescribesTheSession(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.dbDown.Store(true)
		w.clock.step(time.Minute)
		c.caller.UserAgent = "newer phone"
		got := c.refresh().Session
		// A new user agent is seen when that has settled.
		if got.ID != c.id || !got.Current || got.UserAgent != "phone" || got.IPAddress != "192.0.2.2" ||
			!got.LastUsedAt.Equal(w.clock.now()) || !got.CreatedAt.Equal(w.clock.now().Add(-time.Minute)) ||
			!got.ExpiresAt.Equal(got.CreatedAt.Add(w.policy.Absolute)) || got.Delivery != session.DeliveryBody {
			t.Fatalf("session: got %+v", got)
		}
		w.clock.step(7 * time.Minute)
		if got := c.refresh().Session; got.UserAgent != "newer phone" {
			t.Fatalf("session later: got %+v, want the newer phone", got)
		}
	})
}
