package main_test

import (
	"context"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/redistest"
)

// hangs is the longest that an answer may take when a store does not: three
// seconds by contract, and what a busy machine adds.
const hangs = 4 * time.Second

// storms are the ways in which a network takes a store away.
func storms() []faultproxy.Weather {
	return []faultproxy.Weather{{Cut: true}, {Hang: true}}
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
	redis, postgres *faultproxy.Proxy
	store           *redistest.Proc
	hot             *redis.Client // past the proxy
	database        string        // past the proxy
	server          *process
	dir             string
	env             map[string]string
}

func newPlant(t *testing.T, settings map[string]string) *plant {
	t.Helper()
	return newPlantOn(t, databasetest.PostgresURL(t), settings)
}

// newPlantOn is a plant on a database without any schema.
func newPlantOn(t *testing.T, database string, settings map[string]string) *plant {
	t.Helper()
	dir, env := environment(t)
	store := redistest.Server(t)
	p := &plant{
		t: t, redis: faultproxy.New(t, store.Addr()), postgres: faultproxy.New(t, host(t, database)), store: store,
		hot: redis.NewClient(&redis.Options{Addr: store.Addr()}), database: database,
	}
	t.Cleanup(func() { _ = p.hot.Close() })
	env["PAWL_DATABASE_URL"] = p.postgres.Through(database)
	env["PAWL_REDIS_URL"] = p.redis.Through(store.URL())
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
	env["PAWL_DATABASE_URL"], env["PAWL_REDIS_URL"] = p.database, p.store.URL()
	return serveOne(p.t, p.dir, env)
}

// session is one client's tokens.
type session struct{ id, cookie, refresh, access string }

func (p *plant) login(delivery string) *session {
	p.t.Helper()
	a, err := query(p.url, strings.Replace(loginBody, "BODY", delivery, 1), headersOf(delivery)...)
	if err != nil || len(a.Errors) > 0 {
		p.t.Fatalf("login: %s (%v)", a.body, err)
	}
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return &session{id: a.text("login", "session.id"), cookie: cookie, refresh: a.text("login", "refreshToken"), access: a.text("login", "accessToken.token")}
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

// ledgerSays waits until a query about a session has an answer.
func (p *plant) ledgerSays(query, sessionID, want string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.database)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for got := ""; got != want; time.Sleep(5 * time.Millisecond) {
		if err := conn.QueryRow(ctx, query, sessionID).Scan(&got); err != nil {
			p.t.Fatalf("%s: got %q (%v), want %q", query, got, err, want)
		}
	}
}
