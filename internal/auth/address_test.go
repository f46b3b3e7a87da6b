package auth_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/throttle"
)

// The address that the gates count is the one that events and sessions tell.
func TestOneAddress(t *testing.T) {
	w := newWorld(t)
	w.loginRate = throttle.Rate{Burst: 1, Every: time.Hour}
	w.restart()
	here := netip.MustParseAddr("2001:db8:1:2::9")
	caller := phone
	caller.Address = here
	c := w.login(caller)
	if got := w.mySessions(c)[0].IPAddress; got != here.String() {
		t.Errorf("the session: got address %q, want %s", got, here)
	}
	result, err := w.guess(here, "ada@example.com", "x", nil)
	w.wantsLogin(result, err, "invalid")
	result, err = w.guess(here, "ada@example.com", goodPassword, nil)
	w.wantsLogin(result, err, "throttled")
	result, err = w.guess(host(1), "ada@example.com", "x", nil)
	w.wantsLogin(result, err, "invalid")

	w.must(w.audit.Flush(t.Context()))
	var events []struct{ Name, Address string }
	w.must(w.db.Table("audit_events").Find(&events).Error)
	told := map[string]int{}
	for _, e := range events {
		told[e.Name+" "+e.Address]++
	}
	for _, want := range []string{
		"login.succeeded " + here.String(), "session.created " + here.String(),
		"login.failed " + here.String(), "login.throttled " + here.String(), "login.failed " + host(1).String(),
	} {
		if told[want] != 1 {
			t.Errorf("events: got %v, want one %q", told, want)
		}
	}
}
