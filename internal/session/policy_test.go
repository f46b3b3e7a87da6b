package session_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/session"
)

func TestPolicyValidate(t *testing.T) {
	good := session.Policy{Idle: 3 * time.Minute, Absolute: time.Hour, Grace: time.Minute, Retry: 3 * time.Minute, Cap: 1}
	for _, c := range []struct {
		name   string
		change func(*session.Policy)
		ok     bool
	}{
		{"at every limit", func(*session.Policy) {}, true},
		{"idle as long as absolute", func(p *session.Policy) { p.Absolute = p.Idle }, true},
		{"no windows", func(p *session.Policy) { p.Grace, p.Retry = 0, 0 }, true},
		{"no idle lifetime", func(p *session.Policy) { p.Idle = 0 }, false},
		{"no absolute lifetime", func(p *session.Policy) { p.Absolute = 0 }, false},
		{"idle longer than absolute", func(p *session.Policy) { p.Absolute = p.Idle - 1 }, false},
		{"grace above a third of idle", func(p *session.Policy) { p.Grace = time.Minute + 1 }, false},
		{"negative grace", func(p *session.Policy) { p.Grace = -1 }, false},
		{"retry above idle", func(p *session.Policy) { p.Retry = p.Idle + 1 }, false},
		{"negative retry", func(p *session.Policy) { p.Retry = -1 }, false},
		{"no session at all", func(p *session.Policy) { p.Cap = 0 }, false},
	} {
		p := good
		c.change(&p)
		if err := p.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: got error %v, want good: %t", c.name, err, c.ok)
		}
	}
}

func TestPolicyBinding(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"192.0.2.7", "192.0.2.7"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"2001:db8:1:2::", "2001:db8:1:2::/64"},
		{"fe80::1%eth0", "fe80::/64"},
	} {
		addr := netip.MustParseAddr(c.addr)
		if got := (session.Policy{BindIP: true}).Binding(addr); got != c.want {
			t.Errorf("Binding(%s): got %q, want %q", c.addr, got, c.want)
		}
		if got := (session.Policy{}).Binding(addr); got != "" {
			t.Errorf("Binding(%s) without binding: got %q, want nothing", c.addr, got)
		}
	}
	if got := (session.Policy{BindIP: true}).Binding(netip.Addr{}); got != "" {
		t.Errorf("Binding of no address: got %q, want nothing", got)
	}
}
