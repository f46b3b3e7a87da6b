package auth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/throttle"
)

// limited is a gated world in which an account begins three sessions at once, and
// one every ten seconds.
func limited(t *testing.T, test func(w *world)) {
	gated(t, func(w *world) {
		w.successRate = throttle.Rate{Burst: 3, Every: 10 * time.Second}
		w.restart()
		test(w)
	})
}

// sessions is how many sessions ada has, ended ones included.
func (w *world) sessions() (n int64) {
	w.Helper()
	w.must(w.db.Table("sessions").Where("user_id = ?", w.user.ID).Count(&n).Error)
	return n
}

// Logins of one account have a rate. One above it begins nothing, counts as no
// failure, and leaves the other gates as they were.
func TestLoginsOfOneAccount(t *testing.T) {
	limited(t, func(w *world) {
		for i := range 3 {
			result, err := w.guess(host(i), "ada@example.com", goodPassword, nil)
			w.wantsLogin(result, err, "session")
		}
		for range 50 { // more than network and account have attempts
			result, err := w.guess(host(9), "ada@example.com", goodPassword, nil)
			if wait := w.wantsLogin(result, err, "throttled"); wait != 10*time.Second {
				t.Fatalf("wait: got %s, want 10s", wait)
			}
		}
		if got := w.sessions(); got != 3 {
			t.Errorf("sessions: got %d, want 3", got)
		}
		w.burn("ada@example.com") // all five were free still
		w.mallory()
		result, err := w.guess(host(9), "mallory@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session")
		w.clock.step(10*time.Second - time.Millisecond)
		proof := w.device()
		result, err = w.guess(host(9), "ada@example.com", goodPassword, proof)
		w.wantsLogin(result, err, "throttled")
		w.clock.step(time.Millisecond)
		result, err = w.guess(host(9), "ada@example.com", goodPassword, proof)
		w.wantsLogin(result, err, "session")
	})
}

// Whoever does not know the password cannot use the account's logins up.
func TestFailedLoginsUseUpNoLogins(t *testing.T) {
	limited(t, func(w *world) {
		proof := w.device()
		for i := range 50 {
			_, err := w.guess(host(i), "ada@example.com", "not the password", nil)
			w.must(err)
		}
		for range 3 {
			result, err := w.guess(host(99), "ada@example.com", goodPassword, proof)
			w.wantsLogin(result, err, "session")
		}
	})
}

// A change of password begins a session and ends all others: it has the same rate,
// apart, so that logins do not keep an owner from it.
func TestChangesOfOnePassword(t *testing.T) {
	limited(t, func(w *world) {
		c := w.login(phone)
		w.login(phone)
		w.login(phone)
		for range 4 { // a wrong one does not count here
			if result, ok := w.change(c, phone, "not the password").(auth.InvalidCredentialsError); !ok {
				t.Fatalf("a wrong password: got %T", result)
			}
		}
		current, next := goodPassword, strongPassword
		for range 3 {
			result := w.changeTo(c, phone, current, next)
			changed, ok := result.(*auth.ChangePasswordPayload)
			if !ok {
				t.Fatalf("got %T, want the password changed", result)
			}
			c.access, c.id = changed.AccessToken.Token, changed.Session.ID
			current, next = next, current
		}
		refused, ok := w.changeTo(c, phone, current, next).(auth.TooManyAttemptsError)
		if !ok || refused.Wait != 10*time.Second {
			t.Fatalf("the fourth: got %+v, want to wait 10s", refused)
		}
		w.clock.step(10 * time.Second)
		if _, ok := w.changeTo(c, phone, current, next).(*auth.ChangePasswordPayload); !ok {
			t.Error("after the wait: want the password changed")
		}
	})
}

// Of many right passwords at once, as many begin a session as the rate allows.
func TestLoginsOfOneAccountAtOnce(t *testing.T) {
	limited(t, func(w *world) {
		w.loginSchedule = nil
		w.restart()
		var begun, refused atomic.Int64
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				result, err := w.guess(host(i), "ada@example.com", goodPassword, nil)
				switch result.(type) {
				case *auth.LoginPayload:
					begun.Add(1)
				case auth.TooManyAttemptsError:
					refused.Add(1)
				default:
					if !errors.Is(err, auth.ErrUnavailable) { // no place in the hashing queue
						w.Errorf("got %T, %v", result, err)
					}
				}
			})
		}
		all.Wait()
		if begun.Load() > 3 || begun.Load() < 3 && refused.Load() > 0 {
			t.Errorf("got %d sessions begun and %d refused, want 3 begun", begun.Load(), refused.Load())
		}
	})
}

// brokenSuccesses do not answer for right passwords.
type brokenSuccesses struct{ throttle.Store }

func (b brokenSuccesses) Spend(ctx context.Context, buckets []throttle.Bucket) (throttle.Verdict, error) {
	if strings.Contains(buckets[0].Key, "success") {
		return throttle.Verdict{}, errDown
	}
	return b.Store.Spend(ctx, buckets)
}

// Where the account's logins cannot be counted none begins, and nothing else is
// charged for it.
func TestSuccessesFailClosed(t *testing.T) {
	limited(t, func(w *world) {
		gates := w.svc.Throttle
		w.svc.Throttle = brokenSuccesses{gates}
		for range 40 {
			result, err := w.guess(host(1), "ada@example.com", goodPassword, nil)
			w.wantsLogin(result, err, "unavailable")
		}
		if got := w.sessions(); got != 0 {
			t.Errorf("sessions: got %d, want none", got)
		}
		w.svc.Throttle = gates
		result, err := w.guess(host(1), "ada@example.com", goodPassword, nil)
		w.wantsLogin(result, err, "session")
	})
}
