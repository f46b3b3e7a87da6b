package auth_test

import (
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/ledger"
)

// A server whose clock is a month off refuses what the others sign, and they
// what it signs; it serves refreshes like any other, and costs nobody a session.
func TestServerWithAWrongClock(t *testing.T) {
	const month = 31 * 24 * time.Hour
	for _, off := range []time.Duration{-month, month} {
		t.Run(off.String(), func(t *testing.T) {
			each(t, func(w *world) { // the hot state keeps the right clock
				c := w.login(phone)
				c.refresh()
				right, rightClock, rightLedger := w.svc, w.clock, w.ledger
				w.clock = &clock{at: rightClock.now().Add(off)}
				w.ledger = ledger.New(w.db, w.clock.now)
				w.restart()

				rightClock.step(w.policy.Grace + time.Second)
				w.clock.step(w.policy.Grace + time.Second)
				if !c.refresh().Rotated {
					t.Error("refresh at the server with the wrong clock: got rotated false, want true")
				}
				c.authenticates(nil)
				w.svc.Flush(w.Context())

				wrong := w.svc
				w.svc, w.clock, w.ledger = right, rightClock, rightLedger
				refused, rest := auth.ErrTokenInvalid, auth.ErrTokenExpired // from the future, and from the past
				if off < 0 {
					refused, rest = rest, refused
				}
				c.authenticates(refused)
				c.turn()
				c.authenticates(nil)
				w.svc = wrong
				c.authenticates(rest)
				w.svc = right
				w.hot.flush()
				c.refresh()
				c.inLedger(false, "")
			})
		})
	}
}
