package auth_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/audit"
	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/session"
)

// thiefOf is somebody elsewhere who holds a copy of the client's newest token.
func thiefOf(c *client) *client {
	thief := *c
	thief.caller.Address, thief.caller.UserAgent = netip.MustParseAddr("198.51.100.7"), "thief"
	return &thief
}

// follow lets the owner turn and the thief take the successor within the grace.
func follow(owner, thief *client) error {
	owner.w.Helper()
	owner.turn()
	owner.w.clock.step(time.Second)
	payload, err := thief.send(thief.token, "")
	if err == nil {
		thief.token = handed(payload.Credential)
	}
	return err
}

// sharedEvents are the events that tell of a shared session.
func (w *world) sharedEvents() []audit.Entry {
	w.Helper()
	w.must(w.audit.Flush(w.Context()))
	events, err := audit.List(w.Context(), w.db, audit.Filter{Name: audit.SessionShared})
	w.must(err)
	return events
}

// A thief who follows the owner's turns is told of from the third on, with where
// both were.
func TestFollowedSessionIsTold(t *testing.T) {
	each(t, func(w *world) {
		owner := w.login(phone)
		thief := thiefOf(owner)
		for range 4 {
			w.must(follow(owner, thief))
		}
		events := w.sharedEvents()
		if len(events) != 2 {
			t.Fatalf("events after four turns: got %d, want 2", len(events))
		}
		for _, e := range events {
			if e.SessionID != owner.id || e.Address != "198.51.100.7" || e.UserAgent != "thief" ||
				e.Earlier.Address != "192.0.2.2" || e.Earlier.UserAgent != "phone" || e.Earlier.At.IsZero() {
				t.Errorf("event: got %+v, want both presenters", e)
			}
		}
		if audit.SessionShared.Severity() != audit.Warning {
			t.Errorf("severity: got %s, want a warning", audit.SessionShared.Severity())
		}
		owner.refresh() // it is told, and goes on
	})
}

// PAWL_SHARED_SESSION=end.
func TestFollowedSessionEnds(t *testing.T) {
	each(t, func(w *world) {
		w.policy.EndShared = true
		w.restart()
		owner := w.login(phone)
		thief := thiefOf(owner)
		w.must(errors.Join(follow(owner, thief), follow(owner, thief)))
		if err := follow(owner, thief); !errors.Is(err, auth.ErrRefreshReused) {
			t.Fatalf("third turn: got %v, want ErrRefreshReused", err)
		}
		owner.wants(owner.token, auth.ErrRefreshRevoked)
		owner.authenticates(auth.ErrSessionRevoked)
		owner.inLedger(true, session.ReasonShared)
		if events := w.sharedEvents(); len(events) != 1 || events[0].Details["ended"] != "true" {
			t.Errorf("events: got %+v, want one that says that it ended", events)
		}
	})
}

// What users see of a session does not tell when its token is replaced: nothing
// changes at that moment, nor within the longest grace after it, and some minutes
// later it is told.
func TestSessionsTellNoRefresh(t *testing.T) {
	each(t, func(w *world) {
		type view struct {
			id                     string
			lastUsed, idleExpires  time.Time
			agent, address, device string
		}
		other, owner := w.login(browser), w.login(phone)
		look := func() (all []view) {
			list, err := w.svc.MySessions(w.Context(), w.claims(other))
			w.must(err)
			for _, s := range list {
				all = append(all, view{s.ID.String(), s.SeenLastUsedAt, s.SeenIdleExpiresAt, s.UserAgent, s.IPAddress, s.DeviceName})
			}
			return all
		}
		begun, used := w.clock.now(), map[*client]time.Time{}
		random := rand.New(rand.NewPCG(1, 2))
		roams := func(c *client) { // networks change, and browsers are updated
			if random.IntN(2) == 0 {
				c.caller.Address = netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(250))})
				c.caller.UserAgent = fmt.Sprint("agent/", random.IntN(3))
			}
		}
		refresh := func(c *client) {
			w.clock.step(w.policy.Grace + time.Second)
			before := look()
			roams(c)
			c.refresh()
			if after := look(); !slices.Equal(after, before) {
				t.Fatalf("at a turn: got %v, want it as before: %v", after, before)
			}
			used[c] = w.clock.now()
		}
		for range 60 {
			refresh(other) // its access token must stay good
			if random.IntN(3) == 0 {
				refresh(owner)
			}
			for range random.IntN(20) {
				w.clock.step(time.Duration(random.IntN(20_000)) * time.Millisecond)
				for _, v := range look() {
					if told := v.lastUsed.Add(6 * time.Minute); v.lastUsed.After(begun) && told.After(w.clock.now()) {
						t.Fatalf("at %s: got last used at %s, want it told a minute after its five", w.clock.now(), v.lastUsed)
					}
				}
			}
		}
		refresh(owner)
		w.clock.step(6 * time.Minute)
		for _, v := range look() {
			if want := used[owner].Truncate(5 * time.Minute); v.id == owner.id.String() &&
				(!v.lastUsed.Equal(want) || v.address != owner.caller.Address.String() || v.agent != owner.caller.UserAgent) {
				t.Errorf("six minutes later: got %+v, want it used at %s by %s at %s", v, want, owner.caller.UserAgent, owner.caller.Address)
			}
		}
	})
}

// PAWL_REQUIRE_ATTEMPT=on.
func TestAttemptIsRequired(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		w.policy.RequireAttempt = true
		w.restart()
		w.clock.step(w.policy.Grace + time.Second)
		refused := func(what string) {
			t.Helper()
			_, err := c.send(c.token, "")
			if input, ok := errors.AsType[*auth.InputError](err); !ok || input.Field != "attemptId" {
				t.Errorf("%s: got %v, want an error about attemptId", what, err)
			}
		}
		refused("no attempt id")
		w.hot.flush()
		refused("no attempt id after a loss")
		w.clock.step(w.policy.Grace + time.Second)
		payload, err := c.send(c.token, "1234567890123456789012")
		w.must(err)
		if !payload.Rotated {
			t.Error("with an attempt id: got rotated false, want true")
		}
	})
}

// A client that repeats one attempt id for ever is told when the turn that it
// made is settled, and a new one helps.
func TestAttemptIsUsedOnce(t *testing.T) {
	each(t, func(w *world) {
		const same, fresh = "1234567890123456789012", "abcdefghijabcdefghijab"
		c := w.login(phone)
		payload, err := c.send(c.token, same)
		w.must(err)
		first := c.token
		c.token = handed(payload.Credential)
		c.same(first, same, c.token)   // the answer was lost
		c.same(c.token, same, c.token) // another tab
		w.clock.step(w.policy.Grace + time.Second)
		c.same(first, same, c.token) // it was lost for longer
		_, err = c.send(c.token, same)
		if input, ok := errors.AsType[*auth.InputError](err); !ok || input.Field != "attemptId" {
			t.Errorf("the attempt id of the last turn: got %v, want an error about attemptId", err)
		}
		payload, err = c.send(c.token, fresh)
		w.must(err)
		if !payload.Rotated {
			t.Error("a new attempt id: got rotated false, want true")
		}
	})
}

// After a loss of the hot state too, nothing is seen of a session as long gone
// that lives.
func TestSessionsSeenAfterALoss(t *testing.T) {
	each(t, func(w *world) {
		other, c := w.login(browser), w.login(phone)
		for range 20 {
			w.clock.step(24 * time.Hour)
			c.turn()
			other.turn()
		}
		w.svc.Flush(w.Context())
		w.hot.flush()
		c.refresh()
		other.refresh()
		for _, s := range w.mySessions(other) {
			if late := w.clock.now().Sub(s.SeenLastUsedAt); late > 11*time.Minute || !s.SeenIdleExpiresAt.After(w.clock.now()) {
				t.Errorf("got it last used %s ago, idle at %s; want it used lately", late, s.SeenIdleExpiresAt)
			}
		}
	})
}
