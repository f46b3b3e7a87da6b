package bench_test

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// growth looks at a server and its stores again and again.
type growth struct {
	*load
	shift   time.Duration
	begin   sample
	samples []sample
	ends    float64
}

func newGrowth(l *load, shift time.Duration) *growth {
	g := &growth{load: l, shift: shift}
	g.begin = g.measure()
	return g
}

// look takes a sample, and holds what must hold at any time. The first samples
// are not kept: pools and caches fill.
func (g *growth) look(keep bool) {
	g.t.Helper()
	s := g.measure()
	g.t.Logf("%+v", s)
	if keep {
		g.samples = append(g.samples, s)
	}
}

// pass lets the rest of an hour's share go by for sessions that have ended:
// both stores learn that it was earlier.
func (g *growth) pass() {
	g.t.Helper()
	if g.shift == 0 {
		return
	}
	g.database(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `UPDATE sessions SET revoked_at = revoked_at - $1::interval WHERE revoked_at IS NOT NULL`, g.shift.String())
		return err
	})
	ctx, client := g.t.Context(), g.redis.Client()
	pipe := client.Pipeline()
	for _, key := range client.Keys(ctx, "pawl:{*}:ended:*").Val() {
		if left := client.PTTL(ctx, key).Val() - g.shift; left > 0 {
			pipe.PExpire(ctx, key, left)
		} else {
			pipe.Del(ctx, key)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		g.t.Fatal(err)
	}
}

// judge compares the last samples with the first, and waits until the server is
// idle again.
func (g *growth) judge() {
	g.t.Helper()
	const mib = 1 << 20
	for _, c := range []struct {
		what          string
		of            func(sample) float64
		factor, slack float64
	}{
		{"goroutines", func(s sample) float64 { return s.goroutines }, 1, 12},
		{"open files, without those to the stores", func(s sample) float64 { return s.fds }, 1, 4},
		{"heap after a collection, without the list of ended sessions", func(s sample) float64 { return s.heap }, 1.3, 4 * mib},
		{"resident memory", func(s sample) float64 { return s.resident }, 1.3, 64 * mib},
		{"memory of Redis", func(s sample) float64 { return s.used }, 1.3, 2 * mib},
		{"the largest user in Redis", func(s sample) float64 { return s.largest }, 1.3, hashBytes},
	} {
		var values []float64
		for _, s := range g.samples {
			values = append(values, c.of(s))
		}
		first, last := median(values[:intervals/3]), median(values[intervals-intervals/3:])
		if limit := c.factor*first + c.slack; last > limit {
			g.t.Errorf("%s: got %.0f in the last third, want at most %.0f, since it was %.0f in the first; all: %.0f", c.what, last, limit, first, values)
		}
		g.t.Logf("%s: %.0f in the first third, %.0f in the last", c.what, first, last)
	}
	last := g.samples[len(g.samples)-1]
	if want := float64(len(g.users) + 1); last.keys > want {
		g.t.Errorf("keys in Redis: got %.0f, want at most %.0f: one for each user, and the stream", last.keys, want)
	}
	if want := tellings*g.ends + nodeEntries; last.stream > want {
		g.t.Errorf("entries of the stream: got %.0f, want at most %.0f, since %.0f sessions ended", last.stream, want, g.ends)
	}
	if last.postgres > 16 {
		g.t.Errorf("connections to PostgreSQL: got %.0f, want at most 16", last.postgres)
	}
	g.exercised()
	g.idle()
}

// exercised holds that the load was one.
func (g *growth) exercised() {
	g.t.Helper()
	logins, turns, refused := g.load.logins.Load(), g.turns.Load(), g.refused.Load()
	g.t.Logf("%d logins, %d turns, %.0f sessions ended, %d requests refused", logins, turns, g.ends, refused)
	if refused > (logins+turns)/10 {
		g.t.Errorf("requests that were refused: got %d of %d, want few", refused, logins+turns)
	}
	text := g.get("/metrics")
	m := metrics(text)
	for _, name := range []string{
		`pawl_sessions_ended_total{reason="evicted"}`, `pawl_sessions_ended_total{reason="reuse"}`,
		`pawl_sessions_ended_total{reason="logout"}`, `pawl_login_total{outcome="invalid"}`, `pawl_refresh_total{outcome="rotated"}`,
	} {
		if m[name] < intervals {
			g.t.Errorf("%s: got %.0f, want more", name, m[name])
		}
	}
	for _, name := range []string{"pawl_checkpoints_dropped_total", "pawl_repairs_dropped_total"} {
		if got, counted := m[name]; !counted || got != 0 {
			g.t.Errorf("%s: got %.0f, want 0", name, got)
		}
	}
}

// idle waits until the server holds no more than before its first client.
func (g *growth) idle() {
	g.t.Helper()
	var now sample
	var waiting float64
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		now, waiting = g.measure(), metrics(g.get("/metrics"))["pawl_repairs_waiting"]
		if now.goroutines <= g.begin.goroutines+8 && now.fds <= g.begin.fds+3 && waiting == 0 {
			g.t.Logf("idle: %+v", now)
			return
		}
	}
	g.t.Errorf("after all clients left: got %.0f goroutines, %.0f open files and %.0f repairs, want about %.0f, %.0f and none, as before they came",
		now.goroutines, now.fds, waiting, g.begin.goroutines, g.begin.fds)
}
