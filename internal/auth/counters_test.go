package auth_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/device"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/throttle"
)

// recorder notes which lanes are charged.
type recorder struct {
	throttle.Store
	mu    sync.Mutex
	lanes map[throttle.Lane]int
}

func (r *recorder) Charge(ctx context.Context, lane throttle.Lane, schedule throttle.Schedule) (throttle.Verdict, error) {
	r.mu.Lock()
	r.lanes[lane]++
	r.mu.Unlock()
	return r.Store.Charge(ctx, lane, schedule)
}

// mallory is an account of the attacker's own, with the same password.
func (w *world) mallory() {
	w.Helper()
	hash, err := w.svc.Hasher.Hash(w.Context(), "", secret.New(goodPassword))
	w.must(err)
	_, err = w.users.Add(w.Context(), "mallory@example.com", hash, "USER")
	w.must(err)
}

// device mints a proof for a new device of ada's.
func (w *world) device() *secret.Text {
	p := w.svc.Keys.Load().Devices.Mint("ada@example.com", device.Proof{
		UserID: w.user.ID, DeviceID: uuid.New(), CredentialVersion: w.user.CredentialVersion,
	})
	return &p
}

func (w *world) change(c *client, from auth.Caller, current string) auth.ChangePasswordResult {
	w.Helper()
	return w.changeTo(c, from, current, strongPassword)
}

func (w *world) changeTo(c *client, from auth.Caller, current, next string) auth.ChangePasswordResult {
	w.Helper()
	result, err := w.svc.ChangePassword(w.Context(), from, w.claims(c), auth.ChangePasswordInput{
		CurrentPassword: secret.New(current), NewPassword: secret.New(next),
	})
	w.must(err)
	return result
}

// A proof of another account is void before anything is charged: it names no
// counter of the account that is tried.
func TestForeignProofsNameNoCounter(t *testing.T) {
	gated(t, func(w *world) {
		w.mallory()
		foreign := w.proofOf("mallory@example.com", nil)
		gates := &recorder{Store: w.svc.Throttle, lanes: map[throttle.Lane]int{}}
		w.svc.Throttle = gates
		for _, pass := range []string{"not the password", goodPassword} {
			_, err := w.guess(host(1), "ada@example.com", pass, foreign)
			w.must(err)
		}
		unknown := throttle.Lane{Account: w.svc.Keys.Load().Devices.Account("ada@example.com")}
		if len(gates.lanes) != 1 || gates.lanes[unknown] != 2 {
			t.Errorf("lanes that were charged: got %v, want that of ada's unknown devices twice", gates.lanes)
		}
	})
}

// With a stolen token of a trusted device, and as many devices of the attacker's
// own as they like, at once: five guesses from the device and five as unknown.
func TestDevicesOfOthersForgetNoPause(t *testing.T) {
	gated(t, func(w *world) {
		w.mallory()
		stolen := w.proofOf("ada@example.com", nil)
		guesses := 0
		guess := func(proof *secret.Text, n int) {
			result, err := w.guess(host(n), "ada@example.com", "not the password", proof)
			w.must(err)
			if _, looked := result.(auth.InvalidCredentialsError); looked {
				guesses++
			}
		}
		for round := range 3 {
			for i := range 10 {
				guess(stolen, i)
			}
			for i := range throttle.MaxDevices + 1 {
				guess(w.proofOf("mallory@example.com", nil), 100*round+i)
			}
		}
		if guesses != 10 {
			t.Errorf("guesses at once: got %d, want 10", guesses)
		}
		result, err := w.guess(host(999), "ada@example.com", goodPassword, stolen)
		w.wantsLogin(result, err, "throttled")
	})
}

// Counters of sessions and of devices stand apart: neither is forgotten because
// the other has many.
func TestSessionsAndDevicesStandApart(t *testing.T) {
	gated(t, func(w *world) {
		sessions := make([]*client, throttle.MaxDevices+2)
		w.policy.Cap = len(sessions)
		w.restart()
		for i := range sessions {
			sessions[i] = w.login(phone)
		}
		from := func(i int) auth.Caller {
			c := phone
			c.Address = host(i)
			return c
		}
		stolen, paused := w.device(), sessions[0]
		for i := range 5 {
			result, err := w.guess(host(i), "ada@example.com", "not the password", stolen)
			w.wantsLogin(result, err, "invalid")
			w.change(paused, from(i), "not the password")
		}
		for i, c := range sessions[1:] {
			if _, ok := w.change(c, from(100+i), "not the password").(auth.InvalidCredentialsError); !ok {
				t.Fatalf("session %d: want its own counter", i)
			}
		}
		for i := range throttle.MaxDevices - 1 {
			result, err := w.guess(host(200+i), "ada@example.com", "not the password", w.device())
			w.wantsLogin(result, err, "invalid")
		}
		w.burn("ada@example.com")
		result, err := w.guess(host(999), "ada@example.com", goodPassword, stolen)
		w.wantsLogin(result, err, "throttled")
		if got, ok := w.change(paused, from(999), goodPassword).(auth.TooManyAttemptsError); !ok || got.Wait != 30*time.Second {
			t.Errorf("the session that guessed: got %+v, want 30s", got)
		}
		if _, ok := w.change(sessions[1], from(999), goodPassword).(*auth.ChangePasswordPayload); !ok {
			t.Error("another session: want the password changed")
		}
	})
}

// A session's counter is closed by nobody who merely knows the session's id.
func TestNobodyElseNamesTheSessionsCounter(t *testing.T) {
	gated(t, func(w *world) {
		c := w.login(phone)
		gates := &recorder{Store: w.svc.Throttle, lanes: map[throttle.Lane]int{}}
		w.svc.Throttle = gates
		w.change(c, phone, "not the password")
		if len(gates.lanes) != 1 {
			t.Fatalf("lanes that were charged: got %v, want one", gates.lanes)
		}
		for lane := range maps.Clone(gates.lanes) {
			for _, email := range []string{lane.Account, c.id.String(), "session:" + c.id.String()} {
				_, err := w.guess(host(1), email, "not the password", nil)
				w.must(err)
			}
			if got := gates.lanes[lane]; got != 1 {
				t.Errorf("charges of the session's counter: got %d, want 1", got)
			}
		}
	})
}

// Where the table of an account's devices is full, one more counts as an unknown
// device in all respects: what is taken back or forgotten is the unknown's.
func TestDeviceWithoutRoom(t *testing.T) {
	gated(t, func(w *world) {
		for i := range throttle.MaxDevices {
			result, err := w.guess(host(i), "ada@example.com", "not the password", w.device())
			w.wantsLogin(result, err, "invalid")
		}
		newcomer := w.device()
		w.dbDown.Store(true)
		for range 10 { // given back
			result, err := w.guess(host(1), "ada@example.com", "not the password", newcomer)
			w.wantsLogin(result, err, "unavailable")
		}
		w.dbDown.Store(false)
		for i := range 4 {
			result, err := w.guess(host(i), "ada@example.com", "not the password", newcomer)
			w.wantsLogin(result, err, "invalid")
		}
		fresh := w.proofOf("ada@example.com", newcomer) // forgets the four
		if w.parsed(fresh).DeviceID == w.parsed(newcomer).DeviceID {
			t.Error("got the name that found no room, want a new one")
		}
		w.burn("ada@example.com")
		result, err := w.guess(host(9), "ada@example.com", goodPassword, newcomer)
		w.wantsLogin(result, err, "throttled")
		w.clock.step(24 * time.Hour) // the failures of the others have halved to nothing
		result, err = w.guess(host(9), "ada@example.com", goodPassword, newcomer)
		w.wantsLogin(result, err, "session")
	})
}

// A device that changes the password gets a new name: whoever has a copy of its
// proof of before does not share its counter.
func TestPasswordChangeRenamesTheDevice(t *testing.T) {
	gated(t, func(w *world) {
		before := w.proofOf("ada@example.com", nil)
		caller := phone
		caller.DeviceCookies = []secret.Text{*before}
		changed, ok := w.change(w.login(phone), caller, goodPassword).(*auth.ChangePasswordPayload)
		if !ok {
			t.Fatal("want the password changed")
		}
		if w.parsed(changed.DeviceToken()).DeviceID == w.parsed(before).DeviceID {
			t.Error("got the name of before, want a new one")
		}
	})
}

// Many at once with one proof: its lane is one, whoever holds copies.
func TestOneProofAtOnce(t *testing.T) {
	gated(t, func(w *world) {
		proof := w.device()
		var all sync.WaitGroup
		var mu sync.Mutex
		looked := 0
		for i := range 100 {
			all.Go(func() {
				result, err := w.guess(host(i), "ada@example.com", "not the password", proof)
				if err != nil { // no place in the hashing queue: nothing was looked at
					return
				}
				if _, ok := result.(auth.InvalidCredentialsError); ok {
					mu.Lock()
					looked++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if looked == 0 || looked > 5 {
			t.Errorf("guesses: got %d, want at most 5", looked)
		}
	})
}
