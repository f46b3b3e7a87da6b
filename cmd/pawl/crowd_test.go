package main_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/redistest"
)

// TestCrowdAtTheDoor: while 300 people log in at once, those who are inside
// refresh and read as if nobody did. The limit is one for machines that have
// much else to do; BenchmarkUnderLogins in bench/ tells the figures.
func TestCrowdAtTheDoor(t *testing.T) {
	t.Parallel()
	const (
		crowd   = 300
		longest = 1500 * time.Millisecond
	)
	dir, env := environment(t)
	env["PAWL_REDIS_URL"], env["PAWL_DATABASE_URL"] = redistest.Server(t).URL(), databasetest.PostgresURL(t)
	maps.Copy(env, behindProxy("PAWL_LOGIN_ACCOUNT_SCHEDULE", "off", "PAWL_LOGIN_SUCCESS_RATE", "off"))
	delete(env, "PAWL_ARGON2_CONCURRENCY")
	operate(t, dir, env, "", "migrate", "up")
	for _, email := range []string{demoUser, "inside@example.com"} {
		operate(t, dir, env, demoPassword, "user", "add", email)
	}
	p, url := servePlain(t, dir, env)
	right := strings.TrimSpace(demoPassword)
	inside := demands(t, url, "LoginPayload", "inside@example.com", right, "BODY", from(999)...)

	var outside sync.WaitGroup
	var away atomic.Int64
	for i := range crowd {
		outside.Go(func() {
			for deadline := time.Now().Add(patience); ; time.Sleep(time.Duration(500+rand.IntN(1000)) * time.Millisecond) {
				a, err := query(url, credentials(demoUser, right, "BODY"), from(i)...)
				switch {
				case err == nil && kind(a) == "LoginPayload":
					return
				case err != nil || kind(a) != "UNAVAILABLE":
					t.Errorf("login %d: got %s (%v), want a session, or to be asked to come back", i, a.body, err)
					return
				case time.Now().After(deadline):
					t.Errorf("login %d: not let in within %s", i, patience)
					return
				}
				away.Add(1)
			}
		})
	}
	done := make(chan struct{})
	go func() { outside.Wait(); close(done) }()

	token, access := inside.text("login", "refreshToken"), inside.text("login", "accessToken.token")
	took := map[string][]time.Duration{}
	began := time.Now()
	for open := true; open; {
		select {
		case <-done:
			open = false
		case <-time.After(10 * time.Millisecond):
		}
		sent := time.Now()
		a, err := query(url, refreshBody(token), from(999)...)
		took["refresh"] = append(took["refresh"], time.Since(sent))
		if token = a.text("refreshToken", "refreshToken"); err != nil || token == "" {
			t.Fatalf("refresh: got %s (%v), want tokens", a.body, err)
		}
		sent = time.Now()
		a, err = query(url, `{ me { id role } }`, from(999, "Authorization", "Bearer "+access)...)
		took["me"] = append(took["me"], time.Since(sent))
		if err != nil || a.text("me", "role") != "USER" {
			t.Fatalf("me: got %s (%v), want the user", a.body, err)
		}
	}
	t.Logf("%d logins in %s, %d times sent away", crowd, time.Since(began).Round(time.Millisecond), away.Load())
	for what, all := range took {
		slices.Sort(all)
		figures := fmt.Sprintf("%d times %s: p50 %s, p99 %s, at most %s", len(all), what, all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
		t.Log(figures)
		if all[len(all)*99/100] > longest {
			t.Errorf("%s, want p99 within %s", figures, longest)
		}
	}
	p.stop()
}
