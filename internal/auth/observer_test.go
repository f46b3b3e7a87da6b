package auth_test

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/auth"
	"github.com/pawlauth/pawl/internal/password"
	"github.com/pawlauth/pawl/internal/secret"
	"github.com/pawlauth/pawl/internal/session"
	"github.com/pawlauth/pawl/internal/throttle"
)

// seen is what an observer was told since the last look.
type seen struct {
	mu    sync.Mutex
	words map[string]int
}

func (s *seen) note(word string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.words == nil {
		s.words = map[string]int{}
	}
	s.words[word]++
}

func (s *seen) observer() auth.Observer {
	return auth.Observer{
		Refresh: func(o session.Outcome, _ time.Duration) { s.note("refresh " + string(o)) },
		Login:   func(o auth.LoginOutcome, _ time.Duration) { s.note("login " + string(o)) },
		Ended:   func(r session.Reason) { s.note("ended " + string(r)) },
	}
}

// saw demands the words since the last look, each as often as it stands there.
func (w *world) saw(want ...string) {
	w.Helper()
	w.seen.mu.Lock()
	defer w.seen.mu.Unlock()
	counts := map[string]int{}
	for _, word := range want {
		counts[word]++
	}
	if !maps.Equal(w.seen.words, counts) {
		w.Errorf("observed: got %v, want %v", w.seen.words, counts)
	}
	w.seen.words = map[string]int{}
}

func TestRefreshesAreObserved(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		w.saw("login succeeded")
		first := c.token
		c.refresh()
		c.refresh()
		c.same(first, "", c.token)
		w.saw("refresh rotated", "refresh unchanged", "refresh replayed")

		_, _ = w.svc.Refresh(t.Context(), phone, nil)
		_, _ = w.svc.Refresh(t.Context(), auth.Caller{}, nil)
		w.saw("refresh rejected", "refresh rejected") // a phone has no cookie jar
		_, _ = w.svc.Refresh(t.Context(), browser, nil)
		_, _ = c.send(c.token, "short")
		c.wants(secret.New("x"), auth.ErrRefreshMalformed)
		w.saw("refresh absent", "refresh rejected", "refresh malformed")

		w.hot.down.Store(true)
		c.wants(c.token, auth.ErrUnavailable)
		w.hot.down.Store(false)
		w.saw("refresh unavailable")

		w.hot.flush()
		c.refresh()
		w.saw("refresh recovered")

		w.clock.step(time.Minute)
		c.turn()
		w.saw("refresh rotated")
		c.wants(first, auth.ErrRefreshReused)
		c.wants(first, auth.ErrRefreshRevoked)
		w.saw("refresh reuse", "ended reuse", "refresh tombstone")

		other := w.login(phone)
		cookie := browser
		cookie.RefreshCookies = []secret.Text{other.token}
		if _, err := w.svc.Refresh(t.Context(), cookie, nil); !errors.Is(err, auth.ErrRefreshBinding) {
			t.Errorf("wrong channel: got %v", err)
		}
		w.saw("login succeeded", "refresh binding", "ended binding")
	})
}

func TestLoginsAreObserved(t *testing.T) {
	each(t, func(w *world) {
		w.tryLogin(phone, "not the password")
		if _, err := w.svc.Login(t.Context(), phone, auth.LoginInput{RefreshTokenDelivery: session.DeliveryCookie}); !errors.Is(err, auth.ErrCrossOrigin) {
			t.Errorf("closed channel: got %v", err)
		}
		w.saw("login invalid", "login rejected")
		w.hot.down.Store(true)
		in := auth.LoginInput{Email: secret.New("ada@example.com"), Password: secret.New(goodPassword), RefreshTokenDelivery: session.DeliveryBody}
		if _, err := w.svc.Login(t.Context(), phone, in); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("login without a store: got %v", err)
		}
		w.saw("login unavailable", "ended aborted")
	})
}

// One worker and a queue of four: of many logins at once some are refused, and
// that is told apart from a store that does not answer.
func TestOverloadIsObserved(t *testing.T) {
	w := newWorld(t)
	slow, err := password.New(password.Params{MemoryKiB: 16 << 10, Time: 2, Parallelism: 1}, 1)
	w.must(err)
	w.svc.Hasher = slow
	var all sync.WaitGroup
	for range 24 {
		all.Go(func() {
			in := auth.LoginInput{Email: secret.New("nobody@example.com"), Password: secret.New("not the password"), RefreshTokenDelivery: session.DeliveryBody}
			if _, err := w.svc.Login(t.Context(), phone, in); err != nil && !errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("login: got %v, want ErrUnavailable where there are too many", err)
			}
		})
	}
	all.Wait()
	invalid, overloaded := w.seen.words["login invalid"], w.seen.words["login overloaded"]
	if invalid == 0 || overloaded == 0 || invalid+overloaded != 24 {
		t.Errorf("observed: got %v, want some invalid, some overloaded, 24 together", w.seen.words)
	}
}

// Whoever finds no place in the hashing queue asks the database nothing, which is
// down here, and gives back what it took at the gates.
func TestNoPlaceNoLookup(t *testing.T) {
	w := newWorld(t)
	w.loginSchedule = throttle.Schedule{{Failures: 1, Pause: time.Hour}}
	w.restart()
	for { // until the queue is full
		turn, err := w.svc.Hasher.Enter("")
		if errors.Is(err, password.ErrOverloaded) {
			break
		}
		w.must(err)
		defer turn.Leave()
	}
	w.dbDown.Store(true)
	in := auth.LoginInput{Email: secret.New("ada@example.com"), Password: secret.New(goodPassword), RefreshTokenDelivery: session.DeliveryBody}
	for range 3 {
		if _, err := w.svc.Login(t.Context(), phone, in); !errors.Is(err, password.ErrOverloaded) || !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("login: got %v, want ErrOverloaded within ErrUnavailable", err)
		}
	}
	w.saw("login overloaded", "login overloaded", "login overloaded")
}

// A database that is slow keeps nobody from hashing: logins that wait for it do
// not hold the slot.
func TestSlowLookupsHoldNoSlot(t *testing.T) {
	w := newWorld(t)
	one, err := password.New(password.Params{MemoryKiB: 64, Time: 1, Parallelism: 1}, 1)
	w.must(err)
	w.svc.Hasher = one
	arrived, goOn := make(chan struct{}), make(chan struct{})
	w.must(w.db.Callback().Query().Before("gorm:query").Register("slow", func(db *gorm.DB) {
		if db.Statement.Table == "users" {
			arrived <- struct{}{}
			<-goOn
		}
	}))
	var logins sync.WaitGroup
	for range 4 {
		logins.Go(func() { w.tryLogin(phone, goodPassword) })
	}
	for range 4 { // all of them look, one slot or not
		<-arrived
	}
	turn, err := one.Enter("")
	w.must(err)
	if _, err := turn.Hash(t.Context(), secret.New(goodPassword)); err != nil {
		t.Errorf("a hash meanwhile: %v", err)
	}
	turn.Leave()
	close(goOn)
	logins.Wait()
}

// Every session is counted once, whoever has to hear of its end again.
func TestEndsAreObservedOnce(t *testing.T) {
	each(t, func(w *world) {
		one, two := w.login(phone), w.login(phone)
		w.login(phone)
		w.login(phone)
		claims, err := w.svc.Authenticate(t.Context(), auth.Caller{AccessToken: two.access})
		w.must(err)
		w.saw("login succeeded", "login succeeded", "login succeeded", "login succeeded")

		for range 2 {
			_, err = w.svc.Logout(t.Context(), phone, &auth.LogoutInput{RefreshToken: &one.token})
			w.must(err)
		}
		w.saw("ended logout")
		_, err = w.svc.RevokeAllSessions(t.Context(), phone, claims, nil)
		w.must(err)
		w.saw("ended revoked", "ended revoked")
		w.must(w.svc.TakeOver(t.Context()))
		w.svc.Settle(t.Context())
		w.saw()
		w.restart()
		w.hot.flush()
		one.wants(one.token, auth.ErrRefreshRevoked) // the ledger tells it to a store that forgot
		two.refresh()
		w.svc.Settle(t.Context()) // a tombstone is repeated to the ledger
		paid := w.svc.Stats().RepairsPaid
		w.saw("refresh tombstone", "refresh recovered")

		w.dbDown.Store(true) // the store alone takes it, the ledger later
		_, err = w.svc.Logout(t.Context(), phone, &auth.LogoutInput{RefreshToken: &two.token})
		w.must(err)
		if got := w.svc.Stats(); got.RepairsWaiting != 1 || got.RepairsPaid != paid {
			t.Errorf("with the ledger down: got %+v, want one end that waits", got)
		}
		w.dbDown.Store(false)
		w.svc.Settle(t.Context())
		w.saw("ended logout")
		if got := w.svc.Stats(); got.RepairsWaiting != 0 || got.RepairsPaid != paid+1 {
			t.Errorf("with the ledger back: got %+v, want the end paid", got)
		}
	})
}

func TestStats(t *testing.T) {
	each(t, func(w *world) {
		c := w.login(phone)
		c.refresh()
		if got := w.svc.Stats().CheckpointsWaiting; got != 1 {
			t.Errorf("checkpoints waiting: got %d, want 1", got)
		}
		if got := w.svc.Stats().AuditWaiting; got != 2 {
			t.Errorf("events waiting: got %d, want login and session", got)
		}
		w.must(w.audit.Flush(t.Context()))
		w.svc.Flush(t.Context())
		stale := w.clock.now().Add(-time.Minute)
		w.feed.stopped.Store(&stale)
		c.authenticates(nil)
		c.authenticates(nil)
		want := auth.Stats{StaleLookups: 1} // the second answer is the first one's
		if got := w.svc.Stats(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// The words of metrics are lists of their own: none twice, none empty.
func TestWordsAreDistinct(t *testing.T) {
	var all []string
	for _, o := range session.Outcomes() {
		all = append(all, "refresh "+string(o))
	}
	for _, o := range auth.LoginOutcomes() {
		all = append(all, "login "+string(o))
	}
	for _, r := range session.Reasons() {
		all = append(all, "ended "+string(r))
	}
	slices.Sort(all)
	if distinct := slices.Compact(slices.Clone(all)); !slices.Equal(all, distinct) {
		t.Errorf("a word stands twice in %v", all)
	}
}
