package auth_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/session"
)

// Servers are replaced one by one, and for a while two settings are in force.

// A session keeps the grace of its login on every server, also when the hot
// state was lost.
func TestServersWithDifferentGrace(t *testing.T) {
	each(t, func(w *world) {
		for name, lose := range map[string]func(){"nothing lost": func() {}, "hot state lost": w.hot.flush} {
			w.policy.Grace = 40 * time.Second
			w.restart()
			c := w.login(phone)
			before := c.token
			c.refresh()
			w.policy.Grace = 2 * time.Second
			w.restart()
			c.same(before, "", c.token)
			w.svc.Flush(w.Context())
			lose()
			w.clock.step(30 * time.Second)
			c.same(before, "", c.token)
			t.Log(name)
			c.inLedger(false, "")

			d := w.login(phone) // under the short grace
			spent := d.token
			d.refresh()
			w.policy.Grace = 40 * time.Second
			w.restart()
			w.clock.step(3 * time.Second)
			d.wants(spent, auth.ErrRefreshReused)
		}
	})
}

// A bound session is checked by a server that binds none, also when the hot
// state was lost; one that is not bound is not checked by a server that binds.
func TestServersWithDifferentBinding(t *testing.T) {
	each(t, func(w *world) {
		free := w.login(phone)
		w.policy.BindIP = true
		w.restart()
		free.caller.Address = netip.MustParseAddr("198.51.100.7")
		free.refresh()
		a, b := w.login(phone), w.login(phone)
		w.policy.BindIP = false
		w.restart()
		for _, c := range []*client{a, b} {
			c.refresh()
			thief := thiefOf(c)
			thief.wants(c.token, auth.ErrRefreshBinding)
			c.inLedger(true, session.ReasonBinding)
			w.hot.flush()
		}
	})
}

// A session stays held to attempt ids, also where the store fell back to what it
// was before and a later checkpoint says otherwise.
func TestHoldOutlivesALaterCheckpoint(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		before, err := w.hot.Store.Find(w.Context(), w.user.ID, c.id)
		w.must(err)
		first := c.token
		payload, err := c.send(first, "1234567890123456789012")
		w.must(err)
		w.hot.flush() // a snapshot of before the refresh comes back
		_, err = w.hot.Store.Create(w.Context(), before, 20)
		w.must(err)
		w.clock.step(time.Second)
		c.refresh() // the first token, without an attempt id
		w.svc.Flush(w.Context())
		w.hot.flush()
		c.token = handed(payload.Credential)
		_, err = c.send(c.token, "")
		if input, ok := errors.AsType[*auth.InputError](err); !ok || input.Field != "attemptId" {
			t.Errorf("without an attempt id: got %v, want an error about attemptId", err)
		}
	})
}
