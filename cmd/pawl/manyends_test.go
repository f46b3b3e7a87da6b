package main_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// manyEnds is how many sessions ended within the last hour, 50,000 unless
// PAWL_TEST_ENDS says otherwise: with 1000000 the log of the test has the figures
// of docs/faults.md.
func manyEnds(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("PAWL_TEST_ENDS"), "50000"))
	if err != nil {
		t.Fatalf("PAWL_TEST_ENDS: %v", err)
	}
	return n
}

// endMany writes n sessions that ended within the last 50 minutes beside the one
// that is there, five of a user, as its copies. A row that ends is written anew,
// so the table has them in the order in which they ended.
func endMany(t *testing.T, database string, n int) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	run := func(statement string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(ctx, statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run(`INSERT INTO users SELECT r.* FROM users u, generate_series(1, $1::int) n, LATERAL jsonb_populate_record(u,
		jsonb_build_object('id', gen_random_uuid(), 'email', n || '@example.org', 'normalized_email', n || '@example.org')) r`, n/5)
	run(`UPDATE users SET updated_at = now() - interval '2 hours'`)
	run(`ANALYZE users`) // or each row's reference to its user is looked for in the whole table
	run(`INSERT INTO sessions SELECT r.* FROM sessions s, users u, generate_series(1, 5) d, LATERAL jsonb_populate_record(s,
		jsonb_build_object('id', gen_random_uuid(), 'user_id', u.id, 'device_name', d, 'reason', 'revoked',
			'revoked_at', now() - (1 - split_part(u.email, '@', 1)::float / $1) * interval '50 minutes')) r WHERE u.id <> s.user_id`, n/5)
	run(`UPDATE sessions SET revoked_at = now() - interval '5 minutes', reason = 'revoked' WHERE revoked_at IS NULL`)
	run(`VACUUM ANALYZE`)
}

// peak is the most memory that a process has had, in MB.
func (p *process) peak() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0 // no Linux
	}
	match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if match == nil {
		return 0
	}
	kib, _ := strconv.Atoi(string(match[1]))
	return kib >> 10
}

// TestStartAfterManyEnds: a server that starts just after very many sessions
// ended is ready when it knows them all, writes the tombstones that Redis lacks
// afterwards, and says little meanwhile.
func TestStartAfterManyEnds(t *testing.T) {
	t.Parallel()
	n := manyEnds(t)
	p := newPlant(t, nil)
	ended := p.login("BODY")
	p.server.stop()
	endMany(t, p.database, n)
	if err := p.hot.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}

	p.env["PAWL_LOG_LEVEL"], p.env["PAWL_DATABASE_URL"] = "info", p.database // past the proxy
	began := time.Now()
	p.server, p.url = serveOne(t, p.dir, p.env)
	ready, memory := time.Since(began), p.server.peak()
	p.reads(ended, `{ me { id } }`, "UNAUTHENTICATED", "of a session that ended before the start")
	for deadline := time.Now().Add(max(patience, time.Duration(n)*time.Millisecond)); ; time.Sleep(50 * time.Millisecond) {
		keys, err := p.hot.DBSize(t.Context()).Result()
		if err == nil && int(keys) >= n {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %d keys in Redis (%v), want %d tombstones", keys, err, n)
		}
	}
	told := time.Since(began)
	if a, _ := p.send(ended); len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "REVOKED" {
		t.Errorf("refresh of a session that ended before the start: got %s, want REVOKED", a.body)
	}
	peak := p.server.peak()
	p.server.stop()
	lines := strings.Count(p.server.all.String(), "\n")
	t.Logf("%d ends: ready after %s with %d MB, tombstones written after %s with %d MB at most, %d lines of the log",
		n, ready.Round(time.Millisecond), memory, told.Round(time.Millisecond), peak, lines)
	if lines > 15 {
		t.Errorf("got %d lines of the log, want a few, however many ended:\n%s", lines, p.server.all)
	}
}
