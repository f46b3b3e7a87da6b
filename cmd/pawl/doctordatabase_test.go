package main_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/redistest"
)

// lookTime is the longest that doctor may wait for one answer, with what a busy
// machine adds.
const lookTime = 3*time.Second + 12*time.Second

// perform runs statements at a PostgreSQL.
func perform(t *testing.T, database string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// elsewhere is the database as another user sees it, or with more parameters.
func elsewhere(t *testing.T, database, user string, parameters ...string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		u.User = url.UserPassword(user, "hunter2")
	}
	query := u.Query()
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// TestDoctorPostgres: each check of a PostgreSQL, good and bad.
func TestDoctorPostgres(t *testing.T) {
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"] = "memory"
	database := databasetest.PostgresURL(t)
	ask := func(url string) diagnosis {
		t.Helper()
		return doctor(t, dir, with(env, "PAWL_DATABASE_URL", url))
	}

	d := ask(database)
	d.says("database.schema", "problem mend it with: pawl migrate up")
	d.nothingOf("database.rights")
	operate(t, dir, with(env, "PAWL_DATABASE_URL", database), "", "migrate", "up")

	d = ask(elsewhere(t, database, "", "synchronous_commit", "on"))
	for check, want := range map[string]string{
		"database.tls": "ok on this machine", "database.reach": "ok PostgreSQL answers", "database.version": "ok PostgreSQL 1", "database.primary": "ok no standby",
		"database.schema": "ok current", "database.rights": "ok written", "database.connections": "ok opens 16 at most", "database.clock": "ok less than 2s", "database.commits": "ok on disk",
	} {
		d.says(check, want)
	}
	ask(elsewhere(t, database, "", "synchronous_commit", "off")).says("database.commits", "warning set synchronous_commit to on")

	// A user who may only read, and has few connections.
	name := "pawl_reader_" + strings.ToLower(rand.Text())
	perform(t, database, "CREATE ROLE "+name+" LOGIN CONNECTION LIMIT 5 PASSWORD 'hunter2'", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+name)
	t.Cleanup(func() { perform(t, database, "DROP OWNED BY "+name, "DROP ROLE "+name) })
	d = ask(elsewhere(t, database, name))
	d.says("database.rights", "problem SQLSTATE 42501")
	d.says("database.connections", "problem lets 5 connections in")
	perform(t, database, "GRANT INSERT, UPDATE, DELETE ON users, sessions, audit_events, leases TO "+name, "ALTER ROLE "+name+" CONNECTION LIMIT 16")
	d = ask(elsewhere(t, database, name))
	d.says("database.rights", "ok written")
	d.says("database.connections", "ok lets 16 connections in")
	ask(elsewhere(t, database, name, "default_transaction_read_only", "on")).says("database.rights", "problem SQLSTATE 25006")
	perform(t, database, "ALTER ROLE "+name+" PASSWORD 'another'")
	ask(elsewhere(t, database, name)).says("database.reach", "problem SQLSTATE 28P01")

	// Another machine, by an address of this one that does not look like it.
	remote := strings.Replace(database, "127.0.0.1", "0.0.0.0", 1)
	ask(remote).says("database.tls", "warning unencrypted")
	ask(elsewhere(t, remote, "", "sslmode", "require")).says("database.tls", "warning nobody looks who answers")
	d = ask(elsewhere(t, remote, "", "sslmode", "verify-full"))
	d.says("database.tls", "ok certificate is checked")
	d.says("database.reach", "problem ")
}

// TestDoctorOddPostgres: a standby, a clock that is wrong, and an old version, as
// functions of the same names say that come before the server's own.
func TestDoctorOddPostgres(t *testing.T) {
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"], env["PAWL_DATABASE_URL"] = "memory", databasetest.PostgresURL(t)
	operate(t, dir, env, "", "migrate", "up")
	perform(t, env["PAWL_DATABASE_URL"], "CREATE SCHEMA fake",
		"CREATE FUNCTION fake.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
		"CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT pg_catalog.clock_timestamp() + interval '5 minutes'$$",
		"CREATE FUNCTION fake.current_setting(name text) RETURNS text LANGUAGE sql AS $$SELECT CASE WHEN name = 'server_version_num' THEN '120004' ELSE pg_catalog.current_setting(name) END$$")
	d := doctor(t, dir, with(env, "PAWL_DATABASE_URL", elsewhere(t, env["PAWL_DATABASE_URL"], "", "search_path", "fake,pg_catalog,public")))
	d.says("database.primary", "problem standby")
	d.says("database.clock", "warning 5m0s apart")
	d.says("database.version", "warning take 15 or later")
	d.nothingOf("database.rights")
}

// TestDoctorWithStoresDown: each store that is not there or hangs is told in
// time, and what else there is is looked at.
func TestDoctorWithStoresDown(t *testing.T) {
	t.Parallel()
	dir, env := environment(t)
	database, address := databasetest.PostgresURL(t), redistest.Server(t, "appendonly yes").Addr()
	env["PAWL_DATABASE_URL"], env["PAWL_REDIS_URL"] = database, "redis://"+address
	operate(t, dir, env, "", "migrate", "up")
	proxy := faultproxy.New(t, host(t, database))
	proxy.Set(faultproxy.Weather{Hang: true})
	d := doctor(t, dir, with(env, "PAWL_DATABASE_URL", proxy.Through(database)))
	d.says("database.reach", "problem no good answer: nothing within 3s; nothing else was asked")
	d.says("redis.rights", "ok scripts")
	d.says("keys.age", "ok in use since")
	if d.took > lookTime {
		t.Errorf("with PostgreSQL hung: took %s, want %s at most", d.took, lookTime)
	}
	proxy.Set(faultproxy.Weather{})
	proxy.Swallow(1<<20, "pg_is_in_recovery", false) // it stops answering half way
	d = doctor(t, dir, with(env, "PAWL_DATABASE_URL", proxy.Through(database)))
	d.says("database.version", "ok PostgreSQL")
	d.says("database.primary", "problem nothing within 3s")
	d.nothingOf("database.schema")
	if d.took > lookTime {
		t.Errorf("with PostgreSQL hung half way: took %s, want %s at most", d.took, lookTime)
	}
	proxy = faultproxy.New(t, address)
	proxy.Set(faultproxy.Weather{Hang: true})
	for _, form := range []string{"redis://u:hunter2@%s", "redis+cluster://u:hunter2@%s", "redis+sentinel://u:hunter2@%s/main"} {
		d = doctor(t, dir, with(env, "PAWL_REDIS_URL", fmt.Sprintf(form, proxy.Addr())))
		d.says("redis.reach", "problem no good answer: ")
		d.says("database.rights", "ok written")
		if d.took > lookTime {
			t.Errorf("%s hung: took %s, want %s at most", form, d.took, lookTime)
		}
	}
	d = doctor(t, dir, with(env, "PAWL_REDIS_URL", "redis://u:hunter2@127.0.0.1:1", "PAWL_DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x"))
	d.says("redis.reach", "problem no good answer: connection refused; nothing else was asked")
	d.says("database.reach", "problem no good answer: connection refused; nothing else was asked")
}
