package main_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
	"github.com/pawlauth/pawl/internal/redistest"
)

// TestRedisWarnings: a Redis that forgets is named, one that does not tell its
// configuration is left alone.
func TestRedisWarnings(t *testing.T) {
	dir, env := environment(t)
	operate(t, dir, env, "", "migrate", "up")
	for _, tt := range []struct {
		name          string
		conf          []string
		evicts, loses bool
	}{
		{"safe", []string{"appendonly yes"}, false, false},
		{"snapshots", []string{"save 3600 1"}, false, false},
		{"nothing on disk", nil, false, true},
		{"evicting", []string{"save 3600 1", "maxmemory-policy allkeys-lru"}, true, false},
		{"both", []string{"maxmemory-policy volatile-ttl"}, true, true},
		{"silent", []string{"maxmemory-policy allkeys-lru", `rename-command CONFIG ""`, `rename-command INFO ""`}, false, false},
		{"INFO alone", []string{"maxmemory-policy allkeys-lru", `rename-command CONFIG ""`}, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := maps.Clone(env)
			env["PAWL_REDIS_URL"] = redistest.Server(t, tt.conf...).URL()
			p, _ := serveOne(t, dir, env)
			p.stop()
			log := p.all.String()
			if got := strings.Contains(log, "Redis may evict sessions"); got != tt.evicts {
				t.Errorf("warning of eviction: got %t, want %t; log:\n%s", got, tt.evicts, log)
			}
			if got := strings.Contains(log, "Redis keeps nothing on disk"); got != tt.loses {
				t.Errorf("warning of an empty disk: got %t, want %t; log:\n%s", got, tt.loses, log)
			}
		})
	}
}

// rawText is what only the driver and the statements say.
var rawText = regexp.MustCompile(`(?i)malformed|not a database|SELECT |INSERT |\(\d+\)|sqlite:|goose|migrations:|user: |ledger: |database disk`)

// TestDamagedDatabase is named with its setting, and in words.
func TestDamagedDatabase(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func([]byte) []byte
	}{
		{"other file", func([]byte) []byte { return bytes.Repeat([]byte("no database\n"), 1000) }},
		{"pages overwritten", func(file []byte) []byte {
			for i := 4096; i < len(file); i++ {
				file[i] = 'x'
			}
			return file
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, env := environment(t)
			operate(t, dir, env, "", "migrate", "up")
			operate(t, dir, env, demoPassword, "user", "add", "demo@example.com")
			path := filepath.Join(dir, "pawl.db")
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, tt.harm(text), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range []string{"user list", "user add ann@example.com", "user disable demo@example.com",
				"session list demo@example.com", "session revoke 0191d8f2-0000-7000-8000-000000000000", "migrate status", "migrate up"} {
				code, log := start(t, dir, list(env), strings.Fields(args)...).end()
				if code != 1 || !strings.HasPrefix(log, "pawl: PAWL_DATABASE_URL: ") || !strings.Contains(log, "the database file is damaged") || rawText.MatchString(log) {
					t.Errorf("pawl %s: got exit %d and %q, want 1 and that the database file is damaged", args, code, log)
				}
			}
			code, log := start(t, dir, list(map[string]string{"PAWL_DATA_DIR": dir, "PAWL_ADDR": "127.0.0.1:0"}), "dev").end()
			if code != 1 || !strings.Contains(log, "pawl: PAWL_DATA_DIR: pawl.db: ") || !strings.Contains(log, "the database file is damaged") || rawText.MatchString(log) {
				t.Errorf("pawl dev: got exit %d and %q, want 1 and that the database file is damaged", code, log)
			}
		})
	}
}

// bound is a command line that file modes bind, for root too.
func bound(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		return exec.CommandContext(ctx, args[0], args[1:]...)
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("file modes do not bind root, and there is no setpriv (util-linux)")
	}
	return exec.CommandContext(ctx, setpriv, append([]string{"--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"}, args...)...)
}

// TestUnwritable: what cannot be written is said before anything begins.
func TestUnwritable(t *testing.T) {
	for _, tt := range []struct{ name, harm, args, want string }{
		{"folder", "chmod 500 data", "pawl dev", "pawl: PAWL_DATA_DIR: is not writable: permission denied"},
		{"database", "chmod 400 data/pawl.db", "pawl dev", "pawl: PAWL_DATA_DIR: pawl.db is not writable: permission denied"},
		{"lease", "chmod 400 data/pawl.db.lease", "pawl dev", "pawl: PAWL_DATA_DIR: pawl.db.lease is not writable: permission denied"},
		{"above", "mkdir -m 500 above; rm -r data; ln -s above/data data", "pawl dev --data-dir=above/data", "pawl: PAWL_DATA_DIR: cannot be made: permission denied"},
		{"user", "chmod 400 data/pawl.db", "pawl user disable demo@example.com", "pawl: PAWL_DATABASE_URL: no good answer: the database file cannot be written"},
		{"migration", "chmod 400 empty.db", "pawl migrate up --database-url=sqlite:empty.db", "pawl: PAWL_DATABASE_URL: cannot be used: the database file cannot be written"},
		{"unreadable key", "chmod 000 data/keys/refresh-*", "pawl keys init --keys-dir=data/keys", "cannot be read: permission denied; it must belong to the user that pawl runs as"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			env := map[string]string{"PAWL_DATA_DIR": "data", "PAWL_ADDR": "127.0.0.1:0"}
			p := start(t, dir, list(env), "dev")
			p.await("msg=server.ready")
			p.stop()
			harm := exec.Command("sh", "-ec", ": >empty.db; "+tt.harm)
			harm.Dir = dir
			if out, err := harm.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", tt.harm, err, out)
			}
			t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "data"), 0o700) })
			env["PAWL_DATABASE_URL"] = "sqlite:data/pawl.db"
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := bound(ctx, t, strings.Fields(tt.args)...)
			cmd.Dir, cmd.Env = dir, list(env)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) || strings.Contains(string(out), "Ctrl-C") || rawText.Match(out) {
				t.Errorf("%s: got %v and %q, want %q and no welcome", tt.args, err, out, tt.want)
			}
		})
	}
}

func TestPlainSQLite(t *testing.T) {
	for code, want := range map[int]string{
		8: "cannot be written", 1032: "cannot be written", 13: "the disk is full", 11: "damaged", 26: "damaged", 5: "locked", 1: "(SQLite result code 1)",
	} {
		if got := pawl.PlainSQLite(code); !strings.Contains(got, want) {
			t.Errorf("code %d: got %q, want %q", code, got, want)
		}
	}
}
