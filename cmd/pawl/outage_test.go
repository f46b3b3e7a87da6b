package main_test

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/database/databasetest"
)

// hangs is the longest that an answer may take when a store does not: three
// seconds by contract, and what a busy machine adds.
const hangs = 4 * time.Second

// proxy stands between a server and a store.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	state string // "", "cut" or "hang"
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close(); p.set("cut") })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(conn)
		}
	}()
	return p
}

// set changes what happens to all connections; "cut" ends the ones there are.
func (p *proxy) set(state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = state
	if state != "hang" { // what hung is not delivered late
		for conn := range p.conns {
			_ = conn.Close()
		}
		clear(p.conns)
	}
}

// keep registers a connection; false when it must not be.
func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == "cut" {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *proxy) hanging() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.state == "hang" }

func (p *proxy) carry(in net.Conn) {
	if !p.keep(in) {
		return
	}
	out, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(out) {
		_ = in.Close()
		return
	}
	go p.copy(out, in)
	p.copy(in, out)
}

// copy carries bytes; while the proxy hangs, it swallows them.
func (p *proxy) copy(to, from net.Conn) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.hanging() {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// through is a store's URL by way of the proxy.
func (p *proxy) through(t *testing.T, store string) string {
	t.Helper()
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = p.listener.Addr().String()
	return u.String()
}

func host(t *testing.T, store string) string {
	t.Helper()
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// plant is one server between two stores that can fail.
type plant struct {
	t               *testing.T
	url             string
	redis, postgres *proxy
	hot             *redis.Client // past the proxy
	database        string        // past the proxy
	server          *process
	dir             string
	env             map[string]string
}

func newPlant(t *testing.T, settings map[string]string) *plant {
	t.Helper()
	dir, env := environment(t)
	database := databasetest.PostgresURL(t)
	address := redisServer(t, "save \"\"\n")
	p := &plant{
		t: t, redis: newProxy(t, address), postgres: newProxy(t, host(t, database)),
		hot: redis.NewClient(&redis.Options{Addr: address}), database: database,
	}
	t.Cleanup(func() { _ = p.hot.Close() })
	env["PAWL_DATABASE_URL"] = p.postgres.through(t, database)
	env["PAWL_REDIS_URL"] = p.redis.through(t, "redis://"+address)
	env["PAWL_ALLOWED_ORIGINS"], env["PAWL_LOG_LEVEL"] = origin, "debug"
	for name, value := range settings {
		env[name] = value
	}
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", "demo@example.com")
	p.dir, p.env = dir, env
	p.server, p.url = serveOne(t, dir, env)
	return p
}

// twin is another server on the same stores, past the proxies.
func (p *plant) twin() (*process, string) {
	p.t.Helper()
	env := maps.Clone(p.env)
	env["PAWL_DATABASE_URL"], env["PAWL_REDIS_URL"] = p.database, "redis://"+p.hot.Options().Addr
	return serveOne(p.t, p.dir, env)
}

// session is one client's tokens.
type session struct{ cookie, refresh, access string }

func (p *plant) login(delivery string) *session {
	p.t.Helper()
	a, err := query(p.url, strings.Replace(loginBody, "BODY", delivery, 1), headersOf(delivery)...)
	if err != nil || len(a.Errors) > 0 {
		p.t.Fatalf("login: %s (%v)", a.body, err)
	}
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return &session{cookie: cookie, refresh: a.text("login", "refreshToken"), access: a.text("login", "accessToken.token")}
}

func headersOf(delivery string) []string {
	if delivery == "COOKIE" {
		return []string{"Origin", origin}
	}
	return nil
}

func (p *plant) send(s *session) (answer, time.Duration) {
	p.t.Helper()
	began := time.Now()
	a, err := query(p.url, refreshBody(s.refresh))
	if s.cookie != "" {
		began = time.Now()
		a, err = refreshCookie(p.url, s.cookie)
	}
	if err != nil {
		p.t.Fatalf("refresh: %v", err)
	}
	return a, time.Since(began)
}

// turns demands that the session refreshes and gets another token.
func (p *plant) turns(s *session, when string) {
	p.t.Helper()
	a, _ := p.send(s)
	if len(a.Errors) > 0 || a.Data["refreshToken"]["rotated"] != true {
		p.t.Fatalf("refresh %s: got %s, want a turn", when, a.body)
	}
	s.refresh = a.text("refreshToken", "refreshToken")
	if set := a.header.Get("Set-Cookie"); set != "" {
		s.cookie, _, _ = strings.Cut(set, ";")
	}
}

// refuses demands UNAVAILABLE in time, and that the cookie is left alone.
func (p *plant) refuses(s *session, when string) {
	p.t.Helper()
	a, took := p.send(s)
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAVAILABLE" || len(a.header.Values("Set-Cookie")) > 0 {
		p.t.Errorf("refresh %s: got %s with cookies %q, want UNAVAILABLE and the cookie untouched", when, a.body, a.header.Values("Set-Cookie"))
	}
	if took > hangs {
		p.t.Errorf("refresh %s took %s, want 3 s at most", when, took)
	}
}

func (p *plant) reads(s *session, text, code, when string) {
	p.t.Helper()
	began := time.Now()
	a, err := query(p.url, text, "Authorization", "Bearer "+s.access)
	got := ""
	if len(a.Errors) > 0 {
		got = a.Errors[0].Extensions.Code
	}
	if err != nil || got != code {
		p.t.Errorf("%s %s: got %s (%v), want code %q", text, when, a.body, err, code)
	}
	if took := time.Since(began); took > hangs {
		p.t.Errorf("%s %s took %s, want 3 s at most", text, when, took)
	}
}

// TestOutages takes the stores away in every way and demands that nobody is
// signed out.
func TestOutages(t *testing.T) {
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": "0s"})
	page, app := p.login("COOKIE"), p.login("BODY")
	for _, state := range []string{"cut", "hang"} {
		when := "with PostgreSQL in state " + state
		p.postgres.set(state)
		p.turns(page, when)
		p.turns(app, when)
		p.reads(app, `{ me { id role } }`, "", when)
		p.reads(app, `{ me { email } }`, "UNAVAILABLE", when)
		p.reads(app, `{ mySessions { id } }`, "UNAVAILABLE", when)
		p.postgres.set("")
	}
	for _, state := range []string{"cut", "hang"} {
		when := "with Redis in state " + state
		p.redis.set(state)
		p.refuses(page, when)
		p.refuses(app, when)
		p.reads(app, `{ me { id role email } }`, "", when)
		p.redis.set("")
		p.turns(page, "after Redis was in state "+state)
		p.turns(app, "after Redis was in state "+state)
	}
	p.postgres.set("hang")
	p.redis.set("hang")
	p.staysIn(page, "with both stores hung")
	p.staysIn(app, "with both stores hung")
	p.postgres.set("")
	p.redis.set("")
	p.turns(page, "after both stores hung")
	p.turns(app, "after both stores hung")
	p.server.stop()
}

// staysIn demands of a logout what refuses demands of a refresh.
func (p *plant) staysIn(s *session, when string) {
	p.t.Helper()
	text, headers := `mutation { logout(input: {refreshToken: "`+s.refresh+`"}) { sessionId } }`, []string(nil)
	if s.cookie != "" {
		text, headers = `mutation { logout { sessionId } }`, []string{"Origin", origin, "Cookie", s.cookie}
	}
	began := time.Now()
	a, err := query(p.url, text, headers...)
	took := time.Since(began)
	if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAVAILABLE" || len(a.header.Values("Set-Cookie")) > 0 {
		p.t.Errorf("logout %s: got %s (%v) with cookies %q, want UNAVAILABLE and the cookie untouched", when, a.body, err, a.header.Values("Set-Cookie"))
	}
	if took > hangs {
		p.t.Errorf("logout %s took %s, want 3 s at most", when, took)
	}
}

// TestFlushall empties Redis under sessions of all ages.
func TestFlushall(t *testing.T) {
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
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": "0s"})
	s := p.login("BODY")
	p.turns(s, "before the pause")
	info, err := p.hot.Info(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	_, after, _ := strings.Cut(info, "process_id:")
	if _, err := fmt.Sscanf(after, "%d", &pid); err != nil {
		t.Fatal(err)
	}
	server, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.refuses(s, "with Redis stopped")
	time.Sleep(time.Second) // the deadline of what waits in its sockets passes
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.turns(s, "after the pause") // with no grace, a turn in the queue would be reuse now
	p.server.stop()
}

// TestDumpHoldsNothing reads everything that a full life of sessions left in
// both stores.
func TestDumpHoldsNothing(t *testing.T) {
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
		fields, err := client.HGetAll(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		ttl, err := client.TTL(t.Context(), key).Result()
		if err != nil || ttl <= 0 {
			t.Errorf("key %s: got TTL %s (%v), want one", key, ttl, err)
		}
		fmt.Fprintln(&dump, key, fields)
	}
	return dump.String()
}

// TestRevocationReachesTheOtherServer: an access token dies everywhere within
// a second of its session, and with the news cut off, within the stale limit.
func TestRevocationReachesTheOtherServer(t *testing.T) {
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
	for _, state := range []string{"cut", "hang"} {
		s := p.login("BODY")
		p.redis.set(state)
		rejected(s, stale+hangs, "with Redis in state "+state)
		p.reads(living, `{ me { id } }`, "", "of a living session with Redis in state "+state)
		p.redis.set("")
		p.turns(living, "after Redis was in state "+state)
	}
	other.stop()
	p.server.stop()
}
