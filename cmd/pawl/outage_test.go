package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/faultproxy"
)

// TestOutages takes the stores away in every way and demands that nobody is
// signed out.
func TestOutages(t *testing.T) {
	t.Parallel()
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": "0s"})
	page, app := p.login("COOKIE"), p.login("BODY")
	for _, weather := range storms() {
		when := "with PostgreSQL " + weather.String()
		p.postgres.Set(weather)
		p.turns(page, when)
		p.turns(app, when)
		p.reads(app, `{ me { id role } }`, "", when)
		p.reads(app, `{ me { email } }`, "UNAVAILABLE", when)
		p.reads(app, `{ mySessions { id } }`, "UNAVAILABLE", when)
		p.postgres.Set(faultproxy.Weather{})
	}
	for _, weather := range storms() {
		when := "with Redis " + weather.String()
		p.redis.Set(weather)
		p.refuses(page, when)
		p.refuses(app, when)
		p.reads(app, `{ me { id role email } }`, "", when)
		p.redis.Set(faultproxy.Weather{})
		p.turns(page, "after Redis was "+weather.String())
		p.turns(app, "after Redis was "+weather.String())
	}
	p.postgres.Set(faultproxy.Weather{Hang: true})
	p.redis.Set(faultproxy.Weather{Hang: true})
	p.staysIn(page, "with both stores hung")
	p.staysIn(app, "with both stores hung")
	p.postgres.Set(faultproxy.Weather{})
	p.redis.Set(faultproxy.Weather{})
	p.turns(page, "after both stores hung")
	p.turns(app, "after both stores hung")
	p.server.stop()
}

// TestFlushall empties Redis under sessions of all ages.
func TestFlushall(t *testing.T) {
	t.Parallel()
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": "0s", "PAWL_SESSION_CAP": "100"})
	var sessions []*session
	for i := range 20 {
		s := p.login([]string{"COOKIE", "BODY"}[i%2])
		for range i / 2 {
			p.turns(s, "before the loss")
		}
		sessions = append(sessions, s)
	}
	ended := p.login("BODY")
	if a, err := query(p.url, `mutation { logout(input: {refreshToken: "`+ended.refresh+`"}) { sessionId } }`); err != nil || len(a.Errors) > 0 {
		t.Fatalf("logout: %s (%v)", a.body, err)
	}
	if err := p.hot.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for i, s := range sessions {
		p.turns(s, fmt.Sprintf("of session %d after FLUSHALL", i))
	}
	if a, _ := p.send(ended); len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "REVOKED" {
		t.Errorf("a session that was logged out: got %s, want REVOKED", a.body)
	}
	p.server.stop()
}

// TestPausedRedisTurnsNothing: a command that sat in a paused server's queue
// while its client was told UNAVAILABLE must not turn the token afterwards.
func TestPausedRedisTurnsNothing(t *testing.T) {
	t.Parallel()
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": "0s"})
	s := p.login("BODY")
	p.turns(s, "before the pause")
	p.store.Stop()
	p.refuses(s, "with Redis stopped")
	time.Sleep(time.Second) // the deadline of what waits in its sockets passes
	p.store.Cont()
	p.turns(s, "after the pause") // with no grace, a turn in the queue would be reuse now
	p.server.stop()
}

// TestDumpHoldsNothing reads everything that a full life of sessions left in
// both stores.
func TestDumpHoldsNothing(t *testing.T) {
	t.Parallel()
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": "0s"})
	secrets := []string{strings.TrimSpace(demoPassword), attemptID}
	for _, delivery := range []string{"BODY", "COOKIE"} {
		s := p.login(delivery)
		for range 3 {
			secrets = append(secrets, traces(s)...)
			p.turns(s, "in a plain life")
		}
		secrets = append(secrets, traces(s)...)
	}
	s := p.login("BODY")
	a, err := query(p.url, strings.Replace(refreshBody(s.refresh), `"})`, `", attemptId: "`+attemptID+`"})`, 1))
	if err != nil || len(a.Errors) > 0 {
		t.Fatalf("refresh with attempt: %s (%v)", a.body, err)
	}
	secrets = append(secrets, traces(s)...)
	p.server.stop() // writes the checkpoints

	tables, err := dumpTables(t.Context(), p.database)
	if err != nil {
		t.Fatal(err)
	}
	dump := dumpRedis(t, p.hot) + tables
	if !strings.Contains(dump, "demo@example.com") || !strings.Contains(dump, "Go-http-client") {
		t.Fatalf("the dump is not whole:\n%s", dump)
	}
	for _, secret := range secrets {
		if strings.Contains(dump, secret) {
			t.Errorf("the dump holds %q", secret)
		}
	}
}

const attemptID = "attempt-id-of-a-client-0123"

func dumpRedis(t *testing.T, client *redis.Client) string {
	t.Helper()
	var dump strings.Builder
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		var value any
		kind, err := client.Type(t.Context(), key).Result()
		if err == nil && kind == "string" {
			value, err = client.Get(t.Context(), key).Result()
		} else if err == nil {
			value, err = client.HGetAll(t.Context(), key).Result()
		}
		if err != nil {
			t.Fatal(err)
		}
		ttl, err := client.TTL(t.Context(), key).Result()
		if err != nil || ttl <= 0 {
			t.Errorf("key %s: got TTL %s (%v), want one", key, ttl, err)
		}
		fmt.Fprintln(&dump, key, value)
	}
	return dump.String()
}

// TestRevocationReachesTheOtherServer: an access token dies everywhere within
// a second of its session, and with the news cut off, within the stale limit.
func TestRevocationReachesTheOtherServer(t *testing.T) {
	t.Parallel()
	const stale = time.Second
	p := newPlant(t, map[string]string{"PAWL_REVOCATION_STALE_AFTER": stale.String(), "PAWL_SESSION_CAP": "100", "PAWL_REUSE_GRACE": "0s"})
	other, url := p.twin()
	living := p.login("BODY")
	rejected := func(s *session, limit time.Duration, when string) {
		t.Helper()
		if a, err := query(url, `mutation { logout(input: {refreshToken: "`+s.refresh+`"}) { sessionId } }`); err != nil || len(a.Errors) > 0 {
			t.Fatalf("logout: %s (%v)", a.body, err)
		}
		for began := time.Now(); ; {
			a, err := query(p.url, `{ me { id } }`, "Authorization", "Bearer "+s.access)
			switch {
			case err != nil:
				t.Fatal(err)
			case len(a.Errors) == 1 && a.Errors[0].Extensions.Reason == "SESSION_REVOKED":
				return
			case len(a.Errors) > 0:
				t.Fatalf("%s: got %s, want an answer or SESSION_REVOKED", when, a.body)
			case time.Since(began) > limit:
				t.Fatalf("%s: the access token lives %s after the logout", when, time.Since(began))
			}
		}
	}
	for range 20 {
		s := p.login("BODY")
		p.reads(s, `{ me { id } }`, "", "before the logout")
		rejected(s, time.Second, "with all in order")
	}
	for _, weather := range storms() {
		s := p.login("BODY")
		p.redis.Set(weather)
		rejected(s, stale+hangs, "with Redis "+weather.String())
		p.reads(living, `{ me { id } }`, "", "of a living session with Redis "+weather.String())
		p.redis.Set(faultproxy.Weather{})
		p.turns(living, "after Redis was "+weather.String())
	}
	other.stop()
	p.server.stop()
}
