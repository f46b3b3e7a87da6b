package pawl_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestNoSecretsFinds: scripts/no-secrets finds each kind of secret in what
// programs printed, does not repeat it, and lets what they do print pass.
func TestNoSecretsFinds(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	run := func(line string) (code int, out string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), bash, "scripts/no-secrets", bash, "-c", `printf '%s\n' "$1" >"$PAWL_TEST_LOG_DIR/pawl.log"`, "sh", line)
		cmd.Env = append(cmd.Environ(), "PAWL_TEST_POSTGRES_URL=postgres://pawl:d1d2d3d4@127.0.0.1:1/x")
		text, err := cmd.CombinedOutput()
		if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(text)
	}
	for _, secret := range []string{
		"pawl_rt1_AAECAwQFBgcICQoLDA0ODw", "pawl_dt1_AAECAwQFBgcICQoLDA0ODw", "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln",
		"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "$2b$10$abcdefghijklmnopqrstuu", "$2y$10$abcdefghijklmnopqrstuu", "-----BEGIN PRIVATE KEY-----",
		"postgres://pawl:geheim@db/pawl", "redis://:geheim@redis:6379/0", "d1d2d3d4", "__Host-pawl-refresh=x", "pawl-device=x",
		`"Authorization":"Basic x"`, "cookie: a=b", "Bearer abcdefghij", "mutation { login(input: {", "mutation Login($input: LoginInput!)", "query { me }",
		`"password":"x"`, "newPassword: x", "attempt-id-of-a-client-0123", "7QZ4PCKXJ2M5N6AVWYTEBDGHLR", "correct horse battery staple", "four words under fire", "Kerfuffle-Password-8@example.com",
	} {
		code, out := run(`{"level":"INFO","msg":"x","text":"` + secret + `"}`)
		if code != 1 || strings.Contains(out, secret) {
			t.Errorf("%s: got exit %d and %s, want 1 and a line without it", secret, code, out)
		}
	}
	for _, line := range []string{
		`{"time":"2026-03-04T05:06:07Z","level":"INFO","msg":"login refused","reason":"wrong password","account":"3f1c5a0e9b7d2c4f8a6e1b0d","address":"198.18.0.1"}`,
		"pawl: PAWL_DATABASE_URL: must begin with postgres:// or sqlite:", "the password has fewer than 15 characters", "password set; sessions ended: 0",
	} {
		if code, out := run(line); code != 0 {
			t.Errorf("%s: got exit %d and %s, want 0", line, code, out)
		}
	}
}
