package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
)

// diagnosis is what pawl doctor said.
type diagnosis struct {
	t    *testing.T
	code int
	took time.Duration
	text string
	rows []struct{ Level, Check, Found, Do string }
}

// doctor runs pawl doctor. Nothing that is secret may be in what it prints.
func doctor(t *testing.T, dir string, env map[string]string) diagnosis {
	t.Helper()
	d := diagnosis{t: t}
	began := time.Now()
	p := start(t, dir, list(env), "doctor", "--json")
	code, log := p.end()
	d.code, d.took, d.text = code, time.Since(began), p.out.String()+log
	if err := json.Unmarshal(p.out.Bytes(), &d.rows); err != nil {
		t.Fatalf("doctor: got %q, want JSON: %v", d.text, err)
	}
	problems := 0
	for _, row := range d.rows {
		if row.Level == "problem" {
			problems++
		}
	}
	if (code == 1) != (problems > 0) || code > 1 {
		t.Errorf("doctor: got exit %d with %d problems", code, problems)
	}
	if found := regexp.MustCompile(`hunter2|9h3k|://[^ "]*@|BEGIN`).FindString(d.text); found != "" {
		t.Errorf("doctor: got %q in\n%s", found, d.text)
	}
	return d
}

// says demands one finding of a check: "LEVEL words".
func (d diagnosis) says(check, want string) {
	d.t.Helper()
	level, words, _ := strings.Cut(want, " ")
	n := 0
	for _, row := range d.rows {
		if row.Check == check && row.Level == level && strings.Contains(row.Found+"; "+row.Do, words) {
			n++
		}
	}
	if n != 1 {
		d.t.Errorf("%s: want %q once in%s", check, want, d)
	}
}

// String is what was found, one line each.
func (d diagnosis) String() string {
	var b strings.Builder
	for _, row := range d.rows {
		_, _ = fmt.Fprintf(&b, "\n%s %s: %s; %s", row.Level, row.Check, row.Found, row.Do)
	}
	return b.String()
}

// nothingOf demands that a check was left out.
func (d diagnosis) nothingOf(prefix string) {
	d.t.Helper()
	for _, row := range d.rows {
		if strings.HasPrefix(row.Check, prefix) {
			d.t.Errorf("%s: got %v, want no such check", prefix, row)
		}
	}
}

// with is env and more.
func with(env map[string]string, more ...string) map[string]string {
	env = maps.Clone(env)
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return env
}

// alone is a server without Redis, with a database that is ready.
func alone(t *testing.T) (dir string, env map[string]string) {
	t.Helper()
	dir, env = environment(t)
	delete(env, "PAWL_REDIS_URL")
	env["PAWL_SESSION_STORE"] = "memory"
	operate(t, dir, env, "", "migrate", "up")
	return dir, env
}

// TestDoctorSettings: settings with which serve starts, and that are better
// otherwise.
func TestDoctorSettings(t *testing.T) {
	dir, env := alone(t)
	for _, tt := range []struct {
		name     string
		settings []string
		want     map[string]string
	}{
		{"good", []string{"PAWL_ADDR", ":8443", "PAWL_ALLOWED_ORIGINS", "https://app.example.org", "PAWL_TRUSTED_PROXIES", "10.0.0.0/8,fc00::/7"}, map[string]string{
			"settings": "ok all can be read", "PAWL_ISSUER": "ok https URL", "PAWL_ALLOWED_ORIGINS": "ok listed: 1", "PAWL_COOKIE_SAMESITE": "ok HTTPS",
			"PAWL_TRUSTED_PROXIES": "ok proxies: 2", "PAWL_EXPLORER": "ok off", "PAWL_INTROSPECTION": "ok off", "PAWL_REVOCATION_FAIL": "ok refused",
			"PAWL_LOGIN_NETWORK_RATE": "ok on", "PAWL_LOGIN_ACCOUNT_SCHEDULE": "ok on", "PAWL_LOGIN_MIN_DURATION": "ok floor", "PAWL_LOGIN_SUCCESS_RATE": "ok rate", "PAWL_REFRESH_NETWORK_RATE": "ok counted",
			"PAWL_KEYS_DIR": "ok signing keys: 1 (EdDSA), refresh keys: 1", "keys.age": "ok in use since 20",
			"database.reach": "ok SQLite answers", "database.schema": "ok current", "database.rights": "ok written", "PAWL_SESSION_STORE": "ok one server",
		}},
		{"lax", []string{
			"PAWL_ISSUER", "pawl9h3k", "PAWL_EXPLORER", "on", "PAWL_INTROSPECTION", "on", "PAWL_REVOCATION_FAIL", "open", "PAWL_LOGIN_NETWORK_RATE", "off",
			"PAWL_LOGIN_ACCOUNT_SCHEDULE", "off", "PAWL_LOGIN_MIN_DURATION", "0s", "PAWL_REFRESH_NETWORK_RATE", "off", "PAWL_LOGIN_SUCCESS_RATE", "off",
		}, map[string]string{
			"PAWL_ISSUER": "warning not an https URL", "PAWL_ALLOWED_ORIGINS": "warning is empty", "PAWL_TRUSTED_PROXIES": "warning the gates count them as one",
			"PAWL_EXPLORER": "warning is on", "PAWL_INTROSPECTION": "warning is on", "PAWL_REVOCATION_FAIL": "warning closed", "PAWL_LOGIN_NETWORK_RATE": "warning without end",
			"PAWL_LOGIN_ACCOUNT_SCHEDULE": "warning without end", "PAWL_LOGIN_MIN_DURATION": "warning who has an account", "PAWL_LOGIN_SUCCESS_RATE": "warning without end", "PAWL_REFRESH_NETWORK_RATE": "warning without end",
		}},
		{"pages without TLS", []string{"PAWL_ALLOWED_ORIGINS", "https://a.example.org,http://9h3k.example.org,http://localhost:3000", "PAWL_TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0"}, map[string]string{
			"PAWL_ALLOWED_ORIGINS": "problem item 2; serve them over HTTPS", "PAWL_TRUSTED_PROXIES": "problem item 2 is half the internet",
		}},
		{"pages of developers", []string{"PAWL_ALLOWED_ORIGINS", "https://a.example.org,http://127.0.0.1:3000", "PAWL_ADDR", ":8080"}, map[string]string{
			"PAWL_ALLOWED_ORIGINS": "warning as in development: item 2", "PAWL_COOKIE_SAMESITE": "warning item 2 of PAWL_ALLOWED_ORIGINS", "PAWL_TRUSTED_PROXIES": "warning PAWL_TLS_CERT",
		}},
		{"other sites", []string{"PAWL_ALLOWED_ORIGINS", "https://app.example.org,https://9h3k.com", "PAWL_COOKIE_SAMESITE", "lax"}, map[string]string{
			"PAWL_COOKIE_SAMESITE": "warning item 2 of PAWL_ALLOWED_ORIGINS",
		}},
		{"other sites, asked for", []string{"PAWL_ALLOWED_ORIGINS", "https://app.example.com", "PAWL_COOKIE_SAMESITE", "none"}, map[string]string{
			"PAWL_COOKIE_SAMESITE": "ok Partitioned",
		}},
		{"other sites for nothing", []string{"PAWL_ALLOWED_ORIGINS", "https://app.example.org", "PAWL_COOKIE_SAMESITE", "none", "PAWL_ISSUER", "http://id.example.org"}, map[string]string{
			"PAWL_COOKIE_SAMESITE": "warning set it to strict", "PAWL_ISSUER": "warning not an https URL",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := doctor(t, dir, with(env, tt.settings...))
			for check, want := range tt.want {
				d.says(check, want)
			}
			if tt.name == "good" && len(d.rows) != len(tt.want) {
				t.Errorf("got %d findings, want %d in%s", len(d.rows), len(tt.want), d)
			}
		})
	}
}

// TestDoctorTellsEverySetting: all that is bad at once, each setting once and
// without its value; what is good is looked at nevertheless.
func TestDoctorTellsEverySetting(t *testing.T) {
	dir, env := alone(t)
	d := doctor(t, dir, with(env, "PAWL_ISSUER", "", "PAWL_AUDIENCE", "two 9h3k", "PAWL_IDLE_TTL", "9h3k", "PAWL_REUSE_GRACE", "20s", "PAWL_ALLOWED_ORIGINS", "https://9h3k.org/",
		"PAWL_TRUSTED_PROXIES", "10.9.8.7/8,nonsense", "PAWL_ARGON2_MEMORY", "9h3k", "PAWL_TLS_CERT", filepath.Join(dir, "9h3k"), "PAWL_TLS_KEY", "x", "PAWL_LOG_FORMAT", "hunter2",
		"PAWL_REDIS_URL", "redis://u:hunter2@127.0.0.1:1", "PAWL_KEYS_DIR", filepath.Join(dir, "9h3k")))
	bad := map[string]string{
		"PAWL_ISSUER": "must be set", "PAWL_AUDIENCE": "blanks", "PAWL_IDLE_TTL": "with units", "PAWL_ALLOWED_ORIGINS": "item 1", "PAWL_TRUSTED_PROXIES": "address bits",
		"PAWL_ARGON2_MEMORY": "whole number", "PAWL_TLS_CERT": "cannot be read", "PAWL_LOG_FORMAT": "json, text", "PAWL_REDIS_URL": "contradicts PAWL_SESSION_STORE",
		"PAWL_KEYS_DIR": "cannot be read",
	}
	for setting, words := range bad {
		d.says(setting, "problem "+words)
	}
	d.nothingOf("settings")
	d.nothingOf("PAWL_REUSE_GRACE") // judged against PAWL_IDLE_TTL, which is bad
	d.nothingOf("redis.")
	d.says("PAWL_EXPLORER", "ok off")
	d.says("database.schema", "ok current")
	if !strings.HasSuffix(d.text, "pawl: problems to mend: 10\n") {
		t.Errorf("got %q, want 10 problems at its end", d.text)
	}

	d = doctor(t, dir, nil)
	for setting, words := range map[string]string{"PAWL_DATABASE_URL": "must be set", "PAWL_KEYS_DIR": "must be set", "PAWL_REDIS_URL": "PAWL_SESSION_STORE=memory chosen"} {
		d.says(setting, "problem "+words)
	}
	doctor(t, dir, with(env, "PAWL_DATABASE_URL", "mysql://u:hunter2@db/x")).says("PAWL_DATABASE_URL", "problem must begin with postgres:// or sqlite:")
	doctor(t, dir, with(env, "PAWL_DATABASE_URL", "postgres://u:hunter2@db:port/x")).says("PAWL_DATABASE_URL", "problem cannot be read")
}

// TestDoctorCertificate: the server's own certificate ends soon, or has ended.
func TestDoctorCertificate(t *testing.T) {
	dir, env := alone(t)
	env = with(env, "PAWL_ADDR", ":8443", "PAWL_TLS_CERT", filepath.Join(dir, "tls.crt"), "PAWL_TLS_KEY", filepath.Join(dir, "tls.key"))
	for days, want := range map[int]string{60: "ok good until", 13: "warning expires at", 0: "problem has expired"} {
		writeCertificateUntil(t, env["PAWL_TLS_CERT"], env["PAWL_TLS_KEY"], "x", time.Now().Add(time.Duration(days)*24*time.Hour-time.Minute))
		d := doctor(t, dir, env)
		d.says("PAWL_TLS_CERT", want)
		if days > 0 {
			d.says("PAWL_TRUSTED_PROXIES", "ok over TLS")
		}
	}
}

// TestDoctorKeys: a folder that cannot be used, and one that is old.
func TestDoctorKeys(t *testing.T) {
	dir, env := alone(t)
	key, err := filepath.Glob(filepath.Join(env["PAWL_KEYS_DIR"], "access-*"))
	if err != nil || len(key) != 1 {
		t.Fatalf("got keys %v (%v), want one", key, err)
	}
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	old := filepath.Join(env["PAWL_KEYS_DIR"], "access-20200229T000000Z.pem")
	move(key[0], old)
	doctor(t, dir, env).says("keys.age", "warning pawl keys rotate access")
	nameless := filepath.Join(env["PAWL_KEYS_DIR"], "access-1.pem")
	move(old, nameless)
	doctor(t, dir, env).says("PAWL_KEYS_DIR", "problem access-1.pem: the name must say")
	move(nameless, old)
	if err := os.Chmod(old, 0o640); err != nil {
		t.Fatal(err)
	}
	d := doctor(t, dir, env)
	d.says("PAWL_KEYS_DIR", "problem access-20200229T000000Z.pem: others can read this key")
	d.nothingOf("keys.age")
}

// TestDoctorSQLite: a file that is not there stays so, and others are named.
func TestDoctorSQLite(t *testing.T) {
	dir, env := alone(t)
	absent := filepath.Join(dir, "absent.db")
	doctor(t, dir, with(env, "PAWL_DATABASE_URL", "sqlite:"+absent)).says("database.reach", "problem pawl migrate up")
	if _, err := os.Stat(absent); !os.IsNotExist(err) {
		t.Errorf("the file that was not there: got %v, want none", err)
	}
	damaged := filepath.Join(dir, "damaged.db")
	if err := os.WriteFile(damaged, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	doctor(t, dir, with(env, "PAWL_DATABASE_URL", "sqlite:"+damaged)).says("PAWL_DATABASE_URL", "problem damaged")
}

// TestDoctorForPeople: a table, the same settings as serve, and exit codes.
func TestDoctorForPeople(t *testing.T) {
	dir, env := alone(t)
	env = with(env, "PAWL_ADDR", ":8080", "PAWL_ALLOWED_ORIGINS", "https://app.example.org", "PAWL_TRUSTED_PROXIES", "10.0.0.0/8")
	out := operate(t, dir, env, "", "doctor") // fails unless the exit code is 0
	if !regexp.MustCompile(`^LEVEL +CHECK +FOUND\nok +settings +all can be read\n`).MatchString(out) || strings.Contains(out, "pawl:") {
		t.Errorf("got %q, want a table", out)
	}
	p := start(t, dir, list(with(env, "PAWL_ISSUER", "")), "doctor")
	if code, log := p.end(); code != 1 || log != "pawl: problems to mend: 1\n" || !regexp.MustCompile(`(?m)^problem +PAWL_ISSUER +must be set$`).MatchString(p.out.String()) {
		t.Errorf("got exit %d, %q and %q, want 1, the problem, and how many there are", code, p.out, log)
	}
	if code, _ := start(t, dir, list(env), "doctor", "--nonsense").end(); code != 2 {
		t.Errorf("an unknown flag: got exit %d, want 2", code)
	}
	flags := func(command string) string {
		help := operate(t, dir, nil, "", "help", command)
		_, help, _ = strings.Cut(help, "Flags:")
		return strings.Join(strings.Fields(help), " ")
	}
	if got, want := flags("doctor"), flags("serve"); got != want+" --json Print JSON instead of a table ($PAWL_JSON)." {
		t.Errorf("flags of doctor: got\n%s\nwant those of serve, and --json:\n%s", got, want)
	}
}

// TestClocks: how far apart is too far, and that a slow answer proves nothing.
func TestClocks(t *testing.T) {
	for _, tt := range []struct {
		apart, between time.Duration
		level, words   string
	}{
		{0, time.Millisecond, "ok", "less than 2s apart"},
		{-1900 * time.Millisecond, 0, "ok", "less than 2s apart"},
		{3 * time.Second, time.Millisecond, "warning", "3s apart; run NTP on both"},
		{3 * time.Second, 2500 * time.Millisecond, "ok", "less than 2s apart"},
		{-10 * time.Second, time.Millisecond, "warning", "10s apart"},
		{-time.Hour, time.Second, "problem", "1h0m0s apart"},
	} {
		if level, found := pawl.Clocks(tt.apart, tt.between); level != tt.level || !strings.Contains(found, tt.words) {
			t.Errorf("%s apart, asked for %s: got %s, %q, want %s, %q", tt.apart, tt.between, level, found, tt.level, tt.words)
		}
	}
}
