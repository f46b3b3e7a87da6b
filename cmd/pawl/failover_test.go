package main_test

import (
	"maps"
	"syscall"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/postgrestest"
)

// listOf is the URL of two servers of which one takes writes. attributes go to its
// end.
func listOf(one, other *postgrestest.Server, attributes string) string {
	return "postgres://pawl@" + one.Addr() + "," + other.Addr() + "/pawl?sslmode=disable" + attributes
}

// TestPostgresFailover: the primary dies and its standby is promoted; then a
// primary turns read-only under open connections and a standby is promoted. The
// servers know both addresses and follow without a restart; one that did not ask
// for a server that takes writes follows too.
func TestPostgresFailover(t *testing.T) {
	t.Parallel()
	first := postgrestest.Start(t, "wal_level=replica", "hot_standby=on", "synchronous_commit=local", "wal_receiver_status_interval=1")
	second := first.Clone(nil)
	p := newPlantOn(t, first.URL(), map[string]string{
		"PAWL_DATABASE_URL": listOf(first, second, "&target_session_attrs=read-write"),
		"PAWL_REUSE_GRACE":  "0s", "PAWL_SESSION_CAP": "1000", "PAWL_LOGIN_MIN_DURATION": "0s",
	})
	env := maps.Clone(p.env)
	env["PAWL_DATABASE_URL"] = listOf(first, second, "")
	server, url := serveOne(t, p.dir, env)
	simple := &plant{t: t, url: url}

	page, app, late, gone := p.login("COOKIE"), p.login("BODY"), p.login("BODY"), p.login("BODY")
	p.leaves(gone, "before the failover")
	simple.login("BODY")
	first.CaughtUp()

	first.End(syscall.SIGKILL)
	killed := time.Now()
	for _, node := range []*plant{p, simple} {
		node.noLogin(page, "with the primary dead")
		node.turns(page, "with the primary dead")
		node.turns(app, "with the primary dead")
	}
	simple.reads(app, `{ me { email } }`, "", "from a standby")
	p.leaves(late, "with the primary dead")
	second.Promote()
	promoted := time.Now()
	away := p.comesBack(promoted, "promoted")
	t.Logf("kill -9: logins come back %s after the promotion, %s after the kill", away.Round(time.Millisecond), time.Since(killed).Round(time.Millisecond))
	t.Logf("without target_session_attrs: %s", simple.comesBack(promoted, "promoted").Round(time.Millisecond))
	p.follows(second, page, app, late, gone)

	// The old machine comes back as the standby of the new primary. Then they
	// change places, and nothing ends the open connections to the one that was.
	third := second.Clone(first)
	p.burst()
	simple.burst()
	late = p.login("BODY")
	second.CaughtUp()
	second.Exec("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
	third.Promote()
	promoted = time.Now()
	p.turns(page, "with the primary read-only")
	p.leaves(late, "with the primary read-only")
	t.Logf("read-only: logins come back %s after the promotion", p.comesBack(promoted, "promoted").Round(time.Millisecond))
	p.follows(third, page, app, late, gone)
	server.stop()
	p.server.stop()
}

// burst opens many connections to the ledger.
func (p *plant) burst() {
	p.t.Helper()
	s := p.login("BODY")
	answers := make(chan error, 32)
	for range cap(answers) {
		go func() {
			_, err := query(p.url, `{ me { email } }`, "Authorization", "Bearer "+s.access)
			answers <- err
		}()
	}
	for range cap(answers) {
		if err := <-answers; err != nil {
			p.t.Error(err)
		}
	}
}

// follows demands of a server that took over what it owes to sessions that live
// and to sessions that ended.
func (p *plant) follows(primary *postgrestest.Server, page, app, late, gone *session) {
	p.t.Helper()
	when := "on the promoted server"
	p.turns(page, when)
	p.turns(app, when)
	p.left(gone, when)
	p.left(late, when)
	primary.Until("the logout is repaired", recorded, late.id)
	fresh := p.login("BODY")
	for range 3 {
		p.turns(fresh, when)
	}
	primary.Until("checkpoints arrive", "SELECT generation > 1 FROM sessions WHERE id = $1::text::uuid", fresh.id)
	p.leaves(fresh, when)
	primary.Until("a logout is recorded", recorded, fresh.id)
}
