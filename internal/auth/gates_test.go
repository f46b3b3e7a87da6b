package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
)

const strongPassword = "another long passphrase of mine"

var stranger = auth.Caller{Address: netip.MustParseAddr("203.0.113.1"), UserAgent: "guesser", BodyAllowed: true}

// gated is a world with gates: 5 failures free, 3 attempts of a network at once.
func gated(t *testing.T, test func(w *world)) {
	each(t, func(w *world) {
		var err error
		w.loginRate, err = throttle.ParseRate("30/2s")
		w.must(err)
		w.loginSchedule, err = throttle.ParseSchedule("5:30s,10:60s,20:5m,50:1h,100:24h")
		w.must(err)
		w.refreshRate = throttle.Rate{Burst: 3, Every: time.Second}
		w.restart()
		test(w)
	})
}

// guess tries a password from an address, with a device token where there is one.
func (w *world) guess(from netip.Addr, email, pass string, proof *secret.Text) (auth.LoginResult, error) {
	caller := stranger
	caller.Address = from
	return w.svc.Login(w.Context(), caller, auth.LoginInput{
		Email: secret.New(email), Password: secret.New(pass), RefreshTokenDelivery: session.DeliveryBody, DeviceToken: proof,
	})
}

// wants demands the kind of a login's result, and returns the wait of a refusal.
func (w *world) wantsLogin(result auth.LoginResult, err error, want string) time.Duration {
	w.Helper()
	got, wait := "", time.Duration(0)
	switch r := result.(type) {
	case *auth.LoginPayload:
		got = "session"
	case auth.InvalidCredentialsError:
		got = "invalid"
	case auth.TooManyAttemptsError:
		got, wait = "throttled", r.Wait
	}
	if errors.Is(err, auth.ErrUnavailable) {
		got = "unavailable"
	} else if err != nil {
		got = err.Error()
	}
	if got != want {
		w.Fatalf("login: got %s, want %s", got, want)
	}
	return wait
}

// host is the nth network.
func host(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}) }

// burn uses the free attempts of the unknown lane up.
func (w *world) burn(email string) {
	w.Helper()
	for i := range 5 {
		result, err := w.guess(host(i), email, "not the password", nil)
		w.wantsLogin(result, err, "invalid")
	}
}

func TestAccountGate(t *testing.T) {
	gated(t, func(w *world) {
		for _, email := range []string{"ada@example.com", "nobody@example.com", "no address at all"} {
			w.burn(email)
			result, err := w.guess(host(100), email, goodPassword, nil) // not even looked at
			if wait := w.wantsLogin(result, err, "throttled"); wait != 30*time.Second {
				t.Errorf("%s: wait: got %s, want 30s", email, wait)
			}
		}
		result, err := w.guess(host(100), " No address AT ALL", "not the password", nil)
		w.wantsLogin(result, err, "throttled")
		result, err = w.guess(host(100), "none either", "not the password", nil)
		w.wantsLogin(result, err, "invalid")
		w.clock.step(30 * time.Second)
		result, err = w.guess(host(100), " ADA@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session")
		w.burn("ada@example.com") // a success forgot the failures
	})
}

func TestNetworkGate(t *testing.T) {
	gated(t, func(w *world) {
		here := netip.MustParseAddr("203.0.113.9")
		for range 50 { // an office that signs in
			result, err := w.guess(here, "ada@example.com", goodPassword, nil)
			w.wantsLogin(result, err, "session")
		}
		for i := range 30 {
			result, err := w.guess(here, string(rune('a'+i))+"@example.com", "not the password", nil)
			w.wantsLogin(result, err, "invalid")
		}
		result, err := w.guess(here, "ada@example.com", goodPassword, nil)
		if wait := w.wantsLogin(result, err, "throttled"); wait != 2*time.Second {
			t.Errorf("wait: got %s, want 2s", wait)
		}
		result, err = w.guess(host(1), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session")
	})
}

// What an account's gate refuses costs the network nothing.
func TestRefusedAttemptsAreGivenBack(t *testing.T) {
	gated(t, func(w *world) {
		w.burn("ada@example.com")
		here := netip.MustParseAddr("203.0.113.9")
		for range 100 {
			result, err := w.guess(here, "ada@example.com", "not the password", nil)
			w.wantsLogin(result, err, "throttled")
		}
		result, err := w.guess(here, "nobody@example.com", "not the password", nil)
		w.wantsLogin(result, err, "invalid")
	})
}

// An attempt that never reached the password counts for nothing.
func TestUnansweredAttemptsAreGivenBack(t *testing.T) {
	gated(t, func(w *world) {
		w.dbDown.Store(true)
		for range 40 { // nor at the network
			result, err := w.guess(host(1), "ada@example.com", "not the password", nil)
			w.wantsLogin(result, err, "unavailable")
		}
		w.dbDown.Store(false)
		w.burn("ada@example.com")
	})
}

// An owner with a proof signs in while others burn the lane of unknown devices.
func TestKnownDevice(t *testing.T) {
	gated(t, func(w *world) {
		result, err := w.guess(host(1), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session")
		proof := result.(*auth.LoginPayload).DeviceToken()
		w.burn("ada@example.com")
		result, err = w.guess(host(1), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "throttled")
		for range 3 {
			result, err = w.guess(host(1), "ada@example.com", goodPassword, proof)
			w.wantsLogin(result, err, "session")
			proof = result.(*auth.LoginPayload).DeviceToken()
		}
		result, err = w.guess(host(1), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "throttled") // the owner's success did not open the other lane
		for range 5 {
			result, err = w.guess(host(1), "ada@example.com", "not the password", proof)
			w.wantsLogin(result, err, "invalid")
		}
		result, err = w.guess(host(1), "ada@example.com", goodPassword, proof)
		w.wantsLogin(result, err, "throttled") // its own schedule
	})
}

// A proof of somebody else's, of an older password, or of the attacker's own
// account opens no second lane.
func TestVoidProofs(t *testing.T) {
	gated(t, func(w *world) {
		hash, err := w.svc.Hasher.Hash(w.Context(), "", secret.New(goodPassword))
		w.must(err)
		mallory, err := w.users.Add(w.Context(), "mallory@example.com", hash, "USER")
		w.must(err)
		w.must(w.users.ResetPassword(w.Context(), mallory.ID, hash)) // the credential version that ada is to have
		result, err := w.guess(host(1), "mallory@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session")
		foreign := result.(*auth.LoginPayload).DeviceToken()
		result, err = w.guess(host(1), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session")
		old := result.(*auth.LoginPayload).DeviceToken()
		w.must(w.users.ResetPassword(w.Context(), w.user.ID, hash))
		forged := secret.New("pawl_dt1_AAAA")
		for i, proof := range []*secret.Text{foreign, old, &forged, foreign, old} {
			result, err = w.guess(host(i), "ada@example.com", "not the password", proof)
			w.wantsLogin(result, err, "invalid")
		}
		for _, proof := range []*secret.Text{nil, foreign, old, &forged} {
			result, err = w.guess(host(9), "ada@example.com", goodPassword, proof)
			w.wantsLogin(result, err, "throttled")
		}
		for range 20 { // of which none was charged to the network or to the device
			result, err = w.guess(host(9), "ada@example.com", goodPassword, foreign)
			w.wantsLogin(result, err, "throttled")
		}
		result, err = w.guess(host(9), "mallory@example.com", goodPassword, foreign)
		w.wantsLogin(result, err, "session")
	})
}

// Of 200 guesses at once, exactly the free ones reach the password: none of them
// has its answer before all others have asked.
func TestParallelGuesses(t *testing.T) {
	for _, c := range []struct {
		name  string
		from  func(i int) netip.Addr
		email func(i int) string
		free  int64
	}{
		{"at one account", host, func(int) string { return "ada@example.com" }, 5},
		{"from one network", func(int) netip.Addr { return host(1) }, func(i int) string { return fmt.Sprint(i, "@example.com") }, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			gated(t, func(w *world) {
				const crowd = 200
				var err error
				w.svc.Hasher, err = password.New(password.Params{MemoryKiB: 64, Time: 1, Parallelism: 1}, crowd)
				w.must(err)
				release := make(chan struct{})
				w.must(w.db.Callback().Query().Before("gorm:query").Register("hold", func(*gorm.DB) { <-release }))
				var looked, refused atomic.Int64
				var all sync.WaitGroup
				for i := range crowd {
					all.Go(func() {
						result, err := w.guess(c.from(i), c.email(i), "not the password", nil)
						switch result.(type) {
						case auth.InvalidCredentialsError:
							looked.Add(1)
						case auth.TooManyAttemptsError:
							refused.Add(1)
						default:
							w.Errorf("got %T, %v", result, err)
						}
					})
				}
				for deadline := time.Now().Add(500 * time.Millisecond); refused.Load() < crowd-c.free && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond)
				}
				close(release)
				all.Wait()
				if looked.Load() != c.free || refused.Load() != crowd-c.free {
					w.Errorf("got %d looked at and %d refused, want %d and %d", looked.Load(), refused.Load(), c.free, crowd-c.free)
				}
			})
		})
	}
}

// A hundred guesses at one account from a hundred networks take more than two
// days, and its owner signs in from a known device all the while.
func TestHundredGuesses(t *testing.T) {
	gated(t, func(w *world) {
		result, err := w.guess(host(1), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session")
		proof := result.(*auth.LoginPayload).DeviceToken()
		began := w.clock.now()
		for guesses := 0; guesses < 100; {
			result, err = w.guess(host(100+guesses), "ada@example.com", "not the password", nil)
			w.must(err)
			switch r := result.(type) {
			case auth.InvalidCredentialsError:
				guesses++
			case auth.TooManyAttemptsError:
				w.clock.step(r.Wait)
			}
			if guesses%10 == 0 {
				result, err = w.guess(host(1), "ada@example.com", goodPassword, proof)
				w.wantsLogin(result, err, "session")
			}
		}
		if took := w.clock.now().Sub(began); took <= 48*time.Hour {
			t.Errorf("got %s for 100 guesses, want more than two days", took)
		}
	})
}

// brokenGates do not answer.
type brokenGates struct{ *throttle.Memory }

func (brokenGates) Spend(context.Context, []throttle.Bucket) (throttle.Verdict, error) {
	return throttle.Verdict{}, errDown
}

// brokenLanes answer for networks alone.
type brokenLanes struct{ *throttle.Memory }

func (brokenLanes) Charge(context.Context, throttle.Lane, throttle.Schedule) (throttle.Verdict, error) {
	return throttle.Verdict{}, errDown
}

// A gate that cannot be asked lets nobody through.
func TestGatesFailClosed(t *testing.T) {
	gated(t, func(w *world) {
		memory := throttle.NewMemory(w.clock.now)
		for _, store := range []throttle.Store{brokenGates{memory}, brokenLanes{memory}} {
			w.svc.Throttle = store
			for range 40 {
				result, err := w.guess(host(1), "ada@example.com", goodPassword, nil)
				w.wantsLogin(result, err, "unavailable")
			}
		}
		w.svc.Throttle = memory
		result, err := w.guess(host(1), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session") // and charged nobody
	})
}

// A wrong current password counts in a lane of the caller's session.
func TestPasswordGate(t *testing.T) {
	gated(t, func(w *world) {
		c, other := w.login(phone), w.login(phone)
		w.burn("ada@example.com") // others cannot close it
		change := func(c *client, current string) auth.ChangePasswordResult {
			t.Helper()
			result, err := w.svc.ChangePassword(w.Context(), phone, w.claims(c), auth.ChangePasswordInput{
				CurrentPassword: secret.New(current), NewPassword: secret.New(strongPassword),
			})
			w.must(err)
			return result
		}
		for range 5 {
			if got, ok := change(c, "not the password").(auth.InvalidCredentialsError); !ok {
				t.Fatalf("a wrong password: got %T", got)
			}
		}
		refused, ok := change(c, goodPassword).(auth.TooManyAttemptsError)
		if !ok || refused.Wait != 30*time.Second {
			t.Fatalf("after five: got %+v, want 30s", refused)
		}
		if _, ok := change(other, goodPassword).(*auth.ChangePasswordPayload); !ok {
			t.Fatal("another session: want the password changed")
		}
	})
}

// A browser that changes the password is known afterwards.
func TestPasswordChangeRenewsTheProof(t *testing.T) {
	gated(t, func(w *world) {
		first, err := w.svc.Login(w.Context(), browser, auth.LoginInput{
			Email: secret.New("ada@example.com"), Password: secret.New(goodPassword), RefreshTokenDelivery: session.DeliveryCookie,
		})
		w.must(err)
		begun := first.(*auth.LoginPayload)
		old, ok := begun.DeviceCookie()
		if !ok || begun.DeviceToken() != nil {
			t.Fatal("login with a cookie: want the proof in a cookie and nowhere else")
		}
		caller := browser
		caller.AccessToken, caller.DeviceCookies = begun.AccessToken.Token, []secret.Text{old}
		claims, err := w.svc.Authenticate(w.Context(), caller)
		w.must(err)
		result, err := w.svc.ChangePassword(w.Context(), caller, claims, auth.ChangePasswordInput{
			CurrentPassword: secret.New(goodPassword), NewPassword: secret.New(strongPassword),
		})
		w.must(err)
		fresh, ok := result.(*auth.ChangePasswordPayload).DeviceCookie()
		if !ok {
			t.Fatal("changePassword: want a new proof")
		}
		w.burn("ada@example.com")
		for _, c := range []struct {
			proofs []secret.Text
			want   string
		}{
			{nil, "throttled"}, {[]secret.Text{old}, "throttled"},
			{[]secret.Text{secret.New("junk"), fresh}, "session"},
		} {
			caller.DeviceCookies = c.proofs
			result, err := w.svc.Login(w.Context(), caller, auth.LoginInput{
				Email: secret.New("ada@example.com"), Password: secret.New(strongPassword), RefreshTokenDelivery: session.DeliveryCookie,
			})
			w.wantsLogin(result, err, c.want)
		}
	})
}

// Refreshes without a token of this server's are counted by network, and refused
// above the rate; a good one never waits for them.
func TestRefreshGate(t *testing.T) {
	gated(t, func(w *world) {
		c := w.login(phone)
		w.svc.Throttle = nil // this node alone counts them
		junk := secret.New("pawl_rt1_junk")
		for range 3 {
			c.wants(junk, auth.ErrRefreshMalformed)
		}
		for range 20 {
			_, err := c.send(junk, "")
			limited := (*auth.RateLimitedError)(nil)
			if !errors.As(err, &limited) || limited.RetryAfter() != 1 {
				t.Fatalf("after three: got %v, want to wait a second", err)
			}
			c.refresh()
		}
		elsewhere := *c
		elsewhere.caller.Address = host(1)
		elsewhere.wants(junk, auth.ErrRefreshMalformed)
		w.clock.step(time.Second)
		c.wants(junk, auth.ErrRefreshMalformed)
	})
}

// Pages ask for a refresh for whoever opens them: visitors who are not signed in
// close no gate for those who are.
func TestVisitorsCloseNoGate(t *testing.T) {
	gated(t, func(w *world) {
		c := w.login(browser)
		for range 20 {
			if _, err := w.svc.Refresh(w.Context(), browser, nil); !errors.Is(err, auth.ErrRefreshMissing) {
				t.Fatalf("without a cookie: got %v, want ErrRefreshMissing", err)
			}
		}
		c.refresh()
	})
}

// impatient notes how long the gates may take to take something back.
type impatient struct {
	throttle.Store
	given time.Duration
}

func (s *impatient) Return(ctx context.Context, buckets []throttle.Bucket) error {
	deadline, _ := ctx.Deadline()
	s.given = time.Until(deadline)
	return s.Store.Return(ctx, buckets)
}

// A login that waited for a store in vain does not wait as long again to give
// back what it took: the store may be that of the gates.
func TestGivingBackIsBriefInAnOutage(t *testing.T) {
	gated(t, func(w *world) {
		gates := &impatient{Store: w.svc.Throttle}
		w.svc.Throttle = gates
		w.hot.down.Store(true)
		result, err := w.guess(host(1), "ada@example.com", goodPassword, nil)
		if !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("login: got %T, %v, want ErrUnavailable", result, err)
		}
		if gates.given <= 0 || gates.given > 300*time.Millisecond {
			t.Errorf("giving back may take %s, want at most 300ms", gates.given)
		}
	})
}

// hashing notes whether a password can be hashed while the gates are waited for.
type hashing struct {
	throttle.Store
	hasher *password.Hasher
	err    error
}

func (s *hashing) Return(ctx context.Context, buckets []throttle.Bucket) error {
	_, s.err = s.hasher.Hash(ctx, "", secret.New(goodPassword))
	return s.Store.Return(ctx, buckets)
}

// A change of password holds no hashing slot while it waits for the gates.
func TestGatesHoldNoSlot(t *testing.T) {
	gated(t, func(w *world) {
		c := w.login(phone)
		one, err := password.New(password.Params{MemoryKiB: 64, Time: 1, Parallelism: 1}, 1)
		w.must(err)
		gates := &hashing{Store: w.svc.Throttle, hasher: one}
		w.svc.Hasher, w.svc.Throttle = one, gates
		_, err = w.svc.ChangePassword(w.Context(), phone, w.claims(c), auth.ChangePasswordInput{
			CurrentPassword: secret.New(goodPassword), NewPassword: secret.New(strongPassword),
		})
		w.must(err)
		if gates.err != nil {
			t.Errorf("hashing meanwhile: %v", gates.err)
		}
	})
}
