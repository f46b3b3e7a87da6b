package main_test

import (
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pawlauth/pawl/internal/database/databasetest"
	"github.com/pawlauth/pawl/internal/faultproxy"
)

// serveMeasured starts a server with an admin listener and returns the URLs of
// both when it is ready.
func serveMeasured(t *testing.T, dir string, env map[string]string) (p *process, url, admin string) {
	t.Helper()
	env["PAWL_ADMIN_ADDR"] = "127.0.0.1:0"
	p = start(t, dir, list(env), "serve")
	admin = "http://" + p.await(`"msg":"listening for operators","address":"([^"]+)"`)
	url = "http://" + p.await(`"msg":"listening","address":"([^"]+)"`)
	p.await(`"msg":"server.ready"`)
	return p, url, admin
}

// scrape is the text of a server's metrics.
func scrape(t *testing.T, admin string) string {
	t.Helper()
	response, err := http.Get(admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: got status %d (%v): %s", response.StatusCode, err, text)
	}
	return string(text)
}

// metric is a value in a scrape; name with its labels.
func metric(t *testing.T, text, name string) float64 {
	t.Helper()
	match := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
	if match == nil {
		t.Errorf("no metric %s", name)
		return -1
	}
	value, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return value
}

// TestMetricsAreDocumented: what docs/operations.md lists is what a server has.
func TestMetricsAreDocumented(t *testing.T) {
	dir, env := environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"] = "memory"
	operate(t, dir, env, "", "migrate", "up")
	p, url, admin := serveMeasured(t, dir, env)
	got := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (pawl_\w+) `).FindAllStringSubmatch(scrape(t, admin), -1) {
		got[match[1]] = true
	}
	docs, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `(pawl_\\w+)` \\|").FindAllSubmatch(docs, -1) {
		want[string(match[1])] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("the server has %q, docs/operations.md lists %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	// So are the words.
	for _, match := range regexp.MustCompile(`(?m)^pawl_\w+_total\{(?:outcome|reason|operation)="(\w+)"\}`).FindAllStringSubmatch(scrape(t, admin), -1) {
		if !strings.Contains(string(docs), "`"+match[1]+"`") {
			t.Errorf("docs/operations.md does not tell what %q means", match[1])
		}
	}
	if got := status(t, url+"/metrics"); got != http.StatusNotFound {
		t.Errorf("/metrics on the public port: got %d, want 404", got)
	}
	p.stop()
}

// TestMetricsCount compares the metrics of a server on real stores with what was
// done to it.
func TestMetricsCount(t *testing.T) {
	dir, env := environment(t)
	env["PAWL_REDIS_URL"], env["PAWL_DATABASE_URL"] = redisURL(t), databasetest.PostgresURL(t)
	env["PAWL_REUSE_GRACE"] = "0s"
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", "demo@example.com")
	p, url, admin := serveMeasured(t, dir, env)

	var secrets []string
	ask := func(text, root, path string, headers ...string) string {
		t.Helper()
		a, err := query(url, text, headers...)
		if err != nil {
			t.Fatal(err)
		}
		value := a.text(root, path)
		secrets = append(secrets, value)
		return value
	}
	login := func() string { return ask(loginBody, "login", "refreshToken") }
	refresh := func(token string) string { return ask(refreshBody(token), "refreshToken", "refreshToken") }

	stolen := login()
	current := refresh(stolen)
	current = refresh(current)
	refresh(stolen)  // reuse
	refresh(current) // tombstone
	refresh("garbage")
	left := login()
	for range 2 {
		ask(`mutation { logout(input: {refreshToken: "`+left+`"}) { sessionId } }`, "logout", "sessionId")
	}
	ask(strings.Replace(loginBody, "correct horse", "wrong horse", 1), "login", "refreshToken")
	access := ask(loginBody, "login", "accessToken.token")
	login()
	ask(`mutation { revokeAllSessions(input: {includeCurrent: true}) { sessionIds } }`, "revokeAllSessions", "x", "Authorization", "Bearer "+access)

	text := scrape(t, admin)
	for name, want := range map[string]float64{
		`pawl_refresh_total{outcome="rotated"}`:                 2,
		`pawl_refresh_total{outcome="reuse"}`:                   1,
		`pawl_refresh_total{outcome="tombstone"}`:               1,
		`pawl_refresh_total{outcome="malformed"}`:               1,
		`pawl_refresh_total{outcome="unavailable"}`:             0,
		`pawl_refresh_duration_seconds_count`:                   5,
		`pawl_login_total{outcome="succeeded"}`:                 4,
		`pawl_login_total{outcome="invalid"}`:                   1,
		`pawl_login_duration_seconds_count`:                     5,
		`pawl_sessions_ended_total{reason="reuse"}`:             1,
		`pawl_sessions_ended_total{reason="logout"}`:            1,
		`pawl_sessions_ended_total{reason="revoked"}`:           2,
		`pawl_sessions_ended_total{reason="other"}`:             0,
		`pawl_store_duration_seconds_count{operation="create"}`: 4,
		`pawl_store_duration_seconds_count{operation="rotate"}`: 3,
		`pawl_store_errors_total{operation="rotate"}`:           0,
		`pawl_database_errors_total{statement="insert"}`:        0,
		`pawl_repairs_dropped_total`:                            0,
		`pawl_checkpoints_dropped_total`:                        0,
		`pawl_stale_lookups_total`:                              0,
		`pawl_http_requests_in_flight`:                          0,
	} {
		if got := metric(t, text, name); got != want {
			t.Errorf("%s: got %g, want %g", name, got, want)
		}
	}
	for _, name := range []string{`pawl_database_duration_seconds_count{statement="insert"}`, `pawl_revocation_set_sessions`} {
		if got := metric(t, text, name); got < 4 { // other tests' sessions may be listed too
			t.Errorf("%s: got %g, want 4 at least", name, got)
		}
	}
	if age := metric(t, text, "pawl_revocation_feed_age_seconds"); age < 0 || age > 3 {
		t.Errorf("pawl_revocation_feed_age_seconds: got %g, want less than the stale limit", age)
	}
	for _, secret := range append(secrets, "pawl_rt1_", "eyJ", "horse", "demo@", "127.0.0.1") {
		if secret != "" && strings.Contains(text, secret) {
			t.Errorf("the metrics hold %q", secret)
		}
	}
	if got := status(t, url+"/metrics"); got != http.StatusNotFound {
		t.Errorf("/metrics on the public port: got %d, want 404", got)
	}
	p.stop()
}

// TestMetricsOfAnOutage: a store that is cut off shows.
func TestMetricsOfAnOutage(t *testing.T) {
	t.Parallel()
	dir, env := environment(t)
	store := faultproxy.New(t, strings.TrimSuffix(strings.TrimPrefix(redisURL(t), "redis://"), "/0"))
	env["PAWL_REDIS_URL"], env["PAWL_DATABASE_URL"] = store.Through(redisURL(t)), databasetest.PostgresURL(t)
	env["PAWL_REVOCATION_STALE_AFTER"] = "500ms"
	operate(t, dir, env, "", "migrate", "up")
	operate(t, dir, env, demoPassword, "user", "add", "demo@example.com")
	p, url, admin := serveMeasured(t, dir, env)
	begun, err := query(url, loginBody)
	if err != nil {
		t.Fatal(err)
	}
	store.Set(faultproxy.Weather{Cut: true})
	if _, err := query(url, refreshBody(begun.text("login", "refreshToken"))); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); metric(t, scrape(t, admin), "pawl_revocation_feed_age_seconds") <= 0.5; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("pawl_revocation_feed_age_seconds never rose while the feed was cut")
		}
	}
	if _, err := query(url, `{ me { id } }`, "Authorization", "Bearer "+begun.text("login", "accessToken.token")); err != nil {
		t.Fatal(err)
	}
	text := scrape(t, admin)
	for _, name := range []string{
		`pawl_refresh_total{outcome="unavailable"}`, `pawl_store_errors_total{operation="rotate"}`,
		`pawl_stale_lookups_total`, `pawl_store_errors_total{operation="find"}`,
	} {
		if got := metric(t, text, name); got != 1 {
			t.Errorf("%s: got %g, want 1", name, got)
		}
	}
	store.Set(faultproxy.Weather{})
	p.stop()
}
