package ledger_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/ledger"
)

// shortLife is how long the leases of these tests live.
const shortLife = 4 * time.Second

// watch looks all the time whether two leases are valid at once.
func watch(t *testing.T, leases func() []*ledger.Lease) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			valid := 0
			for _, l := range leases() {
				if l.Valid() {
					valid++
				}
			}
			if valid > 1 {
				t.Errorf("%d leases are valid at once, want one at most", valid)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return func() { cancel(); <-done }
}

func lost(l *ledger.Lease) bool {
	select {
	case <-l.Lost():
		return true
	default:
		return false
	}
}

// proxied is a migrated database, and a handle on it through a proxy.
func proxied(t *testing.T) (db, behind *gorm.DB, proxy *faultproxy.Proxy) {
	t.Helper()
	direct := databasetest.PostgresURL(t)
	target, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	db = open(t, direct)
	migrate(t, db)
	proxy = faultproxy.New(t, target.Host)
	return db, open(t, proxy.Through(direct)), proxy
}

func acquire(t *testing.T, db *gorm.DB) *ledger.Lease {
	t.Helper()
	lease, err := ledger.AcquireShortLease(t.Context(), db, shortLife, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lease.Release() })
	return lease
}

// TestLeaseSurvivesItsConnections: a lease needs no connection of its own.
func TestLeaseSurvivesItsConnections(t *testing.T) {
	t.Parallel()
	db, behind, proxy := proxied(t)
	lease := acquire(t, behind)
	for began := time.Now(); time.Since(began) < 2*shortLife; time.Sleep(shortLife / 4) {
		proxy.Set(faultproxy.Weather{Cut: true})
		proxy.Set(faultproxy.Weather{})
		if !lease.Valid() || lost(lease) {
			t.Fatal("the lease did not outlive a broken connection")
		}
	}
	if _, err := ledger.AcquireShortLease(t.Context(), db, shortLife, nil); err == nil {
		t.Error("another server got the lease")
	}
}

// TestLeaseIsHalted: a server that cannot reach the database answers no requests
// before another may have its lease, and goes on when nobody had it.
func TestLeaseIsHalted(t *testing.T) {
	t.Parallel()
	_, behind, proxy := proxied(t)
	lease := acquire(t, behind)
	proxy.Set(faultproxy.Weather{Hang: true})
	soon(t, "a lease that is halted", func() bool { return !lease.Valid() })
	time.Sleep(shortLife) // the row expires
	if lost(lease) {
		t.Fatal("the lease is lost, although nobody took it")
	}
	proxy.Set(faultproxy.Weather{})
	soon(t, "the lease to be renewed", lease.Valid)
}

// TestLeaseIsTaken: of a server that is cut off and one that takes its lease,
// one at most answers requests at any time, and the first is told that it lost.
func TestLeaseIsTaken(t *testing.T) {
	t.Parallel()
	db, behind, proxy := proxied(t)
	first := acquire(t, behind)
	proxy.Set(faultproxy.Weather{Hang: true})
	second := make(chan *ledger.Lease, 1)
	waited := make(chan struct{})
	go func() {
		lease, err := ledger.AcquireShortLease(context.Background(), db, shortLife, func() { close(waited) })
		if err != nil {
			t.Errorf("the lease of a server that is cut off: got %v", err)
		}
		second <- lease
	}()
	<-waited
	stop := watch(t, func() []*ledger.Lease {
		leases := []*ledger.Lease{first}
		select {
		case l := <-second:
			second <- l
			leases = append(leases, l)
		default:
		}
		return leases
	})
	taken := <-second
	second <- taken
	if taken == nil {
		t.FailNow()
	}
	defer func() { _ = taken.Release() }()
	if first.Valid() {
		t.Error("the first server still answers, want none")
	}
	proxy.Set(faultproxy.Weather{})
	soon(t, "the loss", func() bool { return lost(first) })
	if first.Valid() || !taken.Valid() || lost(taken) {
		t.Error("want the second server alone to have the lease")
	}
	if err := first.Release(); err != nil {
		t.Errorf("Release of a lost lease: got %v", err)
	}
	if _, err := ledger.AcquireShortLease(t.Context(), behind, shortLife, nil); err == nil {
		t.Error("the release of a lost lease gave that of the other server away")
	}
	stop()
}

// TestLostLeaseIsNotTakenBack: a server whose lease another had meanwhile knows
// less than the database, even where it is free again.
func TestLostLeaseIsNotTakenBack(t *testing.T) {
	t.Parallel()
	db, behind, proxy := proxied(t)
	first := acquire(t, behind)
	proxy.Set(faultproxy.Weather{Hang: true})
	second, err := ledger.AcquireShortLease(t.Context(), db, shortLife, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(); err != nil {
		t.Fatal(err)
	}
	proxy.Set(faultproxy.Weather{})
	soon(t, "the loss", func() bool { return lost(first) })
	if first.Valid() {
		t.Error("a lease that another server had is valid again")
	}
}
