package main_test

import (
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/pawltest"
	"github.com/pawlauth/pawl/internal/proctest"
)

// operate runs a command to its end and returns what it printed.
func operate(t *testing.T, dir string, env map[string]string, stdin string, args ...string) (out string) {
	t.Helper()
	return pawltest.Program{Path: "pawl", Dir: dir, Env: list(env)}.Run(t, stdin, args...)
}

// serveOne starts a server and returns its URL when it is ready.
func serveOne(t *testing.T, dir string, env map[string]string) (*process, string) {
	t.Helper()
	p := start(t, dir, list(env), "serve")
	url := "http://" + p.await(`"msg":"listening","address":"([^"]+)"`)
	p.await(`"msg":"server.ready"`)
	return p, url
}

// stop ends a server as a supervisor does.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	code, log := p.end()
	if code != 0 {
		p.t.Errorf("got exit %d after SIGTERM, want 0; log:\n%s", code, log)
	}
	if strings.Contains(log, "pawl_rt1_") || strings.Contains(log, "eyJ") || strings.Contains(log, "correct horse") {
		p.t.Errorf("the log holds a secret:\n%s", log)
	}
}

const demoPassword = "correct horse battery staple\n"

// TestServeWithSessionsInMemory is a single node without Redis.
func TestServeWithSessionsInMemory(t *testing.T) {
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"] = "memory"
	env["PAWL_LOG_LEVEL"] = "debug"
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", "demo@example.com")
	env["PAWL_ALLOWED_ORIGINS"] = "https://app.example.org"
	p, url := serveOne(t, dir, env)

	refused(t, dir, env, "PAWL_SESSION_STORE", "there can be one", "")

	for path, want := range map[string]int{"/explorer": 404, "/": 404, "/readyz": 200, "/livez": 200} {
		if got := status(t, url+path); got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	a, err := query(url, `{ __schema { types { name } } }`)
	if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "INTROSPECTION_DISABLED" {
		t.Errorf("introspection: got %s (%v), want INTROSPECTION_DISABLED", a.body, err)
	}
	a, err = query(url, strings.Replace(loginBody, "BODY", "COOKIE", 1), "Origin", "https://app.example.org")
	cookie := a.header.Get("Set-Cookie")
	if err != nil || !strings.HasPrefix(cookie, "__Host-pawl-refresh=pawl_rt1_") || !strings.HasSuffix(cookie, "; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict") && !strings.Contains(cookie, "Max-Age=604799") {
		t.Errorf("login: got cookie %q (%v), want __Host-pawl-refresh with all attributes", cookie, err)
	}
	if a, err = query(url, loginBody, "Origin", "https://evil.example.org"); err != nil || a.status != http.StatusForbidden {
		t.Errorf("unlisted origin: got %d %s (%v), want 403", a.status, a.body, err)
	}
	p.stop()
}

// TestOneServerWithSessionsInMemory: on PostgreSQL too there is one.
func TestOneServerWithSessionsInMemory(t *testing.T) {
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"], env["PAWL_DATABASE_URL"] = "memory", databasetest.PostgresURL(t)
	operate(t, dir, env, "", "migrate", "up")
	p, url := serveOne(t, dir, env)
	refused(t, dir, env, "PAWL_SESSION_STORE", "there can be one", "")
	if got := status(t, url+"/readyz"); got != http.StatusOK {
		t.Errorf("the first server: got %d, want 200", got)
	}
	p.stop()
	p, _ = serveOne(t, dir, env) // the lease was given back
	p.stop()
}

func TestServeWithoutOrigins(t *testing.T) {
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"] = "memory"
	operate(t, dir, env, "", "migrate", "up")
	p := start(t, dir, list(env), "serve")
	p.await("PAWL_ALLOWED_ORIGINS is empty")
	p.await(`"msg":"server.ready"`)
	p.stop()
}

// redisURL is the test server's.
func redisURL(t *testing.T) string {
	t.Helper()
	return proctest.Service(t, "PAWL_TEST_REDIS_URL")
}

// TestTwoServers share one Redis and one PostgreSQL.
func TestTwoServers(t *testing.T) {
	dir, env := environment(t)
	env["PAWL_REDIS_URL"], env["PAWL_DATABASE_URL"] = redisURL(t), databasetest.PostgresURL(t)
	env["PAWL_LOG_LEVEL"] = "debug"
	refused(t, dir, env, "PAWL_DATABASE_URL", "pawl migrate up", "")
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", "demo@example.com")
	one, first := serveOne(t, dir, env)
	two, second := serveOne(t, dir, env)
	operate(t, dir, map[string]string{"PAWL_ADDR": strings.TrimPrefix(first, "http://")}, "", "healthcheck")

	login, err := query(first, loginBody)
	token := login.text("login", "refreshToken")
	if err != nil || token == "" {
		t.Fatalf("login: got %s (%v)", login.body, err)
	}
	successor, access := refreshMany(t, []string{first, second}, token)
	a, err := query(second, `{ me { id role } }`, "Authorization", "Bearer "+access)
	if err != nil || a.text("me", "role") != "USER" {
		t.Errorf("me on the other server: got %s (%v)", a.body, err)
	}
	if out := operate(t, dir, env, "", "session", "list", "demo@example.com", "--json"); strings.Count(out, `"delivery"`) != 1 {
		t.Errorf("got sessions %s, want one", out)
	}

	a, err = query(first, `mutation { logout(input: {refreshToken: "`+successor+`"}) { sessionId } }`)
	if err != nil || a.text("logout", "sessionId") != login.text("login", "session.id") {
		t.Errorf("logout: got %s (%v), want the session", a.body, err)
	}
	ended(t, second, successor)

	// The operator reaches the servers' Redis.
	login, err = query(second, loginBody)
	if err != nil {
		t.Fatal(err)
	}
	out := operate(t, dir, env, "", "session", "revoke", login.text("login", "session.id"))
	if !strings.Contains(out, "sessions ended: 1") || !strings.Contains(out, "Running servers refuse their tokens at once") {
		t.Errorf("session revoke: got %q", out)
	}
	ended(t, first, login.text("login", "refreshToken"))
	one.stop()
	two.stop()
}

// refreshMany sends 64 refreshes with one token over all servers at once: all
// are answered, with one successor, by one turn.
func refreshMany(t *testing.T, urls []string, token string) (successor, access string) {
	t.Helper()
	const requests = 64
	answers := make([]answer, requests)
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			var err error
			if answers[i], err = query(urls[i%len(urls)], refreshBody(token)); err != nil {
				t.Errorf("refresh: %v", err)
			}
		})
	}
	all.Wait()
	turned, successors := 0, map[string]int{}
	for _, a := range answers {
		got := a.text("refreshToken", "refreshToken")
		if got == "" {
			t.Errorf("refresh: got %s, want tokens", a.body)
		}
		successors[got]++
		if a.Data["refreshToken"]["rotated"] == true {
			turned++
		}
	}
	if turned != 1 || len(successors) != 1 {
		t.Fatalf("got %d turns and %d distinct successors, want one of each", turned, len(successors))
	}
	return answers[0].text("refreshToken", "refreshToken"), answers[0].text("refreshToken", "accessToken.token")
}

// ended checks that a session is over.
func ended(t *testing.T, url, token string) {
	t.Helper()
	a, err := query(url, refreshBody(token))
	if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "REFRESH_TOKEN_INVALID" || a.Errors[0].Extensions.Reason != "REVOKED" {
		t.Errorf("refresh of an ended session: got %s (%v), want REFRESH_TOKEN_INVALID and REVOKED", a.body, err)
	}
}
