package pawl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
)

// secrets are what no program may print, by the kind under which
// scripts/no-secrets knows them.
var secrets = map[string][]string{
	"refresh-token": {"pawl_rt1_AAECAwQFBgcICQoLDA0ODw"},
	"device-token":  {"pawl_dt1_AAECAwQFBgcICQoLDA0ODw"},
	"JWT":           {"eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln"},
	"argon2-hash":   {"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"},
	"bcrypt-hash":   {"$2b$10$abcdefghijklmnopqrstuu", "$2y$10$abcdefghijklmnopqrstuu"},
	"key-PEM":       {"-----BEGIN PRIVATE KEY-----", "-----BEGIN PAWL REFRESH KEY-----"},
	"key-DER": {
		"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC",
		"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2",
	},
	"key-JWK":         {`"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"`},
	"key-of-32-bytes": {"lMXXi9vsTBnVBK4G3ytbRFfxvgzUnY7mb8TLCNSZ0Ew=", "0123456789abcdef0123456789abcdef"},
	"bytes":           {"[149 202 215 139 219 236 76 25 213 4 174 6 223 43 91 68]", "[]byte{0x95, 0xca, 0xd7, 0x8b, 0xdb, 0xec, 0x4c, 0x19, 0xd5}"},
	"URL-password":    {"postgres://pawl:geheim@db/pawl", "redis://:geheim@redis:6379/0"},
	"cookie":          {"__Host-pawl-refresh=x", "pawl-device=x"},
	"header":          {`"Authorization":"Basic x"`, "cookie: a=b", "map[Authorization:[Basic x]]"},
	"bearer":          {"Bearer abcdefghij"},
	"query-text": {
		"mutation { login(input: {", "mutation Login($input: LoginInput!)", "query { me }", "{me{id}}", "{...F} fragment F on Query{me{id}}",
	},
	"variables":           {`"variables":{"token":"x"}`, "variables=map[input:map[token:x]]", `"body":"x"`},
	"password-name":       {`"password":"x"`, "newPassword: x", "user=pawl password=x host=db", "Password:x"},
	"token-name":          {`"refreshToken":"x"`, "access_token=x"},
	"attempt-id":          {"attempt-id-of-a-client-0123", "7QZ4PCKXJ2M5N6AVWYTEBDGHLR", `"attemptId":"x"`, `"attempt":"x"`},
	"SQL":                 {"SELECT id FROM users WHERE email = 'x'", "INSERT INTO sessions (id) VALUES ('x')", "Key (normalized_email)=(x) already exists", "Failing row contains (x)"},
	"email-in-a-log-line": {"somebody@example.com", "Some.Body@Mail.Example.org"},
	"typed-for-an-email":  {"Kerfuffle-Password-8"},
	"test-password":       {"correct horse battery staple", "not the password", "four words under fire"},
	"database-password":   {"d1d2d3d4"},
}

// noSecrets runs scripts/no-secrets around a test that leaves these lines, or
// nothing at all.
func noSecrets(t *testing.T, lines ...string) (code int, out string) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	leave := `[ $# -eq 0 ] || printf '%s\n' "$@" >"$PAWL_TEST_LOG_DIR/pawl.log"`
	cmd := exec.CommandContext(t.Context(), bash, append([]string{"scripts/no-secrets", bash, "-c", leave, "sh"}, lines...)...)
	cmd.Env = append(cmd.Environ(), "TESTFLAGS=", "PAWL_TEST_POSTGRES_URL=postgres://pawl:d1d2d3d4@127.0.0.1:1/x")
	text, err := cmd.CombinedOutput()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// logged are lines that a secret can be in: of both formats of the log, and
// within a text that was quoted before.
func logged(secret string) []string {
	quoted, _ := json.Marshal(secret)
	var lines []string
	for _, value := range []any{secret, errors.New("decoding " + string(quoted) + ": no good")} {
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "a", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "a", value)
		lines = append(lines, strings.Split(strings.TrimSpace(out.String()), "\n")...)
	}
	return lines
}

// TestNoSecretsFinds: scripts/no-secrets finds each kind of secret in what was
// printed, however it was quoted, and tells lines up to their first secret.
func TestNoSecretsFinds(t *testing.T) {
	for kind, all := range secrets {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var lines []string
			for _, secret := range all {
				lines = append(lines, logged(secret)...)
			}
			for i := range lines {
				lines[i] += " and swordfish"
			}
			code, out := noSecrets(t, lines...)
			if want := fmt.Sprintf("no-secrets: %s in %d lines", kind, len(lines)); code != 1 || !strings.Contains(out, want) {
				t.Errorf("got exit %d and %s, want 1 and %q for\n%s", code, out, want, strings.Join(lines, "\n"))
			}
			for _, secret := range append(all, "swordfish") {
				if strings.Contains(out, secret) {
					t.Errorf("got %s, want it without %s", out, secret)
				}
			}
		})
	}
}

// TestNoSecretsPasses: what programs do print is no secret.
func TestNoSecretsPasses(t *testing.T) {
	for _, line := range []string{
		`{"time":"2026-03-04T05:06:07Z","level":"INFO","msg":"login refused","reason":"wrong password","account":"3f1c5a0e9b7d2c4f8a6e1b0d","address":"198.18.0.1"}`,
		`{"time":"2026-03-04T05:06:07Z","level":"ERROR","msg":"a panic was caught","stack":"github.com/pawlauth/pawl/graph_test.(*rig).query(0xc499)\n\t/go/pkg/mod/github.com/99designs/gqlgen@v0.17.98/graphql/x.go:1"}`,
		"pawl: PAWL_DATABASE_URL: must begin with postgres:// or sqlite:", "repeats its attempt: it gets the answer", "the password has fewer than 15 characters", "password set; sessions ended: 0",
		"  Users     demo@example.com and admin@example.com, password: correct horse battery staple",
		"demo@example.com  USER  active",
	} {
		if code, out := noSecrets(t, line); code != 0 {
			t.Errorf("%s: got exit %d and %s, want 0", line, code, out)
		}
	}
}

// TestNoSecretsWantsLogs: tests that leave nothing to look at have not passed.
func TestNoSecretsWantsLogs(t *testing.T) {
	if code, out := noSecrets(t); code != 1 || !strings.Contains(out, "left nothing") {
		t.Errorf("got exit %d and %s, want 1", code, out)
	}
}
