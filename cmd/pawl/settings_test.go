package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// environment is what a production server is told; the stores are not there.
func environment(t *testing.T) (dir string, env map[string]string) {
	t.Helper()
	dir = t.TempDir()
	keys := filepath.Join(dir, "keys")
	operate(t, dir, nil, "", "keys", "init", "--keys-dir", keys)
	return dir, map[string]string{
		"PAWL_ADDR":         "127.0.0.1:0",
		"PAWL_ADMIN_ADDR":   "off",
		"PAWL_DATABASE_URL": "sqlite:" + filepath.Join(dir, "pawl.db"),
		"PAWL_REDIS_URL":    "redis://127.0.0.1:1",
		"PAWL_KEYS_DIR":     keys,
		"PAWL_ISSUER":       "https://id.example.org",
		"PAWL_AUDIENCE":     "api",
	}
}

// list is an environment for a process, which has nothing else but the PATH. It
// logs all there is to log unless env says otherwise.
func list(env map[string]string) []string {
	all := []string{"PATH=" + os.Getenv("PATH"), promptEnd, logDir + "=" + os.Getenv(logDir)}
	if env["PAWL_LOG_LEVEL"] == "" {
		all = append(all, "PAWL_LOG_LEVEL=debug")
	}
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	return all
}

// TestBadSettings: each stops the start with exit code 1 and one line that
// names the setting and not its value.
func TestBadSettings(t *testing.T) {
	dir, good := environment(t)
	for _, tt := range []struct{ setting, value, want string }{
		{"PAWL_DATABASE_URL", "", "must be set"},
		{"PAWL_REDIS_URL", "", "must be set, or PAWL_SESSION_STORE=memory chosen"},
		{"PAWL_KEYS_DIR", "", "must be set"},
		{"PAWL_ISSUER", "", "must be set"},
		{"PAWL_AUDIENCE", "", "must be set"},
		{"PAWL_ISSUER", "two words", "blanks"},
		{"PAWL_ISSUER", "https://" + strings.Repeat("9h3k", 63), "at most 256 bytes"},
		{"PAWL_AUDIENCE", strings.Repeat("9h3k", 65), "at most 256 bytes"},
		{"PAWL_KEYS_DIR", "/nonexistent/9h3k", "cannot be read"},
		{"PAWL_DATABASE_URL", "mysql://u:hunter2@db/x", "must begin with postgres:// or sqlite:"},
		{"PAWL_DATABASE_URL", "postgres://u:hunter2@db:port/x", "cannot be read"},
		{"PAWL_DATABASE_URL", "sqlite:/nonexistent/9h3k/pawl.db", "cannot be used"},
		{"PAWL_REDIS_URL", "http://u:hunter2@redis", "must begin with redis://"},
		{"PAWL_REDIS_URL", "redis://u:hunter2@a,b", "several nodes"},
		{"PAWL_REDIS_URL", "redis+sentinel://u:hunter2@a,b", "name of the master"},
		{"PAWL_REDIS_URL", "redis+cluster://u:hunter2@a,b/3", "number 0 only"},
		{"PAWL_REDIS_URL", "redis://u:hunter2@a:99999", "host:port"},
		{"PAWL_REDIS_URL", "redis://u:hunter%2@a", "%25"},
		{"PAWL_REDIS_URL", "redis://u:hunter2@a/db", "database number"},
		{"PAWL_REDIS_URL", "redis://u:hunter2@a/1?x=y", "no parameters"},
		{"PAWL_SESSION_STORE", "etcd9h3k", "must be one of: redis, memory"},
		{"PAWL_ADDR", "nonsense9h3k", "host:port"},
		{"PAWL_ADDR", "localhost:99999", "host:port"},
		{"PAWL_ADDR", "192.0.2.77:1", "cannot listen there"},
		{"PAWL_ADMIN_ADDR", "9464", "host:port"},
		{"PAWL_ALLOWED_ORIGINS", "*", "patterns"},
		{"PAWL_ALLOWED_ORIGINS", "https://*.9h3k.org", "patterns"},
		{"PAWL_ALLOWED_ORIGINS", "https://9h3k.org/", "trailing slash"},
		{"PAWL_ALLOWED_ORIGINS", "https://ok.org,https://9h3k.org/x", "item 2: an origin is"},
		{"PAWL_ALLOWED_ORIGINS", "https://9H3K.org", "lower case"},
		{"PAWL_ALLOWED_ORIGINS", "https://9h3k.org:443", "own port"},
		{"PAWL_ALLOWED_ORIGINS", "9h3k.org", "scheme://host"},
		{"PAWL_ALLOWED_ORIGINS", "null", "scheme://host"},
		{"PAWL_ALLOWED_ORIGINS", "capacitor://9h3k", "http or https"},
		{"PAWL_WEBVIEW_ORIGINS", "capacitor://9h3k/", "trailing slash"},
		{"PAWL_TRUSTED_PROXIES", "10.1.2.3", "a network"},
		{"PAWL_TRUSTED_PROXIES", "10.1.2.3/8", "address bits"},
		{"PAWL_NAT64_PREFIXES", "2001:db8:64::", "a network"},
		{"PAWL_NAT64_PREFIXES", "64:ff9b::/96,2001:db8:64::/80", "item 2: a translator's prefix"},
		{"PAWL_NAT64_PREFIXES", "10.0.0.0/8", "IPv6"},
		{"PAWL_NAT64_PREFIXES", "::/96", "this machine's own"},
		{"PAWL_LOGIN_SUCCESS_RATE", "9h3k", "how many at once"},
		{"PAWL_COOKIE_SAMESITE", "9h3k", "must be one of: strict, lax, none"},
		{"PAWL_ACCESS_TTL", "900", "with units"},
		{"PAWL_ACCESS_TTL", "90500ms", "whole seconds"},
		{"PAWL_ACCESS_TTL", "59s", "between 1m and 1h"},
		{"PAWL_ACCESS_TTL", "61m", "between 1m and 1h"},
		{"PAWL_ACCESS_TTL", "-15m", "between 1m and 1h"},
		{"PAWL_IDLE_TTL", "0", "with units"},
		{"PAWL_IDLE_TTL", "59s", "between 1m and 2160h"},
		{"PAWL_IDLE_TTL", "721h", "must not be longer than PAWL_ABSOLUTE_TTL"},
		{"PAWL_ABSOLUTE_TTL", "2161h", "between 1m and 2160h"},
		{"PAWL_ABSOLUTE_TTL", "9h3k", "with units"},
		{"PAWL_REUSE_GRACE", "61s", "between 0s and 1m"},
		{"PAWL_REUSE_GRACE", "10", "with units"},
		{"PAWL_RETRY_WINDOW", "169h", "must not be longer than PAWL_IDLE_TTL"},
		{"PAWL_RETRY_WINDOW", "-1s", "between 0s"},
		{"PAWL_SESSION_CAP", "0", "from 1 to 1000"},
		{"PAWL_SESSION_CAP", "1001", "from 1 to 1000"},
		{"PAWL_REFRESH_BINDING", "9h3k", "must be one of: none, ip"},
		{"PAWL_LEEWAY", "61s", "between 0s and 1m"},
		{"PAWL_ARGON2_MEMORY", "19455", "OWASP"},
		{"PAWL_ARGON2_MEMORY", "64MiB", "whole number"},
		{"PAWL_ARGON2_MEMORY", "262145", "whole number"},
		{"PAWL_ARGON2_TIME", "0", "from 1 to 10"},
		{"PAWL_ARGON2_PARALLELISM", "9h3k", "from 1 to 4"},
		{"PAWL_ARGON2_CONCURRENCY", "0", "from 1 to 1024"},
		{"PAWL_LOGIN_MIN_DURATION", "6s", "between 0s and 5s"},
		{"PAWL_EXPLORER", "yes", "must be one of: on, off"},
		{"PAWL_INTROSPECTION", "true", "must be one of: on, off"},
		{"PAWL_MAX_BODY", "65536", "with units"},
		{"PAWL_MAX_BODY", "512B", "between 1KiB and 16MiB"},
		{"PAWL_LOG_FORMAT", "xml9", "must be one of: json, text"},
		{"PAWL_LOG_LEVEL", "loud", "must be one of: debug"},
	} {
		t.Run(tt.setting+" "+strings.ReplaceAll(tt.value[:min(len(tt.value), 64)], "/", "|"), func(t *testing.T) {
			t.Parallel()
			env := map[string]string{}
			for name, value := range good {
				env[name] = value
			}
			env[tt.setting] = tt.value
			refused(t, dir, env, tt.setting, tt.want, tt.value)
		})
	}
}

// TestSwitchesAreNotRepeated: the parser reads switches itself, and would show
// what it read.
func TestSwitchesAreNotRepeated(t *testing.T) {
	for _, tt := range []struct {
		env, want string
		args      []string
	}{
		{"PAWL_JSON=hunter2", "pawl: PAWL_JSON (--json): must be true or false", []string{"user", "list"}},
		{"PAWL_IF_MISSING=hunter2", "pawl: PAWL_IF_MISSING (--if-missing): must be true or false", []string{"keys", "init"}},
		{"X=y", "pawl: PAWL_JSON (--json): must be true or false", []string{"keys", "list", "--json=hunter2"}},
	} {
		code, log := start(t, t.TempDir(), append(list(nil), tt.env), tt.args...).end()
		if code != 2 || !strings.HasPrefix(log, tt.want+"\n") || strings.Contains(log, "hunter2") {
			t.Errorf("%s pawl %v: got exit %d and %q, want 2 and %q without the value", tt.env, tt.args, code, log, tt.want)
		}
	}
}

// TestContradictions are settings that are good alone.
func TestContradictions(t *testing.T) {
	dir, good := environment(t)
	for _, tt := range []struct {
		setting, want string
		more          map[string]string
	}{
		{"PAWL_REDIS_URL", "contradicts PAWL_SESSION_STORE", map[string]string{"PAWL_SESSION_STORE": "memory"}},
		{"PAWL_REUSE_GRACE", "a third of PAWL_IDLE_TTL", map[string]string{"PAWL_IDLE_TTL": "1m", "PAWL_REUSE_GRACE": "21s"}},
		{"PAWL_ARGON2_MEMORY", "OWASP", map[string]string{"PAWL_ARGON2_TIME": "1"}},
		{"PAWL_DATABASE_URL", "pawl migrate up", map[string]string{"PAWL_SESSION_STORE": "memory", "PAWL_REDIS_URL": ""}},
	} {
		env := map[string]string{}
		for _, settings := range []map[string]string{good, tt.more} {
			for name, value := range settings {
				env[name] = value
			}
		}
		refused(t, dir, env, tt.setting, tt.want, "")
	}
}

func refused(t *testing.T, dir string, env map[string]string, setting, want, value string) {
	t.Helper()
	code, log := start(t, dir, list(env), "serve").end()
	lines := strings.Split(strings.TrimSpace(log), "\n")
	last := lines[len(lines)-1]
	if code != 1 || !strings.HasPrefix(last, "pawl: "+setting+": ") || !strings.Contains(last, want) {
		t.Errorf("got exit %d and %q, want 1 and a line that names %s and says %q", code, log, setting, want)
	}
	want = `"level":"ERROR","msg":"config.refused","severity":"critical","details":{"setting":"` + setting + `"}}`
	if got := strings.Count(log, `"config.refused"`); got != 1 || len(lines) < 2 || !strings.HasSuffix(lines[len(lines)-2], want) {
		t.Errorf("got %q, want one event before the last line, that ends with %s", log, want)
	}
	// Short values stand in the ranges that are told.
	if len(value) > 4 && strings.Contains(log, value) || strings.Contains(log, "hunter2") {
		t.Errorf("got %q, want it without the value", log)
	}
}

// TestDevIsLooser: short lives, for whoever tries out expiry.
func TestDevIsLooser(t *testing.T) {
	p := start(t, t.TempDir(), list(map[string]string{
		"PAWL_ADDR": "127.0.0.1:0", "PAWL_ACCESS_TTL": "1s", "PAWL_IDLE_TTL": "2s", "PAWL_ABSOLUTE_TTL": "3s",
		"PAWL_REUSE_GRACE": "0s", "PAWL_ARGON2_MEMORY": "64", "PAWL_ARGON2_TIME": "1",
	}), "dev")
	p.await("msg=server.ready")
}

// TestRefusalsAreEventsInJSON: a log of text has the line for people alone, and a
// failure that is no setting's is no event.
func TestRefusalsAreEventsInJSON(t *testing.T) {
	const event, line = `"msg":"config.refused"`, "pawl: PAWL_IDLE_TTL: must be"
	for _, tt := range []struct {
		command, format string
		want            bool
	}{
		{"dev", "", false}, {"dev", "text", false}, {"dev", "json", true},
		{"serve", "", true}, {"serve", "text", false}, {"serve", "json", true}, {"serve", "hunter2", true},
	} {
		env := map[string]string{"PAWL_IDLE_TTL": "hunter2", "PAWL_ISSUER": "x", "PAWL_AUDIENCE": "y", "PAWL_LOG_LEVEL": "error"}
		if tt.format != "" {
			env["PAWL_LOG_FORMAT"] = tt.format
		}
		code, log := start(t, t.TempDir(), list(env), tt.command).end()
		if got := strings.Contains(log, event); code != 1 || got != tt.want || !strings.Contains(log, line) || strings.Contains(log, "hunter2") {
			t.Errorf("%s with the log format %q: got exit %d and %q, want 1, the event: %t, and the line %q", tt.command, tt.format, code, log, tt.want, line)
		}
	}
	if code, log := start(t, t.TempDir(), list(nil), "serve", "--nonsense").end(); code != 2 || strings.Contains(log, event) {
		t.Errorf("wrong usage: got exit %d and %q, want 2 and no event", code, log)
	}
}

func TestBusyPort(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir, list(map[string]string{"PAWL_ADDR": "127.0.0.1:0"}), "dev")
	addr := first.await(`address=(\S+)`)
	code, log := start(t, t.TempDir(), list(map[string]string{"PAWL_ADDR": addr}), "dev").end()
	if code != 1 || !strings.Contains(log, "pawl: PAWL_ADDR: cannot listen there: address already in use") {
		t.Errorf("got exit %d and %q, want 1 and the busy port", code, log)
	}
}

// TestAbsentStoreIsNamed: unready for half a minute, then exit 1.
func TestAbsentStoreIsNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	dir, env := environment(t)
	env["PAWL_REDIS_URL"] = "redis://user:hunter2@127.0.0.1:1"
	p := start(t, dir, list(env), "serve")
	url := "http://" + p.await(`"msg":"listening","address":"([^"]+)"`)
	p.await(`"msg":"waiting for a store","setting":"PAWL_REDIS_URL","problem":"connection refused"`)
	if got := status(t, url+"/livez"); got != 200 {
		t.Errorf("livez while waiting: got %d, want 200", got)
	}
	if got := status(t, url+"/readyz"); got != 503 {
		t.Errorf("readyz while waiting: got %d, want 503", got)
	}
	code, log := p.end()
	if code != 1 || !strings.Contains(log, "pawl: PAWL_REDIS_URL: no good answer within 30s: connection refused") {
		t.Errorf("got exit %d and %q, want 1 and the setting", code, log)
	}
	if strings.Contains(log, "hunter2") || strings.Contains(log, "127.0.0.1:1\"") {
		t.Errorf("the log repeats the URL: %s", log)
	}
}
