// Package pawltest gives tests the program as it ships, and runs its commands as
// operators do. It is for tests only and knows nothing of what the program does.
package pawltest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Program is a pawl with its settings.
type Program struct {
	Path string   // of the binary, or its name on the PATH
	Dir  string   // where it runs; empty for where the tests do
	Env  []string // all of its environment, as NAME=value
}

// Build is the path of the program as it ships, without the race detector: the
// one that PAWL_BIN names, as `make test` does, or else one that is built now. It
// is gone when the test ends.
func Build(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("PAWL_BIN"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "pawl")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "github.com/pawlauth/pawl/cmd/pawl") //nolint:gosec // the test's own path
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// Command is a command line of the program, which has not been started.
func (p Program) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Path, args...) //nolint:gosec // the program under test
	cmd.Dir, cmd.Env = p.Dir, p.Env
	return cmd
}

// Run runs a command to its end and returns what it printed on both streams. A
// command that fails ends the test.
func (p Program) Run(t testing.TB, stdin string, args ...string) (out string) {
	t.Helper()
	cmd := p.Command(t.Context(), args...)
	cmd.Stdin = strings.NewReader(stdin)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pawl %v: %v\n%s", args, err, text)
	}
	return string(text)
}

// Prepare makes what a server needs that its settings name: keys, the schema of
// the database, and one user.
func (p Program) Prepare(t testing.TB, email, password string) {
	t.Helper()
	p.Run(t, "", "keys", "init")
	p.Run(t, "", "migrate", "up")
	p.Run(t, password+"\n", "user", "add", email)
}
