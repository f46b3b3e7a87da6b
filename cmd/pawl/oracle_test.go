package main_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/pawltest"
	"github.com/pawlauth/pawl/internal/redistest"
)

// cause is one of the reasons for which a login fails.
type cause struct{ name, email, password string }

const (
	rounds = 7
	floor  = 1500 * time.Millisecond // what a login takes at least: more than any check on a busy machine
	// blur is how far the times may lie apart: what a busy machine adds to a sleep.
	blur = 100 * time.Millisecond
)

// TestOneAnswerForEveryCause: whatever is wrong with a login, the answer is the
// same byte for byte, and comes after the same time.
func TestOneAnswerForEveryCause(t *testing.T) {
	t.Parallel()
	dir, env := environment(t)
	env["PAWL_REDIS_URL"], env["PAWL_DATABASE_URL"] = redistest.Server(t).URL(), databasetest.PostgresURL(t)
	maps.Copy(env, behindProxy("PAWL_LOGIN_MIN_DURATION", floor.String(), "PAWL_LOGIN_NETWORK_RATE", "off", "PAWL_LOGIN_ACCOUNT_SCHEDULE", "off", "PAWL_LOG_LEVEL", "debug"))
	operate(t, dir, env, "", "migrate", "up")
	causes := accountsOfAllKinds(t, dir, env)
	p, url := servePlain(t, dir, env)
	for attempt := range 3 { // a machine that stood still for a moment has another chance
		times := measure(t, url, causes)
		slowest := slices.MaxFunc(causes, func(a, b cause) int { return int(times[a.name] - times[b.name]) }).name
		fastest := slices.MinFunc(causes, func(a, b cause) int { return int(times[a.name] - times[b.name]) }).name
		t.Logf("the times lie between %s (%s) and %s (%s)", times[fastest], fastest, times[slowest], slowest)
		if times[slowest]-times[fastest] <= blur {
			break
		}
		if attempt == 2 {
			t.Errorf("got the times %v, want them within %s", times, blur)
		}
	}
	p.stop()
	for _, reason := range []string{"unknown email", "wrong password", "the user is"} { // all were what they were meant to be
		if !strings.Contains(p.all.String(), reason) {
			t.Errorf("the log has no login that was refused because of %q", reason)
		}
	}
}

// servePlain starts a server of the program as it ships: under the race detector
// a password takes seconds to hash.
func servePlain(t *testing.T, dir string, env map[string]string) (p *process, url string) {
	t.Helper()
	p = startProgram(t, pawltest.Build(t), dir, list(env), "serve")
	t.Cleanup(func() { // this one does not leave its log there by itself
		if kept := os.Getenv(logDir); kept != "" {
			_ = os.WriteFile(filepath.Join(kept, t.Name()+".log"), []byte(p.all.String()), 0o600)
		}
	})
	url = "http://" + p.await(`"msg":"listening","address":"([^"]+)"`)
	p.await(`"msg":"server.ready"`)
	return p, url
}

// accountsOfAllKinds adds the accounts, and returns what fails at them.
func accountsOfAllKinds(t *testing.T, dir string, env map[string]string) []cause {
	t.Helper()
	right := strings.TrimSpace(demoPassword)
	for _, name := range []string{"good", "disabled", "deleted", "nopassword", "unreadable", "costly"} {
		operate(t, dir, env, demoPassword, "user", "add", name+"@example.com")
	}
	operate(t, dir, env, "", "user", "disable", "disabled@example.com")
	operate(t, dir, env, "", "user", "delete", "deleted@example.com")
	sum, err := bcrypt.GenerateFromPassword([]byte(right), 5)
	if err != nil {
		t.Fatal(err)
	}
	operate(t, dir, env, "bcrypt@example.com,"+string(sum)+"\n", "user", "import", "-")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, env["PAWL_DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for email, hash := range map[string]string{
		"nopassword@example.com": "",
		"unreadable@example.com": "$argon2id$v=19$m=999999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
		"costly@example.com":     "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHRzYWx0$" + strings.Repeat("aGFz", 8),
	} {
		if tag, err := conn.Exec(ctx, "UPDATE users SET password_hash = $2 WHERE normalized_email = $1", email, hash); err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("%s: %v", email, err)
		}
	}
	return []cause{
		{"unknown user", "nobody@example.com", right},
		{"wrong password", "good@example.com", "wrong horse battery staple"},
		{"disabled user", "disabled@example.com", right},
		{"deleted user", "deleted@example.com", right},
		{"user without password", "nopassword@example.com", right},
		{"no password given", "nopassword@example.com", ""},
		{"unreadable hash", "unreadable@example.com", right},
		{"over-long password", "good@example.com", strings.Repeat(right, 100)},
		{"NUL in the password", "good@example.com", right + "\x00"},
		{"not in normal form", "good@example.com", "wrong \u212borse"},
		{"imported hash, bcrypt", "bcrypt@example.com", "wrong horse battery staple"},
		{"imported hash, costly", "costly@example.com", right},
		{"no email", "", right},
		{"no email at all", strings.Repeat("x", 500), right},
		{"NUL in the email", "good@example.com\x00", right},
	}
}

// measure sends every cause in every round, in turns, so far apart that they do
// not wait for each other, and never more at a time than there are. It returns what the second
// fastest of each cause took: a busy machine makes some slower, and a cause that
// differs is slower each time. All answers must be one.
func measure(t *testing.T, url string, causes []cause) map[string]time.Duration {
	t.Helper()
	times, seen := map[string][]time.Duration{}, map[string]string{}
	var mu sync.Mutex
	var all sync.WaitGroup
	apart := time.NewTicker(floor / time.Duration(len(causes)))
	defer apart.Stop()
	open := make(chan struct{}, len(causes))
	for round := range rounds {
		for i := range causes {
			c := causes[(i+round)%len(causes)]
			open <- struct{}{}
			<-apart.C
			all.Go(func() {
				defer func() { <-open }()
				began := time.Now()
				a, err := query(url, credentials(c.email, c.password, "BODY"), from(i)...)
				took := time.Since(began)
				mu.Lock()
				defer mu.Unlock()
				times[c.name] = append(times[c.name], took)
				if err != nil || kind(a) != "InvalidCredentialsError" || took < floor {
					t.Errorf("%s: got %s (%v) after %s, want InvalidCredentialsError after %s", c.name, a.body, err, took, floor)
				}
				seen[spelt(a)] = c.name
			})
		}
	}
	all.Wait()
	if len(seen) != 1 {
		t.Errorf("got %d answers, want one: %q", len(seen), seen)
	}
	second := map[string]time.Duration{}
	for name, all := range times {
		slices.Sort(all)
		second[name] = all[1].Round(time.Millisecond)
	}
	return second
}

// spelt is all of an answer but its date.
func spelt(a answer) string {
	var b strings.Builder
	fmt.Fprintln(&b, a.status)
	header := a.header.Clone()
	header.Del("Date")
	_ = header.Write(&b)
	return b.String() + a.body
}

// TestRefusedChannelTellsNothing: a login on a channel that is closed to its
// sender is answered before anything is looked up.
func TestRefusedChannelTellsNothing(t *testing.T) {
	t.Parallel()
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"], env["PAWL_ALLOWED_ORIGINS"] = "memory", origin
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", demoUser)
	p, url := serveOne(t, dir, env)
	for name, request := range map[string][]string{
		"COOKIE without Origin": {"COOKIE"}, "COOKIE of another page": {"COOKIE", "Origin", "https://evil.example.org"}, "BODY of a page": {"BODY", "Origin", origin},
	} {
		answers := map[string]bool{}
		for _, login := range [][2]string{{demoUser, strings.TrimSpace(demoPassword)}, {demoUser, "not the password"}, {"nobody@example.com", "not the password"}} {
			a, err := query(url, credentials(login[0], login[1], request[0]), request[1:]...)
			if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "CROSS_ORIGIN_REQUEST" || a.status != http.StatusOK && a.status != http.StatusForbidden {
				t.Errorf("%s: got %d %s (%v), want CROSS_ORIGIN_REQUEST", name, a.status, a.body, err)
			}
			answers[spelt(a)] = true
		}
		if len(answers) != 1 {
			t.Errorf("%s: got %v, want one answer", name, slices.Collect(maps.Keys(answers)))
		}
	}
	p.stop()
}
