package session

import (
	"fmt"
	"net/netip"
	"time"
)

// Policy is how long sessions live and how forgiving a refresh is.
type Policy struct {
	Idle     time.Duration // a session unused for this long expires
	Absolute time.Duration // every session expires this long after its login
	Grace    time.Duration // of new sessions: a spent token is answered for this long after the turn; 0 is off
	Retry    time.Duration // of new sessions: the same attempt id is answered for this long after the turn
	Cap      int           // live sessions per user; one more ends the least recently used
	BindIP   bool          // refreshes of new sessions must come from the network of the login

	RequireAttempt bool // a refresh needs an attempt id, whatever its session did before
	EndShared      bool // a session that two presenters share ends
}

// Validate reports the first setting that contradicts another.
func (p Policy) Validate() error {
	switch {
	case p.Idle <= 0 || p.Absolute <= 0:
		return fmt.Errorf("session: idle and absolute lifetime must be positive")
	case p.Idle > p.Absolute:
		return fmt.Errorf("session: the idle lifetime %s is longer than the absolute lifetime %s", p.Idle, p.Absolute)
	case p.Grace < 0 || p.Grace > p.Idle/3:
		return fmt.Errorf("session: the reuse grace %s is not between 0s and a third of the idle lifetime %s", p.Grace, p.Idle)
	case p.Retry < 0 || p.Retry > p.Idle:
		return fmt.Errorf("session: the retry window %s is not between 0s and the idle lifetime %s", p.Retry, p.Idle)
	case p.Cap < 1:
		return fmt.Errorf("session: the session cap must be at least 1")
	}
	return nil
}

// Binding is the network a session that begins at addr is bound to under the
// policy; empty when the policy binds nothing.
func (p Policy) Binding(addr netip.Addr) string {
	if !p.BindIP {
		return ""
	}
	return Network(addr)
}

// Network is the network of an address, as sessions are bound to it and as
// presenters are told apart: the IPv4 address, or the IPv6 /64. It is empty for
// an address that is not known.
func Network(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return ""
	}
	return prefix.String()
}
