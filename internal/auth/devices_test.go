package auth_test

import (
	"context"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
)

// proofOf signs in and returns what the device gets.
func (w *world) proofOf(email string, before *secret.Text) *secret.Text {
	w.Helper()
	result, err := w.guess(host(1), email, goodPassword, before)
	w.wantsLogin(result, err, "session")
	return result.(*auth.LoginPayload).DeviceToken()
}

func (w *world) parsed(proof *secret.Text) device.Proof {
	w.Helper()
	p, ok := w.svc.Keys.Load().Devices.Parse(*proof, "ada@example.com")
	if !ok {
		w.Fatal("got no proof, want one")
	}
	return p
}

// One device that guesses, or has been stolen, does not lock the others out.
func TestEachDeviceHasItsLane(t *testing.T) {
	gated(t, func(w *world) {
		laptop, phone := w.proofOf("ada@example.com", nil), w.proofOf("ada@example.com", nil)
		for i := range 5 {
			result, err := w.guess(host(i), "ada@example.com", "not the password", laptop)
			w.wantsLogin(result, err, "invalid")
		}
		for _, c := range []struct {
			proof *secret.Text
			want  string
		}{{laptop, "throttled"}, {phone, "session"}, {nil, "session"}, {laptop, "throttled"}} {
			result, err := w.guess(host(9), "ada@example.com", goodPassword, c.proof)
			w.wantsLogin(result, err, c.want)
		}
	})
}

// A device keeps its name from login to login. One that comes with a void proof
// gets a new one, so that whoever else has the old proof does not share its lane.
func TestProofsAreRenewed(t *testing.T) {
	gated(t, func(w *world) {
		first := w.proofOf("ada@example.com", nil)
		second := w.proofOf("ada@example.com", first)
		if w.parsed(first).DeviceID != w.parsed(second).DeviceID {
			t.Error("a good proof was renewed for another device, want the same")
		}
		hash, err := w.svc.Hasher.Hash(w.Context(), "", secret.New(goodPassword))
		w.must(err)
		w.must(w.users.ResetPassword(w.Context(), w.user.ID, hash))
		if third := w.proofOf("ada@example.com", second); w.parsed(third).DeviceID == w.parsed(second).DeviceID {
			t.Error("a void proof was renewed for its device, want a new one")
		}
	})
}

// An attempt with a void proof counts once, where those without one do.
func TestVoidProofsCountOnce(t *testing.T) {
	gated(t, func(w *world) {
		old := w.proofOf("ada@example.com", nil)
		hash, err := w.svc.Hasher.Hash(w.Context(), "", secret.New(goodPassword))
		w.must(err)
		w.must(w.users.ResetPassword(w.Context(), w.user.ID, hash))
		for range 2 {
			for range 5 {
				result, err := w.guess(host(2), "ada@example.com", "not the password", old)
				w.wantsLogin(result, err, "invalid")
			}
			w.clock.step(30 * time.Second)
			w.proofOf("ada@example.com", nil) // the lane of unknown devices is as new
		}
	})
}

// brokenUnknown does not answer for the lane of unknown devices.
type brokenUnknown struct{ throttle.Store }

func (b brokenUnknown) Charge(ctx context.Context, lane throttle.Lane, schedule throttle.Schedule) (throttle.Verdict, error) {
	if lane.Device == "" {
		return throttle.Verdict{}, errDown
	}
	return b.Store.Charge(ctx, lane, schedule)
}

// A void proof is no way around a gate that cannot be asked.
func TestVoidProofsFailClosed(t *testing.T) {
	gated(t, func(w *world) {
		old := w.proofOf("ada@example.com", nil)
		hash, err := w.svc.Hasher.Hash(w.Context(), "", secret.New(goodPassword))
		w.must(err)
		w.must(w.users.ResetPassword(w.Context(), w.user.ID, hash))
		w.svc.Throttle = brokenUnknown{w.svc.Throttle}
		result, err := w.guess(host(1), "ada@example.com", goodPassword, old)
		w.wantsLogin(result, err, "unavailable")
	})
}

// A proof counts on the channel that it was made for, and of many cookies a few
// are looked at.
func TestProofsOfTheChannel(t *testing.T) {
	gated(t, func(w *world) {
		proof := w.proofOf("ada@example.com", nil)
		w.burn("ada@example.com")
		both := auth.Caller{Address: host(9), UserAgent: "both", CookieAllowed: true, BodyAllowed: true}
		junk := secret.New("junk")
		for _, c := range []struct {
			name     string
			delivery session.Delivery
			cookies  []secret.Text
			token    *secret.Text
			want     string
		}{
			{"cookie of a BODY login", session.DeliveryBody, []secret.Text{*proof}, nil, "throttled"},
			{"token of a COOKIE login", session.DeliveryCookie, nil, proof, "throttled"},
			{"after four others", session.DeliveryCookie, []secret.Text{junk, junk, junk, junk, *proof}, nil, "throttled"},
			{"after three others", session.DeliveryCookie, []secret.Text{junk, junk, junk, *proof}, nil, "session"},
			{"token of a BODY login", session.DeliveryBody, nil, proof, "session"},
		} {
			caller := both
			caller.DeviceCookies = c.cookies
			result, err := w.svc.Login(w.Context(), caller, auth.LoginInput{
				Email: secret.New("ada@example.com"), Password: secret.New(goodPassword), RefreshTokenDelivery: c.delivery, DeviceToken: c.token,
			})
			w.Log(c.name)
			w.wantsLogin(result, err, c.want)
		}
	})
}
