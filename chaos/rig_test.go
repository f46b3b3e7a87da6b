package chaos_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pawlauth/pawl/internal/faultproxy"
	"github.com/pawlauth/pawl/internal/pawltest"
	"github.com/pawlauth/pawl/internal/postgrestest"
)

// rig is two servers on their stores, the clients, and what is counted.
type rig struct {
	t     *testing.T
	seed  uint64
	grace time.Duration
	long  bool

	redis    hot
	postgres *postgrestest.Server
	proxies  [2]*faultproxy.Proxy // to PostgreSQL
	nodes    [2]*node
	http     *http.Client
	accounts chan account

	count  counters
	truth  truth
	graves graves
	losses losses

	stopping context.Context    // no new rounds of thieves
	stop     context.CancelFunc //
	over     context.Context    // everybody goes home
	finish   context.CancelFunc
}

// account is one user.
type account struct{ id, email string }

// losses are the times at which Redis loses something.
type losses struct {
	mu    sync.Mutex
	edges int           // beginnings and ends
	end   time.Time     // of the last one
	news  chan struct{} // closed by the end of the next one
}

// begins notes that something is being lost.
func (l *losses) begins() { l.mu.Lock(); defer l.mu.Unlock(); l.edges++ }

// happened notes that it is lost.
func (l *losses) happened() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.edges++
	l.end = time.Now()
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
}

// next is closed at the next loss.
func (l *losses) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.news == nil {
		l.news = make(chan struct{})
	}
	return l.news
}

// seen changes with each loss, when it begins and when it is over.
func (l *losses) seen() int { l.mu.Lock(); defer l.mu.Unlock(); return l.edges }

// last is when the last one was over.
func (l *losses) last() time.Time { l.mu.Lock(); defer l.mu.Unlock(); return l.end }

// since reports whether one was over after t, or is under way.
func (l *losses) since(t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.edges%2 == 1 || l.end.After(t)
}

// random is the source of one actor, out of the seed and its name.
func (r *rig) random(name string) *rand.Rand {
	var sum uint64 = 14695981039346656037
	for _, b := range []byte(name) {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(r.seed, sum))
}

// newRig starts everything. Each server has proxies of its own.
func newRig(t *testing.T, form string, seed uint64, users int, grace time.Duration) *rig {
	t.Helper()
	binary := pawltest.Build(t)
	r := &rig{t: t, seed: seed, grace: grace, http: newHTTPClient(), accounts: make(chan account, users)}
	r.count.ready()
	r.stopping, r.stop = context.WithCancel(context.Background())
	r.over, r.finish = context.WithCancel(context.Background())
	t.Cleanup(func() { r.stop(); r.finish() })
	r.postgres = postgrestest.Start(t, "max_connections=120", "log_min_messages=panic")
	r.redis = map[string]func(*testing.T) hot{
		"single":   func(t *testing.T) hot { return newSingle(t) },
		"sentinel": func(t *testing.T) hot { return newSentinel(t) },
		"cluster":  func(t *testing.T) hot { return newCluster(t) },
	}[form](t)
	dir := logDir(t)
	env := r.environment(t.TempDir())
	for i, url := range r.redis.urls() {
		r.proxies[i] = faultproxy.New(t, r.postgres.Addr())
		mine := maps.Clone(env)
		mine["PAWL_REDIS_URL"] = url
		mine["PAWL_DATABASE_URL"] = r.proxies[i].Through(r.postgres.URL())
		program := pawltest.Program{Path: binary, Env: spelled(mine)}
		r.nodes[i] = newNode(t, program, filepath.Join(dir, fmt.Sprintf("%s-%d.log", form, i)))
		if i == 0 {
			r.prepare(program, users)
		}
	}
	for _, n := range r.nodes {
		if err := n.up(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// graceOf is short, so that much turns, but twice what a request may take in the
// servers, and where it takes the stores seconds to fail over, twice that.
func graceOf(form string) time.Duration {
	if form == "single" {
		return 6 * time.Second
	}
	return 10 * time.Second
}

// logDir is PAWL_CHAOS_LOGS where that is set, so that logs outlive the test; or
// a folder within PAWL_TEST_LOG_DIR, which scripts/no-secrets reads.
func logDir(t *testing.T) string {
	if dir := os.Getenv("PAWL_CHAOS_LOGS"); dir != "" {
		return dir
	}
	kept := os.Getenv("PAWL_TEST_LOG_DIR")
	if kept == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(kept, "chaos-*") //nolint:usetesting // it outlives the test
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (r *rig) environment(dir string) map[string]string {
	return map[string]string{
		"PATH":          os.Getenv("PATH"),
		"PAWL_KEYS_DIR": filepath.Join(dir, "keys"), "PAWL_ISSUER": "chaos", "PAWL_AUDIENCE": "chaos",
		"PAWL_ALLOWED_ORIGINS": origin, "PAWL_REUSE_GRACE": r.grace.String(), "PAWL_SESSION_CAP": "200",
		"PAWL_LOGIN_MIN_DURATION": "0s", "PAWL_LOG_LEVEL": "debug", "PAWL_ACCESS_TTL": "1h",
		// Everybody comes from one address here.
		"PAWL_LOGIN_NETWORK_RATE": "off", "PAWL_LOGIN_SUCCESS_RATE": "off", "PAWL_REFRESH_NETWORK_RATE": "off",
	}
}

func spelled(env map[string]string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// prepare makes keys, schema and users. All users have one password.
func (r *rig) prepare(program pawltest.Program, users int) {
	r.t.Helper()
	program.Prepare(r.t, "u0@example.com", password)
	err := r.postgres.With("pawl", func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `INSERT INTO users (id, email, normalized_email, password_hash, role, status, credential_version, created_at, updated_at)
			SELECT gen_random_uuid(), 'u' || n || '@example.com', 'u' || n || '@example.com', password_hash, role, status, credential_version, created_at, updated_at
			FROM users, generate_series(1, $1) n`, users)
		if err != nil {
			return err
		}
		rows, err := conn.Query(ctx, `SELECT id::text, email FROM users WHERE email <> 'u0@example.com' ORDER BY email`)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a account, err error) { return a, row.Scan(&a.id, &a.email) })
		for _, a := range all {
			r.accounts <- a
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// held reports whether the ledger knows that a session is held to attempt ids.
func (r *rig) held(sessionID string) bool {
	held := false
	err := r.postgres.With("pawl", func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT held FROM sessions WHERE id = $1::text::uuid", sessionID).Scan(&held)
	})
	return err == nil && held
}

// nap sleeps, or returns false when everybody goes home.
func (r *rig) nap(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.over.Done():
		return false
	}
}
