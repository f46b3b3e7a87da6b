package main_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/postgrestest"
)

// returns is how long logins may stay away after PostgreSQL is back. A request
// that hung may hold its connection for three seconds.
const returns = 15 * time.Second

// tryLogin is one attempt of a browser that has a cookie already.
func (p *plant) tryLogin(cookie string) (a answer, took time.Duration) {
	p.t.Helper()
	began := time.Now()
	a, err := query(p.url, strings.Replace(loginBody, "BODY", "COOKIE", 1), "Origin", origin, "Cookie", cookie)
	if err != nil {
		p.t.Fatalf("login: %v", err)
	}
	return a, time.Since(began)
}

// noLogin demands UNAVAILABLE of a login, in time, and that the cookie is left
// alone.
func (p *plant) noLogin(page *session, when string) {
	p.t.Helper()
	a, took := p.tryLogin(page.cookie)
	if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAVAILABLE" || len(a.header.Values("Set-Cookie")) > 0 {
		p.t.Errorf("login %s: got %s with cookies %q, want UNAVAILABLE and the cookie untouched", when, a.body, a.header.Values("Set-Cookie"))
	}
	if took > hangs {
		p.t.Errorf("login %s took %s, want 3 s at most", when, took)
	}
}

// leaves demands that a logout is acknowledged, and holds at once.
func (p *plant) leaves(s *session, when string) {
	p.t.Helper()
	began := time.Now()
	a, err := query(p.url, `mutation { logout(input: {refreshToken: "`+s.refresh+`"}) { sessionId } }`)
	if err != nil || len(a.Errors) > 0 || a.text("logout", "sessionId") != s.id {
		p.t.Errorf("logout %s: got %s (%v), want session %s ended", when, a.body, err, s.id)
	}
	if took := time.Since(began); took > hangs {
		p.t.Errorf("logout %s took %s, want 3 s at most", when, took)
	}
	p.left(s, when)
}

// left demands that a session is over, for its refresh and its access token.
func (p *plant) left(s *session, when string) {
	p.t.Helper()
	if a, _ := p.send(s); len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "REVOKED" {
		p.t.Errorf("refresh after a logout %s: got %s, want REVOKED", when, a.body)
	}
	p.reads(s, `{ me { id } }`, "UNAUTHENTICATED", "after a logout "+when)
}

// comesBack waits until a login succeeds, and returns for how long none did.
func (p *plant) comesBack(since time.Time, when string) time.Duration {
	p.t.Helper()
	for {
		a, _ := p.tryLogin("")
		away := time.Since(since)
		switch {
		case len(a.Errors) == 0:
			return away
		case a.Errors[0].Extensions.Code != "UNAVAILABLE":
			p.t.Fatalf("login after PostgreSQL was %s: got %s, want a session or UNAVAILABLE", when, a.body)
		case away > returns:
			p.t.Fatalf("no login for %s after PostgreSQL was %s", away, when)
		}
	}
}

// recorded is whether the ledger knows that a session ended.
const recorded = "SELECT revoked_at IS NOT NULL FROM sessions WHERE id = $1::text::uuid"

// TestPostgresFaults takes the ledger away in every way. Refreshes and logouts
// go on, logins say UNAVAILABLE, and all is well again soon after it is back.
func TestPostgresFaults(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t, "max_connections=24")
	p := newPlantOn(t, server.URL(), map[string]string{
		"PAWL_REUSE_GRACE": "0s", "PAWL_SESSION_CAP": "1000", "PAWL_LOGIN_MIN_DURATION": "0s",
	})
	weather := func(w faultproxy.Weather) func() { return func() { p.postgres.Set(w) } }
	sql := func(statements ...string) func() { return func() { server.Exec(statements...) } }
	var free func()
	const leave = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pawl'"
	for _, tt := range []struct {
		fault      string
		begin, end func()
	}{
		{"down", func() { server.End(syscall.SIGQUIT) }, server.Up},
		{"cut off", weather(faultproxy.Weather{Cut: true}), weather(faultproxy.Weather{})},
		{"hanging", weather(faultproxy.Weather{Hang: true}), weather(faultproxy.Weather{})},
		{"far too slow", weather(faultproxy.Weather{Delay: 2 * time.Second}), weather(faultproxy.Weather{})},
		{"read-only", sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
			sql("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")},
		{"closed to the role", sql("ALTER ROLE pawl CONNECTION LIMIT 0", leave), sql("ALTER ROLE pawl CONNECTION LIMIT -1")},
		{"full of others", func() { free = crowd(t, server, leave) }, func() { free() }},
	} {
		when := "with PostgreSQL " + tt.fault
		page, app, leaver := p.login("COOKIE"), p.login("BODY"), p.login("BODY")
		tt.begin()
		p.noLogin(page, when)
		p.turns(page, when)
		p.turns(app, when)
		p.reads(app, `{ me { id role } }`, "", when)
		p.leaves(leaver, when)
		p.turns(page, when)
		tt.end()
		away := p.comesBack(time.Now(), tt.fault)
		began := time.Now()
		server.Until("the logout reaches the ledger", recorded, leaver.id)
		t.Logf("PostgreSQL %s: logins after %s, the logout in the ledger after %s", tt.fault,
			away.Round(time.Millisecond), (away + time.Since(began)).Round(time.Millisecond))
		p.turns(page, "after PostgreSQL was "+tt.fault)
		p.turns(app, "after PostgreSQL was "+tt.fault)
		p.left(leaver, "with PostgreSQL "+tt.fault)
	}
	p.server.stop()
}

// crowd lets others take every connection that an ordinary role can have. free
// lets them go.
func crowd(t *testing.T, server *postgrestest.Server, leave string) (free func()) {
	t.Helper()
	server.Exec("CREATE ROLE crowd LOGIN", leave)
	var others []*pgx.Conn
	ctx := context.Background()
	began := time.Now()
	for refused := 0; refused < 20; { // pawl may snatch one in between
		conn, err := pgx.Connect(ctx, strings.Replace(server.URL(), "pawl@", "crowd@", 1))
		if err == nil {
			others, refused = append(others, conn), 0
			continue
		}
		server.Exec(leave)
		refused++
		if time.Since(began) > patience {
			t.Fatalf("others cannot take all connections: %v", err)
		}
	}
	return func() {
		for _, conn := range others {
			_ = conn.Close(ctx)
		}
	}
}

// TestSlowPostgres: a ledger that is merely slow makes logins slow, and no more.
func TestSlowPostgres(t *testing.T) {
	t.Parallel()
	p := newPlant(t, map[string]string{"PAWL_REUSE_GRACE": "0s"})
	page := p.login("COOKIE")
	p.postgres.Set(faultproxy.Weather{Delay: 100 * time.Millisecond})
	began := time.Now()
	p.turns(page, "with PostgreSQL slow")
	refresh := time.Since(began)
	began = time.Now()
	app := p.login("BODY")
	t.Logf("with 200ms per round trip: a refresh takes %s, a login %s", refresh.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	p.turns(app, "with PostgreSQL slow")
	p.reads(app, `{ me { email } }`, "", "with PostgreSQL slow")
	p.leaves(app, "with PostgreSQL slow")
	p.postgres.Set(faultproxy.Weather{})
	p.server.stop()
}

// TestPostgresRestartsUnderLoad: refreshes do not notice; a login works, or says
// UNAVAILABLE.
func TestPostgresRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	p := newPlantOn(t, server.URL(), map[string]string{
		"PAWL_REUSE_GRACE": "0s", "PAWL_SESSION_CAP": "1000", "PAWL_LOGIN_MIN_DURATION": "0s",
	})
	var load sync.WaitGroup
	var over atomic.Bool
	var turned, logins, refused atomic.Int64
	defer load.Wait()
	defer over.Store(true)
	for range 3 {
		s := p.login("BODY")
		load.Go(func() {
			for !over.Load() {
				a, err := query(p.url, refreshBody(s.refresh))
				if err != nil || a.Data["refreshToken"]["rotated"] != true {
					t.Errorf("refresh during restarts: got %s (%v), want a turn", a.body, err)
					return
				}
				s.refresh = a.text("refreshToken", "refreshToken")
				turned.Add(1)
			}
		})
	}
	for range 2 {
		load.Go(func() {
			for !over.Load() {
				a, err := query(p.url, loginBody)
				switch {
				case err == nil && len(a.Errors) == 0:
					logins.Add(1)
				case err == nil && a.Errors[0].Extensions.Code == "UNAVAILABLE":
					refused.Add(1)
				default:
					t.Errorf("login during restarts: got %s (%v), want a session or UNAVAILABLE", a.body, err)
					return
				}
			}
		})
	}
	for name, signal := range map[string]syscall.Signal{"fast": syscall.SIGINT, "immediate": syscall.SIGQUIT} {
		before := logins.Load()
		for deadline := time.Now().Add(patience); logins.Load() < before+2 && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		began := time.Now()
		server.End(signal)
		server.Up()
		up := time.Now()
		away := p.comesBack(up, "restarted ("+name+")")
		t.Logf("%s restart: PostgreSQL away for %s, logins %s longer", name, up.Sub(began).Round(time.Millisecond), away.Round(time.Millisecond))
	}
	over.Store(true)
	load.Wait()
	t.Logf("%d refreshes, %d logins, %d of them unavailable", turned.Load(), logins.Load()+refused.Load(), refused.Load())
	p.server.stop()
}
