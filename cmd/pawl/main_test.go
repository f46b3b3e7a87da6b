package main_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"github.com/rogpeppe/go-internal/testscript"

	pawl "github.com/pawlauth/pawl/cmd/pawl"
)

// TestMain puts the real program into the PATH of the tests, and a curl that is
// good enough for machines without one.
func TestMain(m *testing.M) {
	logging.Disable() // the Redis client's own: it tells of servers that are down on purpose
	testscript.Main(m, map[string]func(){"pawl": program, "curl": curl})
}

// logDir is the variable with the folder in which tests leave what the programs
// printed that they started; scripts/no-secrets reads it.
const logDir = "PAWL_TEST_LOG_DIR"

// program is pawl, which leaves what it prints in logDir as well where that is
// set.
func program() {
	out, errOut := io.Writer(os.Stdout), io.Writer(os.Stderr)
	if dir := os.Getenv(logDir); dir != "" {
		file, err := os.CreateTemp(dir, "pawl-*.log")
		if err != nil {
			fmt.Fprintln(os.Stderr, logDir, err)
			os.Exit(1)
		}
		out, errOut = io.MultiWriter(os.Stdout, file), io.MultiWriter(os.Stderr, file)
	}
	os.Exit(pawl.Run(os.Args[1:], os.Stdin, out, errOut))
}

// TestLogsAreKept: what a program prints, to its last line, is where
// scripts/no-secrets looks for it.
func TestLogsAreKept(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(logDir, dir)
	p := start(t, t.TempDir(), list(map[string]string{"PAWL_ADDR": "127.0.0.1:0"}), "dev")
	url := "http://" + p.await(`msg=listening address=(\S+)`)
	p.await("msg=ready")
	login, err := query(url, loginBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := query(url, refreshBody(login.text("login", "refreshToken"))); err != nil {
		t.Fatal(err)
	}
	p.stop()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("got files %q (%v), want one", names, err)
	}
	text, err := os.ReadFile(names[0])
	for _, want := range []string{"msg=listening", "level=DEBUG", "msg=login.succeeded", "msg=stopped", "Pawl for development"} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("got %s (%v), want it with %s", text, err, want)
		}
	}
}
