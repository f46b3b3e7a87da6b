package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
)

// What cannot be a login is refused before the gates: it costs nothing there,
// however often it comes.
func TestShapeComesBeforeTheGates(t *testing.T) {
	gated(t, func(w *world) {
		long := strings.Repeat("x", 65)
		in := auth.LoginInput{Email: secret.New("ada@example.com"), Password: secret.New(goodPassword)}
		for range 40 {
			in.RefreshTokenDelivery, in.DeviceName = session.DeliveryCookie, nil
			if _, err := w.svc.Login(w.Context(), stranger, in); !errors.Is(err, auth.ErrCrossOrigin) {
				t.Fatalf("a closed channel: got error %v, want ErrCrossOrigin", err)
			}
			in.RefreshTokenDelivery, in.DeviceName = session.DeliveryBody, &long
			var input *auth.InputError
			if _, err := w.svc.Login(w.Context(), stranger, in); !errors.As(err, &input) {
				t.Fatalf("a long device name: got error %v, want one about the argument", err)
			}
		}
		result, err := w.guess(stranger.Address, "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session")
	})
}

// Who signs in now and then does not guess more: 30 guesses are 30.
func TestOwnSuccessesRefillNothing(t *testing.T) {
	gated(t, func(w *world) {
		here := host(7)
		for i := range 30 {
			result, err := w.guess(here, fmt.Sprintf("nobody%d@example.com", i), "not the password", nil)
			w.wantsLogin(result, err, "invalid")
			if i%7 == 6 {
				result, err = w.guess(here, "ada@example.com", goodPassword, nil)
				w.wantsLogin(result, err, "session")
			}
		}
		result, err := w.guess(here, "nobody@example.com", "not the password", nil)
		w.wantsLogin(result, err, "throttled")
	})
}

// A network that has used up its attempts cannot go on counting at accounts.
func TestClosedNetworkCountsNowhere(t *testing.T) {
	gated(t, func(w *world) {
		here := host(7)
		for i := range 30 {
			result, err := w.guess(here, fmt.Sprintf("nobody%d@example.com", i), "not the password", nil)
			w.wantsLogin(result, err, "invalid")
		}
		for range 20 {
			result, err := w.guess(here, "ada@example.com", "not the password", nil)
			w.wantsLogin(result, err, "throttled")
		}
		w.burn("ada@example.com") // all five are free still
	})
}

// While a gate is closed nothing is done for a login: here is neither a slot to
// hash in nor a database, and the answer is the gate's.
func TestClosedGateLooksAtNothing(t *testing.T) {
	gated(t, func(w *world) {
		w.burn("ada@example.com")
		occupy(w, "")
		w.dbDown.Store(true)
		result, err := w.guess(host(9), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "throttled")
	})
}

// hangingUp are gates whose caller goes away while they are asked.
type hangingUp struct {
	throttle.Store
	leave context.CancelFunc
}

func (h hangingUp) Charge(ctx context.Context, lane throttle.Lane, schedule throttle.Schedule) (throttle.Verdict, error) {
	h.leave()
	return h.Store.Charge(ctx, lane, schedule)
}

// Attempts whose senders do not wait for the answer are looked at, and count.
func TestHangingUpCounts(t *testing.T) {
	gated(t, func(w *world) {
		c := w.login(phone)
		claims, gates := w.claims(c), w.svc.Throttle
		leaving := func() context.Context {
			ctx, leave := context.WithCancel(w.Context())
			t.Cleanup(leave)
			w.svc.Throttle = hangingUp{gates, leave}
			return ctx
		}
		login := auth.LoginInput{Email: secret.New("ada@example.com"), Password: secret.New("not the password"), RefreshTokenDelivery: session.DeliveryBody}
		change := auth.ChangePasswordInput{CurrentPassword: secret.New("not the password"), NewPassword: secret.New(strongPassword)}
		for range 5 {
			result, err := w.svc.Login(leaving(), stranger, login)
			w.wantsLogin(result, err, "invalid")
			changed, err := w.svc.ChangePassword(leaving(), phone, claims, change)
			if _, ok := changed.(auth.InvalidCredentialsError); !ok {
				t.Fatalf("changePassword: got %T (%v), want InvalidCredentialsError", changed, err)
			}
		}
		w.svc.Throttle = gates
		result, err := w.guess(host(1), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "throttled")
		changed, err := w.svc.ChangePassword(w.Context(), phone, claims, change)
		if _, ok := changed.(auth.TooManyAttemptsError); !ok {
			t.Errorf("changePassword after five: got %T (%v), want TooManyAttemptsError", changed, err)
		}
	})
}

// occupy takes all places in the hashing queue that a network may have, until the
// test ends.
func occupy(w *world, network string) {
	w.Helper()
	for {
		turn, err := w.svc.Hasher.Enter(network)
		if errors.Is(err, password.ErrOverloaded) {
			return
		}
		w.must(err)
		w.Cleanup(turn.Leave)
	}
}

// The addresses of one IPv6 /64 are one network in the hashing queue: who comes
// from it finds no place where others have taken what it may have.
func TestQueueKnowsTheNetwork(t *testing.T) {
	for _, c := range []struct{ name, address, network, other string }{
		{"IPv4", "203.0.113.1", "203.0.113.1", "203.0.113.2"},
		{"IPv4 in IPv6", "::ffff:203.0.113.1", "203.0.113.1", "::ffff:203.0.113.2"},
		{"IPv6", "2001:db8:1:2::9", "2001:db8:1:2::/64", "2001:db8:1:3::9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			inside := w.login(phone)
			occupy(w, c.network)
			crowded := phone
			crowded.Address = netip.MustParseAddr(c.address)
			if _, err := w.guess(crowded.Address, "ada@example.com", goodPassword, nil); !errors.Is(err, password.ErrOverloaded) {
				t.Errorf("login: got error %v, want ErrOverloaded", err)
			}
			_, err := w.svc.ChangePassword(t.Context(), crowded, w.claims(inside), auth.ChangePasswordInput{
				CurrentPassword: secret.New("not the password"), NewPassword: secret.New(strongPassword),
			})
			if !errors.Is(err, password.ErrOverloaded) {
				t.Errorf("changePassword: got error %v, want ErrOverloaded", err)
			}
			result, err := w.guess(netip.MustParseAddr(c.other), "ada@example.com", goodPassword, nil)
			w.wantsLogin(result, err, "session")
		})
	}
}
